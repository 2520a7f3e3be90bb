import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

extension Runtime {
    /// A supervisor's own end takes two seconds at the very most: clients to flush, busy cgroups.
    private static let endMillisecondsMax: Int32 = 10_000

    /// What is there of a container. Where its supervisor was killed, what it left is killed and recorded as lost.
    public func inspect(directory: String) throws(RuntimeError) -> ContainerRecord {
        // State first: the supervisor writes the exit record before it ends.
        let state = try readState(directory)
        if let exit = try readExit(directory) {
            return ContainerRecord(state: .exited(exit), startedAt: state?.startedAt)
        }
        guard let state else { return ContainerRecord(state: .neverStarted) }
        if Self.isAlive(state.supervisorPID, start: state.supervisorStart) {
            if state.initPID == 0 {
                return ContainerRecord(state: .starting(supervisorPID: state.supervisorPID))
            }
            return ContainerRecord(
                state: .running(
                    pid: state.initPID, supervisorPID: state.supervisorPID, startedAt: state.startedAt),
                startedAt: state.startedAt)
        }
        if let exit = try readExit(directory) {
            return ContainerRecord(state: .exited(exit), startedAt: state.startedAt)
        }
        return try recordLoss(directory, state)
    }

    private func recordLoss(_ directory: String, _ state: StateRecord) throws(RuntimeError) -> ContainerRecord {
        try killAll(directory: directory)
        try removeCgroups(directory: directory)
        guard state.initPID != 0 else {
            unlink("\(directory)/\(ContainerFile.state)")
            return ContainerRecord(state: .neverStarted)
        }
        let exit = ExitRecord(code: 128 + SIGKILL, signal: SIGKILL, oomKilled: false, at: Self.now())
        try purpose("record the exit") { () throws(SystemError) in
            try FileSystem.replaceFile("\(directory)/\(ContainerFile.exit)", with: Array(exit.text.utf8))
        }
        let note = "supervisor \(state.supervisorPID) was killed; the rest of the container has been killed too"
        return ContainerRecord(state: .lost(exit, note: note), startedAt: state.startedAt)
    }

    /// Readable once the supervisor has ended, and with it everything of the container but its folder.
    public func openSupervisorPIDFD(directory: String) throws(RuntimeError) -> FileDescriptor {
        guard let state = try readState(directory) else { throw .notRunning(directory: directory) }
        return try openProcess(state.supervisorPID, start: state.supervisorStart, directory)
    }

    /// Waits until the supervisor of an earlier run, whose exit record is written, has cleaned up after itself. One
    /// that is still at work is an error.
    func awaitPredecessor(_ directory: String) throws(RuntimeError) {
        guard let state = try readState(directory) else { return }
        let supervisor: FileDescriptor
        do {
            supervisor = try openProcess(state.supervisorPID, start: state.supervisorStart, directory)
        } catch {
            if case .notRunning = error { return }
            throw error
        }
        guard try readExit(directory) != nil else { throw .stillRunning(directory: directory) }
        let raw = supervisor.raw
        let ready = try purpose("wait for the supervisor's end") { () throws(SystemError) in
            var polled = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
            return try check("poll") { poll(&polled, 1, Self.endMillisecondsMax) }
        }
        guard ready > 0 else { throw .stillRunning(directory: directory) }
    }

    /// A descriptor of `pid` if, and only if, it is the process that started at `start`.
    func openProcess(_ pid: Int32, start: UInt64, _ directory: String) throws(RuntimeError) -> FileDescriptor {
        let pidfd: FileDescriptor
        do {
            pidfd = FileDescriptor(owning: try check("pidfd_open") { gantry_pidfd_open(pid, 0) })
        } catch {
            guard error.code == ESRCH else { throw .system("open process \(pid)", error) }
            throw .notRunning(directory: directory)
        }
        // Only now: the descriptor pins the process, so the number cannot change hands any more.
        guard Self.isAlive(pid, start: start) else { throw .notRunning(directory: directory) }
        return pidfd
    }

    static func isAlive(_ pid: Int32, start: UInt64) -> Bool {
        // Unreadable means that there is no such process.
        guard let bytes = try? FileSystem.readFile("/proc/\(pid)/stat", byteCountMax: 4096),
            let stat = ProcessStat(bytes)
        else { return false }
        return stat.startTime == start && !stat.hasEnded
    }

    func readState(_ directory: String) throws(RuntimeError) -> StateRecord? {
        guard let text = try readText("\(directory)/\(ContainerFile.state)") else { return nil }
        guard let state = StateRecord(text: text) else { throw .invalidSpec("malformed state in \(directory)") }
        return state
    }

    private func readExit(_ directory: String) throws(RuntimeError) -> ExitRecord? {
        guard let text = try readText("\(directory)/\(ContainerFile.exit)") else { return nil }
        guard let exit = ExitRecord(text: text) else { throw .invalidSpec("malformed exit record in \(directory)") }
        return exit
    }

    func readText(_ path: String) throws(RuntimeError) -> String? {
        do {
            return String(decoding: try FileSystem.readFile(path, byteCountMax: 64 << 10), as: UTF8.self)
        } catch {
            guard error.code == ENOENT else { throw .system("read \(path)", error) }
            return nil
        }
    }

    /// The state of a container whose init lives.
    func runningState(_ directory: String) throws(RuntimeError) -> StateRecord {
        guard let state = try readState(directory), state.initPID != 0,
            Self.isAlive(state.initPID, start: state.initStart)
        else { throw .notRunning(directory: directory) }
        return state
    }

    /// Connects a further client to a running container, framed as `SupervisorPlan.Frame` says.
    public func attach(directory: String) throws(RuntimeError) -> FileDescriptor {
        do throws(SystemError) {
            // Through the folder's descriptor: sun_path holds 107 bytes only.
            let folder = try FileDescriptor.open(directory, O_PATH | O_DIRECTORY)
            let client = FileDescriptor(
                owning: try check("socket") {
                    socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                })
            let (raw, path) = (client.raw, "/proc/self/fd/\(folder.raw)/\(ContainerFile.attachSocket)")
            try check("connect", path: directory) { gantry_unix_connect(raw, path) }
            return client
        } catch {
            if error.code == ENOENT || error.code == ECONNREFUSED { throw .notRunning(directory: directory) }
            throw .system("attach to the container", error)
        }
    }
}
