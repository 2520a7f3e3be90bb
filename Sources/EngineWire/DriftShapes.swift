import StackModel

/// Body of `POST /stacks/{name}/drift`; `GET` asks the same with its query.
public struct DriftRequest: Codable, Equatable, Sendable {
    /// The stack as its file says it now, to be compared with what was applied; `nil` compares no file.
    public var stack: Stack?
    /// Only these services; empty: everything.
    public var services: [String]
    /// Also what was changed inside of the containers.
    public var deep: Bool

    public init(stack: Stack? = nil, services: [String] = [], deep: Bool = false) {
        self.stack = stack
        self.services = services
        self.deep = deep
    }
}

/// What of a stack is not as it was applied. Reading it changes nothing.
public struct DriftReport: Codable, Equatable, Sendable {
    public var stack: String
    /// By address and class.
    public var entries: [DriftEntry]
    /// What the engine has put right by itself in the last minutes, newest last, one line each.
    public var repaired: [String]

    public init(stack: String, entries: [DriftEntry], repaired: [String] = []) {
        self.stack = stack
        self.entries = entries
        self.repaired = repaired
    }
}

/// One thing that differs.
public struct DriftEntry: Codable, Equatable, Sendable {
    /// `services.web[1]`, `networks.front`, `volumes.data`, `configs.app`, `firewall`, `host`.
    public var address: String
    /// See docs/drift.md.
    public var `class`: DriftClass
    /// What, in a few words.
    public var detail: String
    public var policy: DriftPolicy
    /// With the policy `repair`, what the engine does about it; else what would be done, or what to do.
    public var repair: String?
    /// When it was seen first: RFC 3339.
    public var since: String
    public var source: SourceMark?

    public init(
        address: String, class kind: DriftClass, detail: String, policy: DriftPolicy, repair: String?, since: String,
        source: SourceMark? = nil
    ) {
        self.address = address
        self.class = kind
        self.detail = detail
        self.policy = policy
        self.repair = repair
        self.since = since
        self.source = source
    }
}
