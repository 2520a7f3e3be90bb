import CLinux
import ContainerNetwork
import ContainerRuntime
import EngineWire
import Images
import InternetAddress
import LinuxSystem
import Reconciler
import StackModel

/// What the runtime is asked for, from what the records say.
extension Engine {
    private static let seccompProfileByteCountMax = 4 << 20
    /// `host-gateway` in `extra_hosts` when the container has no gateway.
    private static let noGateway = "127.0.0.1"

    func launchRequest(_ stored: StoredContainer, attach: [SharedDescriptor]) throws(EngineError) -> LaunchRequest {
        let image = try image(stored.definition.imageID)
        let builder = try launchBuilder(stored, defaults: image.config.config)
        let service = stored.definition.service
        let folder = options.containerData(stored.id)
        try writeNameFiles(stored, hostname: builder.hostname, folder: options.nameFiles(stored.id))
        var request = LaunchRequest(
            id: stored.id, spec: try builder.spec(),
            root: .overlay(
                lower: image.lowerDirectories + [options.mountPoints], upper: "\(folder)/upper", work: "\(folder)/work",
                volatile: stored.removeOnExit),
            directory: options.containerRun(stored.id))
        request.user = service.user ?? (image.config.config.user.isEmpty ? nil : image.config.config.user)
        request.groups = service.groupAdd
        request.log = try LogOptions.settings(
            service.logging, path: "\(folder)/container.log", service: stored.service)
        request.stdinOpen = service.stdinOpen
        request.cgroupParent = service.cgroupParent.flatMap { $0.isEmpty ? nil : $0 }
        request.useInit = service.initProcess ?? false
        request.files = try injectedFiles(stored)
        request.seccomp = try seccompPolicy(stored)
        request.cgroupParent = service.cgroupParent.flatMap { $0.isEmpty ? nil : $0 }
        if let free = stored.free { try free.adjust(&request.spec) }
        for client in attach {
            do throws(SystemError) {
                request.attach.append(try client.duplicate().take())
            } catch {
                throw .system(error)
            }
        }
        return request
    }

    func launchBuilder(
        _ stored: StoredContainer, defaults: ContainerDefaults?
    ) throws(EngineError) -> LaunchBuilder {
        LaunchBuilder(
            stored: stored, defaults: defaults, nameFiles: options.nameFiles(stored.id),
            volumeFolders: stored.volumes.mapValues { volumeFolder($0) },
            networkNamespace: try networkNamespace(of: stored),
            pidNamespacePath: try sharedNamespace(stored.definition.service.pidMode, "pid", stored),
            ipcNamespacePath: try sharedNamespace(stored.definition.service.ipcMode, "ipc", stored),
            seccompProfile: try seccompProfile(stored), isRootless: options.rootless != nil,
            linkedEnvironment: linkedEnvironment(of: stored))
    }

    private func networkNamespace(of stored: StoredContainer) throws(EngineError) -> LaunchBuilder.NetworkNamespace {
        if usesOwnNamespace(stored) { return .path("\(options.namespaceDirectory)/\(stored.id)") }
        if stored.networkMode == "host" { return .host }
        guard let path = try sharedNamespace(stored.networkMode, "net", stored) else {
            throw .badRequest("service '\(stored.service)': unknown network_mode '\(stored.networkMode ?? "")'")
        }
        return .path(path)
    }

    /// `service:NAME` or `container:NAME` to the path of that container's namespace; `nil` for a namespace of its own.
    private func sharedNamespace(
        _ mode: String?, _ kind: String, _ stored: StoredContainer
    ) throws(EngineError) -> String? {
        guard let mode, let colon = mode.firstIndex(of: ":") else { return nil }
        let name = String(mode[mode.index(after: colon)...])
        let target: Container?
        switch mode[..<colon] {
        case "service":
            target = containers.values.first {
                $0.stored.stackName == stored.stackName && $0.stored.service == name && $0.process != nil
            }
        case "container": target = try container(name)
        default: throw .badRequest("service '\(stored.service)': unknown mode '\(mode)'")
        }
        guard let process = target?.process else { throw .containerNotRunning(name) }
        return "/proc/\(process.pid)/ns/\(kind)"
    }

    private func seccompPolicy(_ stored: StoredContainer) throws(EngineError) -> SeccompPolicy {
        let service = stored.definition.service
        let options = try SecurityOptions(service.securityOptions, service: stored.service)
        return service.privileged || options.seccomp == .unconfined ? .unconfined : .standard
    }

    /// The profile that `seccomp=` names: the text itself, as Docker's clients send it, or a file beside the stack's.
    private func seccompProfile(_ stored: StoredContainer) throws(EngineError) -> [UInt8]? {
        let options = try SecurityOptions(stored.definition.service.securityOptions, service: stored.service)
        guard case .profile(let text) = options.seccomp else { return nil }
        if text.hasPrefix("{") { return Array(text.utf8) }
        let folder = stored.labels[ComposeLabel.workingDirectory] ?? "/"
        let path = text.hasPrefix("/") ? text : "\(folder)/\(text)"
        do throws(SystemError) {
            return try FileSystem.readFile(path, byteCountMax: Self.seccompProfileByteCountMax)
        } catch {
            throw .badRequest("service '\(stored.service)': the seccomp profile cannot be read: \(error)")
        }
    }

    func injectedFiles(_ stored: StoredContainer) throws(EngineError) -> [InjectedFile] {
        let definition = stored.definition
        var files: [InjectedFile] = []
        for (mounts, objects) in [
            (definition.service.configs, definition.configs), (definition.service.secrets, definition.secrets),
        ] {
            for mount in mounts {
                guard let content = objects[mount.source]?.content else {
                    throw .badRequest("service '\(stored.service)': '\(mount.source)' has no content")
                }
                files.append(
                    InjectedFile(path: mount.target, bytes: content, mode: mount.mode, uid: mount.uid, gid: mount.gid))
            }
        }
        return files
    }

    /// The host's addresses as the container reaches them: where its default routes go, else those of its networks'
    /// bridges. One of each family.
    private func hostGateways(_ stored: StoredContainer) -> [String] {
        let routers = stored.attachments.flatMap { attachment in
            networks[attachment.network]?.hasBridge == true ? attachment.interface.gateways : []
        }
        let bridges = stored.attachments.flatMap { attachment in
            guard let network = networks[attachment.network], network.hasBridge else { return [IPAddress]() }
            return network.bridge.subnets.compactMap(\.gateway)
        }
        let found = [false, true].compactMap { isV6 in (routers + bridges).first { $0.isV6 == isV6 } }
        return found.isEmpty ? [Self.noGateway] : found.map(\.description)
    }

    /// Small files on our own disk: written here, not on the pool, to keep a start to one hop.
    func writeNameFiles(_ stored: StoredContainer, hostname: String, folder: String) throws(EngineError) {
        let service = stored.definition.service
        let gateways = hostGateways(stored)
        let hosts = hostsFile(
            hostname: hostname, domainname: service.domainname,
            addresses: stored.attachments.flatMap { attachment in
                attachment.interface.addresses.map(\.address).filter { !$0.isLinkLocalUnicast }.map(\.description)
            },
            extra: service.extraHosts.flatMap { host in
                (host.address == "host-gateway" ? gateways : [host.address]).map { (name: host.name, address: $0) }
            } + linkedHosts(of: stored))
        do throws(SystemError) {
            try FileSystem.makeDirectories(folder)
            let hostResolver = FileSystem.exists("/etc/resolv.conf") ? try FileSystem.readFile("/etc/resolv.conf") : []
            let resolver = resolvConf(
                service, hostFile: String(decoding: hostResolver, as: UTF8.self),
                embedded: !stored.attachments.isEmpty)
            for (name, text) in [("hosts", hosts), ("hostname", hostname + "\n"), ("resolv.conf", resolver)] {
                try FileSystem.replaceFile("\(folder)/\(name)", with: text.utf8, mode: 0o644)
            }
        } catch {
            throw .system(error)
        }
    }

    /// Folders of the host that short bind syntax makes when they are missing.
    func makeBindSources(_ stored: StoredContainer) async throws(EngineError) {
        let missing = stored.definition.service.mounts.filter { $0.kind == .bind && $0.createHostPath }
            .compactMap(\.source)
        guard !missing.isEmpty else { return }
        try await onPool { () throws(SystemError) in
            for path in missing where !FileSystem.exists(path) { try FileSystem.makeDirectories(path, mode: 0o755) }
        }
    }

    func execRequest(_ stored: StoredContainer, _ request: ExecCreateRequest) throws(EngineError) -> ExecRequest {
        var exec = try execRequest(stored, command: request.Cmd)
        exec.env = merged(exec.env, request.Env ?? [])
        // Docker's clients send what was not said as an empty text.
        exec.cwd = request.WorkingDir.flatMap { $0.isEmpty ? nil : $0 }
        exec.user = request.User.flatMap { $0.isEmpty ? nil : $0 } ?? exec.user
        exec.terminal = request.Tty ?? false
        exec.stdinOpen = request.AttachStdin ?? false
        exec.privileged = request.Privileged ?? false
        return exec
    }

    /// A command with the container's own user, environment and confinement.
    func execRequest(_ stored: StoredContainer, command: [String]) throws(EngineError) -> ExecRequest {
        let defaults = imageDefaults(stored)
        let spec = try launchBuilder(stored, defaults: defaults).spec()
        var exec = ExecRequest(directory: options.containerRun(stored.id), spec: spec, args: command)
        exec.env = spec.process.env
        let service = stored.definition.service
        exec.user = service.user ?? defaults.flatMap { $0.user.isEmpty ? nil : $0.user }
        exec.groups = service.groupAdd
        exec.seccomp = try seccompPolicy(stored)
        return exec
    }

    private func merged(_ base: [String], _ more: [String]) -> [String] {
        let keys = Set(more.map { $0.prefix { $0 != "=" } })
        return base.filter { !keys.contains($0.prefix { $0 != "=" }) } + more.filter { $0.contains("=") }
    }
}
