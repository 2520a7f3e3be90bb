import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

enum Supervisor {
    static let usage: Int32 = 2

    static func run(_ arguments: [String]) -> Int32 {
        if arguments.count == 2, arguments[1] == "version" {
            print(PlanFile.layoutText, terminator: "")
            return 0
        }
        guard arguments.count >= 3 else { return usage }
        switch arguments[1] {
        case "run": return start(name: "gantry-run") { () throws(SetupFailure) in try ContainerMode.run() }
        case "exec": return start(name: "gantry-exec") { () throws(SetupFailure) in try ExecMode.run() }
        case "create": return start(name: "gantry-create") { () throws(SetupFailure) in try CreateMode.run() }
        case "join": return start(name: "gantry-join") { () throws(SetupFailure) in try ExecMode.join() }
        case "watch": return WatchMode.run(Array(arguments.dropFirst(2)))
        case "network": return NetworkMode.run(Array(arguments.dropFirst(2)))
        case "rootless": return RootlessMode.run(Array(arguments.dropFirst(2)))
        default: return usage
        }
    }

    /// What both container modes do first and last.
    private static func start(name: String, _ body: () throws(SetupFailure) -> Void) -> Int32 {
        // Nobody may trace us or read our descriptors, least of all from inside a container we have just entered.
        gantry_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        name.withCString { _ = gantry_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
        _ = UserIDs.areGroupsDenied
        Signals.blockAll()
        umask(0o077)
        if name == "gantry-run" || name == "gantry-exec" {
            close(SupervisorDescriptor.program)
            let further = UInt32(SupervisorDescriptor.furtherClients) + SupervisorDescriptor.clientsMax - 1
            close_range(further, .max, 0)
        }
        do {
            try body()
            return 0
        } catch {
            Report.send(.failed(error), to: SupervisorDescriptor.report)
            return 1
        }
    }

    /// The plan comes on a descriptor of its own and is read once.
    static func readPlan<Plan: PlanCodable>(_ type: Plan.Type) throws(SetupFailure) -> Plan {
        let file = FileDescriptor(owning: SupervisorDescriptor.plan)
        let bytes = try step("read the plan") { () throws(SystemError) in
            try file.readAll(byteCountMax: PlanFile.byteCountMax)
        }
        do {
            return try PlanFile.decode(type, from: bytes)
        } catch {
            throw SetupFailure(step: "read the plan", code: EINVAL, text: "\(error)")
        }
    }
}

/// Runs a step of the set-up; its name goes into the failure.
@discardableResult
func step<Result: ~Copyable>(
    _ name: @autoclosure () -> String, _ body: () throws(SystemError) -> Result
) throws(SetupFailure) -> Result {
    do {
        return try body()
    } catch {
        throw SetupFailure(step: name(), code: error.code, text: error.description)
    }
}

enum Signals {
    /// Signals are waited for, never handled: a blocked SIGPIPE is an EPIPE, a stray SIGTERM hurts no container.
    static func blockAll() {
        var all = sigset_t()
        sigfillset(&all)
        sigprocmask(SIG_BLOCK, &all, nil)
    }

    /// For the process that is about to execute the user's program. Dispositions are the default already: the engine
    /// spawns us that way and we install none.
    static func unblockAll() {
        gantry_default_internal_signals()
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
    }
}

enum Report {
    /// One `write(2)` below PIPE_BUF; the engine may be gone, which is no reason to stop.
    static func send(_ report: StartReport, to descriptor: Int32) {
        let bytes = report.bytes
        _ = write(descriptor, bytes, bytes.count)
    }
}

enum Clock {
    /// Nanoseconds since 1970.
    static func now() -> UInt64 { read(CLOCK_REALTIME) }

    /// Nanoseconds that only grow.
    static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

enum Descriptors {
    /// Closes every descriptor but `kept`, in as few calls as gaps.
    static func closeAll(except kept: [Int32]) {
        var next: UInt32 = 0
        for descriptor in kept.sorted() where descriptor >= 0 {
            let number = UInt32(descriptor)
            if number > next { close_range(next, number - 1, 0) }
            next = number + 1
        }
        close_range(next, .max, 0)
    }

    static func pipe(_ flags: Int32 = O_CLOEXEC) throws(SystemError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        try check("pipe2") { pipe2(&ends, flags) }
        return (ends[0], ends[1])
    }

    static func setNonBlocking(_ descriptor: Int32) throws(SystemError) {
        let flags = try check("fcntl") { gantry_fcntl(descriptor, F_GETFL, 0) }
        try check("fcntl") { gantry_fcntl(descriptor, F_SETFL, Int(flags | O_NONBLOCK)) }
    }
}

extension ProcessStat {
    /// Of a process by number, or of `self`.
    static func read(_ process: String) throws(SystemError) -> ProcessStat {
        let path = "/proc/\(process)/stat"
        guard let stat = ProcessStat(try FileSystem.readFile(path, byteCountMax: 4096)) else {
            throw SystemError("read", path: path, code: EINVAL)
        }
        return stat
    }
}
