import SupervisorPlan

extension CgroupLimits {
    func memoryOne(_ memory: RuntimeSpec.Resources.Memory) throws(RuntimeError) -> [CgroupWrite] {
        try check(memory)
        var writes: [CgroupWrite] = []
        // On since Linux 5.11, and refused there once the group has children.
        if memory.useHierarchy == true { writes.append(CgroupWrite("memory.use_hierarchy", "1", missing: .ignored)) }
        if let limit = set(memory.limit) { writes.append(CgroupWrite("memory.limit_in_bytes", "\(limit)")) }
        // Missing where the kernel does not account for swap, which Docker warns of.
        if let swap = set(memory.swap) {
            writes.append(CgroupWrite("memory.memsw.limit_in_bytes", "\(swap)", missing: .warning))
        }
        if let soft = set(memory.reservation) { writes.append(CgroupWrite("memory.soft_limit_in_bytes", "\(soft)")) }
        if let tcp = set(memory.kernelTCP) {
            writes.append(CgroupWrite("memory.kmem.tcp.limit_in_bytes", "\(tcp)", missing: .warning))
        }
        if let swappiness = memory.swappiness {
            writes.append(CgroupWrite("memory.swappiness", "\(swappiness)", missing: .warning))
        }
        if let disabled = memory.disableOOMKiller {
            writes.append(
                CgroupWrite("memory.oom_control", disabled ? "1" : "0", missing: disabled ? .warning : .ignored))
        }
        return writes
    }

    func memoryTwo(_ memory: RuntimeSpec.Resources.Memory) throws(RuntimeError) -> [CgroupWrite] {
        try check(memory)
        func text(_ bytes: Int64) -> String { bytes < 0 ? "max" : "\(bytes)" }
        var writes: [CgroupWrite] = []
        if let limit = set(memory.limit) {
            if memory.checkBeforeUpdate == true, limit >= 0,
                let used = present("memory.current").flatMap({ Int64($0) }),
                used > limit
            {
                throw .invalidSpec("the container uses \(used) bytes, more than the new limit of \(limit)")
            }
            writes.append(CgroupWrite("memory.max", text(limit)))
        }
        if let swap = set(memory.swap) {
            writes.append(CgroupWrite("memory.swap.max", try ownSwap(swap, memory), missing: .warning))
        }
        if let reservation = set(memory.reservation) {
            writes.append(CgroupWrite("memory.low", text(reservation)))
        }
        return writes
    }

    /// v1 and the specification count memory plus swap, v2 swap alone.
    private func ownSwap(_ swap: Int64, _ memory: RuntimeSpec.Resources.Memory) throws(RuntimeError) -> String {
        guard swap >= 0 else { return "max" }
        guard let limit = set(memory.limit) ?? present("memory.max").flatMap({ Int64($0) }), limit >= 0 else {
            throw .invalidSpec("a limit of memory plus swap needs a memory limit")
        }
        let (own, overflow) = swap.subtractingReportingOverflow(limit)
        guard !overflow, own >= 0 else { throw .invalidSpec("memory plus swap is below the memory limit") }
        return "\(own)"
    }

    private func check(_ memory: RuntimeSpec.Resources.Memory) throws(RuntimeError) {
        if let limit = set(memory.limit), let swap = set(memory.swap), swap >= 0, limit < 0 || swap < limit {
            throw .invalidSpec("memory plus swap is below the memory limit")
        }
        if let swappiness = memory.swappiness, swappiness > 100 {
            throw .invalidSpec("swappiness \(swappiness) is not in 0 to 100")
        }
    }

    /// Zero is how writers of JSON without optional numbers say "not set".
    private func set(_ bytes: Int64?) -> Int64? { bytes.flatMap { $0 == 0 ? nil : $0 } }
}
