/// `x-gantry` of a service: what Compose cannot say.
public struct ServiceOptions: Codable, Equatable, Sendable {
    public enum SessionAffinity: String, CaseIterable, Codable, Sendable {
        case none
        case clientIP = "client_ip"
    }

    public var rollout: Rollout?
    public var reload: Reload?
    /// Whether connections of one client go to the same replica.
    public var sessionAffinity: SessionAffinity?
    public var drift: DriftPolicies?
    public var schedule: Schedule?

    public init() {}
}

/// `x-gantry` of the stack.
public struct StackOptions: Codable, Equatable, Sendable {
    public var drift: DriftPolicies?
    /// Patterns of addresses and classes of drift that are nobody's business: `services.web.limits`, `networks.*`.
    @Sparse public var driftIgnored: [String] = []
    /// Applied revisions that are kept.
    public var revisions: Int?

    public init() {}
}

/// Times of a rollout; `nil` leaves them to the engine.
public struct Rollout: Codable, Equatable, Sendable {
    /// How long a new replica must be healthy before it counts.
    public var minHealthyTime: Int64?
    /// How long it may take to become healthy.
    public var healthyDeadline: Int64?
    /// How long the rollout may take from one finished replica to the next.
    public var progressDeadline: Int64?
    /// How long an old replica is left to finish its connections.
    public var drain: Int64?
    /// Replicas replaced before the rollout waits for `promote`.
    public var canary: Int?
    public var autoPromote: Bool?
    public var autoRollback: Bool?

    public init() {}
}

/// What is done when the content of a config or a secret changes, instead of replacing the container.
public enum Reload: Codable, Equatable, Sendable {
    case signal(String)
    case command([String])
}
