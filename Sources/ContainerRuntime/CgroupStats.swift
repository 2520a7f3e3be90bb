/// Resource use of a container with everything below its cgroups; `nil` or empty where the host has no controller for
/// it.
public struct CgroupStats: Equatable, Sendable {
    /// Bytes, page cache included.
    public var memoryUsage: UInt64?
    /// Bytes of the page cache that can go at once; Docker subtracts them from the usage it shows.
    public var memoryInactiveFile: UInt64?
    /// `nil`: unlimited.
    public var memoryLimit: UInt64?
    /// The most ever used, bytes; on v2 since Linux 5.19.
    public var memoryUsageMax: UInt64?
    /// Times that the limit was hit.
    public var memoryLimitHits: UInt64?
    /// `memory.stat` as the kernel writes it, its names those of the version.
    public var memoryDetails: [String: UInt64] = [:]
    /// The memory controller is v1's, whose names and hierarchical totals differ.
    public var isMemoryVersionOne = false
    /// Bytes; on v1 of memory and swap together.
    public var swapUsage: UInt64?
    public var swapLimit: UInt64?
    /// Nanoseconds of processor time since the start.
    public var cpuNanoseconds: UInt64?
    public var cpuUserNanoseconds: UInt64?
    public var cpuSystemNanoseconds: UInt64?
    /// Nanoseconds by processor; only where a v1 `cpuacct` directory exists.
    public var cpuPerProcessor: [UInt64] = []
    public var cpuThrottling: Throttling?
    /// Of the host.
    public var onlineProcessors: UInt32 = 0
    /// Nanoseconds of all processors of the host together, idle time included.
    public var hostCPUNanoseconds: UInt64 = 0
    public var pids: UInt64?
    public var pidsLimit: UInt64?
    /// Processes the kernel has killed for lack of memory.
    public var oomKills: UInt64?
    public var blockIO: [BlockIO] = []
    /// By size of page, such as `2MB`.
    public var hugepages: [String: Hugepages] = [:]
    /// By `cpu`, `memory` and `io`: time lost by waiting. Documentation/accounting/psi.rst.
    public var pressure: [String: Pressure] = [:]

    public init() {}

    public struct Throttling: Equatable, Sendable {
        public var periods: UInt64
        public var throttledPeriods: UInt64
        public var throttledNanoseconds: UInt64
    }

    /// One device and one operation: `read`, `write`, `discard`, and on v1 `sync` and `async`, which count the same
    /// once more.
    public struct BlockIO: Equatable, Sendable {
        public var major: UInt64
        public var minor: UInt64
        public var operation: String
        public var bytes: UInt64
        public var requests: UInt64
    }

    public struct Hugepages: Equatable, Sendable {
        /// Bytes.
        public var usage: UInt64
        /// v1 only.
        public var usageMax: UInt64?
        public var limitHits: UInt64
    }

    public struct Pressure: Equatable, Sendable {
        public var some: Line
        /// Absent for the processors of older kernels.
        public var full: Line?

        public struct Line: Equatable, Sendable {
            /// Per cent of the last 10, 60 and 300 seconds.
            public var average10: Double
            public var average60: Double
            public var average300: Double
            public var totalMicroseconds: UInt64
        }
    }
}

/// The formats of control files.
enum CgroupText {
    /// `name value` lines.
    static func flat(_ text: String) -> [String: UInt64] {
        var values: [String: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = UInt64(words[1]) { values[String(words[0])] = value }
        }
        return values
    }

    /// v1: `8:0 Read 123`, with a total at the end.
    static func blockOne(bytes: String, requests: String) -> [CgroupStats.BlockIO] {
        var found: [CgroupStats.BlockIO] = []
        for (text, isBytes) in [(bytes, true), (requests, false)] {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count == 3, words[1] != "Total", let value = UInt64(words[2]) else { continue }
                add(value, isBytes: isBytes, device: words[0], operation: words[1].lowercased(), to: &found)
            }
        }
        return found
    }

    /// v2: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
    static func blockTwo(_ text: String) -> [CgroupStats.BlockIO] {
        let operations: [Character: String] = ["r": "read", "w": "write", "d": "discard"]
        var found: [CgroupStats.BlockIO] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            for word in words.dropFirst() {
                let halves = word.split(separator: "=")
                guard halves.count == 2, let value = UInt64(halves[1]), let letter = halves[0].first,
                    let operation = operations[letter], ["bytes", "ios"].contains(halves[0].dropFirst())
                else { continue }
                let isBytes = halves[0].hasSuffix("bytes")
                add(value, isBytes: isBytes, device: words[0], operation: operation, to: &found)
            }
        }
        return found
    }

    private static func add(
        _ value: UInt64, isBytes: Bool, device: Substring, operation: String, to found: inout [CgroupStats.BlockIO]
    ) {
        let numbers = device.split(separator: ":").compactMap { UInt64($0) }
        guard numbers.count == 2 else { return }
        let index: Int
        if let known = found.firstIndex(where: {
            $0.major == numbers[0] && $0.minor == numbers[1] && $0.operation == operation
        }) {
            index = known
        } else {
            index = found.count
            found.append(
                .init(major: numbers[0], minor: numbers[1], operation: operation, bytes: 0, requests: 0))
        }
        if isBytes { found[index].bytes = value } else { found[index].requests = value }
    }

    /// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, then `full …`.
    static func pressure(_ text: String) -> CgroupStats.Pressure? {
        var lines: [String: CgroupStats.Pressure.Line] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let name = words.first else { continue }
            var values: [String: Substring] = [:]
            for word in words.dropFirst() {
                let halves = word.split(separator: "=")
                if halves.count == 2 { values[String(halves[0])] = halves[1] }
            }
            guard let ten = values["avg10"].flatMap({ Double($0) }),
                let sixty = values["avg60"].flatMap({ Double($0) }),
                let long = values["avg300"].flatMap({ Double($0) }), let total = values["total"].flatMap({ UInt64($0) })
            else { continue }
            lines[String(name)] = .init(
                average10: ten, average60: sixty, average300: long, totalMicroseconds: total)
        }
        return lines["some"].map { CgroupStats.Pressure(some: $0, full: lines["full"]) }
    }
}
