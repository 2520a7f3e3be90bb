import SupervisorPlan

/// From limits to the directories of a container. The rule for what the host lacks: a limit that cannot be kept is an
/// error; a preference (a weight, a reservation, swappiness, how swap is counted) is a warning.
extension CgroupLayout {
    /// The directories of a new container with everything to write into them.
    /// For an update they only tell what cannot be: a limit may build on one that stays.
    func plans(
        name: String, resources: RuntimeSpec.Resources, isUpdate: Bool = false
    ) throws(RuntimeError) -> [CgroupPlan] {
        let resources = isDelegated ? applicable(resources) : resources
        try checkSupport(resources)
        let rules = RuntimeSpec.DeviceRule.completed(resources.devices ?? [])
        var limits = CgroupLimits(resources: resources)
        if isUpdate { limits.present = { _ in "0" } }
        var plans: [CgroupPlan] = []
        for (hierarchy, path) in directories(name: name) where isNeeded(hierarchy, resources) {
            var plan = CgroupPlan(version: hierarchy.version, path: path)
            plan.copiesParentCPUSet = hierarchy.version == .one && hierarchy.controllers.contains("cpuset")
            plan.writes = try limits.writes(hierarchy)
            if hierarchy.controllers.contains("devices") { plan.writes += try DeviceList(rules)?.writes ?? [] }
            if !isDelegated, hierarchy.version == .two, self.hierarchy(of: "devices") == nil {
                plan.deviceFilter = try DeviceFilter.program(rules)
            }
            plans.append(plan)
        }
        return plans
    }

    /// Each directory costs tens of microseconds: those that would do nothing are left out. v2 is always there: it
    /// counts processor time, kills and freezes.
    func isNeeded(_ hierarchy: Hierarchy, _ resources: RuntimeSpec.Resources) -> Bool {
        if hierarchy.version == .two || usesEvery { return true }
        for controller in hierarchy.controllers {
            switch controller {
            case "memory", "cpu", "pids", "blkio": return true
            case "freezer", "cpuacct": if unified == nil { return true }
            case "devices": if resources.devices?.isEmpty == false { return true }
            default: if resources.asksFor(controller) { return true }
            }
        }
        return false
    }

    private func checkSupport(_ resources: RuntimeSpec.Resources) throws(RuntimeError) {
        for controller in ["memory", "cpu", "cpuset", "pids", "hugetlb", "net_cls", "net_prio", "rdma", "blkio"] {
            let names = controller == "blkio" ? ["blkio", "io"] : [controller]
            guard resources.limits(controller), !names.contains(where: { hierarchy(of: $0) != nil }) else { continue }
            throw .unsupported("a \(controller) limit: this host has no cgroup controller for it")
        }
        if resources.unified?.isEmpty == false, unified == nil {
            throw .unsupported("unified resources: this host has no cgroup v2 hierarchy")
        }
        if try DeviceList(resources.devices ?? []) != nil, unified == nil, hierarchy(of: "devices") == nil {
            throw .unsupported("device rules: this host has neither a devices controller nor cgroup v2")
        }
    }

    /// Preferences that this host does not know.
    func warnings(_ resources: RuntimeSpec.Resources) -> [String] {
        var warnings: [String] = []
        if let memory = resources.memory {
            let isOne = hierarchy(of: "memory")?.version == .one
            if memory.kernel ?? 0 != 0 { warnings.append("kernel memory limits are gone from Linux: ignored") }
            if !isOne {
                if memory.swappiness != nil { warnings.append("swappiness needs the memory controller of cgroup v1") }
                if memory.disableOOMKiller == true {
                    warnings.append("only the memory controller of cgroup v1 can disable the out-of-memory killer")
                }
                if memory.kernelTCP ?? 0 != 0 { warnings.append("TCP buffers are limited by cgroup v1 only: ignored") }
            }
        }
        let leaf = resources.blockIO?.weightDevice?.contains { $0.leafWeight ?? 0 != 0 } ?? false
        if leaf || resources.blockIO?.leafWeight ?? 0 != 0 {
            warnings.append("leaf weights of block I/O are gone from Linux: ignored")
        }
        for controller in ["memory", "cpu", "blkio"] where resources.asksFor(controller) {
            let names = controller == "blkio" ? ["blkio", "io"] : [controller]
            if !resources.limits(controller), !names.contains(where: { hierarchy(of: $0) != nil }) {
                warnings.append("this host has no cgroup controller for \(controller): ignored")
            }
        }
        return warnings
    }
}

extension RuntimeSpec.Resources {
    /// Anything at all for a controller, by its name in v1.
    func asksFor(_ controller: String) -> Bool {
        switch controller {
        case "memory": memory != nil
        case "cpu": cpu?.shares != nil || cpu?.idle != nil || limits("cpu")
        case "blkio": blockIO != nil
        default: limits(controller)
        }
    }

    /// Something that must hold, not a mere preference.
    func limits(_ controller: String) -> Bool {
        switch controller {
        case "memory": return memory?.limit ?? 0 > 0 || memory?.swap ?? 0 > 0
        case "cpu": return cpu?.quota ?? 0 > 0 || cpu?.realtimeRuntime ?? 0 > 0
        case "cpuset": return [cpu?.cpus, cpu?.mems].contains { $0?.isEmpty == false }
        case "pids": return pids?.limit ?? -1 >= 0
        case "hugetlb": return hugepageLimits?.isEmpty == false
        case "net_cls": return network?.classID ?? 0 != 0
        case "net_prio": return network?.priorities?.isEmpty == false
        case "rdma": return rdma?.isEmpty == false
        case "blkio":
            guard let block = blockIO else { return false }
            let all = [
                block.throttleReadBpsDevice, block.throttleWriteBpsDevice, block.throttleReadIOPSDevice,
                block.throttleWriteIOPSDevice,
            ]
            return all.contains { $0?.isEmpty == false }
        default: return false
        }
    }
}
