import StackModel

// What the engine's API says and hears under /stacks. JSON, keys as written here. Shapes of the Docker Engine API keep
// Docker's names (see DockerShapes.swift). Times are RFC 3339 with nanoseconds.

/// Body of a failed request; `message` is where Docker's clients look.
public struct ErrorReply: Codable, Equatable, Sendable {
    public var message: String
    public var diagnostics: [Diagnostic]

    public init(message: String, diagnostics: [Diagnostic] = []) {
        self.message = message
        self.diagnostics = diagnostics
    }
}

/// One line of the NDJSON stream that `apply`, `rollback`, `wait`, `down`, `start`, `stop`, `restart`, `kill` answer.
/// The last line is `.done` or `.failed`; a stream that ends without one was cut.
public enum ProgressEvent: Codable, Equatable, Sendable {
    public enum State: String, Codable, Sendable { case working, done, failed, waiting, warning }
    /// `name` is the engine name of the object, `status` what Compose would print: `Creating`, `Started`, `Healthy`.
    case object(kind: PlanReply.Change.Kind, name: String, state: State, status: String)
    case warning(Diagnostic)
    /// What is waited for, when that changes; empty: for nothing any more.
    case waiting([AwaitedContainer])
    /// Another command changes the stack; repeated every second or so while that is so.
    case locked(LockHolder)
    /// Before `.failed`, one for each replica that is not as it should be.
    case failure(FailureReport)
    case done(changes: Int)
    case failed([Diagnostic])
}

/// Body of `POST /stacks/{name}/plan` and `/apply`.
public struct ApplyRequest: Codable, Equatable, Sendable {
    /// `nil`: the stack the engine already has (repair, `reconcile` without a file).
    public var stack: Stack?
    /// Only these services and what they depend on; empty: all.
    public var services: [String]
    /// `--scale`: kept for the service until the next `apply`.
    public var scale: [String: Int]
    public var forceRecreate: Bool
    public var noRecreate: Bool
    public var removeOrphans: Bool
    /// Create, but do not start.
    public var noStart: Bool
    /// Do not touch the services the named ones depend on.
    public var noDependencies: Bool
    /// End the stream only when every service is running and, with a healthcheck, healthy.
    public var wait: Bool
    /// Nanoseconds; `nil`: no limit.
    public var waitTimeout: Int64?
    /// What may be replaced although its data is lost: `volume.KEY`. `nil` is nothing.
    public var allowDestroy: [String]?
    /// What would have to be destroyed, and is not named in `allowDestroy`: refuse, instead of leaving it as it is.
    public var refusesDestruction: Bool?
    /// A plan that was saved; the stack is in it, and so is what must be as it was then.
    public var saved: SavedPlan?
    /// `plan`: also what is needed to apply it later, without the stack file.
    public var savesPlan: Bool?
    /// Volumes, by key or engine name, that are made anew and empty where they are gone.
    @Sparse public var recreatedVolumes: [String] = []

    public init(stack: Stack?, services: [String] = [], scale: [String: Int] = [:]) {
        self.stack = stack
        self.services = services
        self.scale = scale
        forceRecreate = false
        noRecreate = false
        removeOrphans = false
        noStart = false
        noDependencies = false
        wait = false
    }
}

/// Body of `POST /stacks/{name}/rollback`.
public struct RollbackRequest: Codable, Equatable, Sendable {
    /// Number of a revision; `nil`: the last before the present one that worked.
    public var to: Int?
    /// End the stream only when every service is where it should be.
    public var wait: Bool
    /// Nanoseconds; `nil`: no limit.
    public var waitTimeout: Int64?

    public init(to: Int? = nil, wait: Bool = true, waitTimeout: Int64? = nil) {
        self.to = to
        self.wait = wait
        self.waitTimeout = waitTimeout
    }
}

/// One of `GET /stacks/{name}/revisions`, oldest first.
public struct RevisionSummary: Codable, Equatable, Sendable {
    public var number: Int
    public var createdAt: String
    /// What made it: `apply`, `rollback to 3`.
    public var cause: String
    /// Every service reached its goal with it.
    public var isStable: Bool
    public var isCurrent: Bool
    /// Service to image, as the stack file names it.
    public var images: [String: String]
    /// Service to image id.
    public var imageIDs: [String: String]

    public init(
        number: Int, createdAt: String, cause: String, isStable: Bool, isCurrent: Bool, images: [String: String],
        imageIDs: [String: String]
    ) {
        self.number = number
        self.createdAt = createdAt
        self.cause = cause
        self.isStable = isStable
        self.isCurrent = isCurrent
        self.images = images
        self.imageIDs = imageIDs
    }
}

/// Body of `POST /stacks/{name}/down`.
public struct DownRequest: Codable, Equatable, Sendable {
    public var volumes: Bool
    public var removeOrphans: Bool
    /// `nil`, `local` or `all`.
    public var removeImages: String?
    /// Nanoseconds; overrides each service's grace period.
    public var timeout: Int64?

    public init(volumes: Bool = false, removeOrphans: Bool = false, timeout: Int64? = nil) {
        self.volumes = volumes
        self.removeOrphans = removeOrphans
        self.timeout = timeout
    }
}

/// Body of `POST /stacks/{name}/start|stop|restart|kill`.
public struct ServicesRequest: Codable, Equatable, Sendable {
    /// Empty: all.
    public var services: [String]
    public var timeout: Int64?
    /// For `kill`.
    public var signal: String?

    public init(services: [String] = [], timeout: Int64? = nil, signal: String? = nil) {
        self.services = services
        self.timeout = timeout
        self.signal = signal
    }
}

/// Body of `POST /stacks/{name}/run`: makes (does not start) a one-off container of a service. Answer: `RunReply`.
public struct RunRequest: Codable, Equatable, Sendable {
    public var stack: Stack
    public var service: String
    public var command: [String]?
    public var entrypoint: [String]?
    public var environment: [String: String?]
    public var user: String?
    public var workingDirectory: String?
    public var name: String?
    public var tty: Bool
    public var stdinOpen: Bool
    /// Publish the service's ports too.
    public var servicePorts: Bool
    public var noDependencies: Bool
    /// Remove the container when it ends.
    public var remove: Bool
    public var labels: [String: String]

    public init(stack: Stack, service: String) {
        self.stack = stack
        self.service = service
        environment = [:]
        tty = false
        stdinOpen = false
        servicePorts = false
        noDependencies = false
        remove = false
        labels = [:]
    }
}

public struct RunReply: Codable, Equatable, Sendable {
    public var id: String
    public var name: String

    public init(id: String, name: String) {
        self.id = id
        self.name = name
    }
}

/// One stack in `GET /stacks`.
public struct StackSummary: Codable, Equatable, Sendable {
    public var name: String
    public var configFiles: [String]
    /// Container state to number, e.g. `running: 5`.
    public var states: [String: Int]

    public init(name: String, configFiles: [String], states: [String: Int]) {
        self.name = name
        self.configFiles = configFiles
        self.states = states
    }
}

/// One container in `GET /stacks/{name}/containers`.
public struct ContainerStatus: Codable, Equatable, Sendable {
    public enum State: String, CaseIterable, Codable, Sendable {
        case created, running, paused, restarting, exited, dead
    }
    public enum Health: String, CaseIterable, Codable, Sendable { case starting, healthy, unhealthy }
    public struct PublishedPort: Codable, Hashable, Sendable {
        public var hostIP: String
        public var published: UInt16
        public var target: UInt16
        public var transport: Port.Transport

        public init(hostIP: String, published: UInt16, target: UInt16, transport: Port.Transport) {
            self.hostIP = hostIP
            self.published = published
            self.target = target
            self.transport = transport
        }
    }
    /// 64 hex digits.
    public var id: String
    public var name: String
    public var stack: String
    public var service: String
    public var number: Int
    public var oneOff: Bool
    public var image: String
    /// As one line, quoted where needed.
    public var command: String
    public var state: State
    public var health: Health?
    /// When it is not running.
    public var exitCode: Int?
    public var pid: Int?
    public var createdAt: String
    public var startedAt: String?
    public var finishedAt: String?
    public var restarts: Int
    public var ports: [PublishedPort]
    /// Engine network name to address.
    public var addresses: [String: String]
    public var tty: Bool
    public var labels: [String: String]
    /// Why it is not running, when the engine knows: `executable not found`, `restarting in 4 s`.
    public var note: String?

    public init(
        id: String, name: String, stack: String, service: String, number: Int, oneOff: Bool, image: String,
        command: String, state: State, createdAt: String
    ) {
        self.id = id
        self.name = name
        self.stack = stack
        self.service = service
        self.number = number
        self.oneOff = oneOff
        self.image = image
        self.command = command
        self.state = state
        self.createdAt = createdAt
        restarts = 0
        ports = []
        addresses = [:]
        tty = false
        labels = [:]
    }
}
