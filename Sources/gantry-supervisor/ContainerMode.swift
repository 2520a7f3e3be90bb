import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// `run`: one container from its plan to its exit record.
enum ContainerMode {
    static func run() throws(SetupFailure) {
        var plan = try Supervisor.readPlan(ContainerPlan.self)
        var state = try writeFirstState(plan)
        let listener = try step("open the attach socket") { () throws(SystemError) in
            try makeListener(in: plan.directory)
        }
        var log: LogFile?
        if let settings = plan.log {
            log = try step("open the log") { () throws(SystemError) in try LogFile(settings) }
        }
        let cgroups = try Cgroups(making: plan.cgroups)
        let child: (pid: pid_t, pidfd: Int32, stdio: Stdio)
        do {
            child = try start(plan, cgroups)
            state.initPID = child.pid
            state.initStart = try step("read the start time") { () throws(SystemError) in
                try ProcessStat.read("\(child.pid)").startTime
            }
            state.startedAt = Clock.now()
            try write(state, in: plan.directory)
        } catch {
            cgroups.killLeftovers()
            cgroups.remove()
            unlink("\(plan.directory)/\(ContainerFile.state)")
            throw error
        }
        Report.send(.started(pid: child.pid, at: state.startedAt), to: SupervisorDescriptor.report)
        close(SupervisorDescriptor.report)
        cgroups.closeDescriptors()
        let streams = Streams(child.stdio, listener: listener, log: log, isExec: false)
        if plan.clientCount > 0 { streams.add(client: SupervisorDescriptor.client) }
        for index in 0..<Int32(max(plan.clientCount, 1) - 1) {
            streams.add(client: SupervisorDescriptor.furtherClients + index)
        }
        let (directory, hooks) = (plan.directory, plan.hooks)
        // Arguments, environment, filter and files are not needed again.
        plan = ContainerPlan(
            id: "", directory: directory, root: .directory(""), process: ProcessPlan(arguments: []))
        malloc_trim(0)
        supervise(streams, pidfd: child.pidfd, cgroups: cgroups, directory: directory, hooks: hooks)
    }

    /// The plan's record of itself: with it the engine finds the cgroups again whatever happens next.
    static func writeFirstState(_ plan: ContainerPlan) throws(SetupFailure) -> StateRecord {
        try step("write the state") { () throws(SystemError) in
            for file in [ContainerFile.exit, ContainerFile.attachSocket, ContainerFile.warnings] {
                unlink("\(plan.directory)/\(file)")
            }
            let place = "\(plan.directory)/\(ContainerFile.mountPoint)"
            if mkdir(place, 0o700) != 0, errno != EEXIST { throw SystemError("mkdir", path: place, code: errno) }
        }
        let start = try step("read the start time") { () throws(SystemError) in
            try ProcessStat.read("self").startTime
        }
        var state = StateRecord(supervisorPID: getpid(), supervisorStart: start, cgroupName: plan.cgroupName)
        for namespace in plan.namespaces { state.namespaces |= namespace.flag }
        try write(state, in: plan.directory)
        return state
    }

    static func write(_ state: StateRecord, in directory: String) throws(SetupFailure) {
        try step("write the state") { () throws(SystemError) in
            try FileSystem.replaceFile("\(directory)/\(ContainerFile.state)", with: Array(state.text.utf8))
        }
    }

    /// Bound relative to the folder: sun_path holds 107 bytes only.
    private static func makeListener(in directory: String) throws(SystemError) -> Int32 {
        let backlog: Int32 = 16
        let listener = FileDescriptor(
            owning: try check("socket") {
                socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            })
        let raw = listener.raw
        try check("chdir", path: directory) { chdir(directory) }
        let previous = umask(0o177)
        try check("bind", path: directory) { gantry_unix_bind(raw, ContainerFile.attachSocket) }
        _ = umask(previous)
        try check("listen", path: directory) { listen(raw, backlog) }
        try check("chdir", path: "/") { chdir("/") }
        return listener.take()
    }

    // MARK: - Start

    /// - Parameters:
    ///   - gate: of a container that is only created; its standard streams are then our own.
    ///   - born: called before the first hook.
    static func start(
        _ plan: ContainerPlan, _ cgroups: Cgroups, gate: StartGate? = nil,
        born: (pid_t) throws(SetupFailure) -> Void = { (_) throws(SetupFailure) in }
    ) throws(SetupFailure) -> (pid: pid_t, pidfd: Int32, stdio: Stdio) {
        let namespaces = try Namespaces(plan)
        let sources = try MountSources(plan, namespaces)
        var channels = try step("make the standard streams") { () throws(SystemError) in
            let waits = namespaces.changesUser || plan.hooks.runAtMountsMade
            guard let gate else { return try Channels(plan.process, handshake: waits) }
            return try Channels(
                inheriting: plan.process, preserved: plan.preservedDescriptors, gate: gate, handshake: waits)
        }
        let (pid, pidfd) = try step("clone") { () throws(SystemError) in try namespaces.clone(into: cgroups.unified) }
        if pid == 0 { ContainerChild.run(plan, namespaces, sources, cgroups, channels.child) }
        channels.closeChildEnds()
        namespaces.closeDescriptors()
        sources.closeDescriptors()
        do {
            if namespaces.changesUser {
                try namespaces.completeUser(pid, plan.process, channels.stdio, report: SupervisorDescriptor.report)
                channels.releaseChild()
            }
            try channels.listener?.deliver(pid: pid, pidfd: pidfd)
            try channels.awaitExecution(forwardingTo: SupervisorDescriptor.report) {
                (point) throws(SetupFailure) in
                guard point == .mountsMade else { return }
                try born(pid)
                try Hooks.runOnHost(plan.hooks, pid: pid)
            }
            if gate == nil { try Hooks.run(plan.hooks.poststart, "poststart", plan.hooks, status: "running", pid: pid) }
        } catch {
            kill(pid, SIGKILL)
            var info = siginfo_t()
            gantry_waitid_pidfd(pidfd, &info, WEXITED)
            throw error
        }
        return (pid, pidfd, channels.stdio)
    }

    // MARK: - End

    private static func supervise(
        _ streams: Streams, pidfd: Int32, cgroups: Cgroups, directory: String, hooks: HooksPlan
    ) {
        let status: (code: Int32, signal: Int32)
        do {
            status = try streams.run(pidfd: pidfd, onExit: cgroups.killLeftovers)
        } catch {
            status = (128 + SIGKILL, SIGKILL)  // Not to be waited for: it can only be treated as killed.
        }
        let record = ExitRecord(
            code: status.code, signal: status.signal, oomKilled: cgroups.sawOutOfMemory(), at: Clock.now())
        // With the folder gone there is nobody left to tell.
        try? FileSystem.replaceFile("\(directory)/\(ContainerFile.exit)", with: Array(record.text.utf8))
        unlink("\(directory)/\(ContainerFile.attachSocket)")
        streams.end(code: status.code)
        cgroups.remove()
        Hooks.runAfterEnd(hooks, pid: 0, directory: directory)
    }
}
