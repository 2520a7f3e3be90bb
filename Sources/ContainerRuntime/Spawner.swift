import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Starts supervisors, vfork-style (`posix_spawn(3)`): nothing of the engine's memory is copied.
final class Spawner: Sendable {
    /// Sources are moved here and above, out of the way of the numbers the supervisor gets.
    static let descriptorMin: Int32 = 64

    let program: SharedDescriptor
    /// `nil` where the caller waits for its supervisors itself.
    private let reaper: Poller?

    /// The program is executed from a detached, read-only mount of its file: a process that is executing it inside a
    /// container cannot open `/proc/self/exe` for writing (CVE-2019-5736).
    init(supervisorPath: String, reaps: Bool = true) throws(SystemError) {
        reaper = reaps ? try Poller(name: "reaper") : nil
        let tree = gantry_open_tree_clone(AT_FDCWD, supervisorPath, 0)
        if tree >= 0 {
            let mount = FileDescriptor(owning: tree)
            let raw = mount.raw
            try check("mount_setattr", path: supervisorPath) {
                gantry_mount_setattr(raw, 0, UInt64(MOUNT_ATTR_RDONLY), 0, UInt64(MS_PRIVATE))
            }
            program = SharedDescriptor(mount)
        } else {
            // Not privileged enough for mounts: nor are our containers then for the host's files.
            guard errno == EPERM else { throw SystemError("open_tree", path: supervisorPath, code: errno) }
            program = SharedDescriptor(try FileDescriptor.open(supervisorPath, O_PATH))
        }
    }

    /// Starts `gantry-supervisor MODE NAME` with its plan, a report pipe and the clients' sockets. The process is
    /// reaped whenever it ends.
    func spawn(
        mode: String, name: String, plan: [UInt8], clients: [Int32]
    ) throws(SystemError) -> SpawnedSupervisor {
        let file = try Self.memoryFile(plan)
        var ends: [Int32] = [-1, -1]
        try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
        let report = FileDescriptor(owning: ends[0])
        let reportEnd = FileDescriptor(owning: ends[1])
        var passed: [(source: FileDescriptorHolder, number: Int32)] = [
            (try FileDescriptorHolder(file.raw, Self.descriptorMin), SupervisorDescriptor.plan),
            (try FileDescriptorHolder(reportEnd.raw, Self.descriptorMin), SupervisorDescriptor.report),
            (try FileDescriptorHolder(program.raw, Self.descriptorMin), SupervisorDescriptor.program),
        ]
        for (index, client) in clients.prefix(Int(SupervisorDescriptor.clientsMax)).enumerated() {
            let number =
                index == 0 ? SupervisorDescriptor.client : SupervisorDescriptor.furtherClients + Int32(index) - 1
            passed.append((try FileDescriptorHolder(client, Self.descriptorMin), number))
        }
        let pid = try Self.spawn(
            arguments: ["gantry-supervisor", mode, name], passed.map { ($0.source.raw, $0.number) })
        try watch(pid)
        return SpawnedSupervisor(pid: pid, report: report)
    }

    private static func spawn(
        arguments: [String], _ passed: [(source: Int32, number: Int32)]
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for stream in Int32(0)...2 { posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0) }
        for (source, number) in passed { posix_spawn_file_actions_adddup2(&actions, source, number) }
        posix_spawn_file_actions_addchdir_np(&actions, "/")
        let highest = passed.map(\.number).max() ?? SupervisorDescriptor.program
        posix_spawn_file_actions_addclosefrom_np(&actions, highest + 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Its own session, every disposition the default, and all signals blocked until it looks after them.
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &all)
        let flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        posix_spawnattr_setflags(&attributes, Int16(flags))
        let cArguments = arguments.map { strdup($0) } + [nil]
        defer { for argument in cArguments { free(argument) } }
        // A crash after pivot_root(2) must not have the Swift runtime execute a `swift-backtrace` of the container's.
        let environment = [strdup("SWIFT_BACKTRACE=enable=no"), nil]
        defer { for variable in environment { free(variable) } }
        var pid: pid_t = 0
        let path = "/proc/self/fd/\(SupervisorDescriptor.program)"
        let code = posix_spawn(&pid, path, &actions, &attributes, cArguments, environment)
        guard code == 0 else { throw SystemError("posix_spawn", path: path, code: code) }
        return pid
    }

    private func watch(_ pid: pid_t) throws(SystemError) {
        guard let reaper else { return }
        let pidfd = FileDescriptor(owning: try check("pidfd_open") { gantry_pidfd_open(pid, 0) })
        let own = SharedDescriptor(try pidfd.duplicate())
        try reaper.watch(pidfd, once: true) {
            var info = siginfo_t()
            _ = gantry_waitid_pidfd(own.raw, &info, WEXITED | WNOHANG)
        }
    }

    static func memoryFile(_ bytes: [UInt8]) throws(SystemError) -> FileDescriptor {
        let file = FileDescriptor(owning: try check("memfd_create") { memfd_create("plan", UInt32(MFD_CLOEXEC)) })
        try file.writeAll(bytes)
        let raw = file.raw
        try check("lseek") { lseek(raw, 0, SEEK_SET) }
        return file
    }
}

/// A supervisor that has been started and not answered yet.
struct SpawnedSupervisor: ~Copyable {
    let pid: pid_t
    /// Its `StartReport`s, then the end of the file.
    let report: FileDescriptor
}

/// A duplicate at a high number, closed with its last reference.
final class FileDescriptorHolder: Sendable {
    let raw: Int32

    init(_ descriptor: Int32, _ min: Int32) throws(SystemError) {
        raw = try check("fcntl") { gantry_fcntl(descriptor, F_DUPFD_CLOEXEC, Int(min)) }
    }

    deinit { close(raw) }
}
