extension RuntimeSpec {
    /// `linux.resources` of the runtime specification, under its JSON names. What is absent stays as the kernel or an
    /// earlier call has set it; a zero where zero makes no sense counts as absent, as in runc.
    public struct Resources: Codable, Equatable, Sendable {
        public var memory: Memory?
        public var cpu: CPU?
        public var pids: PIDs?
        /// Empty: every device is allowed.
        public var devices: [DeviceRule]?
        public var blockIO: BlockIO?
        public var hugepageLimits: [HugepageLimit]?
        public var network: Network?
        /// By name of the device, such as `mlx5_1`.
        public var rdma: [String: RDMA]?
        /// Control files of cgroup v2, written as they stand after everything else.
        public var unified: [String: String]?

        public init() {}

        public struct Memory: Codable, Equatable, Sendable {
            /// Bytes; -1 is unlimited.
            public var limit: Int64?
            /// Bytes the kernel tries to leave to the container; -1 is unlimited on v1.
            public var reservation: Int64?
            /// Memory plus swap, bytes; -1 is unlimited.
            public var swap: Int64?
            /// Gone from the kernel: ignored with a warning.
            public var kernel: Int64?
            /// Bytes of TCP buffers, v1 only and gone from newer kernels: a warning where it cannot be set.
            public var kernelTCP: Int64?
            /// 0 to 100, v1 only.
            public var swappiness: UInt64?
            /// v1 only: out of memory, processes wait instead of being killed.
            public var disableOOMKiller: Bool?
            /// v1 only, and always on in newer kernels.
            public var useHierarchy: Bool?
            /// Refuses to lower the limit of a live container below what it uses; v2 would kill.
            public var checkBeforeUpdate: Bool?

            public init(limit: Int64? = nil, reservation: Int64? = nil, swap: Int64? = nil) {
                self.limit = limit
                self.reservation = reservation
                self.swap = swap
            }
        }

        public struct CPU: Codable, Equatable, Sendable {
            /// Relative weight, 1024 by default.
            public var shares: UInt64?
            /// Microseconds of processor time in each period; -1 is unlimited.
            public var quota: Int64?
            /// Microseconds that unused quota may add up to.
            public var burst: UInt64?
            /// Microseconds.
            public var period: UInt64?
            /// Microseconds of real-time scheduling in each `realtimePeriod`, v1 only.
            public var realtimeRuntime: Int64?
            /// Microseconds.
            public var realtimePeriod: UInt64?
            /// Lists as in cpuset(7), `0-3,5`.
            public var cpus: String?
            public var mems: String?
            /// 1: runs only when nothing else wants the processor.
            public var idle: Int64?

            public init() {}

            /// Docker's `--cpus` in billionths of a processor, over a period of 100 ms.
            public mutating func setNanoCPUs(_ nanoCPUs: Int64) {
                let period: Int64 = 100_000
                self.period = UInt64(period)
                // The kernel's smallest quota is 1 ms.
                quota = max(nanoCPUs / (1_000_000_000 / period), 1_000)
            }
        }

        public struct PIDs: Codable, Equatable, Sendable {
            /// Processes and threads: below zero is unlimited, zero counts as one, since specification 1.3.
            public var limit: Int64?

            public init(limit: Int64) { self.limit = limit }
        }

        public struct BlockIO: Codable, Equatable, Sendable {
            /// 10 to 1000.
            public var weight: UInt16?
            /// Gone from the kernel: ignored with a warning.
            public var leafWeight: UInt16?
            public var weightDevice: [WeightDevice]?
            /// Bytes a second.
            public var throttleReadBpsDevice: [ThrottleDevice]?
            public var throttleWriteBpsDevice: [ThrottleDevice]?
            /// Operations a second.
            public var throttleReadIOPSDevice: [ThrottleDevice]?
            public var throttleWriteIOPSDevice: [ThrottleDevice]?

            public init() {}
        }

        public struct WeightDevice: Codable, Equatable, Sendable {
            public var major: Int64
            public var minor: Int64
            public var weight: UInt16?
            public var leafWeight: UInt16?

            public init(major: Int64, minor: Int64, weight: UInt16?) {
                self.major = major
                self.minor = minor
                self.weight = weight
            }
        }

        public struct ThrottleDevice: Codable, Equatable, Sendable {
            public var major: Int64
            public var minor: Int64
            /// A second; 0 is unlimited.
            public var rate: UInt64

            public init(major: Int64, minor: Int64, rate: UInt64) {
                self.major = major
                self.minor = minor
                self.rate = rate
            }
        }

        public struct HugepageLimit: Codable, Equatable, Sendable {
            /// As the kernel names its files: `2MB`, `1GB`, `64KB`.
            public var pageSize: String
            /// Bytes.
            public var limit: UInt64

            public init(pageSize: String, limit: UInt64) {
                self.pageSize = pageSize
                self.limit = limit
            }
        }

        public struct Network: Codable, Equatable, Sendable {
            /// v1 `net_cls`.
            public var classID: UInt32?
            /// v1 `net_prio`.
            public var priorities: [Priority]?

            public init() {}

            public struct Priority: Codable, Equatable, Sendable {
                /// Of the network interface.
                public var name: String
                public var priority: UInt32

                public init(name: String, priority: UInt32) {
                    self.name = name
                    self.priority = priority
                }
            }
        }

        public struct RDMA: Codable, Equatable, Sendable {
            public var hcaHandles: UInt32?
            public var hcaObjects: UInt32?

            public init() {}
        }
    }
}
