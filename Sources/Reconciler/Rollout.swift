import StackModel

/// How far the replacement of one service's replicas is, from what there is: nothing of it is remembered.
struct Rollout {
    let policy: RolloutPolicy
    /// Replicas that were made since the stack was changed, and stay.
    let made: [Replica]
    /// Those of `made` that failed, and why.
    let failures: [String: Diagnostic]
    /// Somebody has to say that it goes on, so it cannot be late.
    var isHeld = false
    /// How many were made or are to be replaced.
    let total: Int
    let service: String
    /// Nanoseconds since 1970: when whoever goes on with it began; `nil` where nothing says how to update.
    private let begunAt: Int64?
    /// Nanoseconds since 1970: when what it goes by was seen.
    private let at: Int64

    /// - Parameters:
    ///   - since: when the stack was changed; `nil`: it is as it was at first.
    ///   - followedSince: when whoever goes on with it began to.
    init(
        _ survey: ServiceSurvey, _ policy: RolloutPolicy, since: Int64?, followedSince: Int64?,
        _ index: ContainerIndex
    ) {
        self.policy = policy
        at = index.observed.at
        begunAt = policy.isExplicit ? since.map { max($0, followedSince ?? $0) } : nil
        service = survey.name
        made = survey.kept.filter { replica in
            !replica.isReplaced && since.map { replica.container.createdAt >= $0 } ?? false
        }
        var failures: [String: Diagnostic] = [:]
        for replica in made where policy.isExplicit && replica.isLeftToItself {
            let gate = Gate.replicaSettled(name: replica.container.name, monitor: policy.monitor, begunAt: begunAt)
            if case .failed(let diagnostic) = gate.status(in: index) {
                failures[replica.container.name] = diagnostic
            }
        }
        self.failures = failures
        total = made.count + survey.kept.count { $0.isReplaced }
    }

    /// Nanoseconds since 1970: when it fails for want of progress; `nil` when it is at its end.
    var stallsAt: Int64? {
        guard policy.isExplicit, let begunAt, total > made.count, failures.isEmpty else { return nil }
        return max(begunAt, made.map(\.container.createdAt).max() ?? 0) + policy.progressDeadline
    }

    /// - Parameter isNext: for what comes after it, which waits for the delay too.
    func gate(_ name: String, isNext: Bool = false) -> Gate {
        .replicaSettled(name: name, monitor: policy.monitor + (isNext ? policy.delay : 0), begunAt: begunAt)
    }

    /// More failed than may.
    private var isOver: Bool {
        guard policy.isExplicit, !failures.isEmpty, policy.failureAction != .continue else { return false }
        return Double(failures.count) > policy.failureRatioMax * Double(total)
    }

    var failed: FailedRollout? {
        if !isHeld, let stallsAt, at >= stallsAt {
            let diagnostic = Diagnostic(
                code: "rollout.stalled", "the update of \(service) made no progress in time",
                hint: "see `gantry ps` and `gantry rollout status`")
            return FailedRollout(service: service, action: policy.failureAction, failures: [diagnostic])
        }
        guard isOver else { return nil }
        let sorted = failures.sorted { $0.key < $1.key }.map(\.value)
        return FailedRollout(service: service, action: policy.failureAction, failures: sorted)
    }

    /// How many more replicas may be replaced before somebody says that it goes on, and why no more.
    ///
    /// - Parameter missing: replicas that are made anyway.
    func allowance(_ desired: DesiredState, missing: Int) -> (count: Int, hold: HeldRollout.Reason)? {
        // What failed is not given to more replicas.
        if isOver { return (0, .failed) }
        if desired.isPaused { return (0, .paused) }
        guard policy.canary > 0, desired.changedAt != nil, !desired.promoted.contains(service), !desired.isRollback,
            total > policy.canary
        else { return nil }
        if policy.promotesItself, made.count >= policy.canary, made.allSatisfy({ hasSettled($0.container) }) {
            return nil
        }
        return (max(0, policy.canary - made.count - missing), .canary)
    }

    private func hasSettled(_ container: ObservedContainer) -> Bool {
        var alone = ObservedState(containers: [container])
        alone.at = at
        return gate(container.name).status(in: alone) == .holds
    }

    /// The rollout goes on without this one.
    func isTolerated(_ name: String) -> Bool { policy.isExplicit && !isOver && failures[name] != nil }
}

/// How far the update of one service is.
public struct ServiceRollout: Equatable, Sendable {
    public var service: String
    /// How many there should be.
    public var replicas: Int
    /// How many are as they should be.
    public var updated: Int
    /// How many serve, of whatever definition.
    public var ready: Int
    /// What it waits for, if that is a person.
    public var hold: HeldRollout.Reason?
    /// Why it failed.
    public var failures: [Diagnostic]
}

/// How far the update of each service is, by name. Parameters as of `plan`.
public func rollouts(desired: DesiredState, observed: ObservedState, now: Int64) -> [ServiceRollout] {
    var planner = Planner(desired: desired, observed: observed.sorted(), now: now)
    let plan = planner.run()
    return planner.surveys.values.sorted { $0.name < $1.name }.map { survey in
        ServiceRollout(
            service: survey.name, replicas: survey.replicas,
            updated: survey.kept.count { !$0.isReplaced } - survey.held,
            ready: (survey.kept.map(\.container) + survey.excess).count(where: \.isReady),
            hold: plan.heldRollouts.first { $0.service == survey.name }?.reason,
            failures: plan.failedRollouts.filter { $0.service == survey.name }.flatMap(\.failures))
    }
}

extension Replica {
    /// No command is about to start it, and none has stopped it: how it fares is its own doing.
    var isLeftToItself: Bool {
        switch verdict {
        case .keep, .wait, .start(_, byPolicy: true): !container.stoppedByUser
        case .start, .restart, .replace: false
        }
    }
}
