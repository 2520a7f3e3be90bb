import LinuxSystem

extension CgroupLayout {
    /// The path of a cgroup below its hierarchy without slashes at its ends; nothing may lead out of the hierarchy.
    static func checkName(_ path: String) throws(RuntimeError) -> String {
        let (componentLengthMax, depthMax) = (255, 32)
        let components = path.split(separator: "/")
        let isPlain = components.allSatisfy { $0 != "." && $0 != ".." && $0.utf8.count <= componentLengthMax }
        // The kernel's names of control files start with a controller's: a newline is all that it refuses itself.
        let isClean = path.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        guard !components.isEmpty, components.count <= depthMax, isPlain, isClean else {
            throw .invalidSpec("'\(path)' is not the path of a cgroup")
        }
        return components.joined(separator: "/")
    }
}

extension PlanCompiler {
    /// Where the container's cgroups are below each hierarchy.
    func cgroupName(_ request: LaunchRequest) throws(RuntimeError) -> String {
        if let path = request.cgroupPath { return try CgroupLayout.checkName(path) }
        let parent = try request.cgroupParent.map { (path) throws(RuntimeError) in try CgroupLayout.checkName(path) }
        return "\(parent ?? cgroupParent)/\(request.id)"
    }
}
