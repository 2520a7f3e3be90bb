import SupervisorPlan

/// The part of the OCI runtime specification's `config.json` that Gantry's runtime carries out, with its field names.
/// <https://github.com/opencontainers/runtime-spec/blob/main/config.md>
public struct RuntimeSpec: Codable, Equatable, Sendable {
    public var ociVersion: String
    public var process: Process
    public var root: Root
    public var hostname: String?
    public var domainname: String?
    public var mounts: [Mount]
    public var linux: Linux
    public var hooks: Hooks?
    public var annotations: [String: String]?

    public init(process: Process, root: Root = Root(), mounts: [Mount] = [], linux: Linux = Linux()) {
        ociVersion = "1.2.0"
        self.process = process
        self.root = root
        self.mounts = mounts
        self.linux = linux
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        ociVersion = try values.decode(String.self, forKey: .ociVersion)
        // It may be missing until the start.
        process = try values.decodeIfPresent(Process.self, forKey: .process) ?? Process(args: [])
        root = try values.decodeIfPresent(Root.self, forKey: .root) ?? Root()
        hostname = try values.decodeIfPresent(String.self, forKey: .hostname)
        domainname = try values.decodeIfPresent(String.self, forKey: .domainname)
        mounts = try values.decodeIfPresent([Mount].self, forKey: .mounts) ?? []
        linux = try values.decodeIfPresent(Linux.self, forKey: .linux) ?? Linux()
        hooks = try values.decodeIfPresent(Hooks.self, forKey: .hooks)
        annotations = try values.decodeIfPresent([String: String].self, forKey: .annotations)
    }
}

extension RuntimeSpec {
    public struct Process: Codable, Equatable, Sendable {
        public var args: [String]
        /// `NAME=value`.
        public var env: [String]
        public var cwd: String
        public var user: User
        public var capabilities: Capabilities
        public var rlimits: [Rlimit]
        public var noNewPrivileges: Bool
        public var terminal: Bool
        public var consoleSize: ConsoleSize?
        public var oomScoreAdj: Int?
        public var scheduler: Scheduler?
        public var ioPriority: IOPriority?
        public var execCPUAffinity: ExecCPUAffinity?
        public var apparmorProfile: String?
        public var selinuxLabel: String?

        public init(args: [String], env: [String] = [], cwd: String = "/") {
            self.args = args
            self.env = env
            self.cwd = cwd
            user = User()
            capabilities = Capabilities()
            rlimits = []
            noNewPrivileges = false
            terminal = false
        }

        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            args = try values.decodeIfPresent([String].self, forKey: .args) ?? []
            env = try values.decodeIfPresent([String].self, forKey: .env) ?? []
            cwd = try values.decode(String.self, forKey: .cwd)
            user = try values.decodeIfPresent(User.self, forKey: .user) ?? User()
            capabilities = try values.decodeIfPresent(Capabilities.self, forKey: .capabilities) ?? Capabilities()
            rlimits = try values.decodeIfPresent([Rlimit].self, forKey: .rlimits) ?? []
            noNewPrivileges = try values.decodeIfPresent(Bool.self, forKey: .noNewPrivileges) ?? false
            terminal = try values.decodeIfPresent(Bool.self, forKey: .terminal) ?? false
            consoleSize = try values.decodeIfPresent(ConsoleSize.self, forKey: .consoleSize)
            oomScoreAdj = try values.decodeIfPresent(Int.self, forKey: .oomScoreAdj)
            scheduler = try values.decodeIfPresent(Scheduler.self, forKey: .scheduler)
            ioPriority = try values.decodeIfPresent(IOPriority.self, forKey: .ioPriority)
            execCPUAffinity = try values.decodeIfPresent(ExecCPUAffinity.self, forKey: .execCPUAffinity)
            apparmorProfile = try values.decodeIfPresent(String.self, forKey: .apparmorProfile)
            selinuxLabel = try values.decodeIfPresent(String.self, forKey: .selinuxLabel)
        }
    }

    public struct ConsoleSize: Codable, Equatable, Sendable {
        public var height: UInt16
        public var width: UInt16

        public init(height: UInt16, width: UInt16) {
            self.height = height
            self.width = width
        }
    }

    public struct User: Codable, Equatable, Sendable {
        public var uid: UInt32
        public var gid: UInt32
        public var umask: UInt32?
        public var additionalGids: [UInt32]?

        public init(uid: UInt32 = 0, gid: UInt32 = 0, umask: UInt32? = nil, additionalGids: [UInt32]? = nil) {
            self.uid = uid
            self.gid = gid
            self.umask = umask
            self.additionalGids = additionalGids
        }
    }

    /// Names as in capabilities(7), `CAP_CHOWN`.
    public struct Capabilities: Codable, Equatable, Sendable {
        public var bounding: [String]
        public var effective: [String]
        public var permitted: [String]
        public var inheritable: [String]
        public var ambient: [String]

        public init(
            bounding: [String] = [], effective: [String] = [], permitted: [String] = [], inheritable: [String] = [],
            ambient: [String] = []
        ) {
            self.bounding = bounding
            self.effective = effective
            self.permitted = permitted
            self.inheritable = inheritable
            self.ambient = ambient
        }

        /// What an engine gives a process of root: bounding, effective and permitted alike, nothing inheritable
        /// (CVE-2022-29162).
        public init(all names: [String]) { self.init(bounding: names, effective: names, permitted: names) }

        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            bounding = try values.decodeIfPresent([String].self, forKey: .bounding) ?? []
            effective = try values.decodeIfPresent([String].self, forKey: .effective) ?? []
            permitted = try values.decodeIfPresent([String].self, forKey: .permitted) ?? []
            inheritable = try values.decodeIfPresent([String].self, forKey: .inheritable) ?? []
            ambient = try values.decodeIfPresent([String].self, forKey: .ambient) ?? []
        }
    }

    public struct Rlimit: Codable, Equatable, Sendable {
        /// `RLIMIT_NOFILE`.
        public var type: String
        /// `UInt64.max` is unlimited.
        public var soft: UInt64
        public var hard: UInt64

        public init(type: String, soft: UInt64, hard: UInt64) {
            self.type = type
            self.soft = soft
            self.hard = hard
        }
    }

    public struct Root: Codable, Equatable, Sendable {
        /// Used only where a launch request names no root of its own.
        public var path: String
        public var readonly: Bool

        public init(path: String = "", readonly: Bool = false) {
            self.path = path
            self.readonly = readonly
        }

        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            path = try values.decodeIfPresent(String.self, forKey: .path) ?? ""
            readonly = try values.decodeIfPresent(Bool.self, forKey: .readonly) ?? false
        }
    }

    public struct Mount: Codable, Equatable, Sendable {
        public var destination: String
        /// `bind`, `tmpfs`, `proc`, …; empty with the option `bind` or `rbind`.
        public var type: String?
        public var source: String?
        public var options: [String]?
        /// The ids of the source, id by id, as the container sees them; empty lists stand for the container's own maps.
        public var uidMappings: [IDMapping]?
        public var gidMappings: [IDMapping]?

        public init(destination: String, type: String? = nil, source: String? = nil, options: [String] = []) {
            self.destination = destination
            self.type = type
            self.source = source
            self.options = options
        }
    }
}
