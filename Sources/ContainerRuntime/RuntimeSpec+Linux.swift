extension RuntimeSpec {
    public struct Linux: Codable, Equatable, Sendable {
        public var namespaces: [Namespace]
        public var resources: Resources
        /// Names with dots, or with slashes where a part holds a dot itself.
        public var sysctl: [String: String]
        /// `nil`: the launch request decides between the standard profile and none.
        public var seccomp: Seccomp?
        public var maskedPaths: [String]
        public var readonlyPaths: [String]
        /// Used by `gantry-oci`; the engine's containers have `<parent>/<id>`.
        public var cgroupsPath: String?
        public var devices: [Device]
        public var rootfsPropagation: String?

        public init() {
            namespaces = []
            resources = Resources()
            sysctl = [:]
            maskedPaths = []
            readonlyPaths = []
            devices = []
        }

        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            namespaces = try values.decodeIfPresent([Namespace].self, forKey: .namespaces) ?? []
            resources = try values.decodeIfPresent(Resources.self, forKey: .resources) ?? Resources()
            sysctl = try values.decodeIfPresent([String: String].self, forKey: .sysctl) ?? [:]
            seccomp = try values.decodeIfPresent(Seccomp.self, forKey: .seccomp)
            maskedPaths = try values.decodeIfPresent([String].self, forKey: .maskedPaths) ?? []
            readonlyPaths = try values.decodeIfPresent([String].self, forKey: .readonlyPaths) ?? []
            cgroupsPath = try values.decodeIfPresent(String.self, forKey: .cgroupsPath)
            devices = try values.decodeIfPresent([Device].self, forKey: .devices) ?? []
            rootfsPropagation = try values.decodeIfPresent(String.self, forKey: .rootfsPropagation)
        }
    }

    public struct Namespace: Codable, Equatable, Sendable {
        public enum Kind: String, Codable, Sendable, CaseIterable {
            case mount, pid, network, ipc, uts, cgroup, user, time
        }
        public var type: Kind
        /// Joined when given; a new one is made otherwise.
        public var path: String?

        public init(_ type: Kind, path: String? = nil) {
            self.type = type
            self.path = path
        }
    }

    public struct Resources: Codable, Equatable, Sendable {
        public var memory: Memory?
        public var cpu: CPU?
        public var pids: PIDs?
        /// Empty: every device is allowed.
        public var devices: [DeviceRule]?

        public init() {}

        public struct Memory: Codable, Equatable, Sendable {
            /// Bytes; -1 is unlimited.
            public var limit: Int64?
            public var reservation: Int64?
            /// Memory plus swap.
            public var swap: Int64?

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
            /// Microseconds.
            public var period: UInt64?
            /// Lists as in cpuset(7), `0-3,5`.
            public var cpus: String?
            public var mems: String?

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
            /// Zero or less is unlimited.
            public var limit: Int64

            public init(limit: Int64) { self.limit = limit }
        }
    }

    /// One line of the device allow list: later rules win.
    public struct DeviceRule: Codable, Equatable, Sendable {
        public var allow: Bool
        /// `a`, `b` or `c`; absent is `a`.
        public var type: String?
        /// Absent or -1 is every number.
        public var major: Int64?
        public var minor: Int64?
        /// Some of `rwm`.
        public var access: String?

        public init(
            allow: Bool, type: String? = nil, major: Int64? = nil, minor: Int64? = nil, access: String? = "rwm"
        ) {
            self.allow = allow
            self.type = type
            self.major = major
            self.minor = minor
            self.access = access
        }
    }

    public struct Device: Codable, Equatable, Sendable {
        /// `c`, `b`, `u` or `p`.
        public var type: String
        public var path: String
        public var major: Int64?
        public var minor: Int64?
        public var fileMode: UInt32?
        public var uid: UInt32?
        public var gid: UInt32?

        public init(type: String, path: String, major: Int64? = nil, minor: Int64? = nil, fileMode: UInt32? = nil) {
            self.type = type
            self.path = path
            self.major = major
            self.minor = minor
            self.fileMode = fileMode
        }
    }

    /// A seccomp profile, seccomp(2); actions, architectures and operators by libseccomp's names.
    public struct Seccomp: Codable, Equatable, Sendable {
        public var defaultAction: String
        public var defaultErrnoRet: UInt32?
        public var architectures: [String]?
        public var flags: [String]?
        public var syscalls: [Rule]?

        public init(defaultAction: String, defaultErrnoRet: UInt32? = nil, syscalls: [Rule] = []) {
            self.defaultAction = defaultAction
            self.defaultErrnoRet = defaultErrnoRet
            self.syscalls = syscalls
        }

        public struct Rule: Codable, Equatable, Sendable {
            public var names: [String]
            public var action: String
            public var errnoRet: UInt32?
            public var args: [Argument]?

            public init(names: [String], action: String, errnoRet: UInt32? = nil, args: [Argument] = []) {
                self.names = names
                self.action = action
                self.errnoRet = errnoRet
                self.args = args
            }
        }

        public struct Argument: Codable, Equatable, Sendable {
            public var index: UInt32
            public var value: UInt64
            public var valueTwo: UInt64?
            public var op: String

            public init(index: UInt32, value: UInt64, valueTwo: UInt64? = nil, op: String) {
                self.index = index
                self.value = value
                self.valueTwo = valueTwo
                self.op = op
            }
        }
    }
}
