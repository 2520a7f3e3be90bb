import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// What the runtime knows of the host once and for all.
struct HostFacts: Sendable {
    var capabilities: UInt64
    var cgroups: CgroupLayout
    /// Our user namespace is not the initial one: overlayfs wants `userxattr`.
    var isInUserNamespace: Bool
    /// No other id than root is there inside: file systems cannot be given away to one.
    var hasSingleID = false
    /// `apparmor`, `selinux`, …
    var securityModules: Set<String> = []
}

/// From an OCI specification to the supervisor's flat plan. Pure: everything is checked here, before any process.
struct PlanCompiler {
    private static let fileByteCountMax = 4 << 20

    let host: HostFacts
    let cgroupParent: String

    func compile(_ request: LaunchRequest, seccomp: [UInt8]) throws(RuntimeError) -> ContainerPlan {
        try Self.checkID(request.id)
        guard request.directory.hasPrefix("/") else { throw .invalidSpec("the folder must be an absolute path") }
        let spec = request.spec
        var process = try compileProcess(spec, seccomp: seccomp)
        process.user = request.user
        process.dropForNonRoot = request.user != nil
        process.groups = request.groups
        process.stdinOpen = request.stdinOpen
        process.attributes.sharesKeyring = request.sharesKeyring
        process.listener = seccomp.isEmpty ? nil : SeccompPlan.listener(spec, id: request.id, status: "creating")
        var plan = ContainerPlan(
            id: request.id, directory: request.directory, root: try compileRoot(request.root), process: process)
        plan.namespaces = try compileNamespaces(spec.linux.namespaces)
        plan.cgroupName = try cgroupName(request)
        plan.cgroups = try host.cgroups.plans(name: plan.cgroupName, resources: spec.linux.resources)
        plan.readOnlyRoot = spec.root.readonly
        for mount in spec.mounts { plan.mounts.append(try compileMount(mount, spec, plan)) }
        plan.idMap = try compileUserNamespace(spec)
        plan.timeOffsets = try Self.compileTimeOffsets(spec)
        if let name = spec.linux.rootfsPropagation, !name.isEmpty {
            guard let (kind, recursive) = MountOptions.propagation(name) else {
                throw .invalidSpec("unknown propagation '\(name)'")
            }
            (plan.rootPropagation, plan.rootPropagationRecursive) = (kind, recursive)
        }
        plan.makesDefaultDevices = !spec.mounts.contains { $0.destination == "/dev" || $0.destination == "/dev/" }
        plan.files = try request.files.map { (file) throws(RuntimeError) in try Self.compileFile(file) }
        for device in spec.linux.devices { plan.devices.append(try Self.compileDevice(device)) }
        plan.maskedPaths = try Self.checkPaths(spec.linux.maskedPaths)
        plan.readOnlyPaths += try Self.checkPaths(spec.linux.readonlyPaths)
        let makes = Set(spec.linux.namespaces.filter(\.isNew).map(\.type))
        plan.hostname = spec.hostname
        plan.domainname = spec.domainname
        if spec.hostname != nil || spec.domainname != nil, !makes.contains(.uts) {
            throw .invalidSpec("a host name needs a uts namespace of the container's own")
        }
        plan.sysctls = try Sysctls.compile(spec.linux.sysctl, namespaces: Set(spec.linux.namespaces.map(\.type)))
        plan.useInit = request.useInit
        plan.log = try request.log.map { (log) throws(RuntimeError) in try Self.compileLog(log) }
        plan.clientCount = UInt32(request.attach.count)
        plan.hooks = try HookCompiler.compile(request)
        return plan
    }

    /// The runtime specification's pattern for ids, which are path components too.
    static func checkID(_ id: String) throws(RuntimeError) {
        let lengthMax = 255
        let isWord = { (byte: UInt8) in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
        }
        guard let first = id.utf8.first, isWord(first), id.utf8.count <= lengthMax,
            id.utf8.allSatisfy({ isWord($0) || $0 == UInt8(ascii: ".") })
        else { throw .invalidSpec("'\(id)' is not a container id") }
    }

    private func compileRoot(_ root: RootFilesystem) throws(RuntimeError) -> RootPlan {
        switch root {
        case .directory(let path):
            guard path.hasPrefix("/") else { throw .invalidSpec("the root must be an absolute path") }
            return .directory(path)
        case .overlay(let lower, let upper, let work, let volatile):
            let layersMax = 500
            guard !lower.isEmpty, lower.count <= layersMax else {
                throw .invalidSpec("an overlay needs 1 to \(layersMax) layers, not \(lower.count)")
            }
            guard (lower + [upper, work]).allSatisfy({ $0.hasPrefix("/") }) else {
                throw .invalidSpec("layers must be absolute paths")
            }
            return .overlay(
                lower: lower, upper: upper, work: work, volatile: volatile, userExtended: host.isInUserNamespace)
        }
    }

    // MARK: - Process

    func compileProcess(_ spec: RuntimeSpec, seccomp: [UInt8]) throws(RuntimeError) -> ProcessPlan {
        let process = spec.process
        guard let program = process.args.first, !program.isEmpty else { throw .invalidSpec("no program to run") }
        guard process.cwd.hasPrefix("/") else { throw .invalidSpec("the working directory must be absolute") }
        try Self.checkStrings(process.args + process.env + [process.cwd])
        var plan = ProcessPlan(arguments: process.args, environment: process.env, directory: process.cwd)
        plan.uid = process.user.uid
        plan.gid = process.user.gid
        plan.additionalGids = process.user.additionalGids ?? []
        for id in [plan.uid, plan.gid] + plan.additionalGids where id > UserDatabase.idMax {
            throw .invalidSpec("user or group \(id) is out of range")
        }
        plan.umask = process.user.umask ?? .max
        plan.attributes = try AttributeCompiler.compile(spec, host: host)
        plan.capabilities = compileCapabilities(process.capabilities, warnings: &plan.attributes.warnings)
        plan.noNewPrivileges = process.noNewPrivileges
        plan.seccomp = seccomp
        plan.seccompFlags = seccomp.isEmpty ? 0 : try SeccompPlan.flags(spec.linux.seccomp)
        for limit in process.rlimits { plan.limits.append(try Self.compileLimit(limit)) }
        plan.oomScoreAdjust = try process.oomScoreAdj.map { (score) throws(RuntimeError) in
            guard (-1000...1000).contains(score) else { throw .invalidSpec("oom_score_adj \(score) is out of range") }
            return Int32(score)
        }
        plan.terminal = process.terminal
        plan.rows = process.consoleSize?.height ?? 0
        plan.columns = process.consoleSize?.width ?? 0
        return plan
    }

    /// A capability that cannot be granted is left out with a warning, as the specification wants it; "all" means all
    /// there are.
    private func compileCapabilities(
        _ sets: RuntimeSpec.Capabilities, warnings: inout [String]
    ) -> CapabilityPlan {
        var missing: Set<String> = []
        func mask(_ names: [String]) -> UInt64 {
            for name in names where CapabilityNames.knownMask([name]) == 0 { missing.insert(name) }
            return CapabilityNames.knownMask(names) & host.capabilities
        }
        let plan = CapabilityPlan(
            bounding: mask(sets.bounding), effective: mask(sets.effective), permitted: mask(sets.permitted),
            inheritable: mask(sets.inheritable), ambient: mask(sets.ambient))
        for name in missing.sorted() { warnings.append("unknown capability '\(name)' is not granted") }
        return plan
    }

    private static let limits: [String: Int32] = [
        "RLIMIT_AS": 9, "RLIMIT_CORE": 4, "RLIMIT_CPU": 0, "RLIMIT_DATA": 2, "RLIMIT_FSIZE": 1, "RLIMIT_LOCKS": 10,
        "RLIMIT_MEMLOCK": 8, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_NOFILE": 7, "RLIMIT_NPROC": 6,
        "RLIMIT_RSS": 5, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15, "RLIMIT_SIGPENDING": 11, "RLIMIT_STACK": 3,
    ]

    private static func compileLimit(_ limit: RuntimeSpec.Rlimit) throws(RuntimeError) -> LimitPlan {
        guard let resource = limits[limit.type] else { throw .invalidSpec("unknown limit '\(limit.type)'") }
        guard limit.soft <= limit.hard else { throw .invalidSpec("\(limit.type): soft is above hard") }
        return LimitPlan(resource: resource, soft: limit.soft, hard: limit.hard)
    }

    /// The kernel's strings end at a NUL: one inside would cut them.
    static func checkStrings(_ strings: [String]) throws(RuntimeError) {
        for string in strings where string.utf8.contains(0) { throw .invalidSpec("a string holds a NUL byte") }
    }

    private static func checkPaths(_ paths: [String]) throws(RuntimeError) -> [String] {
        for path in paths where !path.hasPrefix("/") { throw .invalidSpec("'\(path)' is not an absolute path") }
        try checkStrings(paths)
        return paths
    }

    // MARK: - Namespaces, mounts, devices

    static let namespaceFlags: [RuntimeSpec.Namespace.Kind: UInt64] = [
        .mount: UInt64(CLONE_NEWNS), .pid: UInt64(CLONE_NEWPID), .network: UInt64(CLONE_NEWNET),
        .ipc: UInt64(CLONE_NEWIPC), .uts: UInt64(CLONE_NEWUTS), .cgroup: UInt64(CLONE_NEWCGROUP),
        .user: UInt64(CLONE_NEWUSER), .time: UInt64(CLONE_NEWTIME),
    ]

    private func compileNamespaces(_ namespaces: [RuntimeSpec.Namespace]) throws(RuntimeError) -> [NamespacePlan] {
        guard Set(namespaces.map(\.type)).count == namespaces.count else {
            throw .invalidSpec("a namespace is listed twice")
        }
        guard namespaces.contains(where: { $0.type == .mount && $0.isNew }) else {
            throw .unsupported("a container without a mount namespace of its own")
        }
        var plans: [NamespacePlan] = []
        for namespace in namespaces {
            guard let flag = Self.namespaceFlags[namespace.type] else {
                throw .unsupported("\(namespace.type.rawValue) namespaces")
            }
            let path = namespace.path.flatMap { $0.isEmpty ? nil : $0 }
            guard path?.hasPrefix("/") != false else {
                throw .invalidSpec("the path of the \(namespace.type.rawValue) namespace is not absolute")
            }
            try Self.checkStrings([path ?? ""])
            plans.append(NamespacePlan(flag: flag, path: path))
        }
        return plans
    }

    private static func compileFile(_ file: InjectedFile) throws(RuntimeError) -> FilePlan {
        guard file.path.hasPrefix("/"), !file.path.hasSuffix("/") else {
            throw .invalidSpec("'\(file.path)' is not the absolute path of a file")
        }
        guard file.bytes.count <= fileByteCountMax else { throw .invalidSpec("'\(file.path)' is over 4 MiB") }
        try checkStrings([file.path])
        return FilePlan(path: file.path, bytes: file.bytes, mode: file.mode, uid: file.uid, gid: file.gid)
    }

    private static func compileDevice(_ device: RuntimeSpec.Device) throws(RuntimeError) -> DevicePlan {
        let components = device.path.split(separator: "/", omittingEmptySubsequences: false)
        guard device.path.hasPrefix("/"), !components.contains(".."), components.last?.isEmpty == false else {
            throw .invalidSpec("device '\(device.path)' is not the absolute path of a node")
        }
        let kind: DevicePlan.Kind
        switch device.type {
        case "c", "u": kind = .character
        case "b": kind = .block
        case "p": kind = .fifo
        default: throw .invalidSpec("device '\(device.path)' of unknown type '\(device.type)'")
        }
        try checkStrings([device.path])
        // A FIFO has no number; what is given for one means nothing.
        let (major, minor) =
            kind == .fifo ? (0, 0) : (UInt32(exactly: device.major ?? 0), UInt32(exactly: device.minor ?? 0))
        guard let major, let minor else { throw .invalidSpec("device '\(device.path)' has a number out of range") }
        return DevicePlan(
            kind: kind, path: device.path, major: major, minor: minor, mode: device.fileMode ?? 0o666,
            uid: device.uid ?? 0, gid: device.gid ?? 0)
    }

    private static func compileLog(_ log: LogSettings) throws(RuntimeError) -> LogPlan {
        guard log.path.hasPrefix("/"), (1...1000).contains(log.files) else {
            throw .invalidSpec("a log needs an absolute path and 1 to 1000 files")
        }
        return LogPlan(path: log.path, byteCountMax: log.maxBytes, files: UInt32(log.files))
    }
}
