import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// `create`: sets a container up as `run` does and ends; the container's process waits at its gate until `start` opens
/// it, and belongs to whoever reaps orphans for our caller.
enum CreateMode {
    static func run() throws(SetupFailure) {
        let plan = try Supervisor.readPlan(ContainerPlan.self)
        Descriptors.closeUnpreserved(plan.preservedDescriptors)
        var state = try ContainerMode.writeFirstState(plan)
        let gate = try step("make the start gate") { () throws(SystemError) in try StartGate(in: plan.directory) }
        let cgroups = try Cgroups(making: plan.cgroups)
        do {
            let child = try ContainerMode.start(plan, cgroups, gate: gate) { (pid) throws(SetupFailure) in
                // Hooks ask for the container's state.
                try record(pid, &state, plan)
            }
            try record(child.pid, &state, plan)
            Report.send(.started(pid: child.pid, at: Clock.now()), to: SupervisorDescriptor.report)
        } catch {
            cgroups.killLeftovers()
            cgroups.remove()
            throw error
        }
    }

    private static func record(
        _ pid: pid_t, _ state: inout StateRecord, _ plan: ContainerPlan
    ) throws(SetupFailure) {
        guard state.initPID != pid else { return }
        state.initStart = try step("read the start time") { () throws(SystemError) in
            try ProcessStat.read("\(pid)").startTime
        }
        state.initPID = pid
        try ContainerMode.write(state, in: plan.directory)
    }
}

/// What holds a created container back: one named pipe to let it go, one on which it answers. Its process holds both
/// open for reading and writing, so that neither end ever waits for the other to come.
struct StartGate {
    let start: Int32
    let report: Int32

    init(in directory: String) throws(SystemError) {
        start = try Self.make("\(directory)/\(ContainerFile.startGate)")
        report = try Self.make("\(directory)/\(ContainerFile.startReport)")
    }

    private static func make(_ path: String) throws(SystemError) -> Int32 {
        try check("mkfifo", path: path) { mkfifo(path, 0o600) }
        return try FileDescriptor.open(path, O_RDWR).take()
    }

    /// The same pipes at numbers that are out of the way of the container's own descriptors.
    init(moving gate: StartGate, above number: Int32) throws(SystemError) {
        start = try Descriptors.move(gate.start, above: number)
        report = try Descriptors.move(gate.report, above: number)
    }

    /// In the child, all set up: says so, then waits to be let go. From then on, reports go to the one who did.
    func wait(report own: Int32) throws(SetupFailure) {
        Report.send(.ready, to: own)
        try step("wait for the start") { () throws(SystemError) in
            try check("dup3") { dup3(report, own, O_CLOEXEC) }
            var byte: UInt8 = 0
            try check("read") { read(start, &byte, 1) }
        }
        closeDescriptors()
    }

    func closeDescriptors() {
        close(start)
        close(report)
    }
}

extension Channels {
    /// For a process whose standard streams are the supervisor's own, or a terminal whose master goes over
    /// `SupervisorDescriptor.client`.
    init(
        inheriting process: ProcessPlan, preserved: UInt32, gate: StartGate?, handshake: Bool
    ) throws(SystemError) {
        let free = SupervisorDescriptor.preserved + Int32(truncatingIfNeeded: preserved)
        try self.init(handshake: handshake)
        child.report = try Descriptors.move(child.report, above: free)
        if handshake { child.release = try Descriptors.move(child.release, above: free) }
        if let gate { child.gate = try StartGate(moving: gate, above: free) }
        if process.terminal { child.terminalSocket = try Descriptors.move(SupervisorDescriptor.client, above: free) }
        (child.stdin, child.stdout, child.stderr) = process.terminal ? (-1, -1, -1) : (0, 1, 2)
        child.listener = try SeccompListener(process)
        child.isInherited = true
        child.preserved = preserved
    }
}

extension ChildDescriptors {
    /// What the container's process needs besides the usual.
    var kept: [Int32] {
        let first = SupervisorDescriptor.preserved
        return [gate?.start ?? -1, gate?.report ?? -1]
            + (first..<first + Int32(truncatingIfNeeded: preserved))
    }

    /// Puts the caller's descriptors where the program looks for them; everything above ends with execve(2).
    func placePreserved() throws(SetupFailure) {
        guard isInherited else { return }
        try step("pass the descriptors on") { () throws(SystemError) in
            // Upwards: a target lies below its source, so no source is lost before its turn.
            for index in 0..<Int32(truncatingIfNeeded: preserved) {
                try check("dup2") { dup2(SupervisorDescriptor.preserved + index, 3 + index) }
            }
            try check("close_range") { close_range(3 + preserved, .max, Int32(CLOSE_RANGE_CLOEXEC)) }
        }
    }
}

extension Descriptors {
    static func closeUnpreserved(_ preserved: UInt32) {
        let first = UInt32(SupervisorDescriptor.preserved)
        close_range(UInt32(SupervisorDescriptor.program), first - 1, 0)
        close_range(first + preserved, .max, 0)
    }

    /// Moves a descriptor to the first free number from `number` on, close-on-exec.
    static func move(_ descriptor: Int32, above number: Int32) throws(SystemError) -> Int32 {
        let moved = try check("fcntl") { gantry_fcntl(descriptor, F_DUPFD_CLOEXEC, Int(number)) }
        close(descriptor)
        return moved
    }
}
