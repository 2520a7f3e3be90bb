// `GET /info`, in the shape of the Docker Engine API.

/// What the engine is and has. Members that Docker's clients print are all there.
public struct InfoReply: Codable, Equatable, Sendable {
    public struct PluginNames: Codable, Equatable, Sendable {
        public var Volume = ["local"]
        public var Network = ["bridge", "host", "ipvlan", "macvlan", "null"]
        public var Authorization: [String] = []
        public var Log = ["json-file", "local", "none"]

        public init() {}
    }
    public struct Registry: Codable, Equatable, Sendable {
        public var Name: String
        public var Mirrors: [String] = []
        public var Secure = true
        public var Official = true

        public init(Name: String) { self.Name = Name }
    }
    public struct Registries: Codable, Equatable, Sendable {
        public var IndexConfigs: [String: Registry]
        public var InsecureRegistryCIDRs: [String]
        public var Mirrors: [String] = []

        public init(IndexConfigs: [String: Registry], InsecureRegistryCIDRs: [String]) {
            self.IndexConfigs = IndexConfigs
            self.InsecureRegistryCIDRs = InsecureRegistryCIDRs
        }
    }
    public struct OCIRuntime: Codable, Equatable, Sendable {
        public var path: String

        public init(path: String) { self.path = path }
    }
    public struct SwarmState: Codable, Equatable, Sendable {
        public var NodeID = ""
        public var NodeAddr = ""
        public var LocalNodeState = "inactive"
        public var ControlAvailable = false
        public var Error = ""

        public init() {}
    }
    public struct Commit: Codable, Equatable, Sendable {
        public var ID: String

        public init(ID: String) { self.ID = ID }
    }

    public var ID = ""
    public var Containers = 0
    public var ContainersRunning = 0
    public var ContainersPaused = 0
    public var ContainersStopped = 0
    public var Images = 0
    public var Driver = "overlay2"
    public var DriverStatus: [[String]] = []
    public var Plugins = PluginNames()
    public var MemoryLimit = true
    public var SwapLimit = true
    public var CpuCfsPeriod = true
    public var CpuCfsQuota = true
    public var CPUShares = true
    public var CPUSet = true
    public var PidsLimit = true
    public var OomKillDisable = false
    public var IPv4Forwarding = true
    public var BridgeNfIptables = true
    public var BridgeNfIp6tables = true
    public var Debug = false
    /// Open descriptors of the engine.
    public var NFd = 0
    /// Threads, where Docker's engine counts goroutines.
    public var NGoroutines = 0
    public var NEventsListener = 0
    public var SystemTime = ""
    public var LoggingDriver = "json-file"
    public var CgroupDriver = "cgroupfs"
    public var CgroupVersion = "2"
    public var KernelVersion = ""
    public var OperatingSystem = ""
    public var OSVersion = ""
    public var OSType = "linux"
    public var Architecture = ""
    public var IndexServerAddress = "https://index.docker.io/v1/"
    public var RegistryConfig = Registries(
        IndexConfigs: ["docker.io": Registry(Name: "docker.io")], InsecureRegistryCIDRs: ["127.0.0.0/8", "::1/128"])
    public var NCPU = 0
    /// Bytes.
    public var MemTotal: Int64 = 0
    public var DockerRootDir = ""
    public var HttpProxy = ""
    public var HttpsProxy = ""
    public var NoProxy = ""
    public var Name = ""
    public var Labels: [String] = []
    public var ExperimentalBuild = false
    public var ServerVersion = ""
    public var Runtimes: [String: OCIRuntime] = [:]
    public var DefaultRuntime = ""
    public var Swarm = SwarmState()
    public var LiveRestoreEnabled = true
    public var Isolation = ""
    public var InitBinary = ""
    public var ContainerdCommit = Commit(ID: "")
    public var RuncCommit = Commit(ID: "")
    public var InitCommit = Commit(ID: "")
    public var SecurityOptions: [String] = []
    public var ProductLicense = ""
    public var Warnings: [String] = []

    public init() {}
}
