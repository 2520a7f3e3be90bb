import SupervisorPlan

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
        public var uidMappings: [IDMapping]
        public var gidMappings: [IDMapping]
        public var timeOffsets: [String: TimeOffset]
        public var personality: Personality?
        public var memoryPolicy: MemoryPolicy?
        /// SELinux label of what is mounted, for file systems that carry none.
        public var mountLabel: String?

        public init() {
            namespaces = []
            resources = Resources()
            sysctl = [:]
            maskedPaths = []
            readonlyPaths = []
            devices = []
            uidMappings = []
            gidMappings = []
            timeOffsets = [:]
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
            uidMappings = try values.decodeIfPresent([IDMapping].self, forKey: .uidMappings) ?? []
            gidMappings = try values.decodeIfPresent([IDMapping].self, forKey: .gidMappings) ?? []
            timeOffsets = try values.decodeIfPresent([String: TimeOffset].self, forKey: .timeOffsets) ?? [:]
            personality = try values.decodeIfPresent(Personality.self, forKey: .personality)
            memoryPolicy = try values.decodeIfPresent(MemoryPolicy.self, forKey: .memoryPolicy)
            mountLabel = try values.decodeIfPresent(String.self, forKey: .mountLabel)
        }
    }

    public struct Namespace: Codable, Equatable, Sendable {
        public enum Kind: String, Codable, Sendable, CaseIterable {
            case mount, pid, network, ipc, uts, cgroup, user, time
        }
        public var type: Kind
        /// Joined when given; a new one is made otherwise.
        public var path: String?

        /// Engines write an empty path too.
        var isNew: Bool { path?.isEmpty != false }

        public init(_ type: Kind, path: String? = nil) {
            self.type = type
            self.path = path
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
        /// A Unix socket of the host that gets the descriptor which answers `SCMP_ACT_NOTIFY`.
        public var listenerPath: String?
        /// Handed to the listener as it is.
        public var listenerMetadata: String?

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
