import StackModel

// What commands that change a stack say beside their work: who they are, whom they wait for, and what went wrong.

/// Who runs a command. Travels as a header of the request, `Gantry-Command`, percent-encoded JSON.
public struct CommandOwner: Codable, Equatable, Sendable {
    /// Bytes of each text; longer ones are cut.
    public static let textByteCountMax = 512

    public var user: String
    public var host: String
    public var pid: Int
    /// `gantry up`, without arguments: those may be secret.
    public var command: String
    /// Of the CI job, where there is one.
    public var url: String?

    public init(user: String, host: String, pid: Int, command: String, url: String? = nil) {
        self.user = user
        self.host = host
        self.pid = pid
        self.command = command
        self.url = url
    }
}

/// The command that changes a stack while another one waits.
public struct LockHolder: Codable, Equatable, Sendable {
    /// `nil`: a client that does not say who it is.
    public var owner: CommandOwner?
    public var since: String

    public init(owner: CommandOwner?, since: String) {
        self.owner = owner
        self.since = since
    }
}

/// What a command waits for: a container, and for what of it.
public struct AwaitedContainer: Codable, Equatable, Sendable {
    public var name: String
    /// `starting`, `its healthcheck`, `its end`.
    public var what: String

    public init(name: String, what: String) {
        self.name = name
        self.what = what
    }
}

/// A replica that is not as it should be when a command fails, with all that a user would ask for next. Secrets that
/// the engine knows are masked.
public struct FailureReport: Codable, Equatable, Sendable {
    public struct Probe: Codable, Equatable, Sendable {
        public var at: String
        /// `nil`: it timed out, or could not be run.
        public var exitCode: Int?
        public var output: String

        public init(at: String, exitCode: Int?, output: String) {
            self.at = at
            self.exitCode = exitCode
            self.output = output
        }
    }

    public struct LogLine: Codable, Equatable, Sendable {
        public enum Stream: String, Codable, Sendable { case stdout, stderr }
        public var at: String
        public var stream: Stream
        public var text: String

        public init(at: String, stream: Stream, text: String) {
            self.at = at
            self.stream = stream
            self.text = text
        }
    }

    public static let logLinesMax = 50
    public static let probesMax = 3

    public var stack: String
    public var service: String
    public var container: String
    public var state: ContainerStatus.State
    public var health: ContainerStatus.Health?
    /// Of its last end.
    public var exitCode: Int?
    /// `SIGKILL`, where the exit code stands for a signal.
    public var signal: String?
    public var outOfMemory: Bool
    public var restarts: Int
    /// Why it could not be started, when that is so.
    public var note: String?
    /// The last thing that was done to it and why: `started: image changed`.
    public var step: String?
    /// The service in the stack file.
    public var source: SourceMark?
    /// The last ones, oldest first.
    public var probes: [Probe]
    /// The last ones, oldest first.
    public var log: [LogLine]

    public init(stack: String, service: String, container: String, state: ContainerStatus.State) {
        self.stack = stack
        self.service = service
        self.container = container
        self.state = state
        outOfMemory = false
        restarts = 0
        probes = []
        log = []
    }
}

/// Body of `POST /stacks/{name}/wait`.
public struct WaitRequest: Codable, Equatable, Sendable {
    public enum Goal: String, Codable, Sendable, CaseIterable {
        /// Every replica runs.
        case running
        /// Every replica's healthcheck says so; without one it runs.
        case healthy
        /// Every replica has ended with 0.
        case completed
        /// As many replicas as there should be, each healthy or, for a job, ended with 0.
        case converged
    }
    /// Empty: all.
    public var services: [String]
    public var goal: Goal
    /// Nanoseconds; `nil`: no limit.
    public var timeout: Int64?

    public init(services: [String] = [], goal: Goal = .converged, timeout: Int64? = nil) {
        self.services = services
        self.goal = goal
        self.timeout = timeout
    }
}
