/// Compose Deploy Specification, without replicas, limits and the restart policy, which `Service` has.
public struct Deploy: Codable, Equatable, Sendable {
    public enum Mode: String, CaseIterable, Codable, Sendable {
        case replicated, global
        case replicatedJob = "replicated-job"
        case globalJob = "global-job"
    }

    public enum EndpointMode: String, CaseIterable, Codable, Sendable { case vip, dnsrr }

    public struct Placement: Codable, Equatable, Sendable {
        @Sparse public var constraints: [String] = []
        /// Labels to spread over.
        @Sparse public var spread: [String] = []
        public var replicasPerNodeMax: Int?

        public init() {}
    }

    public var mode: Mode?
    public var endpointMode: EndpointMode?
    /// Labels of the service, not of its containers.
    @Sparse public var labels: [String: String] = [:]
    public var update: UpdateConfig?
    public var rollback: UpdateConfig?
    public var placement: Placement?

    public init() {}
}

/// `update_config` and `rollback_config`; `nil` leaves it to the engine.
public struct UpdateConfig: Codable, Equatable, Sendable {
    public enum FailureAction: String, CaseIterable, Codable, Sendable { case `continue`, rollback, pause }
    public enum Order: String, CaseIterable, Codable, Sendable {
        case stopFirst = "stop-first"
        case startFirst = "start-first"
    }
    /// Replicas at a time; 0 is all.
    public var parallelism: Int?
    public var delay: Int64?
    public var failureAction: FailureAction?
    public var monitor: Int64?
    /// Share of replicas that may fail, 0 to 1.
    public var failureRatioMax: Double?
    public var order: Order?

    public init() {}
}

/// Upper limits of a container.
public struct Resources: Codable, Equatable, Sendable {
    /// Limit in bytes.
    public var memory: Int64?
    public var memoryReservation: Int64?
    /// Memory plus swap, bytes; -1 is unlimited.
    public var memorySwap: Int64?
    /// 1 to 100.
    public var memorySwappiness: Int64?
    /// Billionths of one CPU.
    public var nanoCPUs: Int64?
    public var cpuShares: Int64?
    /// Microseconds of CPU time in each period.
    public var cpuQuota: Int64?
    /// Microseconds.
    public var cpuPeriod: Int64?
    /// Microseconds of real-time scheduling.
    public var cpuRealtimePeriod: Int64?
    public var cpuRealtimeRuntime: Int64?
    public var cpuset: String?
    /// Windows: number and share of CPUs.
    public var cpuCount: Int64?
    public var cpuPercent: Double?
    public var pids: Int64?
    public var blockIO: BlockIO?

    public init() {}
}

/// Weights and rates of block devices.
public struct BlockIO: Codable, Equatable, Sendable {
    public struct Weight: Codable, Equatable, Sendable {
        public var path: String
        public var weight: Int64

        public init(path: String, weight: Int64) {
            self.path = path
            self.weight = weight
        }
    }

    public struct Rate: Codable, Equatable, Sendable {
        public var path: String
        /// Bytes or operations a second.
        public var rate: Int64

        public init(path: String, rate: Int64) {
            self.path = path
            self.rate = rate
        }
    }

    /// 10 to 1000.
    public var weight: Int64?
    @Sparse public var deviceWeights: [Weight] = []
    @Sparse public var readBytes: [Rate] = []
    @Sparse public var readOperations: [Rate] = []
    @Sparse public var writeBytes: [Rate] = []
    @Sparse public var writeOperations: [Rate] = []

    public init() {}
}

/// What a service asks to be set aside for it, besides memory.
public struct Reservations: Codable, Equatable, Sendable {
    public struct GenericResource: Codable, Equatable, Sendable {
        public var kind: String
        public var value: Int64

        public init(kind: String, value: Int64) {
            self.kind = kind
            self.value = value
        }
    }

    public var nanoCPUs: Int64?
    @Sparse public var genericResources: [GenericResource] = []

    public init() {}
}

/// Devices asked for by what they can do.
public struct DeviceRequest: Codable, Equatable, Sendable {
    @Sparse public var capabilities: [String] = []
    public var driver: String?
    /// -1 is all.
    public var count: Int64?
    @Sparse public var deviceIDs: [String] = []
    @Sparse public var options: [String: String] = [:]

    public init() {}
}
