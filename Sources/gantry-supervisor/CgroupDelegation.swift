import CLinux
import Glibc
import LinuxSystem

/// Limits without root: where systemd has given the user a subtree of cgroup v2 (`Delegate=yes`), the processes in it
/// move into a leaf, since a cgroup that holds processes hands no controllers on. cgroups(7), "no internal processes".
enum CgroupDelegation {
    /// The engine's leaf; beside it lie the containers' cgroups.
    static let leaf = "gantry-engine"

    /// Nothing to delegate is no failure: there are no limits then, and the engine says so.
    static func enter() {
        guard let own = ownDirectory(), FileSystem.lastComponent(of: own) != leaf,
            access(own, W_OK) == 0, access("\(own)/cgroup.subtree_control", W_OK) == 0,
            access("\(own)/cgroup.procs", W_OK) == 0
        else { return }
        let place = "\(own)/\(leaf)"
        guard mkdir(place, 0o755) == 0 || errno == EEXIST else { return }
        // Unreadable: nobody is in the way.
        let processes = (try? CgroupTree.read(own, "cgroup.procs"))?.split(separator: "\n") ?? []
        // A process that ends meanwhile, or is not ours, stays out.
        for process in processes { try? CgroupTree.write(place, "cgroup.procs", String(process)) }
    }

    private static func ownDirectory() -> String? {
        // Unreadable: no cgroups.
        guard let text = try? FileSystem.readFile("/proc/self/cgroup"),
            let mounts = try? FileSystem.readFile("/proc/self/mountinfo")  // As above.
        else { return nil }
        return CgroupTree.unifiedDirectory(
            cgroup: String(decoding: text, as: UTF8.self), mountinfo: String(decoding: mounts, as: UTF8.self))
    }
}
