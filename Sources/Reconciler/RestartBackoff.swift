import StackModel

/// When a container that ended is started again: 100 ms after the first end, twice as long each time, at most a
/// minute; from the beginning after a run of 10 s (the Docker Engine's numbers, `restartmanager.go`).
///
/// Event in, answer out; the engine keeps one a container and copies `restarts` into what the planner observes.
public struct RestartBackoff: Equatable, Sendable {
    /// Nanoseconds.
    public static let delayFirst: Int64 = 100_000_000
    /// Nanoseconds.
    public static let delayMax: Int64 = 60_000_000_000
    /// Nanoseconds up after which a run counts as good and the count of restarts begins again.
    public static let steadyAfter: Int64 = 10_000_000_000

    public enum Event: Equatable, Sendable {
        /// A command started it.
        case startedByCommand(at: Int64)
        /// The policy started it.
        case startedByPolicy(at: Int64)
        case exited(at: Int64, code: Int)
        /// A command stopped it, or is about to.
        case stoppedByCommand
    }

    public enum Decision: Equatable, Sendable {
        case stay
        /// Nanoseconds since 1970.
        case restart(notBefore: Int64)
    }

    public var policy: RestartPolicy
    /// Consecutive restarts by the policy.
    public private(set) var restarts: Int
    public private(set) var stoppedByUser: Bool
    private var startedAt: Int64?

    public init(policy: RestartPolicy, restarts: Int = 0, stoppedByUser: Bool = false, startedAt: Int64? = nil) {
        self.policy = policy
        self.restarts = restarts
        self.stoppedByUser = stoppedByUser
        self.startedAt = startedAt
    }

    /// What follows from `event`; `.stay` from all but an exit.
    public mutating func handle(_ event: Event) -> Decision {
        switch event {
        case .startedByCommand(let time):
            (restarts, stoppedByUser, startedAt) = (0, false, time)
        case .startedByPolicy(let time):
            (restarts, startedAt) = (restarts + 1, time)
        case .stoppedByCommand:
            stoppedByUser = true
        case .exited(let time, let code):
            if Self.wasSteady(from: startedAt, to: time) { restarts = 0 }
            return Self.decision(
                policy: policy, exitCode: code, restarts: restarts, stoppedByUser: stoppedByUser, finishedAt: time)
        }
        return .stay
    }

    /// Nanoseconds to wait before the restart after `restarts` earlier ones.
    public static func delay(restarts: Int) -> Int64 {
        guard restarts < 10 else { return delayMax }
        return min(delayMax, delayFirst << Int64(max(0, restarts)))
    }

    /// What `policy` says of a container that ended at `finishedAt`.
    public static func decision(
        policy: RestartPolicy, exitCode: Int?, restarts: Int, stoppedByUser: Bool, finishedAt: Int64
    ) -> Decision {
        guard !stoppedByUser else { return .stay }
        let wanted: Bool
        switch policy.mode {
        case .no: wanted = false
        case .always, .unlessStopped: wanted = true
        case .onFailure:
            // An exit code that was lost cannot be called a success. `on-failure:0` is without a limit, as in Docker.
            let attemptsMax = policy.attemptsMax ?? 0
            wanted = exitCode != 0 && (attemptsMax <= 0 || restarts < attemptsMax)
        }
        guard wanted else { return .stay }
        let (time, overflow) = finishedAt.addingReportingOverflow(delay(restarts: restarts))
        return .restart(notBefore: overflow ? Int64.max : time)
    }

    /// The same for an observed container. One that ended in the future did so before the clock was set back: nobody
    /// knows how long ago, so it has waited long enough.
    static func decision(for container: ObservedContainer, now: Int64) -> Decision {
        let end = container.finishedAt ?? container.createdAt
        let finishedAt = end <= now ? end : now - delayMax
        let steady = wasSteady(from: container.startedAt, to: end)
        return decision(
            policy: container.definition.service.restart, exitCode: container.exitCode,
            restarts: steady ? 0 : container.restarts, stoppedByUser: container.stoppedByUser, finishedAt: finishedAt)
    }

    private static func wasSteady(from start: Int64?, to end: Int64) -> Bool {
        guard let start else { return false }
        let (length, overflow) = end.subtractingReportingOverflow(start)
        return !overflow && length >= steadyAfter
    }
}
