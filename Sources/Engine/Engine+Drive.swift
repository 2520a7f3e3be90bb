import EngineWire
import Logging
import Reconciler
import StackModel

/// Carries out what a `Convergence` says, and tells it how that went.
extension Engine {
    public typealias ProgressSink = @Sendable (ProgressEvent) -> Void

    /// The caller holds the stack's lock.
    func drive(
        _ work: Work, _ name: String, deadline: Nanoseconds? = nil, progress: @escaping ProgressSink
    ) async -> Convergence.Outcome {
        var convergence = Convergence(
            work, history: history(of: name), deadline: deadline, parallelism: Self.parallelOperationsMax)
        var events: [Convergence.Event] = [.began]
        var seen = 0
        var outcome: Convergence.Outcome?
        let began = Clock.monotonic()
        defer { counters.notePass(isLoop: work.isLoop, outcome, nanoseconds: Clock.monotonic() - began) }
        await withTaskGroup(of: (step: Int, failures: [Diagnostic]).self) { group in
            while outcome == nil {
                if events.isEmpty {
                    guard let ended = await group.next() else {
                        outcome = .failed([Diagnostic(code: "engine.fault", "nothing is under way any more")])
                        return
                    }
                    events.append(.ended(step: ended.step, failures: ended.failures))
                }
                for command in convergence.step(events.removeFirst()) {
                    switch command {
                    case .observe:
                        if let said = saidSince(convergence.work, name) { events.append(said) }
                        seen = stacks[name]?.changes ?? 0
                        let observed = await observe(name)
                        noteDrift(name, convergence.work, observed)
                        events.append(.observed(observed, now: Clock.now()))
                    case .look:
                        if let said = saidSince(convergence.work, name) { events.append(said) }
                        seen = stacks[name]?.changes ?? 0
                        events.append(.observed(observeRecords(name), now: Clock.now()))
                    case .perform(let step):
                        if case .removeContainer(let id, _) = step.action, convergence.plan.unhealthy.contains(id) {
                            noteUnhealthyReplacement(of: id)
                        }
                        group.addTask {
                            let error = await self.perform(step, stack: name, progress: progress)
                            return (step.id, error?.diagnostics ?? [])
                        }
                    case .wait(let time):
                        let news = await news(of: name, since: seen, until: time)
                        events.append(saidSince(convergence.work, name) ?? news)
                    case .finish(let end): outcome = end
                    case .begin(let plan): if case .keep = work { noteRepairs(plan, name) }
                    case .wake(let time): wake(name, at: time)
                    case .saveStable: noteStable(name)
                    case .returnTo(let revision):
                        // The way back removes them, and with them all that they have said.
                        let changedAt = stacks[name]?.record.changedAt ?? 0
                        await reportFailures(name, since: changedAt, progress: progress)
                        events.append(answer(toReturnTo: revision, name))
                    case .warn(let warning): progress(.warning(warning))
                    }
                }
            }
        }
        return outcome ?? .cancelled
    }

    private func news(
        of name: String, since seen: Int, until time: Nanoseconds?
    ) async -> Convergence.Event {
        if let time { wake(name, at: time) }
        await waitForChange(in: name, since: seen)
        return isShuttingDown ? .cancelled : .news
    }

    private func answer(
        toReturnTo revision: Int, _ name: String
    ) -> Convergence.Event {
        do throws(EngineError) {
            try returnTo(revision, name)
            guard let record = stacks[name]?.record else { throw .stackNotFound(name) }
            log.warning(
                "update failed and is rolled back", metadata: ["stack": "\(name)", "revision": "\(revision)"])
            return .wanted(desiredState(record, mode: .maintain), history(of: name))
        } catch {
            log.warning("update not rolled back", metadata: ["stack": "\(name)", "error": "\(error)"])
            return .notReturned(
                error.diagnostics.first ?? Diagnostic(code: "rollback.failed", "the update cannot be rolled back"))
        }
    }

    private func noteRepairs(_ plan: Plan, _ name: String) {
        for change in plan.displayChanges where change.action == .repair {
            log.info(
                "drift repaired",
                metadata: ["stack": "\(name)", "name": "\(change.name)", "reason": "\(change.reason)"])
            stacks[name]?.noteRepair("\(change.name): \(change.reason)")
            counters.driftRepaired += 1
        }
    }

    /// Drives a command to its end.
    ///
    /// - Returns: how many steps were carried out.
    func converge(
        _ work: Work, _ name: String, deadline: Nanoseconds? = nil, progress: @escaping ProgressSink
    ) async throws(EngineError) -> Int {
        switch await drive(work, name, deadline: deadline, progress: progress) {
        case .done(let changes): return changes
        case .failed(let diagnostics): throw .diagnostics(diagnostics)
        case .rolloutFailed(let failure): throw .rollout(failure)
        case .cancelled: throw stacks[name]?.isAborted == true ? .rolloutAborted : .cancelled
        }
    }
}

extension EngineError {
    /// Why a rollout did not come to its end, for users and by its code for scripts.
    static func rollout(_ failure: Convergence.RolloutFailure) -> EngineError {
        rollout(failure.rollouts, undoneTo: failure.undoneTo, isRollback: failure.isRollback)
    }

    static func rollout(_ rollouts: [FailedRollout], undoneTo: Int?, isRollback: Bool) -> EngineError {
        let names = rollouts.map(\.service).joined(separator: ", ")
        let last: Diagnostic
        if isRollback {
            last = Diagnostic(
                code: "rollback.failed", "the rollback of \(names) failed too",
                hint: "see `gantry ps` and `gantry logs`; apply what works, or `gantry rollback --to NUMBER`")
        } else if let revision = undoneTo {
            last = Diagnostic(
                code: "rollout.rolled-back", "the update of \(names) failed and was rolled back to revision \(revision)"
            )
        } else {
            last = Diagnostic(
                code: "rollout.paused", "the update of \(names) failed, and what is not replaced yet stays as it is",
                hint: "apply a stack file that works, or `gantry rollback`")
        }
        return .diagnostics(rollouts.flatMap(\.failures) + [last])
    }
}
