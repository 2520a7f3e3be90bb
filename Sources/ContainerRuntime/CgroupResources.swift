import SupervisorPlan

/// Limits as writes to control files: cgroup v1 (Documentation/admin-guide/cgroup-v1) and v2 (cgroup-v2.rst).
extension CgroupLayout {
    /// The directories of a new container with everything to write into them.
    func plans(name: String, resources: RuntimeSpec.Resources) throws(RuntimeError) -> [CgroupPlan] {
        var plans: [CgroupPlan] = []
        for (hierarchy, path) in directories(name: name) where isNeeded(hierarchy, resources) {
            var plan = CgroupPlan(version: hierarchy.version, path: path)
            plan.copiesParentCPUSet = hierarchy.version == .one && hierarchy.controllers.contains("cpuset")
            plan.writes = try Self.writes(hierarchy, resources)
            if hierarchy.controllers.contains("devices") {
                plan.writes += try Self.deviceWrites(resources.devices ?? [])
            }
            if hierarchy.version == .two, self.hierarchy(of: "devices") == nil {
                plan.deviceFilter = try DeviceFilter.program(resources.devices ?? [])
            }
            plans.append(plan)
        }
        return plans
    }

    /// Each directory costs tens of microseconds: those that would do nothing are left out. v2 is always there: it
    /// counts processor time, kills and freezes.
    private func isNeeded(_ hierarchy: Hierarchy, _ resources: RuntimeSpec.Resources) -> Bool {
        if hierarchy.version == .two || usesEvery { return true }
        for controller in hierarchy.controllers {
            switch controller {
            case "memory", "cpu", "pids": return true
            case "devices": if !(resources.devices ?? []).isEmpty { return true }
            case "cpuset": if resources.cpu?.cpus != nil || resources.cpu?.mems != nil { return true }
            case "freezer", "cpuacct": if unified == nil { return true }
            default: break
            }
        }
        return false
    }

    /// The limits of `resources` that belong to one hierarchy.
    static func writes(
        _ hierarchy: Hierarchy, _ resources: RuntimeSpec.Resources
    ) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        let isOne = hierarchy.version == .one
        if hierarchy.controllers.contains("memory"), let memory = resources.memory {
            writes += isOne ? memoryOne(memory) : try memoryTwo(memory)
        }
        if hierarchy.controllers.contains("cpu"), let cpu = resources.cpu {
            writes += isOne ? cpuOne(cpu) : cpuTwo(cpu)
        }
        if hierarchy.controllers.contains("cpuset"), let cpu = resources.cpu {
            for (file, value) in [("cpuset.cpus", cpu.cpus), ("cpuset.mems", cpu.mems)] {
                guard let value, !value.isEmpty else { continue }
                guard value.utf8.allSatisfy({ (0x2c...0x2d).contains($0) || (0x30...0x39).contains($0) }) else {
                    throw .invalidSpec("'\(value)' is not a list of processors or memory nodes")
                }
                writes.append(CgroupWrite(file, value))
            }
        }
        if hierarchy.controllers.contains("pids"), let pids = resources.pids {
            writes.append(CgroupWrite("pids.max", pids.limit > 0 ? "\(pids.limit)" : "max"))
        }
        return writes
    }

    private static func memoryOne(_ memory: RuntimeSpec.Resources.Memory) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        if let limit = memory.limit { writes.append(CgroupWrite("memory.limit_in_bytes", "\(limit)")) }
        // Missing where the kernel does not account for swap.
        if let swap = memory.swap {
            writes.append(CgroupWrite("memory.memsw.limit_in_bytes", "\(swap)", optional: true))
        }
        if let soft = memory.reservation { writes.append(CgroupWrite("memory.soft_limit_in_bytes", "\(soft)")) }
        return writes
    }

    private static func memoryTwo(_ memory: RuntimeSpec.Resources.Memory) throws(RuntimeError) -> [CgroupWrite] {
        func text(_ bytes: Int64) -> String { bytes < 0 ? "max" : "\(bytes)" }
        var writes: [CgroupWrite] = []
        if let limit = memory.limit { writes.append(CgroupWrite("memory.max", text(limit))) }
        if let swap = memory.swap {
            var own = swap
            if swap >= 0 {
                guard let limit = memory.limit, limit >= 0, swap >= limit else {
                    throw .invalidSpec("memory plus swap is below the memory limit")
                }
                own = swap - limit
            }
            writes.append(CgroupWrite("memory.swap.max", text(own), optional: true))
        }
        if let reservation = memory.reservation { writes.append(CgroupWrite("memory.low", text(reservation))) }
        return writes
    }

    private static func cpuOne(_ cpu: RuntimeSpec.Resources.CPU) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        if let shares = cpu.shares { writes.append(CgroupWrite("cpu.shares", "\(shares)")) }
        if let period = cpu.period { writes.append(CgroupWrite("cpu.cfs_period_us", "\(period)")) }
        if let quota = cpu.quota { writes.append(CgroupWrite("cpu.cfs_quota_us", "\(quota)")) }
        return writes
    }

    private static func cpuTwo(_ cpu: RuntimeSpec.Resources.CPU) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        if let shares = cpu.shares, shares > 0 { writes.append(CgroupWrite("cpu.weight", "\(weight(shares: shares))")) }
        if cpu.quota != nil || cpu.period != nil {
            let quota = cpu.quota.map { $0 < 0 ? "max" : "\($0)" } ?? "max"
            writes.append(CgroupWrite("cpu.max", "\(quota) \(cpu.period ?? 100_000)"))
        }
        return writes
    }

    /// v1's 2…262144 with 1024 as its middle onto v2's 1…10000 with 100: linear between the three points.
    static func weight(shares: UInt64) -> UInt64 {
        let shares = min(max(shares, 2), 262_144)
        if shares <= 1024 { return 1 + (shares - 2) * 99 / 1022 }
        return 100 + (shares - 1024) * 9_900 / (262_144 - 1024)
    }

    /// A v1 allow list, first rule first. Nothing to write where everything is allowed.
    private static func deviceWrites(_ rules: [RuntimeSpec.DeviceRule]) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        for rule in rules {
            let rule = try DeviceFilter.Rule(rule)
            let file = rule.allow ? "devices.allow" : "devices.deny"
            writes.append(CgroupWrite(file, rule.isEverything ? "a" : rule.text))
        }
        return writes
    }
}
