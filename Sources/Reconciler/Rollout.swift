import StackModel

/// How far the replacement of one service's replicas is, from what there is: nothing of it is remembered.
struct Rollout {
    let policy: RolloutPolicy
    /// Replicas that were made since the stack was changed, and stay.
    let made: [Replica]
    /// Those of `made` that failed, and why.
    let failures: [String: Diagnostic]
    /// How many were made or are to be replaced.
    let total: Int
    let service: String
    /// Nanoseconds since 1970: when whoever goes on with it began; `nil` where nothing says how to update.
    private let begunAt: Int64?

    /// - Parameters:
    ///   - since: when the stack was changed; `nil`: it is as it was at first.
    ///   - commandAt: when the command that goes on with it began.
    init(
        _ survey: ServiceSurvey, _ policy: RolloutPolicy, since: Int64?, commandAt: Int64?, _ observed: ObservedState
    ) {
        self.policy = policy
        begunAt = policy.isExplicit ? since.map { max($0, commandAt ?? $0) } : nil
        service = survey.name
        made = survey.kept.filter { replica in
            !replica.isReplaced && since.map { replica.container.createdAt >= $0 } ?? false
        }
        var failures: [String: Diagnostic] = [:]
        for replica in made where policy.isExplicit && replica.isLeftToItself {
            let gate = Gate.replicaSettled(name: replica.container.name, monitor: policy.monitor, begunAt: begunAt)
            if case .failed(let diagnostic) = gate.status(in: observed) {
                failures[replica.container.name] = diagnostic
            }
        }
        self.failures = failures
        total = made.count + survey.kept.count { $0.isReplaced }
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
        guard isOver else { return nil }
        let sorted = failures.sorted { $0.key < $1.key }.map(\.value)
        return FailedRollout(service: service, action: policy.failureAction, failures: sorted)
    }

    /// The rollout goes on without this one.
    func isTolerated(_ name: String) -> Bool { policy.isExplicit && !isOver && failures[name] != nil }
}

extension Replica {
    /// No command is about to start it, and none has stopped it: how it fares is its own doing.
    fileprivate var isLeftToItself: Bool {
        switch verdict {
        case .keep, .wait, .start(_, byPolicy: true): !container.stoppedByUser
        case .start, .restart, .replace: false
        }
    }
}
