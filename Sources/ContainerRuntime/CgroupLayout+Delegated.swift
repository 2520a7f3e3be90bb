import LinuxSystem
import SupervisorPlan

extension CgroupLayout {
    /// The name of the engine's own leaf in a subtree that it was given: the supervisor's `rootless` mode puts it
    /// there.
    private static let engineLeaf = "gantry-engine"

    /// What a user without root may use of cgroups: the subtree of v2 around the engine's leaf, with those of its
    /// controllers that it may hand on. Nothing, when there is no such subtree: containers run without limits then.
    static func delegated(parent: String) throws(SystemError) -> CgroupLayout {
        let none = CgroupLayout(delegated: nil)
        let own = CgroupTree.unifiedDirectory(
            cgroup: String(decoding: try FileSystem.readFile("/proc/self/cgroup"), as: UTF8.self),
            mountinfo: String(decoding: try FileSystem.readFile("/proc/self/mountinfo"), as: UTF8.self))
        guard let own, FileSystem.lastComponent(of: own) == engineLeaf else {
            // The root of a container that was given cgroups of its own may use them all.
            let layout = try current()
            // Refused: they are not ours.
            return (try? layout.prepareParent(parent)) == nil ? none : layout
        }
        let place = FileSystem.parent(of: own)
        var hierarchy = Hierarchy(version: .two, mountPoint: place, controllers: [])
        // Not ours to make cgroups in: there are no limits then.
        guard (try? CgroupLayout(delegated: hierarchy).prepareParent(parent)) != nil else { return none }
        // What could not be handed on is of no use: refused where other processes share the cgroup.
        let enabled = (try? CgroupTree.read("\(place)/\(parent)", "cgroup.subtree_control")) ?? ""
        hierarchy.controllers = enabled.split(separator: " ").map(String.init)
        return CgroupLayout(delegated: hierarchy)
    }

    /// Without the limits that cannot be kept here: the engine has warned of them.
    func applicable(_ resources: RuntimeSpec.Resources) -> RuntimeSpec.Resources {
        var kept = RuntimeSpec.Resources()
        if limiting.contains("memory") { kept.memory = resources.memory }
        kept.cpu = resources.cpu
        if !limiting.contains("cpu") {
            var cpu = RuntimeSpec.Resources.CPU()
            (cpu.cpus, cpu.mems) = (resources.cpu?.cpus, resources.cpu?.mems)
            kept.cpu = cpu
        }
        if !limiting.contains("cpuset") {
            kept.cpu?.cpus = nil
            kept.cpu?.mems = nil
        }
        if limiting.contains("pids") { kept.pids = resources.pids }
        if limiting.contains("io") { kept.blockIO = resources.blockIO }
        if limiting.contains("hugetlb") { kept.hugepageLimits = resources.hugepageLimits }
        if unified != nil { kept.unified = resources.unified }
        return kept
    }

    /// Controllers that limits can be set of.
    var limiting: Set<String> { Set(hierarchies.flatMap(\.controllers)) }
}

extension Runtime {
    /// Limits of these controllers (`memory`, `cpu`, `cpuset`, `pids`) take effect.
    public var limitingControllers: Set<String> { host.cgroups.limiting }
}
