import EngineWire
import Logging
import Reconciler
import StackModel

extension Engine {
    /// Background loop: keeps every active stack as it was last applied, one pass whenever there is news.
    func maintainAll() async {
        for name in stacks.keys.sorted() { startMaintaining(name) }
    }

    /// Starts the loop of one stack; it ends when the stack is gone.
    func startMaintaining(_ name: String) {
        background.start { [self] in await maintain(name) }
        background.start { [self] in await keepJobs(name) }
    }

    private func maintain(_ name: String) async {
        while !Task.isCancelled, !isShuttingDown, let entry = stacks[name] {
            let seen = entry.changes
            await entry.lock.acquire()
            if stacks[name]?.record.active == true { await maintainOnce(name) }
            entry.lock.release()
            await waitForChange(in: name, since: seen)
        }
    }

    /// One pass: what can be done now is done; what waits is left for the news that it waits for.
    private func maintainOnce(_ name: String) async {
        guard let record = stacks[name]?.record else { return }
        let outcome = await drive(
            .keep(desiredState(record, mode: .maintain)), name, progress: { self.logLimits($0, name) })
        guard case .failed(let failures) = outcome else { return }
        for failure in failures {
            log.warning("reconcile failed", metadata: ["stack": "\(name)", "error": "\(failure.message)"])
        }
    }
}

extension Engine {
    /// Nobody looks on in the background: what a container could not be given is noted.
    private nonisolated func logLimits(_ event: ProgressEvent, _ name: String) {
        guard case .warning(let warning) = event, warning.code == "container.limited" else { return }
        log.warning("not done in full", metadata: ["stack": "\(name)", "warning": "\(warning.message)"])
    }
}

extension Engine.StackEntry {
    private static let repairsKeptMax = 20
    private static let repairsKeptFor: Nanoseconds = 10 * 60 * 1_000_000_000

    mutating func noteRepair(_ text: String) {
        repaired.append((Clock.now(), text))
        repaired.removeFirst(max(0, repaired.count - Self.repairsKeptMax))
    }

    /// What the background loop put right lately, oldest first.
    func recentRepairs(now: Nanoseconds) -> [String] {
        repaired.filter { now - $0.at < Self.repairsKeptFor }.map {
            "\($0.text) (\((now - $0.at) / 1_000_000_000)s ago)"
        }
    }
}
