import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// What an OCI runtime command does with a container beyond what the engine does. Nothing of ours lives between two
/// commands: the container's process belongs to whoever reaps for the caller (`PR_SET_CHILD_SUBREAPER`).
public struct CallerDescriptors: Sendable {
    /// A connected socket for the terminal's master; needed where the process has a terminal.
    public var console: Int32?
    /// Passed on to the program as 3 and up.
    public var preserved: [Int32]

    public init(console: Int32? = nil, preserved: [Int32] = []) {
        self.console = console
        self.preserved = preserved
    }
}

public struct CreatedProcess: Equatable, Sendable {
    /// As the host numbers it.
    public var pid: Int32
    public var warnings: [String]
}

/// <https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state>; always asked of the kernel.
public enum LifecycleStatus: String, Sendable {
    case created, running, paused, stopped
}

extension Runtime {
    private static let dieMillisecondsMax: Int32 = 10_000

    // MARK: - Create and start

    /// Makes a container whose process waits, all set up, for `start`. Its standard streams are the caller's.
    public func create(
        _ request: LaunchRequest, _ descriptors: CallerDescriptors
    ) throws(RuntimeError) -> CreatedProcess {
        let filter = try seccomp.filter(request.spec, policy: request.seccomp)
        var plan = try compiler.compile(request, seccomp: filter)
        plan.preservedDescriptors = UInt32(clamping: descriptors.preserved.count)
        try purpose("make the cgroup above the container's") { () throws(SystemError) in
            try host.cgroups.prepareParent(FileSystem.parent(of: plan.cgroupName))
        }
        return try runSupervisor("create", request.id, PlanFile.encode(plan), descriptors)
    }

    /// Lets a created container's program go; returns when it has been executed, and with what the set-up warned of.
    public func start(directory: String) throws(RuntimeError) -> [String] {
        let reports: [UInt8]
        _ = try runningState(directory)
        let gate = "\(directory)/\(ContainerFile.startGate)"
        let report = try purpose("start the container") { () throws(SystemError) in
            let report = try FileDescriptor.open("\(directory)/\(ContainerFile.startReport)", O_RDONLY | O_NONBLOCK)
            // ENXIO: nobody waits at the gate any more.
            let opened = try FileDescriptor.open(gate, O_WRONLY | O_NONBLOCK)
            // Of two that start at once, one finds it gone.
            try check("unlink", path: gate) { unlink(gate) }
            try opened.writeAll([1])
            return report
        }
        reports = try Self.readReports(report, millisecondsMax: nil)
        unlink("\(directory)/\(ContainerFile.startReport)")
        return try Self.interpretStart(reports)
    }

    private static func interpretStart(_ bytes: [UInt8]) throws(RuntimeError) -> [String] {
        guard let reports = try? StartReport.parse(bytes) else {  // Which byte is wrong tells nobody anything.
            throw .supervisorFailed("the container's process answered what cannot be read")
        }
        var warnings: [String] = []
        for report in reports {
            if case .failed(let failure) = report { throw RuntimeError(failure) }
            if case .warning(let text) = report { warnings.append(text) }
        }
        guard reports.contains(.ready) else {
            throw .supervisorFailed("the container's process ended before its program was executed")
        }
        return warnings
    }

    /// Runs one more process in a container, as `execute`, with the caller's standard streams.
    public func join(
        _ request: ExecRequest, cgroup: String?, ignoringPause: Bool, _ descriptors: CallerDescriptors
    ) throws(RuntimeError) -> CreatedProcess {
        let state = try runningState(request.directory)
        if !ignoringPause, try isPaused(directory: request.directory) { throw .paused(directory: request.directory) }
        var plan = try compile(request, state)
        if let cgroup {
            guard cgroup.hasPrefix("/"), !cgroup.split(separator: "/").contains("..") else {
                throw .invalidSpec("'\(cgroup)' is not the path of a cgroup below the container's")
            }
            for index in plan.cgroups.indices { plan.cgroups[index].path += cgroup == "/" ? "" : cgroup }
        }
        plan.preservedDescriptors = UInt32(clamping: descriptors.preserved.count)
        let name = FileSystem.lastComponent(of: request.directory)
        return try runSupervisor("join", name, PlanFile.encode(plan), descriptors)
    }

    private func runSupervisor(
        _ mode: String, _ name: String, _ plan: [UInt8], _ descriptors: CallerDescriptors
    ) throws(RuntimeError) -> CreatedProcess {
        guard descriptors.preserved.count <= SupervisorDescriptor.preservedCountMax else {
            throw .unsupported("more than \(SupervisorDescriptor.preservedCountMax) preserved descriptors")
        }
        let supervisor = try purpose("start the supervisor") { () throws(SystemError) in
            try spawner.spawnInherited(mode: mode, name: name, plan: plan, descriptors)
        }
        let pid = supervisor.pid
        defer {
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        }
        let answer = try Self.awaitStart(supervisor.report, millisecondsMax: nil)
        return CreatedProcess(pid: answer.pid, warnings: answer.warnings)
    }

    // MARK: - State

    public func status(directory: String) throws(RuntimeError) -> (status: LifecycleStatus, pid: Int32) {
        guard let state = try readState(directory), state.initPID != 0,
            Self.isAlive(state.initPID, start: state.initStart)
        else { return (.stopped, 0) }
        if FileSystem.exists("\(directory)/\(ContainerFile.startGate)") { return (.created, state.initPID) }
        return (try isPaused(directory: directory) ? .paused : .running, state.initPID)
    }

    /// The container has process ids of its own: they all go with its first process.
    public func hasProcessNamespace(directory: String) throws(RuntimeError) -> Bool {
        (try readState(directory)?.namespaces ?? 0) & UInt64(CLONE_NEWPID) != 0
    }

    /// Kills what lives of the container and removes its cgroups; its folder stays.
    public func destroy(directory: String) throws(RuntimeError) {
        releaseFrozen(directory)
        try killAll(directory: directory)
        if let state = try readState(directory), state.initPID != 0 {
            do {
                let process = try openProcess(state.initPID, start: state.initStart, directory)
                let raw = process.raw
                try purpose("kill the container") { () throws(SystemError) in
                    try check("pidfd_send_signal") { gantry_pidfd_send_signal(raw, SIGKILL) }
                    var polled = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
                    guard try check("poll", { poll(&polled, 1, Self.dieMillisecondsMax) }) > 0 else {
                        throw SystemError("kill", code: ETIMEDOUT)
                    }
                }
            } catch {
                guard case .notRunning = error else { throw error }
            }
        }
        try removeCgroups(directory: directory)
    }

    /// A process that somebody moved to a frozen group of another name does not die until it is let go: taken back to
    /// the container's own group, it is. Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst.
    private func releaseFrozen(_ directory: String) {
        // Best effort: what cannot be read or moved is told of by the kill that follows.
        guard let state = try? readState(directory), state.initPID != 0,
            let freezer = host.cgroups.path(of: "freezer", name: state.cgroupName), freezer.version == .one,
            let members = try? CgroupTree.processes(freezer.path)  // Likewise.
        else { return }
        let others = (try? processes(directory: directory)) ?? [state.initPID]  // Likewise.
        for process in Set(others + [state.initPID]).subtracting(members)
        where process != state.initPID || Self.isAlive(process, start: state.initStart) {
            try? CgroupTree.write(freezer.path, "cgroup.procs", "\(process)")  // Likewise.
        }
    }

    /// The container's directories by controller: v1 `memory` and so on, v2 as the empty name.
    public func cgroupPaths(directory: String) throws(RuntimeError) -> [String: String] {
        guard let state = try readState(directory) else { return [:] }
        var paths: [String: String] = [:]
        for (hierarchy, path) in host.cgroups.directories(name: state.cgroupName) {
            if hierarchy.version == .two { paths[""] = path }
            for controller in hierarchy.controllers { paths[controller] = path }
        }
        return paths
    }
}

extension Spawner {
    /// Starts `gantry-supervisor MODE NAME` with the caller's standard streams and working directory. The caller reaps
    /// it.
    func spawnInherited(
        mode: String, name: String, plan: [UInt8], _ descriptors: CallerDescriptors
    ) throws(SystemError) -> SpawnedSupervisor {
        let file = try Self.memoryFile(plan)
        var ends: [Int32] = [-1, -1]
        try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
        let report = FileDescriptor(owning: ends[0])
        let reportEnd = FileDescriptor(owning: ends[1])
        var wanted: [(source: Int32, number: Int32)] = [
            (file.raw, SupervisorDescriptor.plan), (reportEnd.raw, SupervisorDescriptor.report),
            (program.raw, SupervisorDescriptor.program),
        ]
        if let console = descriptors.console { wanted.append((console, SupervisorDescriptor.client)) }
        for (index, descriptor) in descriptors.preserved.enumerated() {
            wanted.append((descriptor, SupervisorDescriptor.preserved + Int32(index)))
        }
        let free = max(Self.descriptorMin, SupervisorDescriptor.preserved + Int32(descriptors.preserved.count))
        var passed: [(source: FileDescriptorHolder, number: Int32)] = []
        for (source, number) in wanted { passed.append((try FileDescriptorHolder(source, free), number)) }
        let pid = try Self.spawnInherited(
            ["gantry-supervisor", mode, name], passed.map { ($0.source.raw, $0.number) }, closeFrom: free)
        return SpawnedSupervisor(pid: pid, report: report)
    }

    private static func spawnInherited(
        _ arguments: [String], _ passed: [(source: Int32, number: Int32)], closeFrom: Int32
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (source, number) in passed { posix_spawn_file_actions_adddup2(&actions, source, number) }
        posix_spawn_file_actions_addclosefrom_np(&actions, closeFrom)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let cArguments = arguments.map { strdup($0) } + [nil]
        defer { for argument in cArguments { free(argument) } }
        let environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var pid: pid_t = 0
        let path = "/proc/self/fd/\(SupervisorDescriptor.program)"
        let code = posix_spawn(&pid, path, &actions, &attributes, cArguments, environment)
        guard code == 0 else { throw SystemError("posix_spawn", path: path, code: code) }
        return pid
    }
}

extension Runtime {
    /// `[a-zA-Z0-9_+-][a-zA-Z0-9_+.-]*`, up to 255 characters.
    public static func checkID(_ id: String) throws(RuntimeError) { try PlanCompiler.checkID(id) }
}
