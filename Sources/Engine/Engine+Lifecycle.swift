import CLinux
import ContainerNetwork
import ContainerRuntime
import EngineWire
import Images
import LinuxSystem
import Logging
import Reconciler
import StackModel
import SupervisorPlan

/// Starting, stopping, and the news that a container has ended.
extension Engine {
    /// Clients ask within moments; what nobody asked for by then is forgotten all at once.
    private static let lastExitCodesMax = 1000
    private static let defaultGrace: Nanoseconds = 10 * 1_000_000_000
    /// How long a kill may take to show before it is reported.
    private static let killPatience: Nanoseconds = 10 * 1_000_000_000
    /// Exit code of a container whose `post_start` hook failed, and that ended with 0 when it was stopped for it.
    private static let failedStartCode = 128
    /// How long the engine may take to hear of an end.
    private static let newsPatience: Nanoseconds = 1_000_000_000

    /// Starts a container that does not run: its namespace and addresses first, then the process.
    ///
    /// When it cannot be started the record says why and what exit code Docker would give.
    ///
    /// - Parameter byPolicy: the restart policy wants it, not a command: such starts are counted.
    /// - Returns: what could not be done as it was asked for, e.g. for want of a privilege.
    @discardableResult
    func startContainer(_ id: String, byPolicy: Bool = false) async throws(EngineError) -> [String] {
        if let container = containers[id], container.process == nil {
            containers[id]?.stored.restarts = byPolicy ? container.stored.restarts + 1 : 0
            do throws(EngineError) { try await runPreStart(id) } catch {
                // It goes on where it was, once there is an engine again.
                if case .cancelled = error { throw error }
                startFailed(id, error)
                throw error
            }
        }
        let warnings = try await startProcess(id)
        guard containers[id]?.isStarting == true else { return warnings }
        try await runPostStart(id)
        if let stored = containers[id]?.stored { await refreshEndpoints(of: stored) }
        return warnings
    }

    private func startProcess(_ id: String) async throws(EngineError) -> [String] {
        let files = try await holdFiles(of: id)
        defer { files.release() }
        guard var container = containers[id] else { throw .containerNotFound(id) }
        guard container.process == nil else { return [] }
        let stored = container.stored
        let clients = pendingAttach.removeValue(forKey: id) ?? []
        let launched: LaunchedContainer
        do throws(EngineError) {
            try await makeBindSources(stored)
            if !stored.volumes.isEmpty {
                let folders = folders(of: stored)
                try await onPool { () throws(SystemError) in try folders.make() }
                try await checkForeignFolders(stored)
                try await mountVolumes(of: stored, user: id)
                try await populateVolumes(of: stored)
            }
            launched = try await launch(
                stored, try launchRequest(stored, attach: clients),
                making: container.hasFolders ? nil : folders(of: stored))
        } catch {
            await releaseVolumes(of: stored, user: id)
            startFailed(id, error)
            throw error
        }
        guard containers[id] != nil else { return launched.warnings }
        container = containers[id] ?? container
        container.process = Process(
            pid: launched.pid, supervisorPID: launched.supervisorPID,
            startedAt: Nanoseconds(clamping: launched.startedAt))
        for warning in launched.warnings {
            log.warning("container started", metadata: ["container": "\(stored.name)", "warning": "\(warning)"])
        }
        container.hasFolders = true
        container.stopping = false
        container.startFailure = nil
        container.generation += 1
        container.probes = []
        container.stored.startedAt = Nanoseconds(clamping: launched.startedAt)
        container.stored.previousFinishedAt = container.stored.lastFinishedAt
        container.stored.exit = nil
        container.stored.health = nil
        container.stored.stoppedByUser = false
        container.stored.isStarting = hasPostStart(container.stored) ? true : nil
        container.stored.isPausedByUser = nil
        container.stored.isStopping = nil
        containers[id] = container
        try watchProcess(id, generation: container.generation)
        watchMemory(id, generation: container.generation)
        watchControls(id)
        saveSoon(id)
        announce(container.stored, "start")
        startHealthChecks(id)
        awaitListening(id)
        await refreshEndpoints(of: container.stored)
        return launched.warnings
    }

    /// Folders, network and process, in one visit of a thread that may block.
    private func launch(
        _ stored: StoredContainer, _ request: LaunchRequest, making folders: ContainerFolders?
    ) async throws(EngineError) -> LaunchedContainer {
        let (preparation, runtime) = (networkPreparation(stored), runtime)
        return try await onThread { () throws(EngineError) in
            do throws(SystemError) { try folders?.make() } catch { throw .system(error) }
            try preparation?.run()
            do throws(RuntimeError) {
                return try runtime.launch(request)
            } catch {
                throw .runtime(error, container: stored.name)
            }
        }
    }

    func startFailed(_ id: String, _ error: EngineError) {
        guard var container = containers[id] else { return }
        var code = 128
        if case .runtime(let failure, _) = error { code = Int(failure.conventionalExitCode ?? 128) }
        // Nothing will come through it any more.
        pendingAttach[id] = nil
        container.stored.exit = StoredContainer.Exit(
            code: code, finishedAt: Clock.now(), outOfMemory: false,
            note: secretMask(of: container.stored.stackName).mask(
                error.diagnostics.map(\.message).joined(separator: "; ")))
        // It had no run: counted from its last one it would look like a long one, and be tried again at once for ever.
        if container.stored.startedAt != nil { container.stored.startedAt = container.stored.exit?.finishedAt }
        let waiters = container.exitWaiters
        container.exitWaiters = []
        containers[id] = container
        saveOrLog(container.stored)
        announce(container.stored, "die", ["exitCode": "\(code)"])
        for waiter in waiters { waiter.resume() }
        noteEnd(of: id, code: code)
        if container.stored.removeOnExit {
            background.start { [self] in await removeAfterExit(id) }
        }
    }

    /// Calls `containerEnded` when the supervisor, which outlives its container and writes the exit status, is gone.
    func watchProcess(_ id: String, generation: Int) throws(EngineError) {
        do {
            let supervisor = try runtime.openSupervisorPIDFD(directory: options.containerRun(id))
            try poller.watch(supervisor, once: true) { [self] in
                background.start { await self.containerEnded(id, generation: generation) }
            }
        } catch {
            // Gone already: the news is there to be read.
            background.start { [self] in await containerEnded(id, generation: generation) }
        }
    }

    func containerEnded(_ id: String, generation: Int) async {
        guard let container = containers[id], container.generation == generation, container.process != nil else {
            return
        }
        var exit = await readExit(id, container.stored)
        guard var container = containers[id], container.generation == generation, container.process != nil else {
            return
        }
        if let failure = container.startFailure {
            // That it took its stop signal well is no success.
            exit.note = failure
            if exit.code == 0 { exit.code = Self.failedStartCode }
        }
        container.process = nil
        container.stopping = false
        container.health = nil
        container.silentPorts = []
        container.readySince = nil
        forgetDrift(of: id)
        container.stored.exit = exit
        if exit.finishedAt - (container.stored.startedAt ?? exit.finishedAt) >= RestartBackoff.steadyAfter {
            container.stored.restarts = 0
        }
        let waiters = container.exitWaiters
        container.exitWaiters = []
        let runEnd = container.runEnd
        container.runEnd = nil
        containers[id] = container
        // The balancer and DNS first: every moment counts for requests on their way.
        await refreshEndpoints(of: container.stored)
        if !container.stored.volumes.isEmpty { await releaseVolumes(of: container.stored, user: id) }
        // That it is to stay stopped is nowhere else.
        if container.stored.stoppedByUser { saveOrLog(container.stored) } else { saveSoon(id) }
        let ran = exit.finishedAt - (container.stored.startedAt ?? exit.finishedAt)
        announce(
            container.stored, "die",
            ["exitCode": "\(exit.code)", "execDuration": "\(max(0, ran) / 1_000_000_000)"])
        containerCameToItsEnd(id, exit)
        if container.stored.removeOnExit { await removeAfterExit(id) }
        runEnded(id, runEnd)
        for waiter in waiters { waiter.resume() }
    }

    private func removeAfterExit(_ id: String) async {
        if lastExitCodes.count >= Self.lastExitCodesMax { lastExitCodes.removeAll() }
        lastExitCodes[id] = containers[id]?.stored.exit?.code
        do throws(EngineError) { try await removeContainer(id, anonymousVolumes: true) } catch {
            log.error("container not removed", metadata: ["id": "\(id)", "error": "\(error)"])
        }
    }

    func readExit(_ id: String, _ stored: StoredContainer) async -> StoredContainer.Exit {
        let folder = options.containerRun(id)
        do throws(EngineError) {
            let record = try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
                try runtime.inspect(directory: folder)
            }
            switch record.state {
            case .exited(let exit): return StoredContainer.Exit(exit)
            case .lost(let exit, let note): return StoredContainer.Exit(exit, note: note)
            case .neverStarted, .starting, .running: break
            }
        } catch {
            log.error("exit status not readable", metadata: ["container": "\(stored.name)", "error": "\(error)"])
        }
        return StoredContainer.Exit(
            code: 137, finishedAt: Clock.now(), outOfMemory: false, note: "its supervisor was lost")
    }

    /// Takes the container out of the balancer and DNS, then signals, waits and kills.
    ///
    /// - Parameters:
    ///   - grace: nanoseconds; `nil` takes the service's, else ten seconds.
    ///   - drain: nanoseconds that connections have to end before the signal.
    /// - Returns: what went wrong on the way.
    @discardableResult
    func stopContainer(
        _ id: String, grace: Nanoseconds? = nil, byUser: Bool = true, drain patience: Nanoseconds = 0,
        signal: String? = nil
    ) async throws(EngineError) -> [String] {
        guard containers[id]?.process != nil, let stored = containers[id]?.stored else { return [] }
        containers[id]?.stopping = true
        if byUser { containers[id]?.stored.stoppedByUser = true }
        await refreshEndpoints()
        if patience > 0 {
            await drain(id, atMost: patience)
            // At the engine's end the next one goes on.
            if Task.isCancelled { throw .cancelled }
        }
        // What stands still hears no signal, and runs no hook.
        if drift.containers[id]?.isFrozen == true { try await resumeContainer(id) }
        let whole = grace ?? stored.definition.service.stopGracePeriod ?? Self.defaultGrace
        let hooks = await runPreStop(id, grace: whole)
        if isShuttingDown { throw .cancelled }
        if containers[id]?.process != nil {
            try await signalAndWait(id, stored, grace: hooks.grace, signal: signal)
        }
        announceStop(id, stored)
        return hooks.warnings
    }

    /// The stop signal, and a kill when that does not end it within `grace` nanoseconds.
    private func signalAndWait(
        _ id: String, _ stored: StoredContainer, grace: Nanoseconds, signal: String?
    ) async throws(EngineError) {
        let image = try? image(stored.definition.imageID)  // Removed meanwhile: its default signal is not needed then.
        let name = signal ?? stored.definition.service.stopSignal ?? image?.config.config.stopSignal ?? "SIGTERM"
        // What an image calls a signal and is none must not keep its containers running: then it is Docker's default.
        let signal = (try? signalNumber(name)) ?? SIGTERM
        containers[id]?.stored.isStopping = true
        if let stopping = containers[id]?.stored { saveOrLog(stopping) }
        do throws(EngineError) {
            try await send(signal, to: id)
        } catch {
            // It ended by itself meanwhile, which the engine may hear of a moment later.
            guard await waitForExit(id, atMost: Self.newsPatience) else { throw error }
            return
        }
        announce(stored, "kill", ["signal": "\(signal)"])
        if await waitForExit(id, atMost: grace) { return }
        announce(stored, "kill", ["signal": "\(SIGKILL)"])
        try await killContainer(id)
        guard await waitForExit(id, atMost: Self.killPatience) else {
            throw .conflict("container \(stored.name) does not end, not even after SIGKILL")
        }
    }

    private func announceStop(_ id: String, _ stored: StoredContainer) {
        announce(containers[id]?.stored ?? stored, "stop")
    }

    func send(_ signal: Int32, to id: String) async throws(EngineError) {
        guard let container = containers[id] else { throw .containerNotFound(id) }
        guard container.process != nil else { throw .containerNotRunning(container.stored.name) }
        let folder = options.containerRun(id)
        try await onRuntime(of: container.stored.name) { runtime throws(RuntimeError) in
            try runtime.signal(directory: folder, signal)
        }
    }

    func killContainer(_ id: String) async throws(EngineError) {
        guard let container = containers[id], container.process != nil else { return }
        let folder = options.containerRun(id)
        try await onRuntime(of: container.stored.name) { runtime throws(RuntimeError) in
            try runtime.killAll(directory: folder)
        }
    }

    /// Whether the container's process has ended within `patience` nanoseconds.
    func waitForExit(_ id: String, atMost patience: Nanoseconds) async -> Bool {
        guard let generation = containers[id]?.generation, containers[id]?.process != nil else { return true }
        background.start { [self] in
            do { try await Task.sleep(for: .nanoseconds(clamping: patience)) } catch { return }
            await releaseExitWaiters(id, generation: generation)
        }
        await waitForExit(id)
        return containers[id]?.process == nil || containers[id]?.generation != generation
    }

    /// Suspends until the container's present run has ended, or until its waiters are released.
    func waitForExit(_ id: String) async {
        guard containers[id]?.process != nil else { return }
        await withCheckedContinuation { continuation in containers[id]?.exitWaiters.append(continuation) }
    }

    private func releaseExitWaiters(_ id: String, generation: Int) {
        guard let container = containers[id], container.generation == generation else { return }
        containers[id]?.exitWaiters = []
        for waiter in container.exitWaiters { waiter.resume() }
    }
}

extension StoredContainer.Exit {
    /// From what the supervisor wrote as the container ended.
    init(_ record: ExitRecord, note: String? = nil) {
        self.init(
            code: Int(record.code), finishedAt: Nanoseconds(clamping: record.at), outOfMemory: record.oomKilled,
            note: note)
    }
}
