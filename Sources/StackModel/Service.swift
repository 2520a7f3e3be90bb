/// One service of a stack. Optional means "the stack file does not say"; the image or the engine decides then.
/// Names follow the Compose Specification, chapter services. Durations are nanoseconds, sizes bytes.
public struct Service: Codable, Equatable, Sendable {
    /// The image's reference; `<stack>-<service>` for one that is built and not named. Empty with `provider`.
    public var image: String
    public var build: Build?
    public var pullPolicy: PullPolicy?
    /// `os/arch[/variant]`.
    public var platform: String?

    // MARK: What runs
    public var command: [String]?
    public var entrypoint: [String]?
    /// `nil` value: set in the file without a value and not found in the environment, so it is unset in the container.
    @Sparse public var environment: [String: String?] = [:]
    public var user: String?
    public var workingDirectory: String?
    /// Run an init as process 1 that forwards signals and reaps.
    public var initProcess: Bool?
    @Switch public var tty: Bool = false
    @Switch public var stdinOpen: Bool = false
    /// `up` shows its output; `nil` is yes.
    public var attach: Bool?
    public var healthcheck: Healthcheck?
    @Sparse public var preStart: [Hook] = []
    @Sparse public var postStart: [Hook] = []
    @Sparse public var preStop: [Hook] = []
    public var stopSignal: String?
    public var stopGracePeriod: Int64?
    /// An external program that provides the service instead of a container.
    public var provider: Provider?
    public var develop: Develop?

    // MARK: How it is deployed
    /// `deploy.replicas`, else `scale`, else 1.
    public var replicas: Int
    public var restart: RestartPolicy
    public var deploy: Deploy?
    @Sparse public var dependsOn: [String: Dependency] = [:]
    @Sparse public var profiles: [String] = []
    public var gantry: ServiceOptions?

    // MARK: Identity
    public var containerName: String?
    public var hostname: String?
    public var domainname: String?
    @Sparse public var labels: [String: String] = [:]
    /// OCI annotations of the container.
    @Sparse public var annotations: [String: String] = [:]
    public var logging: Logging?

    // MARK: What it sees
    @Sparse public var mounts: [Mount] = []
    /// `SERVICE[:ro|rw]` or `container:NAME[:ro|rw]`.
    @Sparse public var volumesFrom: [String] = []
    @Sparse public var configs: [FileMount] = []
    @Sparse public var secrets: [FileMount] = []
    /// `HOST:CONTAINER:PERMISSIONS`, or the name of a CDI device.
    @Sparse public var devices: [String] = []
    @Sparse public var deviceCgroupRules: [String] = []
    /// Of `gpus` and of `deploy.resources.reservations.devices`.
    @Sparse public var deviceRequests: [DeviceRequest] = []
    @Switch public var readOnly: Bool = false
    public var shmSize: Int64?
    @Sparse public var storageOptions: [String: String] = [:]
    /// Mounts the engine's socket and registry credentials.
    @Switch public var useAPISocket: Bool = false

    // MARK: Who sees it
    @Sparse public var ports: [Port] = []
    /// Ports the image is told to listen on, `PORT[-PORT][/PROTOCOL]`; nothing is opened by them.
    @Sparse public var expose: [String] = []
    /// Keyed by the stack's network key. Never empty together with `networkMode == nil`: `default` is filled in.
    @Sparse public var networks: [String: NetworkAttachment] = [:]
    /// `none`, `host`, `service:NAME`, `container:NAME`; `nil` for attached networks.
    public var networkMode: String?
    /// `SERVICE[:ALIAS]`.
    @Sparse public var links: [String] = []
    /// `CONTAINER[:ALIAS]`.
    @Sparse public var externalLinks: [String] = []
    @Sparse public var extraHosts: [ExtraHost] = []
    @Sparse public var dns: [String] = []
    @Sparse public var dnsSearch: [String] = []
    @Sparse public var dnsOptions: [String] = []
    /// Keyed by the stack's model key.
    @Sparse public var models: [String: ModelBinding] = [:]

    // MARK: Confinement
    @Switch public var privileged: Bool = false
    @Sparse public var capAdd: [String] = []
    @Sparse public var capDrop: [String] = []
    @Sparse public var securityOptions: [String] = []
    @Sparse public var groupAdd: [String] = []
    public var pidMode: String?
    public var ipcMode: String?
    public var usernsMode: String?
    public var utsMode: String?
    /// `host` or `private`.
    public var cgroupMode: String?
    public var cgroupParent: String?
    public var runtime: String?
    public var isolation: String?
    public var credentialSpec: CredentialSpec?
    @Sparse public var sysctls: [String: String] = [:]

    // MARK: Limits
    public var resources: Resources
    public var reservations: Reservations?
    /// Name (`nofile`) to limits; -1 is unlimited.
    @Sparse public var ulimits: [String: Ulimit] = [:]
    public var oomScoreAdjust: Int?
    public var oomKillDisable: Bool?

    public init(image: String) {
        self.image = image
        replicas = 1
        restart = RestartPolicy(mode: .no)
        resources = Resources()
    }
}

public struct Dependency: Codable, Equatable, Sendable {
    public enum Condition: String, Codable, Sendable {
        case started = "service_started"
        case healthy = "service_healthy"
        case completed = "service_completed_successfully"
    }
    public var condition: Condition
    /// Restart the dependent when the dependency is restarted or replaced by a command.
    public var restart: Bool
    /// `false`: a dependency that is missing or fails is only worth a warning.
    public var required: Bool

    public init(condition: Condition, restart: Bool = false, required: Bool = true) {
        self.condition = condition
        self.restart = restart
        self.required = required
    }
}

public struct Healthcheck: Codable, Equatable, Sendable {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`; `nil` keeps the image's.
    public var test: [String]?
    public var interval: Int64?
    public var timeout: Int64?
    public var retries: Int?
    public var startPeriod: Int64?
    public var startInterval: Int64?

    public init(test: [String]? = nil) { self.test = test }
}

/// A command run at a moment of a container's life.
public struct Hook: Codable, Equatable, Sendable {
    @Sparse public var command: [String] = []
    public var user: String?
    @Switch public var privileged: Bool = false
    public var workingDirectory: String?
    @Sparse public var environment: [String: String?] = [:]
    /// `pre_start`: the image of the container it runs in; `nil` is the service's.
    public var image: String?
    /// `pre_start`: once for each replica instead of once for the service.
    @Switch public var perReplica: Bool = false

    public init(command: [String] = []) { self.command = command }
}

public struct RestartPolicy: Codable, Equatable, Sendable {
    public enum Mode: String, Codable, Sendable {
        case no, always
        case onFailure = "on-failure"
        case unlessStopped = "unless-stopped"
    }
    public var mode: Mode
    /// For `on-failure`; `nil` is no limit.
    public var attemptsMax: Int?
    /// Wait before a restart; `nil` leaves it to the engine's back-off.
    public var delay: Int64?
    /// How long a restart must hold before it counts as successful.
    public var window: Int64?

    public init(mode: Mode, attemptsMax: Int? = nil) {
        self.mode = mode
        self.attemptsMax = attemptsMax
    }
}

public struct Ulimit: Codable, Equatable, Sendable {
    public var soft: Int64
    public var hard: Int64

    public init(soft: Int64, hard: Int64) {
        self.soft = soft
        self.hard = hard
    }
}

public struct Logging: Codable, Equatable, Sendable {
    public var driver: String?
    @Sparse public var options: [String: String] = [:]

    public init(driver: String? = nil) { self.driver = driver }
}

/// Credentials of a Windows container; carried, never acted on.
public struct CredentialSpec: Codable, Equatable, Sendable {
    public var config: String?
    public var file: String?
    public var registry: String?

    public init() {}
}

/// Compose Specification, chapter provider.
public struct Provider: Codable, Equatable, Sendable {
    public var type: String
    @Sparse public var options: [String: [String]] = [:]

    public init(type: String) { self.type = type }
}

/// How a service learns of a model: the names of the variables it is given.
public struct ModelBinding: Codable, Equatable, Sendable {
    /// `nil`: `<MODEL>_URL`.
    public var endpointVariable: String?
    /// `nil`: `<MODEL>_MODEL`.
    public var modelVariable: String?

    public init() {}
}
