import CLinux
import ContainerRuntime
import DockerTranslation
import Images
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// Start, end and restarts as Docker's clients know them.
extension Engine {
    /// - Returns: `false` when it runs already.
    public func startByClient(_ reference: String) async throws(EngineError) -> Bool {
        let id = try container(reference).stored.id
        await awaitStart(of: id)
        let container = try container(id)
        guard container.process == nil else {
            if isFrozen(id) { throw .conflict("cannot start a paused container, try unpause instead") }
            return false
        }
        guard !free.removing.contains(id) else {
            throw .conflict("container is marked for removal and cannot be started")
        }
        if container.stored.free == nil { try await startContainer(id) } else { try await startFree(id) }
        return true
    }

    func startFree(_ id: String, byPolicy: Bool = false) async throws(EngineError) {
        free.restarts[id] = nil
        free.starting[id] = []
        defer { for waiter in free.starting.removeValue(forKey: id) ?? [] { waiter.resume() } }
        do throws(EngineError) {
            try await attachMissing(id)
            guard let stored = containers[id]?.stored else { throw .containerNotFound(id) }
            try checkLinks(stored)
            try publishPorts(id)
        } catch {
            startFailed(id, error)
            throw error
        }
        do throws(EngineError) {
            try await startContainer(id, byPolicy: byPolicy)
        } catch {
            unpublishPorts(id)
            throw error.asDocker
        }
        // It may have been removed, and its ports be another's, while it came up.
        if containers[id] == nil { ports.release(stack: id) }
    }

    /// As with Docker, what a client asks of a container that is about to run is asked of the one that runs: a `stop`
    /// that came a moment too early would leave it running.
    func awaitStart(of id: String) async {
        while free.starting[id] != nil {
            await withCheckedContinuation { free.starting[id]?.append($0) }
        }
    }

    /// Called when a run of any container is over, before anything of it goes.
    func containerCameToItsEnd(_ id: String, _ exit: StoredContainer.Exit) {
        guard let stored = containers[id]?.stored else { return }
        guard stored.free != nil else { return noteEnd(of: id, code: exit.code) }
        unpublishPorts(id)
        noteEnd(of: id, code: exit.code)
        let decision = RestartBackoff.decision(
            policy: stored.definition.service.restart, exitCode: exit.code, restarts: stored.restarts,
            stoppedByUser: stored.stoppedByUser, finishedAt: exit.finishedAt)
        guard case .restart(let time) = decision, !stored.removeOnExit, !isShuttingDown else { return }
        restart(id, at: time)
    }

    private func restart(_ id: String, at time: Nanoseconds) {
        guard let generation = containers[id]?.generation else { return }
        free.restarts[id] = time
        background.start { [self] in
            // Cancelled at the engine's end; the next one takes it up.
            do { try await Task.sleep(for: .nanoseconds(clamping: time - Clock.now())) } catch { return }
            await restartNow(id, time, generation: generation)
        }
    }

    private func restartNow(_ id: String, _ time: Nanoseconds, generation: Int) async {
        guard free.restarts[id] == time, let container = containers[id], container.generation == generation,
            container.process == nil, !container.stored.stoppedByUser, !isShuttingDown
        else { return }
        do throws(EngineError) { try await startFree(id, byPolicy: true) } catch {
            log.warning("not restarted", metadata: ["container": "\(container.stored.name)", "error": "\(error)"])
            guard let stored = containers[id]?.stored, containers[id]?.process == nil else { return }
            let decision = RestartBackoff.decision(
                policy: stored.definition.service.restart, exitCode: stored.exit?.code, restarts: stored.restarts,
                stoppedByUser: stored.stoppedByUser, finishedAt: Clock.now())
            if case .restart(let time) = decision { restart(id, at: time) }
        }
    }

    /// It has ended and its policy is about to start it again.
    func isRestarting(_ id: String) -> Bool { free.restarts[id] != nil && containers[id]?.process == nil }

    /// When an engine takes over: what its policy wants to run does, and what only waited for its restart goes on.
    func resumeFreeContainers() {
        for container in containers.values where container.stored.free != nil && container.process == nil {
            let stored = container.stored
            guard stored.startedAt != nil, !stored.removeOnExit else { continue }
            let policy = stored.definition.service.restart
            // `always` is so after an engine's start even for one that was stopped.
            let isWanted =
                switch policy.mode {
                case .no: false
                case .always: true
                case .unlessStopped: !stored.stoppedByUser
                case .onFailure: !stored.stoppedByUser && stored.exit?.code != 0
                }
            guard isWanted else { continue }
            containers[stored.id]?.stored.stoppedByUser = false
            restart(stored.id, at: Clock.now())
        }
    }

    // MARK: - Commands

    /// - Parameter grace: nanoseconds; negative waits for ever, `nil` takes the container's own.
    /// - Returns: `false` when it does not run.
    public func stopByClient(
        _ reference: String, grace: Nanoseconds?, signal: String?
    ) async throws(EngineError) -> Bool {
        let id = try container(reference).stored.id
        await awaitStart(of: id)
        let container = try container(id)
        let signal = try signal.map { (name) throws(EngineError) in "\(try signalNumber(name))" }
        if cancelRestart(id) {
            announce(container.stored, "stop")
            return true
        }
        guard container.process != nil else { return false }
        try await stopContainer(id, grace: grace.map { $0 < 0 ? .max / 4 : $0 }, signal: signal)
        return true
    }

    /// Whether there was one.
    private func cancelRestart(_ id: String) -> Bool {
        guard isRestarting(id) else { return false }
        free.restarts[id] = nil
        containers[id]?.stored.stoppedByUser = true
        if let stored = containers[id]?.stored {
            saveOrLog(stored)
            noteEnd(of: id, code: stored.exit?.code ?? 0)
        }
        return true
    }

    public func restartByClient(
        _ reference: String, grace: Nanoseconds?, signal: String?
    ) async throws(EngineError) {
        let stored = try container(reference).stored
        _ = try await stopByClient(stored.id, grace: grace, signal: signal)
        _ = try await startByClient(stored.id)
        announce(stored, "restart")
    }

    public func killByClient(_ reference: String, _ name: String) async throws(EngineError) {
        let signal = try signalNumber(name)
        let id = try container(reference).stored.id
        await awaitStart(of: id)
        let container = try container(id)
        let stored = container.stored
        guard container.process != nil else {
            throw .conflict("cannot kill container: \(reference): container \(id) is not running")
        }
        if stored.free != nil, endsIt(signal, stored) {
            containers[id]?.stored.stoppedByUser = true
        }
        if isFrozen(id), signal == SIGKILL {
            try await killContainer(id)
        } else {
            try await send(signal, to: id)
        }
        announce(stored, "kill", ["signal": "\(signal)"])
        // Clients remove it as soon as they have the answer.
        if signal == SIGKILL { _ = await waitForExit(id, atMost: Self.killPatienceOfClients) }
    }

    /// Somebody wants it to stay stopped: its policy does not start it again.
    private func endsIt(_ signal: Int32, _ stored: StoredContainer) -> Bool {
        if signal == SIGKILL { return true }
        let own = stored.definition.service.stopSignal ?? imageDefaults(stored)?.stopSignal ?? "SIGTERM"
        // What an image calls a signal and is none is Docker's default.
        return signal == ((try? signalNumber(own)) ?? SIGTERM)
    }

    public func removeByClient(_ reference: String, force: Bool, volumes: Bool) async throws(EngineError) {
        let id = try container(reference).stored.id
        guard free.removing.insert(id).inserted else {
            throw .conflict("removal of container \(reference) is already in progress")
        }
        defer { free.removing.remove(id) }
        await awaitStart(of: id)
        let container = try container(id)
        if container.process != nil || isRestarting(id) {
            guard force else { throw .conflict(runningText(id)) }
            _ = cancelRestart(id)
            containers[id]?.stored.stoppedByUser = true
            if containers[id]?.process != nil {
                try await killContainer(id)
                announce(container.stored, "kill", ["signal": "\(SIGKILL)"])
                _ = await waitForExit(id, atMost: Self.killPatienceOfClients)
            }
        }
        try await removeContainer(id, anonymousVolumes: volumes)
        ports.release(stack: id)
    }

    private static let killPatienceOfClients: Nanoseconds = 10_000_000_000

    private func runningText(_ id: String) -> String {
        if isFrozen(id) {
            return "You cannot remove a paused container \(id). Unpause and then stop the container before attempting "
                + "removal or force remove"
        }
        let state = isRestarting(id) ? "restarting" : "running"
        return "You cannot remove a \(state) container \(id). Stop the container before attempting removal or force "
            + "remove"
    }

    public func renameByClient(_ reference: String, to name: String) async throws(EngineError) {
        let stored = try container(reference).stored
        let name = name.hasPrefix("/") ? String(name.dropFirst()) : name
        guard !name.isEmpty else { throw .badRequest("Neither old nor new names may be empty") }
        guard stored.stackName.isEmpty else {
            throw .conflict("container \(stored.name) belongs to stack '\(stored.stackName)', which names it")
        }
        guard name != stored.name else {
            throw .badRequest("Renaming a container with the same name as its current name")
        }
        try checkName(name)
        try renameContainer(stored.name, to: name, stack: "")
        await refreshEndpoints()
    }

    // MARK: - Waiting

    /// Registers a client that waits; what happens from here on it will hear of, however late it reads.
    public func wait(for reference: String, _ condition: WaitCondition) throws(EngineError) -> EndWait {
        let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
        let wait = EndWait(codes: stream)
        func isKnown(_ code: Int) -> EndWait {
            continuation.yield(code)
            continuation.finish()
            return wait
        }
        if containers[reference] == nil, let code = lastExitCodes[reference] { return isKnown(code) }
        let container = try container(reference)
        let id = container.stored.id
        let isOver = container.process == nil && !isRestarting(id)
        switch condition {
        case .notRunning where isOver: return isKnown(container.stored.exit?.code ?? 0)
        // A replica's next run is its stack's business: nobody waits for that.
        case .nextExit where container.stored.free == nil && container.process == nil:
            if let exit = container.stored.exit { return isKnown(exit.code) }
        default: break
        }
        free.lastWaiter += 1
        let number = free.lastWaiter
        free.waiters[id, default: []].append(EndWaiter(number: number, condition: condition, news: continuation))
        continuation.onTermination = { [self] reason in
            guard case .cancelled = reason else { return }
            background.start { await self.forgetWaiter(number, of: id) }
        }
        return wait
    }

    private func forgetWaiter(_ number: Int, of id: String) {
        free.waiters[id]?.removeAll { $0.number == number }
        if free.waiters[id]?.isEmpty == true { free.waiters[id] = nil }
    }

    /// A run is over, for good or until its policy starts it again: as with Docker, who waits hears of both.
    func noteEnd(of id: String, code: Int) {
        guard let waiters = free.waiters[id] else { return }
        let served = waiters.filter { $0.condition != .removed }
        free.waiters[id] = waiters.filter { waiter in !served.contains { $0.number == waiter.number } }
        if free.waiters[id]?.isEmpty == true { free.waiters[id] = nil }
        for waiter in served {
            waiter.news.yield(code)
            waiter.news.finish()
        }
    }

    /// It is no more.
    func containerForgotten(_ container: Container) {
        let id = container.stored.id
        free.restarts[id] = nil
        for waiter in free.waiters.removeValue(forKey: id) ?? [] {
            waiter.news.yield(container.stored.exit?.code ?? 0)
            waiter.news.finish()
        }
    }
}

extension EngineError {
    /// Why a command could not be started, where it is the command's fault or the client's; `nil`: the engine's.
    public var execStartText: String? {
        switch self {
        case .runtime(let failure, _): failure.dockerExecText
        case .execStarted: diagnostics.first?.message
        default: nil
        }
    }

    /// A start that failed, in the words that Docker's command line takes its exit code from. What belongs to no stack
    /// is no service either.
    var asDocker: EngineError {
        switch self {
        case .runtime(let failure, _):
            return .answered(failure.conventionalExitCode == nil ? 500 : 400, failure.dockerText)
        case .badRequest(let text) where text.hasPrefix("service '"):
            guard let end = text.firstRange(of: "': ") else { return self }
            return .badRequest(String(text[end.upperBound...]))
        default: return self
        }
    }
}

extension RuntimeError {
    /// `exec: "nope": executable file not found in $PATH`, with what stands around it.
    var dockerText: String {
        let place =
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            + "unable to start container process: "
        return place + dockerCause
    }

    /// As it is written into the stream of an exec.
    var dockerExecText: String {
        "OCI runtime exec failed: exec failed: unable to start container process: \(dockerCause)"
    }

    private var dockerCause: String {
        switch self {
        case .executableNotFound(let text):
            let program = Self.program(text)
            return program.contains("/")
                ? "exec: \"\(program)\": stat \(program): no such file or directory"
                : "exec: \"\(program)\": executable file not found in $PATH"
        case .notExecutable(let text): return "exec: \"\(Self.program(text))\": permission denied"
        default: return description
        }
    }

    /// Of `execve PROGRAM: REASON`, which the supervisor says.
    private static func program(_ text: String) -> String {
        let rest = text.hasPrefix("execve ") ? text.dropFirst("execve ".count) : text[...]
        guard let colon = rest.lastIndex(of: ":") else { return String(rest) }
        return String(rest[..<colon])
    }
}
