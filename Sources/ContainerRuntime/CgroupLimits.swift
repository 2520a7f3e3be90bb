import SupervisorPlan

/// Limits as writes to control files: cgroup v1 (Documentation/admin-guide/cgroup-v1) and v2 (cgroup-v2.rst).
struct CgroupLimits {
    let resources: RuntimeSpec.Resources
    /// What a control file of a live container says; `nil` for a container that is about to start.
    var present: (_ file: String) -> String? = { _ in nil }

    /// What belongs to one hierarchy, in the order in which the kernel takes it.
    func writes(_ hierarchy: CgroupLayout.Hierarchy) throws(RuntimeError) -> [CgroupWrite] {
        let isOne = hierarchy.version == .one
        let has = { (controller: String) in hierarchy.controllers.contains(controller) }
        var writes: [CgroupWrite] = []
        if has("memory"), let memory = resources.memory {
            writes += isOne ? try memoryOne(memory) : try memoryTwo(memory)
        }
        if has("cpu"), let cpu = resources.cpu { writes += isOne ? try cpuOne(cpu) : try cpuTwo(cpu) }
        if has("cpuset"), let cpu = resources.cpu { writes += try cpuset(cpu) }
        if has("pids"), let limit = resources.pids?.limit {
            // Since specification 1.3 zero is a limit; the least that can hold a container is one.
            writes.append(CgroupWrite("pids.max", limit < 0 ? "max" : "\(max(limit, 1))"))
        }
        if has(isOne ? "blkio" : "io"), let block = resources.blockIO {
            writes += isOne ? try blockOne(block) : try blockTwo(block)
        }
        if has("hugetlb") { writes += try hugepages(resources.hugepageLimits ?? [], isOne: isOne) }
        if has("net_cls"), let id = resources.network?.classID {
            writes.append(CgroupWrite("net_cls.classid", "\(id)"))
        }
        if has("net_prio") { writes += try priorities(resources.network?.priorities ?? []) }
        if has("rdma") { writes += try rdma(resources.rdma ?? [:]) }
        if !isOne { writes += try unified(resources.unified ?? [:]) }
        return writes
    }

    // MARK: - Processors

    private func cpuset(_ cpu: RuntimeSpec.Resources.CPU) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        for (file, value) in [("cpuset.cpus", cpu.cpus), ("cpuset.mems", cpu.mems)] {
            guard let value, !value.isEmpty else { continue }
            guard value.utf8.allSatisfy({ (0x2c...0x2d).contains($0) || (0x30...0x39).contains($0) }) else {
                throw .invalidSpec("'\(value)' is not a list of processors or memory nodes")
            }
            writes.append(CgroupWrite(file, value))
        }
        return writes
    }

    /// The kernel refuses weights for an idle group: `idle` goes first when it ends that, last when it begins it.
    private func idle(_ cpu: RuntimeSpec.Resources.CPU, around others: [CgroupWrite]) throws(RuntimeError)
        -> [CgroupWrite]
    {
        guard let idle = cpu.idle else { return others }
        guard idle == 0 || idle == 1 else { throw .invalidSpec("cpu idle is 0 or 1, not \(idle)") }
        let write = CgroupWrite("cpu.idle", "\(idle)", missing: .warning)
        return idle == 0 ? [write] + others : others + [write]
    }

    private func cpuOne(_ cpu: RuntimeSpec.Resources.CPU) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        if let shares = cpu.shares, shares != 0 { writes.append(CgroupWrite("cpu.shares", "\(shares)")) }
        // Before any process joins: a real-time one is refused by a group without a share of that time.
        if let period = cpu.realtimePeriod, period != 0 { writes.append(CgroupWrite("cpu.rt_period_us", "\(period)")) }
        if let runtime = cpu.realtimeRuntime { writes.append(CgroupWrite("cpu.rt_runtime_us", "\(runtime)")) }
        if let period = cpu.period, period != 0 { writes.append(CgroupWrite("cpu.cfs_period_us", "\(period)")) }
        if let quota = cpu.quota, quota != 0 {
            writes.append(CgroupWrite("cpu.cfs_quota_us", "\(max(quota, -1))"))
        }
        if let burst = cpu.burst { writes.append(CgroupWrite("cpu.cfs_burst_us", "\(burst)")) }
        return try idle(cpu, around: writes)
    }

    private func cpuTwo(_ cpu: RuntimeSpec.Resources.CPU) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        if let shares = cpu.shares, shares != 0 {
            writes.append(CgroupWrite("cpu.weight", "\(CgroupWeights.cpu(shares: shares))"))
        }
        let quota = cpu.quota.flatMap { $0 == 0 ? nil : $0 }
        let period = cpu.period.flatMap { $0 == 0 ? nil : $0 }
        if quota != nil || period != nil {
            // One file for both: what the update leaves out is written as it was.
            let words = (present("cpu.max") ?? "").split(separator: " ").map(String.init)
            let presentQuota = words.first ?? "max"
            let presentPeriod = words.count > 1 ? words[1] : "100000"
            let quotaText = quota.map { $0 < 0 ? "max" : "\($0)" } ?? presentQuota
            writes.append(CgroupWrite("cpu.max", "\(quotaText) \(period.map(String.init) ?? presentPeriod)"))
        }
        if let burst = cpu.burst { writes.append(CgroupWrite("cpu.max.burst", "\(burst)")) }
        return try idle(cpu, around: writes)
    }

    // MARK: - The rest

    private func hugepages(
        _ limits: [RuntimeSpec.Resources.HugepageLimit], isOne: Bool
    ) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        for limit in limits {
            let digits = limit.pageSize.prefix { $0.isASCII && $0.isNumber }
            guard !digits.isEmpty, ["KB", "MB", "GB"].contains(limit.pageSize.dropFirst(digits.count)) else {
                throw .invalidSpec("'\(limit.pageSize)' is not a size of huge pages such as 2MB")
            }
            let file = isOne ? "limit_in_bytes" : "max"
            writes.append(CgroupWrite("hugetlb.\(limit.pageSize).\(file)", "\(limit.limit)"))
            // Reservations are counted apart since Linux 5.7.
            writes.append(CgroupWrite("hugetlb.\(limit.pageSize).rsvd.\(file)", "\(limit.limit)", missing: .ignored))
        }
        return writes
    }

    private func priorities(
        _ priorities: [RuntimeSpec.Resources.Network.Priority]
    ) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        for priority in priorities {
            try checkWord(priority.name, "an interface")
            writes.append(CgroupWrite("net_prio.ifpriomap", "\(priority.name) \(priority.priority)"))
        }
        return writes
    }

    private func rdma(_ devices: [String: RuntimeSpec.Resources.RDMA]) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        for (name, limit) in devices.sorted(by: { $0.key < $1.key }) {
            try checkWord(name, "an RDMA device")
            var words = [name]
            if let handles = limit.hcaHandles { words.append("hca_handle=\(handles)") }
            if let objects = limit.hcaObjects { words.append("hca_object=\(objects)") }
            if words.count > 1 { writes.append(CgroupWrite("rdma.max", words.joined(separator: " "))) }
        }
        return writes
    }

    private func checkWord(_ word: String, _ what: String) throws(RuntimeError) {
        guard !word.isEmpty, word.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw .invalidSpec("'\(word)' is not the name of \(what)")
        }
    }

    /// Files that would move processes or pull the container's cgroup from under the runtime.
    private static let reservedFiles: Set<String> = [
        "cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze", "cgroup.type", "cgroup.subtree_control",
    ]

    private func unified(_ files: [String: String]) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        for (file, value) in files.sorted(by: { $0.key < $1.key }) {
            let isName = file.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "/") }
            guard isName, file.contains("."), file.first != ".", !Self.reservedFiles.contains(file) else {
                throw .invalidSpec("'\(file)' is not a control file that a container may set")
            }
            writes.append(CgroupWrite(file, value))
        }
        return writes
    }
}
