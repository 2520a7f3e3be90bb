import ContainerNetwork
import ContainerRuntime
import LinuxSystem
import Logging
import StackModel

/// Taking over from an engine that was killed, upgraded, or lost with the power.
extension Engine {
    /// Asks every container's supervisor folder how things stand.
    func adoptContainers() async {
        for id in containers.keys.sorted() {
            guard let stored = containers[id]?.stored else { continue }
            await adopt(stored)
        }
    }

    private func adopt(_ stored: StoredContainer) async {
        do throws(EngineError) {
            let record = try await settledRecord(stored)
            switch record.state {
            case .running(let pid, let supervisorPID, let startedAt):
                try await adoptRunning(
                    stored, Process(pid: pid, supervisorPID: supervisorPID, startedAt: Nanoseconds(clamping: startedAt))
                )
            case .exited, .lost: await adoptEnded(stored, startedAt: record.startedAt)
            case .neverStarted, .starting: await adoptNeverStarted(stored)
            }
        } catch {
            log.error("container not adopted", metadata: ["container": "\(stored.name)", "error": "\(error)"])
        }
    }

    /// What the supervisor is at, once it is past the start that the old engine may have died in.
    private func settledRecord(_ stored: StoredContainer) async throws(EngineError) -> ContainerRecord {
        let folder = options.containerRun(stored.id)
        let deadline = Clock.monotonic() + Self.startPatience
        while true {
            let record = try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
                try runtime.inspect(directory: folder)
            }
            guard case .starting = record.state, Clock.monotonic() < deadline else { return record }
            do { try await Task.sleep(for: Self.startPoll) } catch { throw .cancelled }
        }
    }

    /// A start takes milliseconds; one that takes longer than this is stuck.
    private static let startPatience: Nanoseconds = 5_000_000_000
    private static let startPoll = Duration.milliseconds(2)

    private func adoptRunning(_ stored: StoredContainer, _ process: Process) async throws(EngineError) {
        guard var container = containers[stored.id] else { return }
        container.process = process
        container.generation += 1
        if container.stored.noteStart(at: process.startedAt) {
            container.stored.health = nil
            container.stored.isStarting = hasPostStart(container.stored) ? true : nil
            saveOrLog(container.stored)
        }
        adoptVolumes(of: stored)
        container.stopping = container.stored.isStopping == true
        containers[stored.id] = container
        if container.stopping { endStop(of: stored) }
        if container.stored.isPausedForCommit == true { await resumeAfterCommit(stored) }
        try await prepareNetwork(stored)
        try watchProcess(stored.id, generation: container.generation)
        startHealthChecks(stored.id, known: container.stored.health)
        await resumeListening(stored.id)
        if container.isStarting { resumePostStart(stored.id) }
        watchControls(stored.id)
    }

    /// The old engine died between the stop signal and the end.
    private func endStop(of stored: StoredContainer) {
        background.start { [self] in
            do throws(EngineError) { try await stopContainer(stored.id, byUser: stored.stoppedByUser) } catch {
                log.error("container not stopped", metadata: ["container": "\(stored.name)", "error": "\(error)"])
            }
        }
    }

    private func adoptEnded(_ stored: StoredContainer, startedAt: UInt64?) async {
        if let startedAt, startedAt > 0 {
            _ = containers[stored.id]?.stored.noteStart(at: Nanoseconds(clamping: startedAt))
        }
        let exit = await readExit(stored.id, stored)
        guard stored.exit == nil || stored.exit?.finishedAt != exit.finishedAt else { return }
        containers[stored.id]?.stored.exit = exit
        if let updated = containers[stored.id]?.stored { saveOrLog(updated) }
        await removeLeftOneOff(stored)
    }

    /// No trace of a supervisor: never started, or the machine was rebooted under it.
    private func adoptNeverStarted(_ stored: StoredContainer) async {
        if let startedAt = stored.startedAt, stored.exit == nil {
            containers[stored.id]?.stored.exit = StoredContainer.Exit(
                code: 255, finishedAt: startedAt, outOfMemory: false, note: "the machine went down while it ran")
            if let updated = containers[stored.id]?.stored { saveOrLog(updated) }
        }
        await removeLeftOneOff(stored)
    }

    /// `run --rm` whose engine died before it could clean up.
    private func removeLeftOneOff(_ stored: StoredContainer) async {
        guard stored.removeOnExit else { return }
        do throws(EngineError) { try await removeContainer(stored.id, anonymousVolumes: true) } catch {
            log.error("container not removed", metadata: ["container": "\(stored.name)", "error": "\(error)"])
        }
    }

    /// How long what runs an orphan gets to end once everything in it has been killed.
    private static let orphanEndMillisecondsMax: Int32 = 10_000

    /// Kernel objects and folders under our roots that no record knows: made by an engine that died before it wrote,
    /// or left by one that died while it removed.
    func sweepOrphans() async {
        let network = network
        let known = Set(containers.keys)
        let (runRoot, dataRoot) = ("\(options.execRoot)/containers", "\(options.dataRoot)/containers")
        let runtime = runtime
        let log = log
        await pool.run {
            func attempt(_ what: String, _ body: () throws -> Void) {
                do { try body() } catch {
                    log.warning("orphan not swept", metadata: ["what": "\(what)", "error": "\(error)"])
                }
            }
            attempt("namespaces") {
                for id in try network.namespaces() where !known.contains(id) {
                    attempt(id) { try network.removeNamespace(id: id) }
                }
            }
            attempt(runRoot) {
                for id in try FileSystem.list(runRoot) where !known.contains(id) {
                    attempt(id) {
                        let folder = "\(runRoot)/\(id)"
                        try runtime.killAll(directory: folder)
                        // Until it has written its last words, the container counts as running.
                        waitForSupervisor(runtime, folder, milliseconds: Self.orphanEndMillisecondsMax)
                        try runtime.delete(directory: folder)
                    }
                }
            }
            attempt(dataRoot) {
                for id in try FileSystem.list(dataRoot) where !known.contains(id) {
                    attempt(id) { try FileSystem.removeTree("\(dataRoot)/\(id)") }
                }
            }
        }
    }
}

extension StoredContainer {
    /// A start in the moment in which the old engine died: its record had not been written. Whether that is so.
    fileprivate mutating func noteStart(at moment: Nanoseconds) -> Bool {
        guard startedAt != moment else { return false }
        startedAt = moment
        exit = nil
        stoppedByUser = false
        isStopping = nil
        return true
    }
}
