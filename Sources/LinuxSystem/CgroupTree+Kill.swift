import CLinux
import Glibc

extension CgroupTree {
    private static let killPassesMax = 100
    private static let killPauseMicroseconds: UInt32 = 1_000
    private static let freezeAttemptsMax = 100

    /// Kills every process of the cgroups and the ones below them. `unified` is the v2 one, where `cgroup.kill` does it
    /// at one stroke since Linux 5.14; `freezer` is v1's, which keeps them from forking away meanwhile. A cgroup that
    /// is not there holds nothing.
    public static func killAll(unified: String?, freezer: String?, others: [String]) throws(SystemError) {
        if let unified {
            do {
                return try write(unified, "cgroup.kill", "1")
            } catch {
                guard error.code == ENOENT else { throw error }
            }
        }
        if let freezer { freezeForKill(freezer) }
        // Killed ones die when they thaw: whatever happens, nothing must stay frozen.
        defer { if let freezer { thaw(freezer, depth: 0) } }
        let places = [unified, freezer].compactMap(\.self) + others
        let passes = freezer == nil ? killPassesMax : 1
        for _ in 0..<passes {
            var isEmpty = true
            for place in places {
                // Unreadable means gone.
                for process in (try? processes(place)) ?? [] where kill(process, SIGKILL) == 0 { isEmpty = false }
            }
            if isEmpty { return }
            if freezer == nil { usleep(killPauseMicroseconds) }
        }
    }

    /// Best effort: a process that cannot be frozen (in a vfork, under ptrace) is killed all the same.
    private static func freezeForKill(_ freezer: String) {
        for _ in 0..<freezeAttemptsMax {
            // The cgroup may be gone, with all that was in it.
            guard (try? write(freezer, "freezer.state", "FROZEN")) != nil else { return }
            // Likewise.
            if (try? read(freezer, "freezer.state")) == "FROZEN" { return }
            usleep(killPauseMicroseconds / 10)
        }
    }

    /// A container may have frozen cgroups of its own.
    private static func thaw(_ freezer: String, depth: Int) {
        let depthMax = 64
        // Gone means that nothing is frozen there.
        try? write(freezer, "freezer.state", "THAWED")
        guard depth < depthMax else { return }
        // Likewise.
        for child in (try? children(freezer)) ?? [] { thaw(child, depth: depth + 1) }
    }

    /// The sum of a flat keyed file's value in the cgroup and those below it; `nil` when none has it.
    public static func sum(_ path: String, _ file: String, key: String) throws(SystemError) -> UInt64? {
        var total: UInt64?
        try walk(path) { (path) throws(SystemError) in
            if let value = try value(path, file, key: key) { total = (total ?? 0) &+ value }
        }
        return total
    }

    /// The cgroup at or below `path` that holds a process.
    public static func place(of process: pid_t, below path: String) throws(SystemError) -> String? {
        var found: String?
        try walk(path) { (path) throws(SystemError) in
            let processes = try read(path, "cgroup.procs").split(separator: "\n")
            if processes.contains(where: { pid_t($0) == process }) { found = path }
        }
        return found
    }

    private static func walk(
        _ path: String, depth: Int = 0, _ visit: (String) throws(SystemError) -> Void
    ) throws(SystemError) {
        let depthMax = 64
        guard depth < depthMax else { throw SystemError("cgroup", path: path, code: ELOOP) }
        try visit(path)
        for child in try children(path) { try walk(child, depth: depth + 1, visit) }
    }
}
