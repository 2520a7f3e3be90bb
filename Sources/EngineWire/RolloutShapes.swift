import StackModel

/// What is said to a rollout: `POST /stacks/{name}/rollout/{verb}`.
public enum RolloutVerb: String, CaseIterable, Sendable {
    /// The canaries are good: the rest is replaced too.
    case promote
    /// Nothing more is replaced.
    case pause
    case resume
    /// Back to the last revision that worked.
    case abort
}

/// Body of `POST /stacks/{name}/rollout/{verb}`.
public struct RolloutRequest: Codable, Equatable, Sendable {
    /// Of `promote`: only these services; empty: all whose canaries wait.
    public var services: [String]
    /// End the stream only when every service is where it should be.
    public var wait: Bool
    /// Nanoseconds; `nil`: no limit.
    public var waitTimeout: Int64?

    public init(services: [String] = [], wait: Bool = true, waitTimeout: Int64? = nil) {
        self.services = services
        self.wait = wait
        self.waitTimeout = waitTimeout
    }
}

/// Answer of `GET /stacks/{name}/rollout`.
public struct RolloutReply: Codable, Equatable, Sendable {
    public enum State: String, Codable, Sendable {
        case complete, progressing, canary, paused, failed
    }

    public struct Service: Codable, Equatable, Sendable {
        public var service: String
        /// How many replicas there should be, how many are as they should be, and how many serve.
        public var replicas: Int
        public var updated: Int
        public var ready: Int
        public var state: State
        /// Why it failed.
        public var problems: [Diagnostic]

        public init(
            service: String, replicas: Int, updated: Int, ready: Int, state: State, problems: [Diagnostic]
        ) {
            self.service = service
            self.replicas = replicas
            self.updated = updated
            self.ready = ready
            self.state = state
            self.problems = problems
        }
    }

    public var stack: String
    public var revision: Int
    /// Every service has reached its goal with it.
    public var isStable: Bool
    /// By name.
    public var services: [Service]

    public init(stack: String, revision: Int, isStable: Bool, services: [Service]) {
        self.stack = stack
        self.revision = revision
        self.isStable = isStable
        self.services = services
    }
}
