import StackModel

/// What a `Convergence` is for.
public enum Work: Equatable, Sendable {
    /// A command: until there is what there should be.
    case reach(DesiredState)
    /// A pass of the background loop: what can be done now. What waits is left to a later pass.
    case keep(DesiredState)
    case down(Down)
    /// `since`: nanoseconds since 1970, when the command began; set with its first plan. What it has started once it
    /// leaves to the restart policies.
    case start(services: [String], since: Int64? = nil)
    case stop(services: [String], timeout: Int64?)
    case restart(services: [String], timeout: Int64?)
    case kill(services: [String], signal: String)

    /// See `planDown`.
    public struct Down: Equatable, Sendable {
        public var stack: Stack?
        public var removeVolumes: Bool
        public var removeOrphans: Bool
        /// Nanoseconds.
        public var timeout: Int64?

        public init(
            stack: Stack? = nil, removeVolumes: Bool = false, removeOrphans: Bool = false, timeout: Int64? = nil
        ) {
            self.stack = stack
            self.removeVolumes = removeVolumes
            self.removeOrphans = removeOrphans
            self.timeout = timeout
        }
    }

    /// Planned anew after each round, until there is nothing left to do. The others carry out the plan that they made
    /// at first: a second one would restart everything again.
    var isReplanned: Bool {
        switch self {
        case .reach, .down, .start: true
        case .keep, .stop, .restart, .kill: false
        }
    }

    /// Before each plan. A command that began in the future began before the clock was set back: what it does from now
    /// on must not seem older than it is.
    mutating func begin(at now: Int64) {
        switch self {
        case .start(let services, let since) where since.map { $0 > now } ?? true:
            self = .start(services: services, since: now)
        case .reach(var desired) where desired.since.map { $0 > now } ?? false:
            desired.since = now
            self = .reach(desired)
        default: break
        }
    }

    var isKeeping: Bool {
        if case .keep = self { return true }
        return false
    }

    /// Of what is made and kept.
    public var desired: DesiredState? {
        switch self {
        case .reach(let desired), .keep(let desired): desired
        case .down, .start, .stop, .restart, .kill: nil
        }
    }

    /// - Parameter now: Nanoseconds since 1970.
    public func plan(_ observed: ObservedState, now: Int64) -> Plan {
        switch self {
        case .reach(let desired), .keep(let desired):
            Reconciler.plan(desired: desired, observed: observed, now: now)
        case .down(let down):
            planDown(
                observed: observed, stack: down.stack, removeVolumes: down.removeVolumes,
                removeOrphans: down.removeOrphans, timeout: down.timeout)
        case .start(let services, let since):
            planStart(observed: observed, services: services, since: since, now: now)
        case .stop(let services, let timeout): planStop(observed: observed, services: services, timeout: timeout)
        case .restart(let services, let timeout):
            planRestart(observed: observed, services: services, timeout: timeout)
        case .kill(let services, let signal): planKill(observed: observed, services: services, signal: signal)
        }
    }
}
