import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Ids of the user's namespace: 0 is the user, 1 and up are those that /etc/subuid and /etc/subgid give away, written
/// by newuidmap(1) and newgidmap(1); without these the user's own id is all there is. user_namespaces(7).
struct RootlessIDs {
    private enum Kind: String { case uid, gid }

    /// True when one of the maps holds the own id only.
    private(set) var isSingle = false

    /// Writes both maps of `process`, which has a user namespace of its own.
    init(mapping process: pid_t) throws(SetupFailure) {
        for (kind, own) in [(Kind.uid, getuid()), (.gid, getgid())] {
            let ranges = Self.ranges(kind)
            if !ranges.isEmpty, Self.mapRanges(kind, process, own: own, ranges) { continue }
            isSingle = true
            try step("map the user's own \(kind.rawValue)") { () throws(SystemError) in
                if kind == .gid { try Self.write("deny", "/proc/\(process)/setgroups") }
                try Self.write("0 \(own) 1", "/proc/\(process)/\(kind.rawValue)_map")
            }
        }
    }

    private static func write(_ text: String, _ path: String) throws(SystemError) {
        try FileDescriptor.open(path, O_WRONLY).writeAll(Array(text.utf8))
    }

    /// Lines `NAME:FIRST:COUNT`, the name or the number of the user. subuid(5).
    private static func ranges(_ kind: Kind) -> [(first: UInt32, count: UInt32)] {
        // A missing file gives nothing away.
        let bytes = (try? FileSystem.readFile(kind == .uid ? "/etc/subuid" : "/etc/subgid")) ?? []
        let names = [userName(), "\(getuid())"]
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, names.contains(String(fields[0])), let first = UInt32(fields[1]),
                let count = UInt32(fields[2]), first > 0, count > 0
            else { return nil }
            return (first, count)
        }
    }

    private static func userName() -> String {
        // Users of a directory service are not in the file; their number is in subuid then.
        let bytes = (try? FileSystem.readFile("/etc/passwd")) ?? []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, UInt32(fields[2]) == getuid() { return String(fields[0]) }
        }
        return ""
    }

    private static func mapRanges(
        _ kind: Kind, _ process: pid_t, own: UInt32, _ ranges: [(first: UInt32, count: UInt32)]
    ) -> Bool {
        var command = ["new\(kind.rawValue)map", "\(process)", "0", "\(own)", "1"]
        var inside: UInt32 = 1
        for range in ranges {
            let (next, overflow) = inside.addingReportingOverflow(range.count)
            guard !overflow else { break }
            command += ["\(inside)", "\(range.first)", "\(range.count)"]
            inside = next
        }
        guard let pid = ChildProcess.spawn(command, output: "/dev/null") else { return false }
        return ChildProcess.wait(pid) == 0
    }
}

/// Programs that are started by name.
enum ChildProcess {
    /// With standard input from /dev/null, and output and error in the file `output`; `nil` when there is no such
    /// program.
    static func spawn(_ command: [String], output: String) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Every disposition the default: pasta takes an ignored SIGPIPE for a failure.
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        var pid: pid_t = 0
        let arguments = CStrings(command)
        guard posix_spawnp(&pid, command[0], &actions, &attributes, arguments.pointers, gantry_environment()) == 0
        else {
            return nil
        }
        return pid
    }

    /// Exit code; 128 and more for a signal.
    static func wait(_ pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { return 255 }
        }
        return gantry_wifexited(status) != 0 ? gantry_wexitstatus(status) : 128 + gantry_wtermsig(status)
    }
}
