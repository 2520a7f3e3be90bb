import CLinux
import ContainerNetwork
import ContainerRuntime
import EngineWire
import Glibc
import ImageBuild
import Images
import LinuxSystem
import Logging
import NetworkService
import Reconciler
import StackModel

/// How a client wants the steps of its build to run.
struct StepSettings: Sendable {
    /// Those that steps have besides the usual ones.
    var capabilities: [String] = []
    var resources = Resources()

    static let dockers = StepSettings(capabilities: RuntimeSpec.dockersFurtherCapabilities)
}

/// A namespace for RUN steps of one stage.
struct BuildNetwork: Sendable {
    /// Like a container's, but none that the engine has.
    var stored: StoredContainer
    var namespace: LaunchBuilder.NetworkNamespace
    /// The network that is to be left again.
    var network: String?
    /// Id of the container whose namespace it is, and whose names it knows.
    var owner: String?
}

/// Containers for RUN steps: no records, no names; an engine that starts anew sweeps what it does not know.
extension Engine {
    /// The bridge of RUN steps, there while builds use it.
    static let buildNetwork = "gantry-build"

    /// Nobody else's: it is removed with its last build.
    func refuseBuildNetwork(_ name: String) throws(EngineError) {
        guard name != Self.buildNetwork else {
            throw .badRequest("the name '\(name)' is taken: it is the network of builds")
        }
    }

    private static let stepHostname = "gantry-build"

    func makeBuildNetwork(_ wanted: RunNetwork) async throws(EngineError) -> BuildNetwork {
        let stored = try stepContainer(randomID(), Service(image: ""))
        switch wanted {
        case .host: return BuildNetwork(stored: stored, namespace: .host)
        case .none: return try await makeNamespace(stored, network: nil)
        case .named(let reference) where reference.hasPrefix("container:"):
            return try borrow(String(reference.dropFirst("container:".count)), stored)
        case .named(let reference):
            // By its id, too; what is not there is told by its name.
            return try await join((try? storedNetwork(reference))?.name ?? reference, stored)
        case .standard: return try await join(Self.buildNetwork, stored)
        }
    }

    private func borrow(_ reference: String, _ stored: StoredContainer) throws(EngineError) -> BuildNetwork {
        let target = try container(reference)
        guard target.process != nil else { throw .containerNotRunning(target.stored.name) }
        guard usesOwnNamespace(target.stored) else {
            guard target.stored.networkMode == "host" else {
                throw .conflict("container \(target.stored.name) has no network of its own")
            }
            return BuildNetwork(stored: stored, namespace: .host)
        }
        var stored = stored
        stored.attachments = target.stored.attachments
        let id = target.stored.id
        return BuildNetwork(stored: stored, namespace: .path("\(options.namespaceDirectory)/\(id)"), owner: id)
    }

    /// The network stays at least until the namespace is removed.
    private func join(_ name: String, _ stored: StoredContainer) async throws(EngineError) -> BuildNetwork {
        buildUsers[name, default: 0] += 1
        do throws(EngineError) {
            if name == Self.buildNetwork { try await ensureBuildNetwork() }
            guard networks[name] != nil else {
                throw .diagnostics([
                    Diagnostic(
                        code: "network.not-found", "network \(name) does not exist",
                        hint: "create it with `gantry network create \(name)`")
                ])
            }
            return try await makeNamespace(stored, network: name)
        } catch {
            await leave(name)
            throw error
        }
    }

    private func leave(_ name: String) async {
        let left = (buildUsers[name] ?? 0) - 1
        buildUsers[name] = left > 0 ? left : nil
        if name == Self.buildNetwork { await removeUnusedBuildNetwork() }
    }

    func isUsed(_ network: StoredNetwork) -> Bool {
        buildUsers[network.name] != nil || !users(ofNetwork: network.name).isEmpty
    }

    /// Builds that begin at the same time wait for the first of them.
    private func ensureBuildNetwork() async throws(EngineError) {
        await buildNetworkLock.acquire()
        defer { buildNetworkLock.release() }
        guard networks[Self.buildNetwork] == nil else { return }
        _ = try await makeNetwork(Self.buildNetwork, stack: "", key: "", Network())
    }

    private func removeUnusedBuildNetwork() async {
        await buildNetworkLock.acquire()
        defer { buildNetworkLock.release() }
        guard buildUsers[Self.buildNetwork] == nil, networks[Self.buildNetwork] != nil else { return }
        do throws(EngineError) {
            try await removeNetwork(Self.buildNetwork)
        } catch {
            log.error("build network not removed", metadata: ["error": "\(error)"])
        }
    }

    /// What builds of an engine that was killed have left: their bridge, and trees that RUN steps had bound. Their
    /// containers are orphans like others.
    func sweepBuilds() async {
        do throws(EngineError) {
            if networks[Self.buildNetwork] != nil { try await removeNetwork(Self.buildNetwork) }
        } catch {
            log.warning("network of builds not swept", metadata: ["error": "\(error)"])
        }
        let folder = options.buildMounts
        do {
            try await onPool { () throws(SystemError) in
                for name in try FileSystem.list(folder) {
                    umount2("\(folder)/\(name)", Int32(MNT_DETACH))
                    rmdir("\(folder)/\(name)")
                }
            }
        } catch {
            log.warning("mounts of builds not swept", metadata: ["error": "\(error)"])
        }
    }

    private func makeNamespace(_ stored: StoredContainer, network: String?) async throws(EngineError) -> BuildNetwork {
        var stored = stored
        if let network {
            let attachment = NetworkAttachment()
            stored.attachments = [try self.attachment(attachment, to: network, id: stored.id, others: [])]
            routeDefaults(of: &stored.attachments, [network: attachment])
        }
        let made = BuildNetwork(
            stored: stored, namespace: .path("\(options.namespaceDirectory)/\(stored.id)"), network: network)
        do throws(EngineError) {
            try await prepareNetwork(stored)
        } catch {
            await removeNamespace(made)
            throw error
        }
        return made
    }

    func removeBuildNetwork(_ made: BuildNetwork) async {
        if case .path = made.namespace, made.owner == nil { await removeNamespace(made) }
        if let network = made.network { await leave(network) }
    }

    private func removeNamespace(_ made: BuildNetwork) async {
        let id = made.stored.id
        dns.remove(scope: id)
        do throws(EngineError) {
            try await onNetwork { network throws(NetworkError) in try network.removeNamespace(id: id) }
        } catch {
            log.error("namespace of a build not removed", metadata: ["error": "\(error)"])
        }
        for attachment in made.stored.attachments { freeAddresses(attachment) }
    }

    private func stepContainer(_ id: String, _ service: Service) throws(EngineError) -> StoredContainer {
        var stack = Stack(name: "")
        stack.services = ["build": service]
        guard let definition = ContainerDefinition(stack: stack, service: "build", imageID: "") else {
            throw .badRequest("no such service: build")
        }
        return StoredContainer(
            id: id, name: "build-\(id.prefix(12))", stackName: "", service: "build", number: 1, oneOff: true,
            removeOnExit: true, definition: definition, labels: [:], attachments: [], chosenPorts: [], volumes: [:],
            createdAt: Clock.now(), stoppedByUser: false, restarts: 0)
    }

    // MARK: - One command

    /// Carries a command out and waits for its end.
    func carryOut(
        _ step: RunStep, in network: BuildNetwork, _ settings: StepSettings,
        output: @escaping @Sendable ([UInt8], Bool) -> Void
    ) async throws(EngineError) -> StoredContainer.Exit {
        var service = service(for: step)
        service.capAdd = settings.capabilities
        service.resources = settings.resources
        var stored = try stepContainer(randomID(), service)
        stored.attachments = network.stored.attachments
        let folder = options.containerRun(stored.id)
        let result: Result<StoredContainer.Exit, EngineError>
        do throws(EngineError) {
            // It writes files before it can fail.
            let (request, session) = try stepRequest(step, stored, network)
            result = .success(try await launchAndWait(request, stored, session, output))
        } catch {
            result = .failure(error)
        }
        await deleteStep(stored, folder)
        return try result.get()
    }

    private func launchAndWait(
        _ request: LaunchRequest, _ stored: StoredContainer, _ session: AttachSession,
        _ output: @escaping @Sendable ([UInt8], Bool) -> Void
    ) async throws(EngineError) -> StoredContainer.Exit {
        let launched = try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
            try runtime.launch(request)
        }
        for warning in launched.warnings { output(Array("warning: \(warning)\n".utf8), true) }
        let (folder, runtime, pool) = (options.containerRun(stored.id), runtime, streams)
        await withTaskCancellationHandler {
            while let frame = await session.read() {
                switch frame.kind {
                case .standardOutput: output(frame.payload, false)
                case .standardError: output(frame.payload, true)
                default: break
                }
            }
            // The supervisor writes the exit status, and is gone then.
            await pool.run { waitForSupervisor(runtime, folder) }
        } onCancel: {
            inBackground {
                // It may have ended by itself.
                try? await self.onRuntime(of: stored.name) { runtime throws(RuntimeError) in
                    try runtime.killAll(directory: folder)
                }
            }
        }
        return await readExit(stored.id, stored)
    }

    private func deleteStep(_ stored: StoredContainer, _ folder: String) async {
        do throws(EngineError) {
            try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
                _ = try runtime.delete(directory: folder)
            }
        } catch {
            log.error("step of a build not removed", metadata: ["id": "\(stored.id)", "error": "\(error)"])
        }
    }

    private func service(for step: RunStep) -> Service {
        var service = Service(image: "")
        service.hostname = Self.stepHostname
        service.user = step.user
        service.workingDirectory = step.workingDirectory
        service.command = step.arguments
        service.extraHosts = step.hosts.map { ExtraHost(name: $0.name, address: $0.address) }
        service.shmSize = step.sharedMemoryByteCount
        service.ulimits = step.ulimits
        service.privileged = step.isPrivileged
        return service
    }

    private func stepRequest(
        _ step: RunStep, _ stored: StoredContainer, _ network: BuildNetwork
    ) throws(EngineError) -> (LaunchRequest, AttachSession) {
        let names = options.nameFiles(network.owner ?? stored.id)
        let builder = LaunchBuilder(
            stored: stored, defaults: nil, nameFiles: names, hostname: Self.stepHostname, volumeFolders: [:],
            networkNamespace: network.namespace, isRootless: options.rootless != nil)
        if network.owner == nil { try writeNameFiles(stored, hostname: builder.hostname, folder: names) }
        var spec = try builder.spec()
        spec.process.env = step.environment
        spec.mounts += step.mounts.map(Self.mount)
        var request = LaunchRequest(
            id: stored.id, spec: spec,
            root: .overlay(
                lower: step.lower + [options.mountPoints], upper: step.upper, work: step.work, volatile: true),
            directory: options.containerRun(stored.id))
        request.user = step.user
        request.files = step.files.map {
            InjectedFile(path: $0.path, bytes: $0.bytes, mode: $0.mode, uid: $0.uid, gid: $0.gid)
        }
        request.seccomp = step.isPrivileged ? .unconfined : .standard
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw .system(SystemError("socketpair", code: errno))
        }
        // The launch takes it over: an end that stayed here would keep the session from ending.
        request.attach = [ends[1]]
        let near = SharedDescriptor(FileDescriptor(owning: ends[0]))
        return (request, AttachSession(socket: near, isTerminal: false, pool: streams))
    }

    private static func mount(_ mount: RunStep.Mount) -> RuntimeSpec.Mount {
        switch mount.kind {
        case .bind(let source, let readOnly):
            return RuntimeSpec.Mount(
                destination: mount.target, type: "bind", source: source,
                options: ["rbind", "rprivate", readOnly ? "rro" : "rw"])
        case .tmpfs(let byteCount):
            var options = ["nosuid", "nodev", "noexec", "rw", "mode=1777"]
            if let byteCount, byteCount > 0 { options.append("size=\(byteCount)") }
            return RuntimeSpec.Mount(destination: mount.target, type: "tmpfs", source: "tmpfs", options: options)
        }
    }
}

/// Blocks until the process that started a container is gone, or for so long (-1: without end).
func waitForSupervisor(_ runtime: Runtime, _ folder: String, milliseconds: Int32 = -1) {
    // Gone already: there is nothing to wait for.
    guard let supervisor = try? runtime.openSupervisorPIDFD(directory: folder) else { return }
    var wait = pollfd(fd: supervisor.raw, events: Int16(POLLIN), revents: 0)
    while poll(&wait, 1, milliseconds) < 0, errno == EINTR {}
}
