import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// `rootless --exec-root FOLDER --log FILE -- PROGRAM ARGUMENTS…`: the engine of a plain user. This process enters the
/// user, network and mount namespaces of the engine before it, or has them made, and becomes the engine: its parent,
/// its process id and its standard streams stay what they are.
enum RootlessMode {
    private static let startMilliseconds: UInt64 = 20_000
    private static let pauseMicroseconds: UInt32 = 20_000
    private static let namespaces = Int32(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)

    static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count >= 6, arguments[0] == "--exec-root", arguments[2] == "--log", arguments[4] == "--" else {
            return Supervisor.usage
        }
        do {
            try enter(execRoot: arguments[1], command: Array(arguments[5...]))
        } catch {
            complain(error, log: arguments[3])
        }
        return Supervisor.usage
    }

    /// To standard error and to the engine's log, whose end the command line shows when no engine answers.
    private static func complain(_ failure: SetupFailure, log: String) {
        let text = Array("gantry: cannot run without root: \(failure.step): \(failure.text)\n".utf8)
        // Neither may be there to be written to, and there is no third place.
        try? FileSystem.makeDirectories(FileSystem.parent(of: log))
        let file = gantry_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        for descriptor in [STDERR_FILENO, file] where descriptor >= 0 { _ = write(descriptor, text, text.count) }
    }

    private static func enter(execRoot: String, command: [String]) throws(SetupFailure) {
        try PrivateFolder.prepare(execRoot)
        CgroupDelegation.enter()
        let facts = try connect(execRoot)
        let pidfd = try step("find the namespaces") { () throws(SystemError) in
            FileDescriptor(owning: try check("pidfd_open") { gantry_pidfd_open(facts.holder, 0) })
        }
        let folder = getcwd(nil, 0)
        defer { free(folder) }
        let raw = pidfd.raw
        try step("enter the namespaces") { () throws(SystemError) in
            try check("setns") { setns(raw, namespaces) }
            // The mount namespace's root is the folder now.
            if let folder { _ = chdir(folder) }
        }
        try execute(command, facts)
    }

    private static func execute(_ command: [String], _ facts: RootlessFacts) throws(SetupFailure) {
        try step("keep the namespaces") { () throws(SystemError) in
            // The engine inherits the connection.
            try check("fcntl") { gantry_fcntl(facts.lifeline, F_SETFD, 0) }
        }
        setenv(RootlessFacts.variable, facts.text, 1)
        let arguments = CStrings(command)
        try step("execute \(command[0])") { () throws(SystemError) in
            try check("execve", path: command[0]) { execve(command[0], arguments.pointers, gantry_environment()) }
        }
    }

    /// Connects to the holder of the namespaces. When there is none, whoever gets the lock makes one.
    private static func connect(_ execRoot: String) throws(SetupFailure) -> RootlessFacts {
        let path = RootlessFacts.socketPath(execRoot: execRoot)
        let lockPath = "\(execRoot)/rootless.lock"
        let deadline = Clock.monotonic() + startMilliseconds * 1_000_000
        while Clock.monotonic() < deadline {
            if let found = greet(path) { return found }
            let lock = try step("open the lock") { () throws(SystemError) in
                try FileDescriptor.open(lockPath, O_RDWR | O_CREAT, mode: 0o600)
            }
            if flock(lock.raw, LOCK_EX | LOCK_NB) == 0 {
                try RootlessKeeper.start(execRoot: execRoot, lock: lock.raw)
            } else {
                usleep(pauseMicroseconds)
            }
        }
        throw SetupFailure(step: "find the namespaces", code: ETIMEDOUT, text: "\(path) does not answer")
    }

    /// A holder that is about to end, or none, does not greet.
    private static func greet(_ path: String) -> RootlessFacts? {
        // Whoever does not answer is asked again, or replaced: `connect`.
        guard let connection = try? MessageSocket.connect(to: path),
            let text = try? MessageSocket.receive(from: connection.raw),  // As above.
            var facts = RootlessFacts(text: text)
        else { return nil }
        facts.lifeline = connection.take()
        return facts
    }
}

/// A folder that nobody else can write to: below /tmp anybody may have made one of the name before.
enum PrivateFolder {
    static func prepare(_ path: String) throws(SetupFailure) {
        try step("make the folder \(path)") { () throws(SystemError) in
            let parent = FileSystem.parent(of: path)
            // The default is two folders deep in a place of ours, or one deep in /tmp.
            if !FileSystem.exists(parent) { try FileSystem.makeDirectories(parent, mode: 0o700) }
            if mkdir(path, 0o700) != 0, errno != EEXIST { throw SystemError("mkdir", path: path, code: errno) }
            var status = stat()
            try check("lstat", path: path) { lstat(path, &status) }
            guard gantry_is_directory(status.st_mode) != 0, status.st_uid == getuid(), status.st_mode & 0o022 == 0
            else { throw SystemError("use (another user can write to it)", path: path, code: EPERM) }
        }
    }
}
