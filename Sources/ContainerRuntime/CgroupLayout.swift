import LinuxSystem
import SupervisorPlan

/// Which cgroup hierarchy carries which controller on this host: all v1, all v2, or a mixture. cgroups(7), proc(5).
public struct CgroupLayout: Equatable, Sendable {
    /// Where hosts mount cgroups and where containers look for them.
    public static let root = "/sys/fs/cgroup"

    struct Hierarchy: Equatable, Sendable {
        var version: CgroupPlan.Version
        var mountPoint: String
        /// v1: `memory`, `cpu`, `name=systemd`; v2: what the root's `cgroup.controllers` lists.
        var controllers: [String]
    }

    private(set) var hierarchies: [Hierarchy] = []
    /// Containers have a directory in every hierarchy, whether or not it limits anything: what reads their resource use
    /// looks there.
    var usesEvery = false
    /// The subtree of a user without root: what it cannot limit runs without limits, and with no filter for devices,
    /// which no such user could make or open more of than before.
    private(set) var isDelegated = false

    /// The subtree of a user without root; empty without one.
    init(delegated: Hierarchy?) {
        hierarchies = delegated.map { [$0] } ?? []
        isDelegated = true
    }

    /// From the text of `/proc/self/mountinfo`; `controllers` answers a v2 mount's `cgroup.controllers`.
    init(mountinfo: String, controllers: (String) -> String) {
        let known: Set<String> = [
            "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "net_cls",
            "net_prio", "perf_event", "rdma", "misc", "debug",
        ]
        for line in mountinfo.split(separator: "\n") {
            let halves = line.split(separator: " - ", maxSplits: 1)
            guard halves.count == 2 else { continue }
            let (before, after) = (halves[0].split(separator: " "), halves[1].split(separator: " "))
            // A mount of only a part of a hierarchy (field 4) is somebody's container.
            guard before.count >= 5, after.count >= 3, before[3] == "/" else { continue }
            let mountPoint = String(before[4])
            switch after[0] {
            case "cgroup":
                let names = after[2].split(separator: ",").map(String.init)
                    .filter { known.contains($0) || $0.hasPrefix("name=") }
                add(Hierarchy(version: .one, mountPoint: mountPoint, controllers: names))
            case "cgroup2":
                let names = controllers(mountPoint).split(separator: " ").map(String.init)
                add(Hierarchy(version: .two, mountPoint: mountPoint, controllers: names))
            default: continue
            }
        }
    }

    private mutating func add(_ hierarchy: Hierarchy) {
        let isKnown = hierarchies.contains {
            $0.version == hierarchy.version && (hierarchy.version == .two || $0.controllers == hierarchy.controllers)
        }
        if !isKnown { hierarchies.append(hierarchy) }
    }

    static func current() throws(SystemError) -> CgroupLayout {
        let mountinfo = try FileSystem.readFile("/proc/self/mountinfo")
        return CgroupLayout(mountinfo: String(decoding: mountinfo, as: UTF8.self)) { mountPoint in
            // Unreadable: a hierarchy without controllers.
            (try? CgroupTree.read(mountPoint, "cgroup.controllers")) ?? ""
        }
    }

    // MARK: - Look-up

    var unified: Hierarchy? { hierarchies.first { $0.version == .two } }

    func hierarchy(of controller: String) -> Hierarchy? {
        hierarchies.first { $0.controllers.contains(controller) }
    }

    /// The hierarchies that containers have directories in. v2 is always among them: it counts processor time, kills
    /// and freezes, which takes two controllers of v1.
    var used: [Hierarchy] {
        let wanted: Set<String> = [
            "memory", "cpu", "cpuset", "pids", "devices", "blkio", "hugetlb", "net_cls", "net_prio", "rdma",
        ]
        let replaced: Set<String> = unified == nil ? ["freezer", "cpuacct"] : []
        return hierarchies.filter {
            usesEvery || $0.version == .two || !wanted.union(replaced).isDisjoint(with: $0.controllers)
        }
    }

    func directories(name: String) -> [(hierarchy: Hierarchy, path: String)] {
        used.map { ($0, "\($0.mountPoint)/\(name)") }
    }

    /// Path of a container's directory for a controller.
    func path(of controller: String, name: String) -> (version: CgroupPlan.Version, path: String)? {
        hierarchy(of: controller).map { ($0.version, "\($0.mountPoint)/\(name)") }
    }

    /// What a container's /sys/fs/cgroup shows: a folder a hierarchy; empty on a pure v2 host, for one cgroup2 mount.
    var containerMounts: [MountParameter] {
        guard hierarchies.contains(where: { $0.version == .one }) else { return [] }
        let wanted: Set<String> = ["cpu", "cpuacct", "cpuset", "memory", "pids"]
        return hierarchies.compactMap { hierarchy in
            let name = FileSystem.lastComponent(of: hierarchy.mountPoint)
            if hierarchy.version == .two { return MountParameter("", name) }
            guard hierarchy.controllers.contains(where: wanted.contains) else { return nil }
            return MountParameter(hierarchy.controllers.joined(separator: ","), name)
        }
    }
}
