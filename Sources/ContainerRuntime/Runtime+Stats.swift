import Glibc
import LinuxSystem
import SupervisorPlan

extension Runtime {
    ///
    /// - Parameter isBrief: only the container's own processor time, memory, processes and disks: what can be asked of
    ///   a hundred containers at once, every few seconds.
    public func stats(directory: String, isBrief: Bool = false) throws(RuntimeError) -> CgroupStats {
        let name = try runningState(directory).cgroupName
        return try purpose("read the container's resource use") { () throws(SystemError) in
            var stats = CgroupStats()
            let reader = StatsReader(cgroups: host.cgroups, name: name)
            try reader.memory(into: &stats)
            try reader.processors(into: &stats)
            try reader.processes(into: &stats)
            try reader.block(into: &stats)
            if isBrief { return stats }
            try reader.host(into: &stats)
            try reader.hugepages(into: &stats)
            reader.pressure(into: &stats)
            return stats
        }
    }
}

/// Reads a container's control files. Optional are those of newer kernels, and directories that the container has not.
private struct StatsReader {
    let cgroups: CgroupLayout
    let name: String

    private func place(_ controller: String) -> (isOne: Bool, path: String)? {
        guard let place = cgroups.path(of: controller, name: name), FileSystem.exists(place.path) else { return nil }
        return (place.version == .one, place.path)
    }

    private func text(_ path: String, _ file: String) throws(SystemError) -> String? {
        do {
            return try CgroupTree.read(path, file)
        } catch {
            guard error.code == ENOENT || error.code == EOPNOTSUPP else { throw error }
            return nil
        }
    }

    private func number(_ path: String, _ file: String) throws(SystemError) -> UInt64? {
        try text(path, file).flatMap { UInt64($0) }
    }

    /// v1 writes the largest multiple of a page where there is no limit.
    private func limit(_ path: String, _ file: String) throws(SystemError) -> UInt64? {
        let unlimited: UInt64 = 1 << 62
        return try number(path, file).flatMap { $0 >= unlimited ? nil : $0 }
    }

    func memory(into stats: inout CgroupStats) throws(SystemError) {
        guard let (isOne, path) = place("memory") else { return }
        stats.isMemoryVersionOne = isOne
        stats.memoryUsage = try number(path, isOne ? "memory.usage_in_bytes" : "memory.current")
        stats.memoryLimit = try limit(path, isOne ? "memory.limit_in_bytes" : "memory.max")
        stats.memoryUsageMax = try number(path, isOne ? "memory.max_usage_in_bytes" : "memory.peak")
        stats.memoryDetails = CgroupText.flat(try text(path, "memory.stat") ?? "")
        stats.memoryInactiveFile = stats.memoryDetails[isOne ? "total_inactive_file" : "inactive_file"]
        stats.swapUsage = try number(path, isOne ? "memory.memsw.usage_in_bytes" : "memory.swap.current")
        stats.swapLimit = try limit(path, isOne ? "memory.memsw.limit_in_bytes" : "memory.swap.max")
        if isOne {
            stats.memoryLimitHits = try number(path, "memory.failcnt")
            stats.oomKills = try CgroupTree.sum(path, "memory.oom_control", key: "oom_kill")
        } else {
            let events = CgroupText.flat(try text(path, "memory.events") ?? "")
            stats.memoryLimitHits = events["max"]
            stats.oomKills = events["oom_kill"]
        }
    }

    func processors(into stats: inout CgroupStats) throws(SystemError) {
        if let cpu = place("cpuacct"), cpu.isOne {
            stats.cpuNanoseconds = try number(cpu.path, "cpuacct.usage")
            let modes = CgroupText.flat(try text(cpu.path, "cpuacct.stat") ?? "")
            stats.cpuUserNanoseconds = modes["user"].map { $0 &* Self.tickNanoseconds }
            stats.cpuSystemNanoseconds = modes["system"].map { $0 &* Self.tickNanoseconds }
            stats.cpuPerProcessor = (try text(cpu.path, "cpuacct.usage_percpu") ?? "").split(separator: " ")
                .compactMap { UInt64($0) }
        }
        if let unified = cgroups.unified {
            let times = CgroupText.flat(try CgroupTree.read("\(unified.mountPoint)/\(name)", "cpu.stat"))
            stats.cpuNanoseconds = times["usage_usec"].map { $0 &* 1000 }
            stats.cpuUserNanoseconds = times["user_usec"].map { $0 &* 1000 }
            stats.cpuSystemNanoseconds = times["system_usec"].map { $0 &* 1000 }
        }
        guard let cpu = place("cpu") else { return }
        let times = CgroupText.flat(try text(cpu.path, "cpu.stat") ?? "")
        guard let periods = times["nr_periods"], let throttled = times["nr_throttled"] else { return }
        let time = cpu.isOne ? times["throttled_time"] : times["throttled_usec"].map { $0 &* 1000 }
        stats.cpuThrottling = .init(periods: periods, throttledPeriods: throttled, throttledNanoseconds: time ?? 0)
    }

    func host(into stats: inout CgroupStats) throws(SystemError) {
        stats.onlineProcessors = UInt32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        stats.hostCPUNanoseconds = try Self.hostNanoseconds()
    }

    private static var tickNanoseconds: UInt64 { 1_000_000_000 / UInt64(max(sysconf(Int32(_SC_CLK_TCK)), 1)) }

    /// The first line of /proc/stat, without guests, whose time is in the user's already.
    private static func hostNanoseconds() throws(SystemError) -> UInt64 {
        let states = 8
        let bytes = try FileSystem.readFile("/proc/stat")
        let line = bytes.prefix { $0 != 0x0a }
        let ticks = String(decoding: line, as: UTF8.self).split(separator: " ").dropFirst().prefix(states)
            .compactMap { UInt64($0) }.reduce(0, &+)
        return ticks &* tickNanoseconds
    }

    func processes(into stats: inout CgroupStats) throws(SystemError) {
        guard let pids = place("pids") else { return }
        stats.pids = try number(pids.path, "pids.current")
        stats.pidsLimit = try number(pids.path, "pids.max")
    }

    func block(into stats: inout CgroupStats) throws(SystemError) {
        if let two = place("io"), !two.isOne {
            stats.blockIO = CgroupText.blockTwo(try text(two.path, "io.stat") ?? "")
        } else if let one = place("blkio") {
            stats.blockIO = CgroupText.blockOne(
                bytes: try text(one.path, "blkio.throttle.io_service_bytes_recursive") ?? "",
                requests: try text(one.path, "blkio.throttle.io_serviced_recursive") ?? "")
        }
    }

    func hugepages(into stats: inout CgroupStats) throws(SystemError) {
        guard let (isOne, path) = place("hugetlb") else { return }
        let suffix = isOne ? ".usage_in_bytes" : ".current"
        for file in try FileSystem.list(path) where file.hasPrefix("hugetlb.") && file.hasSuffix(suffix) {
            let size = String(file.dropFirst("hugetlb.".count).dropLast(suffix.count))
            guard !size.contains("."), let usage = try number(path, file) else { continue }
            let hits =
                isOne
                ? try number(path, "hugetlb.\(size).failcnt")
                : CgroupText.flat(try text(path, "hugetlb.\(size).events") ?? "")["max"]
            let most = isOne ? try number(path, "hugetlb.\(size).max_usage_in_bytes") : nil
            stats.hugepages[size] = .init(usage: usage, usageMax: most, limitHits: hits ?? 0)
        }
    }

    func pressure(into stats: inout CgroupStats) {
        guard let unified = cgroups.unified else { return }
        for resource in ["cpu", "memory", "io"] {
            // Missing with `psi=0` and unreadable with `cgroup.pressure` off: no numbers then.
            let text = try? CgroupTree.read("\(unified.mountPoint)/\(name)", "\(resource).pressure")
            if let pressure = text.flatMap({ CgroupText.pressure($0) }) { stats.pressure[resource] = pressure }
        }
    }
}
