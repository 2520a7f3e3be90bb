import Glibc
import SupervisorPlan

/// Weights of v1 on the scales of v2.
enum CgroupWeights {
    /// v1's 2…262144 onto 1…10000, so that both ends and the two defaults (1024, 100) meet: a quadratic in the
    /// logarithm, as runc and crun have it since 2025.
    static func cpu(shares: UInt64) -> UInt64 {
        if shares <= 2 { return 1 }
        if shares >= 262_144 { return 10_000 }
        let exponent = log2(Double(shares))
        let power = (exponent * exponent + 125 * exponent) / 612 - 7.0 / 34
        return UInt64(roundedUp(pow(10, power)))
    }

    /// v1's 10…1000 onto 1…10000.
    static func io(blkio weight: UInt16) -> UInt64 { 1 + (UInt64(max(weight, 10)) - 10) * 9_999 / 990 }

    private static func roundedUp(_ value: Double) -> Double {
        // A whole number that floating point has left a trifle too large is not rounded to the next.
        let trifle = 1e-9
        return (value - trifle).rounded(.up)
    }
}

extension CgroupLimits {
    func blockOne(_ block: RuntimeSpec.Resources.BlockIO) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        if let weight = try weight(block.weight) {
            let bfq = CgroupWrite("blkio.bfq.weight", "\(weight)", missing: .warning)
            writes.append(CgroupWrite("blkio.weight", "\(weight)", instead: bfq))
        }
        for device in block.weightDevice ?? [] {
            guard let weight = try weight(device.weight) else { continue }
            let value = "\(try number(device.major, device.minor)) \(weight)"
            let bfq = CgroupWrite("blkio.bfq.weight_device", value, missing: .warning)
            writes.append(CgroupWrite("blkio.weight_device", value, instead: bfq))
        }
        for (name, devices) in rates(block) {
            for device in devices {
                let value = "\(try number(device.major, device.minor)) \(device.rate)"
                writes.append(CgroupWrite("blkio.throttle.\(name.one)_device", value))
            }
        }
        return writes
    }

    func blockTwo(_ block: RuntimeSpec.Resources.BlockIO) throws(RuntimeError) -> [CgroupWrite] {
        var writes: [CgroupWrite] = []
        if let weight = try weight(block.weight) {
            let plain = CgroupWrite("io.weight", "\(CgroupWeights.io(blkio: weight))", missing: .warning)
            writes.append(CgroupWrite("io.bfq.weight", "\(weight)", instead: plain))
        }
        for device in block.weightDevice ?? [] {
            guard let weight = try weight(device.weight) else { continue }
            let name = try number(device.major, device.minor)
            let plain = CgroupWrite("io.weight", "\(name) \(CgroupWeights.io(blkio: weight))", missing: .warning)
            writes.append(CgroupWrite("io.bfq.weight", "\(name) \(weight)", instead: plain))
        }
        for (name, devices) in rates(block) {
            for device in devices {
                let rate = device.rate == 0 ? "max" : "\(device.rate)"
                let value = "\(try number(device.major, device.minor)) \(name.two)=\(rate)"
                writes.append(CgroupWrite("io.max", value))
            }
        }
        return writes
    }

    private typealias Rates = (name: (one: String, two: String), devices: [RuntimeSpec.Resources.ThrottleDevice])

    private func rates(_ block: RuntimeSpec.Resources.BlockIO) -> [Rates] {
        [
            (("read_bps", "rbps"), block.throttleReadBpsDevice ?? []),
            (("write_bps", "wbps"), block.throttleWriteBpsDevice ?? []),
            (("read_iops", "riops"), block.throttleReadIOPSDevice ?? []),
            (("write_iops", "wiops"), block.throttleWriteIOPSDevice ?? []),
        ]
    }

    private func weight(_ weight: UInt16?) throws(RuntimeError) -> UInt16? {
        guard let weight, weight != 0 else { return nil }
        guard (10...1000).contains(weight) else {
            throw .invalidSpec("block I/O weight \(weight) is not in 10 to 1000")
        }
        return weight
    }

    private func number(_ major: Int64, _ minor: Int64) throws(RuntimeError) -> String {
        guard (0...Int64(Int32.max)).contains(major), (0...Int64(Int32.max)).contains(minor) else {
            throw .invalidSpec("device number \(major):\(minor) is out of range")
        }
        return "\(major):\(minor)"
    }
}
