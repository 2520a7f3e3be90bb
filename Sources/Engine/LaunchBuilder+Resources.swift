import ContainerRuntime
import StackModel

/// `deploy.resources`, `cpu_*`, `mem_*`, `blkio_config` and `device_cgroup_rules` as limits of the runtime
/// specification.
extension LaunchBuilder {
    func resources(_ template: RuntimeSpec.Resources) throws(EngineError) -> RuntimeSpec.Resources {
        var resources = template
        let limits = service.resources
        resources.memory = memory(limits)
        resources.cpu = try cpu(limits)
        // Docker's zero is no limit.
        if let pids = limits.pids { resources.pids = .init(limit: pids > 0 ? pids : -1) }
        resources.blockIO = try limits.blockIO.map { (block) throws(EngineError) in try blockIO(block) }
        for rule in service.deviceCgroupRules { resources.devices?.append(try deviceRule(rule)) }
        return resources
    }

    /// What of the limits others can change in control files.
    func comparedResources() throws(EngineError) -> RuntimeSpec.Resources {
        var resources = RuntimeSpec.containerDefault().linux.resources
        resources.devices = nil
        resources.memory = memory(service.resources)
        resources.cpu = try cpu(service.resources)
        if let pids = service.resources.pids { resources.pids = .init(limit: pids > 0 ? pids : -1) }
        return resources
    }

    private func memory(_ limits: Resources) -> RuntimeSpec.Resources.Memory? {
        guard
            limits.memory != nil || limits.memoryReservation != nil || limits.memorySwappiness != nil
                || service.oomKillDisable == true
        else { return nil }
        // As Docker: no more swap than memory again, unless the file says otherwise.
        let swap =
            limits.memorySwap ?? limits.memory.map { $0 < 0 ? -1 : $0.multipliedReportingOverflow(by: 2).partialValue }
        var memory = RuntimeSpec.Resources.Memory(
            limit: limits.memory, reservation: limits.memoryReservation, swap: swap)
        memory.swappiness = limits.memorySwappiness.flatMap { UInt64(exactly: $0) }
        memory.disableOOMKiller = service.oomKillDisable == true ? true : nil
        return memory
    }

    private func cpu(_ limits: Resources) throws(EngineError) -> RuntimeSpec.Resources.CPU? {
        var cpu = RuntimeSpec.Resources.CPU()
        cpu.shares = limits.cpuShares.flatMap { $0 == 0 ? nil : UInt64(max(2, $0)) }
        cpu.cpus = limits.cpuset
        cpu.quota = limits.cpuQuota
        cpu.period = try limits.cpuPeriod.map { (value) throws(EngineError) in try positive(value, "cpu_period") }
        cpu.realtimeRuntime = limits.cpuRealtimeRuntime
        cpu.realtimePeriod = try limits.cpuRealtimePeriod.map { (value) throws(EngineError) in
            try positive(value, "cpu_rt_period")
        }
        if let nanoCPUs = limits.nanoCPUs {
            guard cpu.quota == nil, cpu.period == nil else {
                throw .badRequest("service '\(stored.service)': cpus cannot be given with cpu_quota or cpu_period")
            }
            cpu.setNanoCPUs(nanoCPUs)
        }
        return cpu == RuntimeSpec.Resources.CPU() ? nil : cpu
    }

    private func positive(_ value: Int64, _ key: String) throws(EngineError) -> UInt64 {
        guard let value = UInt64(exactly: value) else {
            throw .badRequest("service '\(stored.service)': \(key) is negative")
        }
        return value
    }

    private func blockIO(_ block: BlockIO) throws(EngineError) -> RuntimeSpec.Resources.BlockIO {
        var limits = RuntimeSpec.Resources.BlockIO()
        limits.weight = try block.weight.map { (weight) throws(EngineError) in try self.weight(weight) }
        var weights: [RuntimeSpec.Resources.WeightDevice] = []
        for entry in block.deviceWeights {
            let device = try blockDevice(entry.path)
            weights.append(.init(major: device.major, minor: device.minor, weight: try weight(entry.weight)))
        }
        limits.weightDevice = weights.isEmpty ? nil : weights
        limits.throttleReadBpsDevice = try rates(block.readBytes)
        limits.throttleWriteBpsDevice = try rates(block.writeBytes)
        limits.throttleReadIOPSDevice = try rates(block.readOperations)
        limits.throttleWriteIOPSDevice = try rates(block.writeOperations)
        return limits
    }

    private func rates(
        _ rates: [BlockIO.Rate]
    ) throws(EngineError) -> [RuntimeSpec.Resources.ThrottleDevice]? {
        var limits: [RuntimeSpec.Resources.ThrottleDevice] = []
        for rate in rates {
            let device = try blockDevice(rate.path)
            limits.append(
                .init(major: device.major, minor: device.minor, rate: try positive(rate.rate, "blkio_config rate")))
        }
        return limits.isEmpty ? nil : limits
    }

    private func weight(_ weight: Int64) throws(EngineError) -> UInt16 {
        guard (10...1000).contains(weight) else {
            throw .badRequest("service '\(stored.service)': blkio_config weight \(weight) is not from 10 to 1000")
        }
        return UInt16(weight)
    }

    private func blockDevice(_ path: String) throws(EngineError) -> HostDevice {
        let device = try HostDevice(path: path)
        guard device.type == "b" else {
            throw .badRequest("service '\(stored.service)': \(path) of blkio_config is no block device")
        }
        return device
    }

    /// `c 1:3 mr`, `a *:* rwm`: Documentation/admin-guide/cgroup-v1/devices.rst.
    private func deviceRule(_ text: String) throws(EngineError) -> RuntimeSpec.DeviceRule {
        let words = text.split(separator: " ").map(String.init)
        let numbers = words.count == 3 ? words[1].split(separator: ":").map(String.init) : []
        func number(_ text: String) -> Int64? { text == "*" ? -1 : Int64(text).flatMap { $0 < 0 ? nil : $0 } }
        guard words.count == 3, ["a", "b", "c"].contains(words[0]), numbers.count == 2,
            let major = number(numbers[0]), let minor = number(numbers[1]), !words[2].isEmpty,
            words[2].allSatisfy("rwm".contains)
        else {
            throw .badRequest(
                "service '\(stored.service)': device_cgroup_rules has '\(text)', which is not like 'c 1:3 rwm'")
        }
        return RuntimeSpec.DeviceRule(allow: true, type: words[0], major: major, minor: minor, access: words[2])
    }
}
