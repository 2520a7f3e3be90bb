import EngineWire
import Logging
import Reconciler
import StackModel

/// Steps of a plan as they went.
struct ExecutionOutcome: Sendable {
    var done: Set<Int> = []
    var failures: [Diagnostic] = []
}

extension Engine {
    public typealias ProgressSink = @Sendable (ProgressEvent) -> Void

    /// Rounds of observe, plan and execute; a plan that still is not empty after so many is a fault of ours.
    private static let convergeRoundsMax = 10_000
    /// Rounds in a row that did everything planned and still planned the same again.
    private static let fruitlessRoundsMax = 8

    /// Observes, plans and executes until nothing is left to do, waiting for gates (a dependency's health) in between.
    ///
    /// The caller holds the stack's lock.
    func converge(
        _ name: String, deadline: Nanoseconds? = nil, progress: @escaping ProgressSink,
        plan makePlan: (ObservedState, Nanoseconds) -> Plan
    ) async throws(EngineError) -> Int {
        var changes = 0
        var fruitless = 0
        var warned: Set<String> = []
        for _ in 0..<Self.convergeRoundsMax {
            let seen = stacks[name]?.changes ?? 0
            let plan = makePlan(await observe(name), Clock.now())
            for warning in plan.warnings where warned.insert(warning.message).inserted { progress(.warning(warning)) }
            guard plan.failedRollouts.isEmpty else { throw .rolloutFailed(plan.failedRollouts) }
            guard plan.blocked.isEmpty else { throw .diagnostics(plan.blocked) }
            if plan.isEmpty { return changes }
            let outcome = await execute(plan, stack: name, progress: progress)
            changes += outcome.done.count
            guard outcome.failures.isEmpty else { throw .diagnostics(outcome.failures) }
            if outcome.done.isEmpty {
                try await waitForNews(name, since: seen, plan: plan, deadline: deadline)
            } else if outcome.done.count == plan.steps.count {
                fruitless += 1
                guard fruitless <= Self.fruitlessRoundsMax else { throw doesNotSettle(name, plan) }
            }
        }
        throw .conflict("stack \(name) does not settle")
    }

    private func doesNotSettle(_ name: String, _ plan: Plan) -> EngineError {
        let lines = plan.displayChanges.prefix(5).map { "\($0.name): \($0.reason)" }
        return .conflict("stack \(name) does not settle; still to do: \(lines.joined(separator: ", "))")
    }

    private func waitForNews(
        _ name: String, since seen: Int, plan: Plan, deadline: Nanoseconds?
    ) async throws(EngineError) {
        if isShuttingDown { throw .cancelled }
        let now = Clock.now()
        if let deadline, now >= deadline {
            let waiting = Set(plan.steps.map(\.name)).sorted().joined(separator: ", ")
            throw .diagnostics([Diagnostic(code: "stack.timeout", "timed out waiting to go on with \(waiting)")])
        }
        let times = [plan.wakeAt, deadline].compactMap { $0 }
        if let next = times.min() { wake(name, at: next) }
        await waitForChange(in: name, since: seen)
    }

    /// Runs every step whose predecessors are done and whose gates hold, side by side, until none is left that may run.
    func execute(
        _ plan: Plan, stack: String, progress: @escaping ProgressSink
    ) async -> ExecutionOutcome {
        var outcome = ExecutionOutcome()
        var begun: Set<Int> = []
        await withTaskGroup(of: (step: Step, error: EngineError?).self) { group in
            var running = 0
            var heavy = 0
            while true {
                let runnable =
                    outcome.failures.isEmpty
                    ? plan.runnable(done: outcome.done, begun: begun, in: observeRecords(stack)) : []
                for step in runnable where !step.action.isHeavy || heavy < Self.parallelOperationsMax {
                    begun.insert(step.id)
                    running += 1
                    heavy += step.action.isHeavy ? 1 : 0
                    group.addTask {
                        (step, await self.perform(step, stack: stack, progress: progress))
                    }
                }
                guard running > 0, let result = await group.next() else { break }
                running -= 1
                heavy -= result.step.action.isHeavy ? 1 : 0
                if let error = result.error {
                    outcome.failures += error.diagnostics
                } else {
                    outcome.done.insert(result.step.id)
                }
            }
        }
        return outcome
    }
}

extension Engine {
    /// Background loop: keeps every active stack as it was last applied, one pass whenever there is news.
    func maintainAll() async {
        for name in stacks.keys.sorted() { startMaintaining(name) }
    }

    /// Starts the loop of one stack; it ends when the stack is gone.
    func startMaintaining(_ name: String) {
        background.start { [self] in await maintain(name) }
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
        let desired = desiredState(record, mode: .maintain)
        let observed = await observe(name)
        let plan = Reconciler.plan(desired: desired, observed: observed, now: Clock.now())
        if let wakeAt = plan.wakeAt { wake(name, at: wakeAt) }
        if undoneByLoop(plan, name) { return }
        guard !plan.isEmpty else {
            if record.revision != nil, !isStable(record), goal(desired: desired, observed: observed) == .reached {
                noteStable(name)
            }
            return
        }
        for change in plan.displayChanges where change.action == .repair {
            stacks[name]?.noteRepair("\(change.name): \(change.reason)")
        }
        let outcome = await execute(plan, stack: name, progress: { _ in })
        for failure in outcome.failures {
            log.warning("reconcile failed", metadata: ["stack": "\(name)", "error": "\(failure.message)"])
        }
    }
}

extension Engine {
    /// A rollout that fails while no command waits for it, such as after the engine was started again.
    private func undoneByLoop(_ plan: Plan, _ name: String) -> Bool {
        guard let target = undo(plan.failedRollouts, name) else { return false }
        log.warning(
            "update failed and is rolled back", metadata: ["stack": "\(name)", "revision": "\(target.number)"])
        return true
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
