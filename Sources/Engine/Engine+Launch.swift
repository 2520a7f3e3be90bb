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

    func launchRequest(_ stored: StoredContainer, attach: [SharedDescriptor]) throws(EngineError) -> LaunchRequest {
        let image = try image(stored.definition.imageID)
        let builder = try launchBuilder(stored, defaults: image.config.config)
        let service = stored.definition.service
        let folder = options.containerData(stored.id)
        let names = names(of: stored)
        if names.owner.id == stored.id {
            try writeNameFiles(stored, hostname: builder.hostname, folder: options.nameFiles(stored.id))
        }
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
        let names = names(of: stored)
        return LaunchBuilder(
            stored: stored, defaults: defaults, nameFiles: options.nameFiles(names.owner.id),
            hostname: names.hostname, domainname: names.domainname,
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
        guard let mode, mode.contains(":") else { return nil }
        let name = String(mode.drop { $0 != ":" }.dropFirst())
        let target: Container?
        switch mode.prefix(while: { $0 != ":" }) {
        case "service": target = namedContainer(mode, stored)
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
