import CLinux
import ContainerNetwork
import ContainerRuntime
import FileWatch
import Glibc
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// Looking at what others can change of running containers: at once when the kernel tells of it, and now and then for
/// what it does not tell of. A look that finds nothing new wakes nobody.
extension Engine {
    /// Between two looks at everything. What the kernel tells of does not wait for it.
    static let driftSweepInterval = Duration.seconds(30)
    private static let lookDelay = Duration.milliseconds(20)
    private static let controlsSettleMilliseconds: Int32 = 10
    private static let filesSettleMilliseconds: Int32 = 200
    static let fileEvents =
        Int32(IN_CLOSE_WRITE) | Int32(IN_MOVED_TO) | Int32(IN_MOVED_FROM) | Int32(IN_DELETE) | Int32(IN_CREATE)

    // MARK: News

    func startDriftWatches() {
        do throws(FileWatchError) {
            let controls = try FolderWatch(
                threadName: "cgroup-watch", settleMilliseconds: Self.controlsSettleMilliseconds,
                isOfInterest: { Runtime.watchedControls.contains($0) },
                { [self] ids in background.start { await self.look(at: ids) } })
            let files = try FolderWatch(
                threadName: "file-watch", settleMilliseconds: Self.filesSettleMilliseconds,
                isOfInterest: { _ in true },
                { [self] _ in background.start { await self.lookAtFiles() } })
            drift.watches = DriftWatches(controls: controls, files: files)
        } catch {
            log.warning("changes are seen late", metadata: ["error": "\(error)"])
        }
        for (id, container) in containers where container.process != nil { watchControls(id) }
        background.start { [self] in await sweepDrift() }
    }

    func stopDriftWatches() {
        drift.watches?.controls.cancel()
        drift.watches?.files.cancel()
        drift.watches = nil
    }

    /// The watches end with the container's cgroups.
    func watchControls(_ id: String) {
        guard let watch = drift.watches?.controls, let container = containers[id], container.process != nil else {
            return
        }
        let (folder, name) = (options.containerRun(id), container.stored.name)
        background.start { [self] in
            do {
                let folders = try await onRuntime(of: name) { runtime throws(RuntimeError) in
                    try runtime.controlFolders(directory: folder)
                }
                for folder in folders { try watch.add(folder, key: id, mask: Int32(IN_MODIFY)) }
            } catch {
                // Ended meanwhile, or no watches are left: the sweep looks, too.
                log.debug("cgroups not watched", metadata: ["container": "\(name)", "reason": "\(error)"])
            }
        }
    }

    /// An interface of a container's was changed in there.
    func interfaceChanged(_ host: String) {
        let owner = containers.values.first { container in
            container.process != nil && container.stored.attachments.contains { $0.interface.hostInterface == host }
        }
        if let owner { lookSoon(at: [owner.stored.id]) }
    }

    func lookSoon(at ids: Set<String>) {
        drift.due.formUnion(ids)
        guard !drift.isDue else { return }
        drift.isDue = true
        background.start { [self] in
            // Cancelled at the engine's end.
            do { try await Task.sleep(for: Self.lookDelay) } catch { return }
            await lookAtDue()
        }
    }

    private func lookAtDue() async {
        drift.isDue = false
        let ids = drift.due
        drift.due = []
        await look(at: ids)
    }

    private func sweepDrift() async {
        while !isShuttingDown {
            await lookAtAll()
            do { try await Task.sleep(for: Self.driftSweepInterval) } catch { return }
        }
    }

    /// Everything that others can change.
    ///
    /// - Parameter stack: `nil` for all of them.
    func lookAtAll(of stack: String? = nil) async {
        let ids = containers.values.filter { $0.process != nil && (stack == nil || $0.stored.stackName == stack) }
        await look(at: Set(ids.map(\.stored.id)))
        await lookAtFiles()
        await lookAtBridges()
    }

    // MARK: Containers

    func look(at ids: Set<String>) async {
        let requests = ids.compactMap { containers[$0].flatMap(lookRequest) }
        guard !requests.isEmpty else { return }
        let (runtime, network) = (runtime, network)
        let found = await pool.run { ContainerLookRequest.run(requests, runtime, network) }
        var changed: Set<String> = []
        var isServingOther = false
        for answer in found {
            let request = answer.request
            for failure in answer.failures {
                log.debug("container not looked at", metadata: ["container": "\(request.name)", "error": "\(failure)"])
            }
            guard let container = containers[request.id], container.generation == request.generation,
                container.process != nil, var look = answer.drift
            else { continue }
            guard container.stored.definition.service.resources == request.limits else {
                lookSoon(at: [request.id])
                continue
            }
            // A commit has it stand still for a moment.
            if container.stored.isPausedForCommit == true { look.isFrozen = false }
            look.limits.removeAll { drift.accepted[request.id]?[$0.file] == $0.present }
            let known = drift.containers[request.id] ?? ContainerDrift()
            guard look != known else { continue }
            drift.containers[request.id] = look.isEmpty ? nil : look
            if look.isFrozen != known.isFrozen {
                drift.pausedSince[request.id] = look.isFrozen ? Clock.now() : nil
                isServingOther = true
            }
            changed.insert(container.stored.stackName)
        }
        if isServingOther { await refreshEndpoints() }
        for stack in changed { noteChange(in: stack) }
    }

    private func lookRequest(_ container: Container) -> ContainerLookRequest? {
        let stored = container.stored
        guard container.process != nil else { return nil }
        // What cannot be made into limits has not been at the start either.
        guard let resources = try? LaunchBuilder(limitsOf: stored).comparedResources() else { return nil }
        let isOurs = usesOwnNamespace(stored) && !mayChangeItsNetwork(stored)
        let interfaces = stored.attachments.map(\.interface)
        return ContainerLookRequest(
            id: stored.id, name: stored.name, generation: container.generation, folder: options.containerRun(stored.id),
            limits: stored.definition.service.resources, resources: resources,
            interfaces: isOurs && !interfaces.isEmpty ? interfaces : nil,
            parameters: networkParameters(stored),
            networks: Dictionary(
                stored.attachments.map { ($0.interface.hostInterface, $0.network) },
                uniquingKeysWith: { first, _ in first }))
    }

    /// Those of `sysctls` that are the network namespace's. A name that is more than a name is refused at the start.
    func networkParameters(_ stored: StoredContainer) -> [String: String] {
        stored.definition.service.sysctls.filter { name, _ in
            name.hasPrefix("net.") && !name.contains("/") && !name.contains("..")
        }
    }

    /// A container that may give itself addresses and routes, such as one that runs a VPN, knows why it does.
    private func mayChangeItsNetwork(_ stored: StoredContainer) -> Bool {
        let service = stored.definition.service
        return service.privileged
            || service.capAdd.contains { name in
                ["NET_ADMIN", "CAP_NET_ADMIN", "ALL", "CAP_ALL"].contains(name.uppercased())
            }
    }

    /// What was known of a run that is over.
    func forgetDrift(of id: String) {
        drift.containers[id] = nil
        drift.pausedSince[id] = nil
        drift.accepted[id] = nil
    }

    // MARK: Bridges

    func lookAtBridges() async {
        let bridges = networks.values.filter(\.hasBridge).map { ($0.name, $0.bridge) }
        guard !bridges.isEmpty else { return drift.changedNetworks = [] }
        do throws(EngineError) {
            let changed = try await onNetwork { network throws(NetworkError) in
                var changed: Set<String> = []
                for (name, bridge) in bridges where try network.hasChangedControls(bridge) { changed.insert(name) }
                return changed
            }
            let news = changed.symmetricDifference(drift.changedNetworks)
            drift.changedNetworks = changed
            for stack in Set(news.compactMap { networks[$0]?.stackName }) { noteChange(in: stack) }
        } catch {
            log.warning("bridges not looked at", metadata: ["error": "\(error)"])
        }
    }
}

extension LaunchBuilder {
    /// For its limits alone.
    init(limitsOf stored: StoredContainer) {
        self.init(
            stored: stored, defaults: nil, nameFiles: "", hostname: "", volumeFolders: [:], networkNamespace: .host)
    }
}
