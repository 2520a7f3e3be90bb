/// One cgroup directory of the container.
public struct CgroupPlan: PlanCodable, Equatable {
    public enum Version: UInt8, Sendable { case one = 1, two = 2 }

    public var version: Version
    /// Absolute path of the directory to make.
    public var path: String
    /// cpuset v1: `cpuset.cpus` and `cpuset.mems` are copied from the parent first, cpusets(7).
    public var copiesParentCPUSet: Bool
    public var writes: [CgroupWrite]
    /// v2: `struct bpf_insn` array of the device filter; empty attaches none.
    public var deviceFilter: [UInt8]

    public init(version: Version, path: String, copiesParentCPUSet: Bool = false, writes: [CgroupWrite] = []) {
        self.version = version
        self.path = path
        self.copiesParentCPUSet = copiesParentCPUSet
        self.writes = writes
        deviceFilter = []
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(version.rawValue)
        encoder.put(path)
        encoder.put(copiesParentCPUSet)
        encoder.put(writes)
        encoder.put(deviceFilter)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        version = try decoder.choice("cgroup version")
        path = try decoder.string()
        copiesParentCPUSet = try decoder.bool()
        writes = try decoder.values()
        deviceFilter = try decoder.byteArray()
    }
}

/// A namespace of the container, `namespaces(7)`.
public struct NamespacePlan: PlanCodable, Equatable {
    /// `CLONE_NEW*`.
    public var flag: UInt64
    /// Joined when given (`/proc/PID/ns/net`, a bound file); else a new one is made.
    public var path: String?

    public init(flag: UInt64, path: String? = nil) {
        self.flag = flag
        self.path = path
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(flag)
        encoder.put(path)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        flag = try decoder.integer()
        path = try decoder.optionalString()
    }
}

/// Where the output goes; `nil` in the plan means nowhere but to attached clients.
public struct LogPlan: PlanCodable, Equatable {
    public var path: String
    /// Bytes after which the file is rotated; 0 never rotates.
    public var byteCountMax: UInt64
    /// Files kept, the current one included.
    public var files: UInt32

    public init(path: String, byteCountMax: UInt64, files: UInt32) {
        self.path = path
        self.byteCountMax = byteCountMax
        self.files = files
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(path)
        encoder.put(byteCountMax)
        encoder.put(files)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        path = try decoder.string()
        byteCountMax = try decoder.integer()
        files = try decoder.integer()
    }
}

/// Everything `gantry-supervisor run` needs to start one container. Made by ContainerRuntime, read once, then dropped.
public struct ContainerPlan: PlanCodable, Equatable {
    public var id: String
    /// The container's folder under the exec root: `state`, `exit`, `attach.sock`, `mnt`.
    public var directory: String
    /// Path below each hierarchy, e.g. `gantry/ID`; written to `state` so that the engine finds the cgroups again.
    public var cgroupName: String
    public var cgroups: [CgroupPlan]
    public var namespaces: [NamespacePlan]
    public var root: RootPlan
    public var readOnlyRoot: Bool
    public var mounts: [MountPlan]
    public var files: [FilePlan]
    public var devices: [DevicePlan]
    public var maskedPaths: [String]
    public var readOnlyPaths: [String]
    public var hostname: String?
    public var domainname: String?
    /// Path below /proc/sys and value.
    public var sysctls: [MountParameter]
    public var process: ProcessPlan
    public var useInit: Bool
    public var log: LogPlan?
    /// So many connected sockets of clients are passed along as descriptors.
    public var clientCount: UInt32
    /// Of a new user namespace; `nil` makes none.
    public var idMap: IDMapPlan?
    /// The text for `/proc/self/timens_offsets`, time_namespaces(7).
    public var timeOffsets: String
    /// `MS_*` for the root mount once all is mounted; 0 leaves it private.
    public var rootPropagation: UInt64
    public var rootPropagationRecursive: Bool
    /// No mount of the plan covers /dev: its default nodes are made in the root itself.
    public var makesDefaultDevices: Bool
    public var hooks: HooksPlan
    /// `create`: descriptors of the caller's that the program gets as 3 and up.
    public var preservedDescriptors: UInt32

    public init(id: String, directory: String, root: RootPlan, process: ProcessPlan) {
        self.id = id
        self.directory = directory
        self.root = root
        self.process = process
        cgroupName = ""
        cgroups = []
        namespaces = []
        readOnlyRoot = false
        mounts = []
        files = []
        devices = []
        maskedPaths = []
        readOnlyPaths = []
        sysctls = []
        useInit = false
        clientCount = 0
        timeOffsets = ""
        rootPropagation = 0
        rootPropagationRecursive = false
        makesDefaultDevices = false
        hooks = HooksPlan()
        preservedDescriptors = 0
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(id)
        encoder.put(directory)
        encoder.put(cgroupName)
        encoder.put(cgroups)
        encoder.put(namespaces)
        encoder.put(root)
        encoder.put(readOnlyRoot)
        encoder.put(mounts)
        encoder.put(files)
        encoder.put(devices)
        encoder.put(maskedPaths)
        encoder.put(readOnlyPaths)
        encoder.put(hostname)
        encoder.put(domainname)
        encoder.put(sysctls)
        encoder.put(process)
        encoder.put(useInit)
        encoder.put(log)
        encoder.put(clientCount)
        encoder.put(idMap)
        encoder.put(timeOffsets)
        encoder.put(rootPropagation)
        encoder.put(rootPropagationRecursive)
        encoder.put(makesDefaultDevices)
        encoder.put(hooks)
        encoder.put(preservedDescriptors)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        id = try decoder.string()
        directory = try decoder.string()
        cgroupName = try decoder.string()
        cgroups = try decoder.values()
        namespaces = try decoder.values()
        root = try RootPlan(from: &decoder)
        readOnlyRoot = try decoder.bool()
        mounts = try decoder.values()
        files = try decoder.values()
        devices = try decoder.values()
        maskedPaths = try decoder.strings()
        readOnlyPaths = try decoder.strings()
        hostname = try decoder.optionalString()
        domainname = try decoder.optionalString()
        sysctls = try decoder.values()
        process = try ProcessPlan(from: &decoder)
        useInit = try decoder.bool()
        log = try decoder.optional()
        clientCount = try decoder.integer()
        guard clientCount <= SupervisorDescriptor.clientsMax else { throw .badValue(field: "clients") }
        idMap = try decoder.optional()
        timeOffsets = try decoder.string()
        rootPropagation = try decoder.integer()
        rootPropagationRecursive = try decoder.bool()
        makesDefaultDevices = try decoder.bool()
        hooks = try HooksPlan(from: &decoder)
        preservedDescriptors = try decoder.integer()
        guard preservedDescriptors <= SupervisorDescriptor.preservedCountMax else {
            throw .badValue(field: "preserved descriptors")
        }
    }
}

/// Everything `gantry-supervisor exec` needs to run one more process in a running container.
public struct ExecPlan: PlanCodable, Equatable {
    /// The container's init and its start time (field 22 of `/proc/PID/stat`).
    public var initPID: Int32
    public var initStartTime: UInt64
    /// `CLONE_NEW*` of the namespaces to join.
    public var namespaces: UInt64
    /// The container's existing cgroup directories.
    public var cgroups: [CgroupPlan]
    public var process: ProcessPlan
    /// `join`: descriptors of the caller's that the program gets as 3 and up.
    public var preservedDescriptors: UInt32

    public init(initPID: Int32, initStartTime: UInt64, namespaces: UInt64, process: ProcessPlan) {
        self.initPID = initPID
        self.initStartTime = initStartTime
        self.namespaces = namespaces
        self.process = process
        cgroups = []
        preservedDescriptors = 0
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(initPID)
        encoder.put(initStartTime)
        encoder.put(namespaces)
        encoder.put(cgroups)
        encoder.put(process)
        encoder.put(preservedDescriptors)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        initPID = try decoder.integer()
        initStartTime = try decoder.integer()
        namespaces = try decoder.integer()
        cgroups = try decoder.values()
        process = try ProcessPlan(from: &decoder)
        preservedDescriptors = try decoder.integer()
        guard preservedDescriptors <= SupervisorDescriptor.preservedCountMax else {
            throw .badValue(field: "preserved descriptors")
        }
    }
}
