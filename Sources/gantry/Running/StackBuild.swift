import EngineClient
import EngineWire
import StackModel

/// Services of a stack as images to build.
struct StackBuild {
    let stack: Stack
    let session: Session

    /// Those of `services` (all when none is named) that have `build:`, with the services whose images they build on.
    ///
    /// - Parameter withDependencies: also what they depend on.
    func requests(_ services: [String], withDependencies: Bool = false) throws -> [BuildRequest] {
        let chosen = closure(try named(services)) { service in
            contextServices(service) + (withDependencies ? dependencies(service) : [])
        }
        return try chosen.sorted().compactMap { name in
            guard let service = stack.services[name], let build = service.build else { return nil }
            return try request(name, service, build)
        }
    }

    private func named(_ services: [String]) throws(CommandFailure) -> [String] {
        let known = stack.services.keys.sorted()
        for name in services where stack.services[name] == nil {
            throw .usage("no such service: \(name)", hint: "the stack has \(known.joined(separator: ", "))")
        }
        return services.isEmpty ? known : services
    }

    private func closure(_ names: [String], _ next: (Service) -> [String]) -> Set<String> {
        var left = names
        var found: Set<String> = []
        while let name = left.popLast() {
            guard let service = stack.services[name], found.insert(name).inserted else { continue }
            left += next(service)
        }
        return found
    }

    /// As the engine counts them: also those whose namespaces a service lives in.
    private func dependencies(_ service: Service) -> [String] {
        let prefix = "service:"
        let modes = [service.networkMode, service.pidMode, service.ipcMode].compactMap { $0 }
        return service.dependsOn.keys + modes.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    /// When images are built before a stack is brought up.
    enum Mode {
        /// `--build`.
        case always
        /// What is not there, and what says `pull_policy: build`.
        case missing
        /// `--no-build`.
        case never
    }

    /// Builds what `services` (all when none is named), and what they depend on, need.
    func ensure(_ services: [String], dependencies: Bool, _ mode: Mode) throws {
        if case .never = mode { return }
        let needed = closure(try named(services)) { service in dependencies ? self.dependencies(service) : [] }
        var wanted = needed.filter { stack.services[$0]?.build != nil }.sorted()
        guard !wanted.isEmpty else { return }
        if case .missing = mode {
            let client = try session.engine()
            wanted = try wanted.filter { name in try isMissing(name, client) }
        }
        guard !wanted.isEmpty else { return }
        // Those that these build on are built with them, and only then.
        let built = try session.build(BuildBatch(builds: try requests(wanted))).images
        for image in built { try session.errors.write(" Image \(image.tags.first ?? image.id)  Built\n") }
    }

    private func isMissing(_ name: String, _ client: EngineClient) throws -> Bool {
        guard let service = stack.services[name] else { return false }
        if service.pullPolicy?.mode == .build { return true }
        do {
            _ = try client.imageDocument(service.image)
            return false
        } catch EngineClientError.refused(let status, _) where status == 404 {
            return true
        }
    }

    private func contextServices(_ service: Service) -> [String] {
        (service.build?.additionalContexts.values).map(Array.init)?.compactMap { text in
            text.hasPrefix("service:") ? String(text.dropFirst("service:".count)) : nil
        } ?? []
    }

    private func request(_ name: String, _ service: Service, _ build: Build) throws -> BuildRequest {
        var request = BuildRequest(name: name, context: contextSource(build.context))
        if case .folder(let folder) = request.context, let file = build.dockerfile {
            request.dockerfile = absolutePath(file, from: folder)
        } else {
            request.dockerfile = build.dockerfile
        }
        if let text = build.dockerfileInline {
            request.dockerfileText = text
            request.dockerfile = "dockerfile_inline of \(name)"
        }
        request.target = build.target
        request.arguments = build.arguments.compactMapValues { $0 }
        request.labels = build.labels
        request.tags = [service.image] + build.tags.filter { $0 != service.image }
        request.contexts = build.additionalContexts
        request.noCache = build.noCache
        request.cacheFrom = build.cacheFrom.map { cachePlace($0, "src", stack.workingDirectory) }
        request.cacheTo = build.cacheTo.map { cachePlace($0, "dest", stack.workingDirectory) }
        request.noCacheFilter = build.noCacheFilter
        request.pull = build.pull
        request.platforms = build.platforms.isEmpty ? service.platform.map { [$0] } ?? [] : build.platforms
        request.network = build.network
        request.allow = build.entitlements
        request.extraHosts = build.extraHosts
        request.shmSize = build.shmSize
        request.ulimits = build.ulimits
        request.privileged = build.privileged
        for text in build.ssh {
            let (id, path) = try agent(text, session)
            request.agents[id] = path
        }
        for secret in build.secrets { request.secrets += try secrets(secret, name) }
        return request
    }

    /// By the name that the stack file has, and by the one that the build is told.
    private func secrets(_ mount: FileMount, _ service: String) throws -> [BuildRequest.Secret] {
        guard let content = stack.secrets[mount.source]?.content else {
            throw CommandFailure([
                Diagnostic(
                    code: "build.secret", "service '\(service)': secret '\(mount.source)' has no content",
                    source: stack.source(of: "services.\(service).build.secrets"))
            ])
        }
        let last = mount.target.split(separator: "/").last.map(String.init) ?? mount.source
        return Set([mount.source, last]).sorted().map { BuildRequest.Secret(id: $0, bytes: content) }
    }
}

/// A folder, or what has a scheme.
func contextSource(_ text: String) -> BuildRequest.Source {
    let isAddress = text.contains("://") || text.hasPrefix("git@") || text.hasPrefix("github.com/")
    return isAddress ? .url(text) : .folder(text)
}
