import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// User namespaces: their maps, written from outside, and what a process does that has arrived in one.
enum UserNamespace {
    private static let mapByteCountMax = 64 << 10

    /// A user namespace with these maps and nobody in it, for mounts: a process holds it while the maps are written.
    static func make(_ map: IDMapPlan) throws(SystemError) -> FileDescriptor {
        var pidfd: Int32 = -1
        let holder = try whileMappable { () throws(SystemError) in
            try check("clone3") { gantry_clone3(UInt64(CLONE_NEWUSER), &pidfd, -1) }
        }
        if holder == 0 {
            gantry_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL), 0, 0, 0)
            while true { pause() }
        }
        defer {
            kill(holder, SIGKILL)
            var info = siginfo_t()
            gantry_waitid_pidfd(pidfd, &info, WEXITED)
            close(pidfd)
        }
        try writeMaps(map, of: holder)
        return try FileDescriptor.open("/proc/\(holder)/ns/user", O_RDONLY)
    }

    /// Without privileges, the files of a process that is not dumpable belong to the host's root, also to be mapped by.
    static func whileMappable<Result>(_ body: () throws(SystemError) -> Result) throws(SystemError) -> Result {
        guard geteuid() != 0 else { return try body() }
        gantry_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        let result = try body()
        // Not in the new process, which must stay mappable until its maps are there; see `becomeRoot`.
        if let pid = result as? pid_t, pid == 0 { return result }
        gantry_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        return result
    }

    /// user_namespaces(7): as they are with privileges; by newuidmap(1) and newgidmap(1) without; and where those are
    /// missing or refuse, one's own single id, which costs setgroups(2).
    static func writeMaps(_ map: IDMapPlan, of process: pid_t) throws(SystemError) {
        do {
            try write(map.groups, to: "/proc/\(process)/gid_map")
            return try write(map.users, to: "/proc/\(process)/uid_map")
        } catch {
            guard error.code == EPERM, geteuid() != 0 else { throw error }
        }
        if run("newgidmap", process, map.groups), run("newuidmap", process, map.users) { return }
        try FileDescriptor.open("/proc/\(process)/setgroups", O_WRONLY).writeAll(Array("deny".utf8))
        try write(map.groups, to: "/proc/\(process)/gid_map")
        try write(map.users, to: "/proc/\(process)/uid_map")
    }

    private static func write(_ mappings: [IDMapping], to path: String) throws(SystemError) {
        let text = Array(mappings.map(\.line).joined().utf8)
        do {
            let file = try FileDescriptor.open(path, O_WRONLY)
            let raw = file.raw
            // The kernel takes a map in one piece only.
            try check("write", path: path) { Glibc.write(raw, text, text.count) }
        } catch {
            throw SystemError(error.call, path: path, code: error.code)
        }
    }

    private static func run(_ program: String, _ process: pid_t, _ mappings: [IDMapping]) -> Bool {
        let numbers = mappings.flatMap { ["\($0.containerID)", "\($0.hostID)", "\($0.size)"] }
        let arguments = CStrings([program, "\(process)"] + numbers)
        for folder in ["/usr/bin", "/bin", "/usr/local/bin"] {
            var pid: pid_t = 0
            guard posix_spawn(&pid, "\(folder)/\(program)", nil, nil, arguments.pointers, gantry_environment()) == 0
            else { continue }
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            return gantry_wifexited(status) != 0 && gantry_wexitstatus(status) == 0
        }
        return false
    }

    /// The host's id of the root of a process's user namespace; `nil` where no id of ours is its root.
    static func root(of process: pid_t, map: String) -> UInt32? {
        // Unreadable means gone, which shows elsewhere.
        root(in: (try? FileSystem.readFile("/proc/\(process)/\(map)", byteCountMax: mapByteCountMax)) ?? [])
    }

    /// The same of a namespace: a process that has entered it is asked.
    static func root(of namespace: borrowing FileDescriptor) throws(SystemError) -> (user: UInt32, group: UInt32)? {
        let raw = namespace.raw
        var pidfd: Int32 = -1
        let visitor = try check("clone3") { gantry_clone3(0, &pidfd, -1) }
        if visitor == 0 {
            gantry_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL), 0, 0, 0)
            if setns(raw, Int32(CLONE_NEWUSER)) != 0 { _exit(1) }
            // Stopped for sure once inside, which is what is waited for.
            kill(getpid(), SIGSTOP)
            _exit(0)
        }
        var info = siginfo_t()
        gantry_waitid_pidfd(pidfd, &info, WSTOPPED | WEXITED | WNOWAIT)
        defer {
            kill(visitor, SIGKILL)
            gantry_waitid_pidfd(pidfd, &info, WEXITED)
            close(pidfd)
        }
        guard let user = root(of: visitor, map: "uid_map"), let group = root(of: visitor, map: "gid_map") else {
            return nil
        }
        return (user, group)
    }

    private static func root(in bytes: [UInt8]) -> UInt32? {
        for line in bytes.split(separator: 0x0a) {
            let fields = line.split(separator: 0x20).map { UInt32(String(decoding: $0, as: UTF8.self)) }
            if fields.count == 3, fields[0] == 0 { return fields[1] }
        }
        return nil
    }

    /// In the process that has arrived: its ids mean nothing in here until it takes some of the namespace's own.
    static func becomeRoot() throws(SystemError) {
        // EPERM: setgroups is denied in here, so there is nothing to drop that could be taken up again.
        if setgroups(0, nil) != 0, errno != EPERM { throw SystemError("setgroups", code: errno) }
        // EINVAL: the namespace has no root.
        if setresgid(0, 0, 0) != 0, errno != EINVAL { throw SystemError("setresgid", code: errno) }
        if setresuid(0, 0, 0) != 0, errno != EINVAL { throw SystemError("setresuid", code: errno) }
        try check("PR_SET_DUMPABLE") { gantry_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) }
    }
}
