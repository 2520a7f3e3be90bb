import LinuxSystem
import SupervisorPlan

extension CgroupLayout {
    /// The name of the engine's own leaf in a subtree that it was given: the supervisor's `rootless` mode puts it there.
    private static let engineLeaf = "gantry-engine"

    /// What a user without root may use of cgroups: the subtree of v2 around the engine's leaf, with those of its
    /// controllers that it may hand on. Nothing, when there is no such subtree: containers run without limits then.
    static func delegated(parent: String) throws(SystemError) -> CgroupLayout {
        let none = CgroupLayout(delegated: nil)
        let own = CgroupTree.unifiedDirectory(
            cgroup: String(decoding: try FileSystem.readFile("/proc/self/cgroup"), as: UTF8.self),
            mountinfo: String(decoding: try FileSystem.readFile("/proc/self/mountinfo"), as: UTF8.self))
        guard let own, FileSystem.lastComponent(of: own) == engineLeaf else { return none }
        let place = FileSystem.parent(of: own)
        // Unreadable: a subtree without controllers.
        let controllers = (try? CgroupTree.read(place, "cgroup.controllers"))?.split(separator: " ") ?? []
        let layout = CgroupLayout(
            delegated: Hierarchy(version: .two, mountPoint: place, controllers: controllers.map(String.init)))
        // What cannot be handed on is of no use: refused where other processes share the cgroup.
        guard (try? layout.prepareParent(parent)) != nil else { return none }
        return layout
    }

    /// Controllers that limits can be set of.
    var limiting: Set<String> { Set(hierarchies.flatMap(\.controllers)) }
}

extension Runtime {
    /// Limits of these controllers (`memory`, `cpu`, `cpuset`, `pids`) take effect.
    public var limitingControllers: Set<String> { host.cgroups.limiting }
}
