import EngineWire
import Reconciler
import StackModel

/// What `--wait` and `gantry wait` wait for.
extension Engine {
    /// So often in a row a policy has restarted what will not come up any more: some 13 seconds, by the back-off.
    private static let hopelessRestarts = 7
    /// Nanoseconds that what has no healthcheck must run: long enough for most that end at once to have ended.
    private static let settlingTime: Nanoseconds = 1_000_000_000
    /// Nanoseconds after which a client is told again what is waited for: one that is gone is found out by that.
    private static let newsInterval: Nanoseconds = 5_000_000_000

    /// `gantry wait`: changes nothing.
    public func wait(_ name: String, _ request: WaitRequest, progress: @escaping ProgressSink) async {
        await reporting(progress, of: name) { () async throws(EngineError) in
            guard let record = self.stacks[name]?.record else { throw .stackNotFound(name) }
            for service in request.services where record.stack.services[service] == nil {
                throw .badRequest("no such service: \(service)")
            }
            let deadline = request.timeout.map { Clock.now() + $0 }
            if request.goal == .converged {
                try await self.waitUntilConverged(name, request.services, deadline: deadline, progress: progress)
            }
            try await self.waitUntilReady(
                name, record, request.goal, services: Set(request.services), deadline: deadline, progress: progress)
            return 0
        }
    }

    /// Every service has reached its goal: runs and, with a healthcheck, is healthy; one-shot services have completed.
    /// Services that a command stopped, and those that the stack does not have, are none of it.
    ///
    /// - Parameters:
    ///   - services: only these; empty: all.
    ///   - jobsMayHaveFailed: what has ended and is not started again by its policy is not waited for either.
    func waitUntilReady(
        _ name: String, _ record: StackRecord, _ goal: WaitRequest.Goal = .healthy, services: Set<String> = [],
        deadline: Nanoseconds?, jobsMayHaveFailed: Bool = false, progress: ProgressSink
    ) async throws(EngineError) {
        var reported: Set<String> = []
        let oneShots = record.stack.oneShots
        var told = Told()
        while true {
            let seen = stacks[name]?.changes ?? 0
            let mine = containers.values.filter { container in
                let stored = container.stored
                let hasEnded = container.process == nil && stored.exit != nil
                return stored.stackName == name && !stored.oneOff && record.stack.services[stored.service] != nil
                    && (services.isEmpty || services.contains(stored.service))
                    && !record.stopped.contains(stored.service)
                    && !(jobsMayHaveFailed && hasEnded && stored.definition.service.restart.mode == .no)
                    && !(jobsMayHaveFailed && oneShots.contains(stored.service))
            }
            var waiting: [AwaitedContainer] = []
            for container in mine.sorted(by: { $0.stored.name < $1.stored.name }) {
                switch try readiness(of: container, goal, isOneShot: oneShots.contains(container.stored.service)) {
                case .ready(let word):
                    guard reported.insert(container.stored.name).inserted else { continue }
                    progress(.object(kind: .container, name: container.stored.name, state: .done, status: word))
                case .waiting(let what):
                    waiting.append(AwaitedContainer(name: container.stored.name, what: what))
                }
            }
            if waiting.isEmpty { return }
            told.tell(waiting, progress)
            try await waitForNews(name, since: seen, of: waiting, deadline: deadline)
        }
    }

    /// As many replicas as there should be, nothing left to do, and no update that has stopped half way.
    private func waitUntilConverged(
        _ name: String, _ services: [String], deadline: Nanoseconds?, progress: ProgressSink
    ) async throws(EngineError) {
        var told = Told()
        while let record = stacks[name]?.record {
            let seen = stacks[name]?.changes ?? 0
            var desired = desiredState(record, mode: .maintain)
            desired.selection = services.isEmpty ? desired.selection : services
            let observed = await observe(name)
            let plan = Reconciler.plan(desired: desired, observed: observed, now: Clock.now())
            guard plan.failedRollouts.isEmpty else {
                throw .rollout(plan.failedRollouts, undoneTo: nil, isRollback: record.isRollback == true)
            }
            guard plan.blocked.isEmpty else { throw .diagnostics(plan.blocked) }
            let held = plan.heldRollouts.filter { !promotesItself($0, record) }
            guard held.isEmpty else { throw .held(held) }
            if plan.isEmpty, plan.waiting.isEmpty, plan.heldRollouts.isEmpty { return }
            let names = Set(plan.steps.map(\.name)).union(plan.waiting.map(\.name)).sorted()
            let waiting =
                names.map { AwaitedContainer(name: $0, what: "the engine's next step") }
                + plan.heldRollouts.map { AwaitedContainer(name: $0.service, what: "its canaries to be promoted") }
            told.tell(waiting, progress)
            // How those are that have to go says nothing.
            let leaving = Set(plan.steps.filter(\.action.endsContainer).map(\.name))
            for container in containers.values
            where names.contains(container.stored.name) && !leaving.contains(container.stored.name) {
                _ = try readiness(of: container, .healthy, isOneShot: false)
            }
            if let wakeAt = plan.wakeAt { wake(name, at: wakeAt) }
            try await waitForNews(name, since: seen, of: waiting, deadline: deadline)
        }
        throw .stackNotFound(name)
    }

    private func promotesItself(_ rollout: HeldRollout, _ record: StackRecord) -> Bool {
        rollout.reason == .canary && record.stack.services[rollout.service]?.gantry?.rollout?.autoPromote == true
    }

    private struct Told {
        var waiting: [AwaitedContainer] = []
        var at: Nanoseconds = 0

        mutating func tell(_ waiting: [AwaitedContainer], _ progress: ProgressSink) {
            let now = Clock.monotonic()
            guard waiting != self.waiting || now - at >= Engine.newsInterval else { return }
            progress(.waiting(waiting))
            (self.waiting, at) = (waiting, now)
        }
    }

    private func waitForNews(
        _ name: String, since seen: Int, of waiting: [AwaitedContainer], deadline: Nanoseconds?
    ) async throws(EngineError) {
        if isShuttingDown || CommandContext.current?.isClientGone == true { throw .cancelled }
        if let deadline {
            guard Clock.now() < deadline else {
                let names = waiting.map { "\($0.name) (\($0.what))" }.joined(separator: ", ")
                throw .diagnostics([
                    Diagnostic(
                        code: "stack.timeout", "timed out waiting for \(names)",
                        hint: "see `gantry ps` and `gantry logs`")
                ])
            }
            wake(name, at: deadline)
        }
        wake(name, at: Clock.now() + Self.newsInterval)
        await waitForChange(in: name, since: seen)
    }

    private enum Readiness {
        case ready(String)
        /// For what.
        case waiting(String)
    }

    private func readiness(
        of container: Container, _ goal: WaitRequest.Goal, isOneShot: Bool
    ) throws(EngineError) -> Readiness {
        let stored = container.stored
        guard container.process != nil else { return try readiness(ofEnded: stored, goal) }
        switch goal {
        case .running: return .ready("Running")
        case .completed: return .waiting("its end")
        case .healthy, .converged: break
        }
        let policy = stored.definition.service.restart
        // One that is always restarted never ends, whoever waits for that.
        if isOneShot, policy.mode == .no || policy.mode == .onFailure { return .waiting("its end") }
        if container.isStarting { return .waiting("its start") }
        guard let health = container.health else {
            guard healthCommand(of: stored) == nil else { return .waiting("its healthcheck") }
            let settledAt = (container.process?.startedAt ?? 0) + Self.settlingTime
            if Clock.now() >= settledAt { return .ready("Running") }
            wake(stored.stackName, at: settledAt)
            return .waiting("its first second to pass")
        }
        switch health.health {
        case .healthy: return .ready("Healthy")
        case .unhealthy: throw .notReady("container.unhealthy", stored, "is unhealthy")
        case .none, .starting: return .waiting("its healthcheck")
        }
    }

    private func readiness(
        ofEnded stored: StoredContainer, _ goal: WaitRequest.Goal
    ) throws(EngineError) -> Readiness {
        guard let exit = stored.exit else { return .waiting("its start") }
        let policy = stored.definition.service.restart
        let isDone = exit.code == 0 && policy.mode != .always
        if isDone, goal != .running { return .ready("Exited") }
        let comesBack =
            RestartBackoff.decision(
                policy: policy, exitCode: exit.code, restarts: stored.restarts, stoppedByUser: stored.stoppedByUser,
                finishedAt: exit.finishedAt) != .stay
        guard comesBack else { throw .notReady("container.exited", stored, "exited (\(exit.code))") }
        guard stored.restarts < Self.hopelessRestarts else {
            let what = "keeps ending: exited (\(exit.code)), restarted \(stored.restarts) times"
            throw .notReady("container.restarting", stored, what)
        }
        return .waiting("its restart after it exited (\(exit.code))")
    }
}

extension Action {
    fileprivate var endsContainer: Bool {
        switch self {
        case .stopContainer, .removeContainer: true
        default: false
        }
    }
}

extension EngineError {
    /// Updates that nobody but a person takes on.
    fileprivate static func held(_ rollouts: [HeldRollout]) -> EngineError {
        .diagnostics(
            rollouts.map { rollout in
                let isCanary = rollout.reason == .canary
                return Diagnostic(
                    code: "rollout.paused",
                    isCanary
                        ? "the canaries of \(rollout.service) wait to be promoted"
                        : "the update of \(rollout.service) is paused",
                    hint: isCanary
                        ? "`gantry promote \(rollout.service)` goes on, `gantry abort` goes back"
                        : "`gantry rollout resume` goes on, `gantry abort` goes back")
            })
    }

    fileprivate static func notReady(_ code: String, _ stored: StoredContainer, _ what: String) -> EngineError {
        .diagnostics([
            Diagnostic(code: code, "container \(stored.name) \(what)", hint: "see `gantry logs \(stored.service)`")
        ])
    }
}
