import CLinux
import Glibc
import LinuxSystem
import NetworkService
import SupervisorPlan

/// `network EXEC-ROOT`: the process that answers names and relays ports for the containers of an engine. Returns when
/// it listens, or says on standard output why it does not; a second one for the same folder ends at once.
enum NetworkMode {
    private static let ready = "ready"

    static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count == 1 else { return Supervisor.usage }
        let execRoot = arguments[0]
        do {
            let ends = try step("make a pipe") { () throws(SystemError) in try Descriptors.pipe() }
            var pidfd: Int32 = -1
            // The engine waits for its child; the process itself belongs to nobody.
            let pid = try step("start the process") { () throws(SystemError) in
                try check("clone3") { gantry_clone3(0, &pidfd, -1) }
            }
            if pid == 0 { serve(execRoot, report: ends.write) }
            close(ends.write)
            let answer = FileDescriptor(owning: ends.read)
            let bytes = try step("wait for the process") { () throws(SystemError) in
                try answer.readAll(byteCountMax: 1 << 16)
            }
            if String(decoding: bytes, as: UTF8.self) == ready { return 0 }
            let text = bytes.isEmpty ? Array("the process ended without an answer".utf8) : bytes
            _ = write(STDOUT_FILENO, text, text.count)
        } catch {
            let text = Array("\(error.step): \(error.text)".utf8)
            _ = write(STDOUT_FILENO, text, text.count)
        }
        return 1
    }

    private static func serve(_ execRoot: String, report: Int32) -> Never {
        do {
            try prepare(execRoot, report: report)
        } catch {
            let text = Array("\(error.step): \(error.text)".utf8)
            _ = write(report, text, text.count)
            _exit(1)
        }
        _exit(0)
    }

    private static func prepare(_ execRoot: String, report: Int32) throws(SetupFailure) {
        setsid()
        "gantry-network".withCString { _ = gantry_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
        _ = chdir("/")
        signal(SIGPIPE, SIG_IGN)
        let null = gantry_open("/dev/null", O_RDWR, 0)
        for stream in Int32(0)...2 { dup2(null, stream) }
        Descriptors.closeAll(except: [0, 1, 2, report])
        let lockPath = NetworkServicePlace.lockPath(execRoot: execRoot)
        let lock = try step("open the lock") { () throws(SystemError) in
            try FileDescriptor.open(lockPath, O_RDWR | O_CREAT, mode: 0o600)
        }
        // One that runs, or is about to, does all there is to do.
        guard flock(lock.raw, LOCK_EX | LOCK_NB) == 0 else { return tell(ready, report) }
        let path = NetworkServicePlace.socketPath(execRoot: execRoot)
        let listener = try step("listen on \(path)") { () throws(SystemError) in
            try UnixListener.messages(at: path).take()
        }
        let service = try step("make the service") { () throws(SystemError) in
            try NetworkService(
                listener: FileDescriptor(owning: listener), path: path,
                build: try NetworkServicePlace.build(of: "/proc/self/exe"),
                mayEnd: { !RootlessSurvivors(execRoot: execRoot).areAny })
        }
        try step("give up privileges") { () throws(SystemError) in try NetworkConfinement.apply() }
        tell(ready, report)
        service.run()
        unlink(path)
    }

    private static func tell(_ text: String, _ report: Int32) {
        let bytes = Array(text.utf8)
        _ = write(report, bytes, bytes.count)
        close(report)
    }
}

enum UnixListener {
    private static let backlog: Int32 = 16

    /// For whoever may write to the folder's files as us; the path must have an owner (a lock) that says so.
    static func messages(at path: String) throws(SystemError) -> FileDescriptor {
        unlink(path)  // Of a process that was killed.
        let listener = FileDescriptor(owning: try check("socket") { gantry_message_socket() })
        let raw = listener.raw
        let previous = umask(0o177)
        defer { _ = umask(previous) }
        try check("bind", path: path) { gantry_unix_bind(raw, path) }
        try check("listen", path: path) { listen(raw, backlog) }
        return listener
    }
}
