import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The supervisor's ends of the process's standard streams; -1 for what it has not.
struct Stdio {
    var stdin: Int32 = -1
    var stdout: Int32 = -1
    var stderr: Int32 = -1
    /// Master side of the terminal, in place of the three.
    var terminal: Int32 = -1
}

/// The process's ends, and what else crosses into the child.
struct ChildDescriptors {
    /// Descriptors 0, 1 and 2 to be; unused with a terminal.
    var stdin: Int32 = -1
    var stdout: Int32 = -1
    var stderr: Int32 = -1
    /// The child sends its terminal's master over this.
    var terminalSocket: Int32 = -1
    /// Reports of the set-up; closes when the program is executed.
    var report: Int32 = -1
    /// One byte comes for each point at which the child waits, see `Handshake`; -1 where it waits for nothing.
    var release: Int32 = -1
    /// Of a container that is created first and started later.
    var gate: StartGate?
    /// The standard streams are the supervisor's own.
    var isInherited = false
    /// So many descriptors from `SupervisorDescriptor.preserved` on go to the program as 3 and up.
    var preserved: UInt32 = 0
    var listener: SeccompListener?
}

/// Both sides of everything between supervisor and child, before the clone.
struct Channels {
    var stdio = Stdio()
    var child = ChildDescriptors()
    /// Read end of the child's report pipe.
    var report: Int32 = -1
    private var terminalSocket: Int32 = -1
    /// Write end of the child's release pipe.
    private var release: Int32 = -1
    var listener: SeccompListener? { child.listener }

    /// - Parameter handshake: the child will wait at some `SetupPoint`.
    init(_ process: ProcessPlan, handshake: Bool = false) throws(SystemError) {
        try self.init(handshake: handshake)
        child.listener = try SeccompListener(process)
        if process.terminal {
            var ends: [Int32] = [-1, -1]
            try check("socketpair") {
                socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)
            }
            (terminalSocket, child.terminalSocket) = (ends[0], ends[1])
            return
        }
        (stdio.stdout, child.stdout) = try Descriptors.pipe()
        (stdio.stderr, child.stderr) = try Descriptors.pipe()
        try Descriptors.setNonBlocking(stdio.stdout)
        try Descriptors.setNonBlocking(stdio.stderr)
        if process.stdinOpen {
            (child.stdin, stdio.stdin) = try Descriptors.pipe()
            try Descriptors.setNonBlocking(stdio.stdin)
        }
    }

    /// The pipes of the handshake alone.
    init(handshake: Bool) throws(SystemError) {
        (report, child.report) = try Descriptors.pipe()
        if handshake { (child.release, release) = try Descriptors.pipe() }
    }

    /// In the supervisor: lets a child go on that is in `Handshake.awaitRelease`.
    func releaseChild() {
        var byte: UInt8 = 1
        // A child that is gone shows at the end of its reports.
        _ = write(release, &byte, 1)
    }

    /// In the supervisor, after the clone.
    mutating func closeChildEnds() {
        for descriptor in [child.stdin, child.stdout, child.stderr, child.terminalSocket, child.report, child.release]
        where descriptor > 2 {
            close(descriptor)
        }
        child.gate?.closeDescriptors()
        let listener = child.listener
        child = ChildDescriptors()
        child.listener = listener
    }

    /// Waits until the child has executed its program or given up, passing warnings on to the engine. `at` does what
    /// is to be done while the child waits at a point. Answers the process that the child left in its place, if it did.
    @discardableResult
    mutating func awaitExecution(
        forwardingTo engine: Int32, at: (SetupPoint) throws(SetupFailure) -> Void = { _ in }
    ) throws(SetupFailure) -> pid_t? {
        let handshake = Handshake(report: report, release: release)
        (report, release) = (-1, -1)
        let successor = try handshake.serve(forwardingTo: engine, at: at)
        guard terminalSocket >= 0 else { return successor }
        // Sent before the program was executed, so it is there; a failure to receive it leaves no terminal.
        let master = gantry_receive_descriptor(terminalSocket)
        close(terminalSocket)
        terminalSocket = -1
        stdio.terminal = master
        if master >= 0 {
            try step("set up the terminal") { () throws(SystemError) in try Descriptors.setNonBlocking(master) }
        }
        return successor
    }
}
