import ContainerRuntime
import Images
import Reconciler
import StackModel

/// From a container's definition and its image to the OCI runtime specification. Pure: every host path is given.
struct LaunchBuilder {
    var stored: StoredContainer
    var defaults: ContainerDefaults?
    /// Host folder of the container's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
    var nameFiles: String
    var hostname: String
    var domainname: String?
    /// Mount target to host folder.
    var volumeFolders: [String: String]
    /// Of another container, `nil` for the host's; absent for one's own.
    var networkNamespace: NetworkNamespace
    var pidNamespacePath: String?
    var ipcNamespacePath: String?
    /// The bytes of the file that `security_opt: seccomp=FILE` names.
    var seccompProfile: [UInt8]?
    /// The engine is a plain user's.
    var isRootless = false
    /// Variables that tell of the containers it is linked to.
    var linkedEnvironment: [(name: String, value: String)] = []

    enum NetworkNamespace: Equatable {
        case path(String)
        case host
    }

    var service: Service { stored.definition.service }

    func spec() throws(EngineError) -> RuntimeSpec {
        var spec = RuntimeSpec.containerDefault()
        spec.process = try process(spec.process)
        spec.root.readonly = service.readOnly
        if service.utsMode != "host" {
            spec.hostname = hostname
            spec.domainname = domainname
        }
        let security = try SecurityOptions(service.securityOptions, service: stored.service)
        spec.process.noNewPrivileges = security.noNewPrivileges
        spec.process.apparmorProfile = security.appArmor
        spec.process.selinuxLabel = security.label
        if security.showsSystemPaths { (spec.linux.maskedPaths, spec.linux.readonlyPaths) = ([], []) }
        if case .profile = security.seccomp, let profile = seccompProfile, !service.privileged {
            do throws(RuntimeError) {
                spec.linux.seccomp = try RuntimeSpec.Seccomp(
                    profile: profile, capabilities: spec.process.capabilities.bounding)
            } catch {
                throw .runtime(error, container: stored.name)
            }
        }
        if service.privileged {
            do throws(RuntimeError) { try spec.makePrivileged() } catch {
                throw .runtime(error, container: stored.name)
            }
        }
        if let size = service.shmSize { setSharedMemory(size, in: &spec) }
        spec.mounts += mounts()
        spec.linux.namespaces = namespaces()
        spec.linux.sysctl = service.sysctls
        if networkNamespace != .host {
            spec.linux.sysctl.merge(RuntimeSpec.unprivilegedNetworkSysctls(mapped: isRootless)) { own, _ in own }
        }
        spec.linux.resources = try resources(spec.linux.resources)
        try addDevices(to: &spec)
        return spec
    }

    private func process(_ template: RuntimeSpec.Process) throws(EngineError) -> RuntimeSpec.Process {
        var process = template
        process.args = processArguments(service, defaults: defaults)
        guard !process.args.isEmpty else {
            throw .badRequest("service '\(stored.service)' has no command, and neither has its image")
        }
        process.env = processEnvironment(service, defaults: defaults, hostname: hostname, linked: linkedEnvironment)
        let imageFolder = defaults?.workingDir ?? ""
        process.cwd = service.workingDirectory ?? (imageFolder.isEmpty ? "/" : imageFolder)
        process.terminal = service.tty
        process.oomScoreAdj = service.oomScoreAdjust
        process.capabilities = RuntimeSpec.Capabilities(all: try capabilities())
        process.rlimits = service.ulimits.sorted { $0.key < $1.key }.map { name, limit in
            RuntimeSpec.Rlimit(
                type: "RLIMIT_\(name.uppercased())", soft: limit.soft < 0 ? .max : UInt64(limit.soft),
                hard: limit.hard < 0 ? .max : UInt64(limit.hard))
        }
        return process
    }

    /// `cap_drop` first, then `cap_add`; `ALL` stands for every one.
    private func capabilities() throws(EngineError) -> [String] {
        var names = RuntimeSpec.defaultCapabilities
        if stored.free != nil { names += RuntimeSpec.dockersFurtherCapabilities }
        let all = CapabilityNames.all()
        func full(_ name: String) throws(EngineError) -> String {
            let upper = name.uppercased()
            let full = upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
            guard all.contains(full) else {
                throw .runtime(.unknownCapability(name), container: stored.name)
            }
            return full
        }
        for name in service.capDrop {
            if name.uppercased() == "ALL" {
                names = []
            } else {
                names.removeAll { [name = try full(name)] in $0 == name }
            }
        }
        for name in service.capAdd {
            if name.uppercased() == "ALL" {
                names = all
            } else if case let name = try full(name), !names.contains(name) {
                names.append(name)
            }
        }
        return names
    }

    private func setSharedMemory(_ size: Int64, in spec: inout RuntimeSpec) {
        guard let index = spec.mounts.firstIndex(where: { $0.destination == "/dev/shm" }) else { return }
        spec.mounts[index].options?.removeAll { $0.hasPrefix("size=") }
        spec.mounts[index].options?.append("size=\(size)")
    }

    /// Docker's order: shallow targets first, so that a mount below another is not hidden by it.
    private func mounts() -> [RuntimeSpec.Mount] {
        var mounts = ["hosts", "hostname", "resolv.conf"].map { name in
            bind("\(nameFiles)/\(name)", to: "/etc/\(name)", options: ["rbind", "rprivate"])
        }
        var claimed: Set<String> = []
        for mount in service.mounts {
            claimed.insert(mount.target)
            switch mount.kind {
            case .bind:
                mounts.append(
                    bind(
                        mount.source ?? "/", to: mount.target,
                        options: bindOptions(mount)))
            case .tmpfs:
                mounts.append(tmpfs(mount))
            case .volume:
                guard let folder = volumeFolders[mount.target] else { continue }
                mounts.append(volume(folder, to: mount.target, readOnly: mount.readOnly))
            case .image, .cluster, .npipe:
                // The stack file's loader has warned of them.
                continue
            }
        }
        for (target, folder) in volumeFolders.sorted(by: { $0.key < $1.key }) where !claimed.contains(target) {
            mounts.append(volume(folder, to: target, readOnly: false))
        }
        func depth(_ mount: RuntimeSpec.Mount) -> Int { mount.destination.split(separator: "/").count }
        return mounts.enumerated().sorted { (depth($0.element), $0.offset) < (depth($1.element), $1.offset) }
            .map(\.element)
    }

    /// One that is mounted read-only stays so: nothing is said of writing.
    private func volume(_ folder: String, to target: String, readOnly: Bool) -> RuntimeSpec.Mount {
        bind(folder, to: target, options: ["rbind", "rprivate"] + (readOnly ? ["rro"] : []))
    }

    private func bind(_ source: String, to target: String, options: [String]) -> RuntimeSpec.Mount {
        RuntimeSpec.Mount(destination: target, type: "bind", source: source, options: options)
    }

    /// A read-only mount is read-only all the way down, unless the file says `recursive: writable`.
    private func bindOptions(_ mount: StackModel.Mount) -> [String] {
        let bind = mount.recursion == .disabled ? "bind" : "rbind"
        let access = !mount.readOnly ? "rw" : mount.recursion == .writable ? "ro" : "rro"
        return [bind, mount.propagation ?? "rprivate", access]
    }

    private func tmpfs(_ mount: StackModel.Mount) -> RuntimeSpec.Mount {
        var options = ["nosuid", "nodev", "noexec", mount.readOnly ? "ro" : "rw"]
        if let size = mount.size { options.append("size=\(size)") }
        options.append("mode=\(String(mount.mode ?? 0o1777, radix: 8))")
        return RuntimeSpec.Mount(destination: mount.target, type: "tmpfs", source: "tmpfs", options: options)
    }

    private func namespaces() -> [RuntimeSpec.Namespace] {
        var namespaces: [RuntimeSpec.Namespace] = [.init(.mount)]
        if service.utsMode != "host" { namespaces.append(.init(.uts)) }
        if service.cgroupMode != "host" { namespaces.append(.init(.cgroup)) }
        switch networkNamespace {
        case .path(let path): namespaces.append(.init(.network, path: path))
        case .host: break
        }
        if service.pidMode != "host" { namespaces.append(.init(.pid, path: pidNamespacePath)) }
        if service.ipcMode != "host" { namespaces.append(.init(.ipc, path: ipcNamespacePath)) }
        return namespaces
    }

    /// `HOST[:CONTAINER[:rwm]]`.
    private func addDevices(to spec: inout RuntimeSpec) throws(EngineError) {
        for text in service.devices {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard let host = parts.first, host.hasPrefix("/"), parts.count <= 3 else {
                throw .badRequest("service '\(stored.service)': invalid device '\(text)'")
            }
            let target = parts.count > 1 && parts[1].hasPrefix("/") ? parts[1] : host
            let access = parts.count > 1 && !(parts.last ?? "").hasPrefix("/") ? parts.last : "rwm"
            let node = try HostDevice(path: host)
            var device = RuntimeSpec.Device(
                type: node.type, path: target, major: node.major, minor: node.minor, fileMode: node.mode)
            (device.uid, device.gid) = (node.uid, node.gid)
            spec.linux.devices.append(device)
            spec.linux.resources.devices?.append(
                RuntimeSpec.DeviceRule(
                    allow: true, type: node.type, major: node.major, minor: node.minor, access: access))
        }
    }
}
