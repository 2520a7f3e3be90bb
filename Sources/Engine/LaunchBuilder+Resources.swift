import ContainerRuntime
import StackModel

extension LaunchBuilder {
    /// The limits of a service as the runtime specification has them, with Docker's defaults.
    func resources(_ template: RuntimeSpec.Resources) throws(EngineError) -> RuntimeSpec.Resources {
        var resources = template
        resources.memory = memory()
        resources.cpu = cpu()
        // Docker's zero is no limit.
        resources.pids = service.resources.pids.map { .init(limit: $0 > 0 ? $0 : -1) }
        resources.blockIO = try service.resources.blockIO.map { (block) throws(EngineError) in try blockIO(block) }
        return resources
    }

    private func memory() -> RuntimeSpec.Resources.Memory? {
        let limits = service.resources
        // As Docker: no more swap than memory again, unless the file says otherwise.
        let swap =
            limits.memorySwap ?? limits.memory.map { $0 < 0 ? -1 : $0.multipliedReportingOverflow(by: 2).partialValue }
        var memory = RuntimeSpec.Resources.Memory(
            limit: limits.memory, reservation: limits.memoryReservation, swap: swap)
        // Docker's -1 is the host's own.
        memory.swappiness = limits.memorySwappiness.flatMap { UInt64(exactly: $0) }
        if service.oomKillDisable == true { memory.disableOOMKiller = true }
        return memory == .init() ? nil : memory
    }

    private func cpu() -> RuntimeSpec.Resources.CPU? {
        let limits = service.resources
        var cpu = RuntimeSpec.Resources.CPU()
        cpu.shares = limits.cpuShares.flatMap { $0 == 0 ? nil : UInt64(max(2, $0)) }
        cpu.cpus = limits.cpuset
        cpu.quota = limits.cpuQuota
        cpu.period = limits.cpuPeriod.flatMap { UInt64(exactly: $0) }
        cpu.realtimeRuntime = limits.cpuRealtimeRuntime
        cpu.realtimePeriod = limits.cpuRealtimePeriod.flatMap { UInt64(exactly: $0) }
        if let nanoCPUs = limits.nanoCPUs { cpu.setNanoCPUs(nanoCPUs) }
        return cpu == .init() ? nil : cpu
    }

    private func blockIO(_ block: StackModel.BlockIO) throws(EngineError) -> RuntimeSpec.Resources.BlockIO {
        var result = RuntimeSpec.Resources.BlockIO()
        result.weight = try block.weight.map { (weight) throws(EngineError) in try self.weight(weight) }
        result.weightDevice = try block.deviceWeights.map { (device) throws(EngineError) in
            let node = try HostDevice(path: device.path)
            return .init(major: node.major, minor: node.minor, weight: try weight(device.weight))
        }
        result.throttleReadBpsDevice = try rates(block.readBytes)
        result.throttleWriteBpsDevice = try rates(block.writeBytes)
        result.throttleReadIOPSDevice = try rates(block.readOperations)
        result.throttleWriteIOPSDevice = try rates(block.writeOperations)
        return result
    }

    private func weight(_ weight: Int64) throws(EngineError) -> UInt16 {
        guard let weight = UInt16(exactly: weight) else {
            throw .badRequest("service '\(stored.service)': block I/O weight \(weight) is not in 10 to 1000")
        }
        return weight
    }

    private func rates(
        _ rates: [StackModel.BlockIO.Rate]
    ) throws(EngineError) -> [RuntimeSpec.Resources.ThrottleDevice] {
        try rates.map { (rate) throws(EngineError) in
            guard let value = UInt64(exactly: rate.rate) else {
                throw .badRequest("service '\(stored.service)': rate \(rate.rate) of \(rate.path) is negative")
            }
            let node = try HostDevice(path: rate.path)
            return .init(major: node.major, minor: node.minor, rate: value)
        }
    }
}
