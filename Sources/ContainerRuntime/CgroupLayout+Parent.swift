import Glibc
import LinuxSystem
import SupervisorPlan

extension CgroupLayout {
    /// Makes the cgroup above all containers. v2: its controllers are handed down at every level; v1: a cpuset without
    /// processors would take no process.
    func prepareParent(_ name: String) throws(SystemError) {
        for hierarchy in used {
            var path = hierarchy.mountPoint
            for component in name.split(separator: "/") {
                if hierarchy.version == .two { try Self.enableControllers(hierarchy, at: path) }
                path += "/\(component)"
                if mkdir(path, 0o755) != 0, errno != EEXIST { throw SystemError("mkdir", path: path, code: errno) }
                if hierarchy.version == .one, hierarchy.controllers.contains("cpuset") {
                    try CgroupTree.copyParentCPUSet(path)
                }
            }
            guard hierarchy.version == .two else { continue }
            try Self.checkDomain(path)
            try Self.enableControllers(hierarchy, at: path)
        }
    }

    /// A cgroup of threads takes no containers, which are whole processes with limits on memory.
    private static func checkDomain(_ path: String) throws(SystemError) {
        let type = try CgroupTree.read(path, "cgroup.type")
        guard type == "domain" else {
            throw SystemError("use the cgroup, whose cgroup.type is '\(type)'", path: path, code: EOPNOTSUPP)
        }
    }

    /// What is refused (processes in the cgroup, real-time ones, a parent without the controller) is missing below; a
    /// limit that needs it says so then.
    private static func enableControllers(_ hierarchy: Hierarchy, at path: String) throws(SystemError) {
        let available = try CgroupTree.read(path, "cgroup.controllers").split(separator: " ").map(String.init)
        let enabled = try CgroupTree.read(path, "cgroup.subtree_control").split(separator: " ").map(String.init)
        let wanted = available.filter { controllersOfContainers.contains($0) && !enabled.contains($0) }
        guard !wanted.isEmpty else { return }
        do {
            try CgroupTree.write(path, "cgroup.subtree_control", wanted.map { "+\($0)" }.joined(separator: " "))
        } catch {
            guard [EBUSY, EINVAL, EOPNOTSUPP, ENOENT, EPERM, EACCES].contains(error.code) else { throw error }
            // One refused controller must not keep the others away.
            for controller in wanted { try? CgroupTree.write(path, "cgroup.subtree_control", "+\(controller)") }
        }
    }

    /// Where the hierarchy has no other cgroup left, nobody but us can have wanted its controllers handed down: the
    /// host is left as it was.
    static func takeBackControllers(_ hierarchy: Hierarchy) {
        // Unreadable or refused: the controllers stay handed down, which changes nothing for anyone.
        guard let names = try? FileSystem.list(hierarchy.mountPoint),
            !names.contains(where: { FileSystem.exists("\(hierarchy.mountPoint)/\($0)/cgroup.procs") })
        else { return }
        for controller in controllersOfContainers {
            try? CgroupTree.write(hierarchy.mountPoint, "cgroup.subtree_control", "-\(controller)")  // As above.
        }
    }

    static let controllersOfContainers: Set<String> = [
        "memory", "cpu", "cpuset", "pids", "io", "hugetlb", "rdma",
    ]
}
