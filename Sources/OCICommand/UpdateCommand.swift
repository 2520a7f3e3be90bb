import ArgumentParser
import ContainerRuntime
import LinuxSystem

struct UpdateCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Change the limits of a container.")

    @Option(name: [.short, .long], help: "File with linux.resources as in config.json; - is the input.")
    var resources: String?

    @Option(parsing: .unconditional) var blkioWeight: UInt16?
    @Option(parsing: .unconditional) var cpuPeriod: UInt64?
    @Option(parsing: .unconditional) var cpuQuota: Int64?
    @Option(parsing: .unconditional) var cpuBurst: UInt64?
    @Option(name: [.customLong("cpu-share"), .customLong("cpu-shares")], parsing: .unconditional)
    var cpuShare: UInt64?
    @Option(parsing: .unconditional) var cpuRtPeriod: UInt64?
    @Option(parsing: .unconditional) var cpuRtRuntime: Int64?
    @Option(parsing: .unconditional) var cpuIdle: Int64?
    @Option(parsing: .unconditional) var cpusetCpus: String?
    @Option(parsing: .unconditional) var cpusetMems: String?
    @Option(parsing: .unconditional, help: "Accepted: kernels have no such limit any more.")
    var kernelMemory: String?
    @Option(parsing: .unconditional, help: "Accepted: kernels have no such limit any more.")
    var kernelMemoryTcp: String?
    @Option(parsing: .unconditional, help: "Bytes, or with k, m, g; -1 is unlimited.") var memory: String?
    @Option(parsing: .unconditional) var memoryReservation: String?
    @Option(parsing: .unconditional) var memorySwap: String?
    @Option(parsing: .unconditional) var pidsLimit: Int64?
    @Option(help: "Not supported.") var l3CacheSchema: String?
    @Option(help: "Not supported.") var memBwSchema: String?

    @Argument var id: String

    func run(_ context: Context) throws {
        let container = try context.container(id)
        if l3CacheSchema != nil || memBwSchema != nil { throw OCIError("Intel RDT is not supported") }
        if kernelMemory != nil || kernelMemoryTcp != nil {
            context.warn(["kernel memory has no limit of its own any more: left out"])
        }
        let text: [UInt8]
        if let resources {
            text = try resources == "-" ? Input.all() : FileSystem.readFile(resources)
        } else {
            text = Array(try document().utf8)
        }
        var change = try JSON.decode(RuntimeSpec.Resources.self, text, of: resources ?? "the limits")
        change.dropZeros()
        let runtime = try context.runtime()
        guard try container.status(runtime).pid != 0 else { throw OCIError("container not running") }
        try runtime.update(directory: container.directory, change)
    }

    /// The options as `linux.resources` would say it.
    func document() throws(OCIError) -> String {
        func number(_ name: String, _ value: (some BinaryInteger)?) -> String? { value.map { "\"\(name)\":\($0)" } }
        func text(_ name: String, _ value: String?) -> String? { value.map { "\"\(name)\":\(JSON.quoted($0))" } }
        func object(_ name: String, _ members: [String?]) -> String? {
            let members = members.compactMap { $0 }
            return members.isEmpty ? nil : "\"\(name)\":{\(members.joined(separator: ","))}"
        }
        let parts = [
            object(
                "memory",
                [
                    number("limit", try Self.bytes(memory)), number("reservation", try Self.bytes(memoryReservation)),
                    number("swap", try Self.bytes(memorySwap)),
                ]),
            object(
                "cpu",
                [
                    number("shares", cpuShare), number("quota", cpuQuota), number("period", cpuPeriod),
                    number("burst", cpuBurst), number("realtimePeriod", cpuRtPeriod),
                    number("realtimeRuntime", cpuRtRuntime), number("idle", cpuIdle), text("cpus", cpusetCpus),
                    text("mems", cpusetMems),
                ]),
            object("pids", [number("limit", pidsLimit)]), object("blockIO", [number("weight", blkioWeight)]),
        ]
        return "{\(parts.compactMap { $0 }.joined(separator: ","))}"
    }

    /// `64m` and the like; units are powers of 1024.
    static func bytes(_ text: String?) throws(OCIError) -> Int64? {
        guard let text else { return nil }
        if let number = Int64(text) { return number }
        let units: [Character: Int64] = ["b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40]
        var digits = text.lowercased()
        if digits.count > 2, digits.hasSuffix("b"), digits.dropLast().last?.isLetter == true { digits.removeLast() }
        guard let last = digits.last, let unit = units[last], let number = Int64(digits.dropLast()), number >= 0 else {
            throw OCIError("'\(text)' is not a number of bytes")
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        guard !overflow else { throw OCIError("'\(text)' is not a number of bytes") }
        return product
    }
}

extension RuntimeSpec.Resources {
    /// Engines send 0 for what stays as it is.
    mutating func dropZeros() {
        if memory?.limit == 0 { memory?.limit = nil }
        if memory?.reservation == 0 { memory?.reservation = nil }
        if memory?.swap == 0 { memory?.swap = nil }
        if cpu?.shares == 0 { cpu?.shares = nil }
        if cpu?.quota == 0 { cpu?.quota = nil }
        if cpu?.period == 0 { cpu?.period = nil }
        if cpu?.realtimePeriod == 0 { cpu?.realtimePeriod = nil }
        if cpu?.realtimeRuntime == 0 { cpu?.realtimeRuntime = nil }
        if blockIO?.weight == 0 { blockIO?.weight = nil }
        if pids?.limit == 0 { pids = nil }
        // Rules of a container's devices are not changed through an empty list.
        if devices?.isEmpty == true { devices = nil }
    }
}
