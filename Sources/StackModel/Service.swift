/// One service of a stack. Optional means "the stack file does not say"; the image or the engine decides then.
/// Field names follow the Compose Specification. Durations are nanoseconds, sizes bytes.
public struct Service: Codable, Equatable, Sendable {
    public var image: String
    public var command: [String]?
    public var entrypoint: [String]?
    /// `nil` value: set in the file without a value and not found in the environment, so it is unset in the container.
    public var environment: [String: String?]
    public var dependsOn: [String: Dependency]
    public var ports: [Port]
    public var mounts: [Mount]
    /// Keyed by the stack's network key. Never empty together with `networkMode == nil`: `default` is filled in.
    public var networks: [String: NetworkAttachment]
    /// `none`, `host`, `service:NAME`, `container:NAME`; `nil` for attached networks.
    public var networkMode: String?
    public var configs: [FileMount]
    public var secrets: [FileMount]
    public var healthcheck: Healthcheck?
    /// `deploy.replicas`, else `scale`, else 1.
    public var replicas: Int
    public var restart: RestartPolicy
    public var user: String?
    public var workingDirectory: String?
    public var hostname: String?
    public var domainname: String?
    public var containerName: String?
    public var labels: [String: String]
    /// Run an init as process 1 that forwards signals and reaps.
    public var initProcess: Bool?
    public var readOnly: Bool
    public var privileged: Bool
    public var tty: Bool
    public var stdinOpen: Bool
    public var capAdd: [String]
    public var capDrop: [String]
    public var stopSignal: String?
    public var stopGracePeriod: Int64?
    public var resources: Resources
    /// Name (`nofile`) to limits; -1 is unlimited.
    public var ulimits: [String: Ulimit]
    public var sysctls: [String: String]
    public var extraHosts: [ExtraHost]
    public var dns: [String]
    public var dnsSearch: [String]
    public var dnsOptions: [String]
    public var groupAdd: [String]
    public var shmSize: Int64?
    public var securityOptions: [String]
    public var devices: [String]
    public var oomScoreAdjust: Int?
    public var pidMode: String?
    public var ipcMode: String?
    public var profiles: [String]

    public init(image: String) {
        self.image = image
        environment = [:]
        dependsOn = [:]
        ports = []
        mounts = []
        networks = [:]
        configs = []
        secrets = []
        replicas = 1
        restart = RestartPolicy(mode: .no)
        labels = [:]
        readOnly = false
        privileged = false
        tty = false
        stdinOpen = false
        capAdd = []
        capDrop = []
        resources = Resources()
        ulimits = [:]
        sysctls = [:]
        extraHosts = []
        dns = []
        dnsSearch = []
        dnsOptions = []
        groupAdd = []
        securityOptions = []
        devices = []
        profiles = []
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

/// One published (or, with `published == nil`, one ephemeral) port; ranges are expanded into one `Port` each.
public struct Port: Codable, Hashable, Sendable {
    public enum Transport: String, Codable, Sendable, Comparable {
        case sctp, tcp, udp
        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }
    public var target: UInt16
    /// `nil`: the engine chooses a free port.
    public var published: UInt16?
    public var hostIP: String?
    public var transport: Transport

    public init(target: UInt16, published: UInt16? = nil, hostIP: String? = nil, transport: Transport = .tcp) {
        self.target = target
        self.published = published
        self.hostIP = hostIP
        self.transport = transport
    }
}

public struct Mount: Codable, Equatable, Sendable {
    public enum Kind: String, Codable, Sendable { case bind, tmpfs, volume }
    public var kind: Kind
    /// Bind: absolute host path. Volume: the stack's volume key, `nil` for an anonymous volume. Tmpfs: `nil`.
    public var source: String?
    public var target: String
    public var readOnly: Bool
    /// Bind: make a missing source folder (short syntax does).
    public var createHostPath: Bool
    /// Bind: `rprivate`, `rslave`, `rshared`, `private`, `slave`, `shared`.
    public var propagation: String?
    /// Volume: do not copy the image's content at `target` into a new volume.
    public var noCopy: Bool
    /// Tmpfs: bytes.
    public var size: Int64?
    /// Tmpfs: permission bits.
    public var mode: UInt32?

    public init(kind: Kind, source: String? = nil, target: String, readOnly: Bool = false) {
        self.kind = kind
        self.source = source
        self.target = target
        self.readOnly = readOnly
        createHostPath = false
        noCopy = false
    }
}

public struct NetworkAttachment: Codable, Equatable, Sendable {
    public var aliases: [String]
    public var ipv4Address: String?
    public var ipv6Address: String?
    /// The network with the highest priority gives the default route.
    public var gatewayPriority: Int
    public var macAddress: String?

    public init(aliases: [String] = []) {
        self.aliases = aliases
        gatewayPriority = 0
    }
}

/// A config or secret as one service sees it.
public struct FileMount: Codable, Equatable, Sendable {
    /// Key in the stack's `configs` or `secrets`.
    public var source: String
    /// Absolute path in the container (`/NAME` for configs, `/run/secrets/NAME` for secrets by default).
    public var target: String
    public var uid: UInt32
    public var gid: UInt32
    public var mode: UInt32

    public init(source: String, target: String, uid: UInt32 = 0, gid: UInt32 = 0, mode: UInt32 = 0o444) {
        self.source = source
        self.target = target
        self.uid = uid
        self.gid = gid
        self.mode = mode
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

public struct RestartPolicy: Codable, Equatable, Sendable {
    public enum Mode: String, Codable, Sendable {
        case no, always
        case onFailure = "on-failure"
        case unlessStopped = "unless-stopped"
    }
    public var mode: Mode
    /// For `on-failure`; `nil` is no limit.
    public var attemptsMax: Int?

    public init(mode: Mode, attemptsMax: Int? = nil) {
        self.mode = mode
        self.attemptsMax = attemptsMax
    }
}

public struct Resources: Codable, Equatable, Sendable {
    /// Limit in bytes.
    public var memory: Int64?
    public var memoryReservation: Int64?
    /// Memory plus swap, bytes; -1 is unlimited.
    public var memorySwap: Int64?
    /// Billionths of one CPU.
    public var nanoCPUs: Int64?
    public var cpuShares: Int64?
    public var cpuset: String?
    public var pids: Int64?

    public init() {}
}

public struct Ulimit: Codable, Equatable, Sendable {
    public var soft: Int64
    public var hard: Int64

    public init(soft: Int64, hard: Int64) {
        self.soft = soft
        self.hard = hard
    }
}

public struct ExtraHost: Codable, Equatable, Sendable {
    public var name: String
    /// An address or `host-gateway`.
    public var address: String

    public init(name: String, address: String) {
        self.name = name
        self.address = address
    }
}
