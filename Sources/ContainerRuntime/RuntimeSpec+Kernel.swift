import SupervisorPlan

extension RuntimeSpec {
    /// `process.scheduler`, sched_setattr(2).
    public struct Scheduler: Codable, Equatable, Sendable {
        /// `SCHED_OTHER`, `SCHED_FIFO`, …
        public var policy: String
        public var nice: Int32?
        public var priority: Int32?
        /// `SCHED_FLAG_*`.
        public var flags: [String]?
        /// Nanoseconds.
        public var runtime: UInt64?
        public var deadline: UInt64?
        public var period: UInt64?

        public init(policy: String) { self.policy = policy }
    }

    /// `process.ioPriority`, ioprio_set(2).
    public struct IOPriority: Codable, Equatable, Sendable {
        /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`; `class` in the file.
        public var kind: String
        /// 0 (first) to 7.
        public var priority: Int

        enum CodingKeys: String, CodingKey {
            case kind = "class"
            case priority
        }

        public init(kind: String, priority: Int) {
            self.kind = kind
            self.priority = priority
        }
    }

    /// `process.execCPUAffinity`: lists as in cpuset(7).
    public struct ExecCPUAffinity: Codable, Equatable, Sendable {
        public var initial: String?
        public var final: String?

        public init(initial: String? = nil, final: String? = nil) {
            self.initial = initial
            self.final = final
        }
    }

    /// `linux.timeOffsets`, by clock: `monotonic` and `boottime`.
    public struct TimeOffset: Codable, Equatable, Sendable {
        public var secs: Int64?
        public var nanosecs: UInt32?

        public init(secs: Int64, nanosecs: UInt32 = 0) {
            self.secs = secs
            self.nanosecs = nanosecs
        }
    }

    /// `linux.personality`, personality(2).
    public struct Personality: Codable, Equatable, Sendable {
        /// `LINUX` or `LINUX32`.
        public var domain: String
        public var flags: [String]?

        public init(domain: String) { self.domain = domain }
    }

    /// `linux.memoryPolicy`, set_mempolicy(2).
    public struct MemoryPolicy: Codable, Equatable, Sendable {
        /// `MPOL_BIND` and so on.
        public var mode: String
        /// A list of nodes, `0-1,3`.
        public var nodes: String?
        /// `MPOL_F_*`.
        public var flags: [String]?

        public init(mode: String, nodes: String? = nil) {
            self.mode = mode
            self.nodes = nodes
        }
    }
}
