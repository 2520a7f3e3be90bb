import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Gantry's container runtime as the engine sees it: every call blocks, from whichever thread; containers live in
/// supervisors of their own and outlast this process.
public final class Runtime: Sendable {
    /// A start that takes longer is given up: a hanging network file system would hold the caller for ever.
    static let startMillisecondsMax: Int32 = 60_000
    private static let reportByteCountMax = 1 << 20

    let host: HostFacts
    let cgroupParent: String
    let compiler: PlanCompiler
    let seccomp: SeccompCache
    let spawner: Spawner

    /// - Parameters:
    ///   - supervisorPath: the `gantry-supervisor` program.
    ///   - cgroupParent: name of the cgroup above all containers, e.g. `gantry`; one engine, one name.
    ///   - cacheDirectory: for compiled seccomp filters; made when missing.
    public init(supervisorPath: String, cgroupParent: String, cacheDirectory: String) throws(RuntimeError) {
        let cgroupParent = try CgroupLayout.checkName(cgroupParent)
        try purpose("make the cache folder") { () throws(SystemError) in
            try FileSystem.makeDirectories(cacheDirectory)
        }
        let layout = try purpose("find the cgroup hierarchies") { () throws(SystemError) in
            try Self.readIDMap() == Self.initialIDMap
                ? CgroupLayout.current() : CgroupLayout.delegated(parent: cgroupParent)
        }
        host = try Self.facts(layout)
        self.cgroupParent = cgroupParent
        compiler = PlanCompiler(host: host, cgroupParent: cgroupParent)
        seccomp = SeccompCache(directory: cacheDirectory)
        spawner = try purpose("open the supervisor program") { () throws(SystemError) in
            try Spawner(supervisorPath: supervisorPath)
        }
        try purpose("make the cgroup \(cgroupParent)") { () throws(SystemError) in
            try layout.prepareParent(cgroupParent)
        }
    }

    /// For a program that does one thing and ends, reaps its supervisors itself and names each container's cgroup.
    /// - Parameter managesCgroups: `false` leaves containers where their starter is.
    public init(
        forCommandWith supervisorPath: String, cacheDirectory: String, managesCgroups: Bool = true
    ) throws(RuntimeError) {
        var layout = CgroupLayout(mountinfo: "") { _ in "" }
        if managesCgroups {
            layout = try purpose("find the cgroup hierarchies") { () throws(SystemError) in
                try CgroupLayout.current()
            }
            layout.usesEvery = true
        }
        host = try Self.facts(layout)
        cgroupParent = "gantry"
        compiler = PlanCompiler(host: host, cgroupParent: cgroupParent)
        seccomp = SeccompCache(directory: cacheDirectory)
        spawner = try purpose("open the supervisor program \(supervisorPath)") { () throws(SystemError) in
            try Spawner(supervisorPath: supervisorPath, reaps: false)
        }
    }

    private static func facts(_ layout: CgroupLayout) throws(RuntimeError) -> HostFacts {
        let ids = try purpose("read the user namespace") { () throws(SystemError) in try readIDMap() }
        return HostFacts(
            capabilities: CapabilityNames.held(), cgroups: layout, isInUserNamespace: ids != initialIDMap,
            hasSingleID: ids.count == 3 && ids[2] == "1", securityModules: HostFacts.activeSecurityModules())
    }

    /// The initial user namespace maps every id onto itself: user_namespaces(7).
    private static let initialIDMap = ["0", "0", "4294967295"]

    private static func readIDMap() throws(SystemError) -> [String] {
        let map = try FileSystem.readFile("/proc/self/uid_map", byteCountMax: 4096)
        return map.split { $0 == 0x20 || $0 == 0x0a }.map { String(decoding: $0, as: UTF8.self) }
    }

    // MARK: - Launch

    /// Starts a container; returns when the user's program has been executed, and throws why not otherwise: nothing of
    /// the container is left then.
    public func launch(_ request: LaunchRequest) throws(RuntimeError) -> LaunchedContainer {
        let clients = request.attach.map { SharedDescriptor(FileDescriptor(owning: $0)) }
        let filter = try seccomp.filter(request.spec, policy: request.seccomp)
        let plan = try compiler.compile(request, seccomp: filter)
        try awaitPredecessor(request.directory)
        try purpose("make the container's folder") { () throws(SystemError) in
            try FileSystem.makeDirectories(request.directory)
            try Self.prepareVolatile(request.root)
        }
        try prepareForeignParent(plan.cgroupName)
        let supervisor = try purpose("start the supervisor") { () throws(SystemError) in
            try spawner.spawn(mode: "run", name: request.id, plan: PlanFile.encode(plan), clients: clients.map(\.raw))
        }
        do {
            let answer = try Self.awaitStart(supervisor.report)
            return LaunchedContainer(
                pid: answer.pid, supervisorPID: supervisor.pid, startedAt: answer.at,
                warnings: host.cgroups.warnings(request.spec.linux.resources) + answer.warnings)
        } catch {
            if case .supervisorFailed = error { abandon(request.directory, supervisor: supervisor.pid) }
            throw error
        }
    }

    /// The cgroup above all containers is ready since `init`; one that a request names is not.
    private func prepareForeignParent(_ name: String) throws(RuntimeError) {
        let parent = FileSystem.parent(of: name)
        guard parent != cgroupParent, name.contains("/") else { return }
        try purpose("make the cgroup \(parent)") { () throws(SystemError) in try host.cgroups.prepareParent(parent) }
    }

    /// A file system that was mounted volatile refuses the next mount until this mark is gone: Documentation/
    /// filesystems/overlayfs.rst. The layer is kept at the caller's request; it was not synced, which is the deal.
    private static func prepareVolatile(_ root: RootFilesystem) throws(SystemError) {
        guard case .overlay(_, _, let work, true) = root else { return }
        let mark = "\(work)/work/incompat/volatile"
        for name in ["\(mark)/dirty", mark] where remove(name) != 0 {
            guard errno == ENOENT else { throw SystemError("remove", path: name, code: errno) }
        }
    }

    /// Reads the supervisor's reports to the end of the pipe.
    /// - Parameter millisecondsMax: `nil` waits as long as it takes.
    static func awaitStart(
        _ report: borrowing FileDescriptor, millisecondsMax: Int32? = startMillisecondsMax
    ) throws(RuntimeError) -> (pid: Int32, at: UInt64, warnings: [String]) {
        try interpret(try readReports(report, millisecondsMax: millisecondsMax))
    }

    static func readReports(
        _ report: borrowing FileDescriptor, millisecondsMax: Int32?
    ) throws(RuntimeError) -> [UInt8] {
        var bytes: [UInt8] = []
        let raw = report.raw
        let deadline = monotonicMilliseconds() + Int64(millisecondsMax ?? 0)
        while true {
            let remaining = millisecondsMax == nil ? Int64(startMillisecondsMax) : deadline - monotonicMilliseconds()
            guard remaining > 0 else { throw .supervisorFailed("no answer in \(startMillisecondsMax / 1000) s") }
            let ready = try purpose("wait for the supervisor") { () throws(SystemError) in
                var polled = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
                return try check("poll") { poll(&polled, 1, Int32(remaining)) }
            }
            guard ready > 0 else { continue }
            let chunk = try purpose("read the supervisor's answer") { () throws(SystemError) in
                try report.read(upTo: 4096)
            }
            bytes += chunk
            if chunk.isEmpty || bytes.count > reportByteCountMax { return bytes }
        }
    }

    private static func interpret(
        _ bytes: [UInt8]
    ) throws(RuntimeError) -> (pid: Int32, at: UInt64, warnings: [String]) {
        let reports: [StartReport]
        do {
            reports = try StartReport.parse(bytes)
        } catch {
            throw .supervisorFailed("its answer is malformed (\(error))")
        }
        var warnings: [String] = []
        for report in reports {
            switch report {
            case .warning(let text): warnings.append(text)
            case .started(let pid, let at): return (pid, at, warnings)
            case .failed(let failure): throw RuntimeError(failure)
            case .ready, .reached: continue
            }
        }
        throw .supervisorFailed("it ended without an answer")
    }

    /// A supervisor that does not answer goes, with all it has started.
    private func abandon(_ directory: String, supervisor: pid_t) {
        kill(supervisor, SIGKILL)
        // Both are best effort: the failure to start is already on its way to the caller.
        try? killAll(directory: directory)
        try? removeCgroups(directory: directory)  // Likewise.
    }

    /// Signed: what is left until a deadline may be below zero.
    static func monotonicMilliseconds() -> Int64 { Int64(clamping: LinuxSystem.monotonicMilliseconds()) }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
