import Dockerfile
import FileWatch
import Glibc
import Images
import LinuxSystem
import StackModel

/// One rule of a service's `develop.watch`, checked, with what it listens to.
struct WatchRule: Equatable {
    var service: String
    var definition: Develop.Watch
    var scope: WatchScope
    /// Folders of the host that the service's containers see anyway: nothing is copied from there, which would come
    /// back as another change.
    var bindSources: [String] = []
    /// Names of files that only the image's build and this program read.
    var unsynced: Set<String> = []

    var copies: Bool { definition.action.copies }

    /// Where a path of the host is in the containers; `nil`: it is not copied.
    func mapping(_ path: String) -> PathMapping? {
        guard copies, let target = definition.target, let below = pathBelow(definition.path, path),
            !bindSources.contains(where: { pathBelow($0, path) != nil })
        else { return nil }
        let folder = CopyPath.clean("/" + target)
        // A file's target that ends in `/` is the folder it goes to.
        let name = below.isEmpty && target.hasSuffix("/") ? FileSystem.lastComponent(of: path) : below
        let place = name.isEmpty ? folder : CopyPath.join(folder, name)
        return place == "/" ? nil : PathMapping(root: definition.path, host: path, container: place)
    }

    /// Of `paths`, what the initial copy takes: as Docker Compose, without Dockerfiles and stack files.
    func initialCopies(_ paths: [String]) -> [PathMapping] {
        guard definition.initialSync, copies else { return [] }
        return paths.filter { scope.includes($0) && !unsynced.contains(FileSystem.lastComponent(of: $0)) }
            .compactMap(mapping)
    }
}

/// A path of the host, and the one of its copy, absolute in the container.
struct PathMapping: Hashable {
    /// The rule's own path.
    var root: String
    var host: String
    var container: String
}

extension Develop.Watch.Action {
    var copies: Bool {
        switch self {
        case .sync, .syncRestart, .syncExec: true
        case .rebuild, .restart: false
        }
    }
}

/// The rules of the chosen services.
struct WatchRules {
    private(set) var rules: [WatchRule] = []
    private(set) var warnings: [Diagnostic] = []
    let stack: Stack
    private let readFile: (String) throws(SystemError) -> [UInt8]

    /// - Parameter services: with what they depend on; all when empty.
    init(
        _ stack: Stack, services: [String],
        readFile: @escaping (String) throws(SystemError) -> [UInt8] = { path throws(SystemError) in
            try FileSystem.readFile(path)
        }
    ) throws {
        self.stack = stack
        self.readFile = readFile
        for name in try Self.chosen(services, stack) {
            guard let service = stack.services[name] else { continue }
            try add(name, service)
        }
        guard !rules.isEmpty else {
            throw CommandFailure(
                code: "watch.nothing",
                warnings.isEmpty
                    ? "none of the selected services is configured for watch" : "no watch rule is left to act on",
                hint: "give a service a 'develop' section with 'watch' rules")
        }
    }

    /// The named services and what they depend on, sorted.
    static func chosen(_ services: [String], _ stack: Stack) throws(CommandFailure) -> [String] {
        guard !services.isEmpty else { return stack.services.keys.sorted() }
        var found: Set<String> = []
        var waiting = services
        while let name = waiting.popLast() {
            guard let service = stack.services[name] else {
                // A dependency may be left out of the stack, a named service not.
                guard !services.contains(name) else {
                    let near = nearestName(to: name, among: stack.services.keys.sorted())
                    throw CommandFailure(
                        code: "stack.reference", "no such service: \(name)", hint: near.map { "did you mean '\($0)'?" })
                }
                continue
            }
            if found.insert(name).inserted { waiting += service.dependsOn.keys }
        }
        return found.sorted()
    }

    /// `--no-build`.
    func refuseRebuilds() throws(CommandFailure) {
        guard let rule = rules.first(where: { $0.definition.action == .rebuild }) else { return }
        throw .usage("--no-build contradicts the watch action rebuild of service '\(rule.service)'")
    }

    private mutating func add(_ name: String, _ service: Service) throws {
        let watches = service.develop?.watch ?? []
        guard !watches.isEmpty else { return }
        let context = try ignoreFile(of: service)
        let bindSources = service.mounts.compactMap { $0.kind == .bind ? $0.source.map(CopyPath.clean) : nil }
        for (index, watch) in watches.enumerated() {
            var watch = watch
            watch.path = CopyPath.clean(watch.path)
            let mark = stack.source(of: "services.\(name).develop.watch[\(index)]")
            try check(watch, name, service, mark)
            if watch.action.copies, bindSources.contains(where: { pathBelow($0, watch.path) != nil }) {
                warnings.append(
                    Diagnostic(
                        .warning, code: "watch.bind",
                        "'\(watch.path)' is also a bind mount of service '\(name)' and is not watched", source: mark))
                continue
            }
            var filters = try [PathFilter.ofEditors, .ignoring(watch.ignore, base: watch.path)]
            if let context { filters.append(context) }
            if !watch.include.isEmpty { filters.append(try .including(watch.include, base: watch.path)) }
            rules.append(
                WatchRule(
                    service: name, definition: watch, scope: WatchScope(root: watch.path, filters: filters),
                    bindSources: bindSources, unsynced: Self.unsynced(service)))
        }
    }

    private func check(
        _ watch: Develop.Watch, _ name: String, _ service: Service, _ mark: SourceMark?
    ) throws(CommandFailure) {
        if watch.action == .rebuild, service.build == nil {
            throw CommandFailure([
                Diagnostic(
                    code: "watch.no-build",
                    "service '\(name)' cannot be watched with the action rebuild without a build context",
                    source: mark, hint: "give it a 'build' section, or choose another action")
            ])
        }
        if watch.action == .syncExec, watch.exec?.command.isEmpty != false {
            throw CommandFailure([
                Diagnostic(
                    code: "watch.no-command",
                    "service '\(name)' cannot be watched with the action sync+exec without a command",
                    source: mark, hint: "say with 'exec: {command: [...]}' what is to be run")
            ])
        }
    }

    /// Names that Docker Compose keeps out of the initial copy.
    private static func unsynced(_ service: Service) -> Set<String> {
        let stackFiles =
            standardStackFiles + [
                "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml",
                "docker-compose.override.yaml",
            ]
        return Set(
            stackFiles + ["Dockerfile"] + [service.build?.dockerfile].compactMap { $0.map(FileSystem.lastComponent) })
    }

    /// `DOCKERFILE.dockerignore` or `.dockerignore` of the build's context, where that is a folder here.
    private func ignoreFile(of service: Service) throws -> PathFilter? {
        guard let build = service.build, build.context.hasPrefix("/") else { return nil }
        let context = CopyPath.clean(build.context)
        let dockerfile = build.dockerfile ?? "Dockerfile"
        let own = dockerfile.hasPrefix("/") ? dockerfile : "\(context)/\(dockerfile)"
        for path in ["\(own).dockerignore", "\(context)/.dockerignore"] {
            let bytes: [UInt8]
            do throws(SystemError) { bytes = try readFile(path) } catch {
                guard error.code == ENOENT || error.code == ENOTDIR else { throw error }
                continue
            }
            return PathFilter(base: context, patterns: try parse(bytes, path).withoutCatchAll)
        }
        return nil
    }

    private func parse(_ bytes: [UInt8], _ path: String) throws -> IgnorePatterns {
        do throws(DockerfileError) {
            return try IgnorePatterns(parsing: bytes, name: path)
        } catch {
            throw CommandFailure(error.diagnostics)
        }
    }
}
