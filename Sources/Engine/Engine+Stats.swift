import CLinux
import ContainerRuntime
import Glibc
import JSONDocument
import LinuxSystem
import Reconciler
import StackModel

/// `GET /containers/{id}/stats`.
extension Engine {
    /// One look at what a container takes, with the one before it.
    ///
    /// - Parameter previous: `nil` for the first.
    public func stats(_ reference: String, previous: ContainerSample?) async throws(EngineError) -> ContainerSample {
        let container = try container(reference)
        let stored = container.stored
        var sample = ContainerSample(id: stored.id, name: stored.name, at: Clock.now(), previous: previous)
        guard let process = container.process else { return sample }
        let folder = options.containerRun(stored.id)
        do throws(EngineError) {
            let (stats, interfaces) = try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
                (try runtime.stats(directory: folder), networkCounters(process: process.pid))
            }
            sample.stats = stats
            // The host's own are none of the container's.
            if stored.networkMode != "host" { sample.interfaces = interfaces }
            sample.memoryTotal = hostMemoryByteCount()
        } catch {
            // It has ended meanwhile: there is nothing to be told of it any more.
            guard case .runtime(.notRunning, _) = error else { throw error }
        }
        return sample
    }
}

/// What a container took up to a moment.
public struct ContainerSample: Sendable {
    let id: String
    let name: String
    let at: Nanoseconds
    var stats: CgroupStats?
    var interfaces: [String: InterfaceCounters] = [:]
    var memoryTotal: UInt64 = 0
    private var earlier: (at: Nanoseconds, stats: CgroupStats?)?

    init(id: String, name: String, at: Nanoseconds, previous: ContainerSample?) {
        (self.id, self.name, self.at) = (id, name, at)
        earlier = previous.map { ($0.at, $0.stats) }
    }

    /// It runs.
    public var isLive: Bool { stats != nil }

    private static let zeroTime = "0001-01-01T00:00:00Z"

    public var document: JSONValue {
        var members: [String: JSONValue] = [
            "id": .string(id), "name": .string("/\(name)"), "read": .string(stats == nil ? Self.zeroTime : rfc3339(at)),
            "preread": .string(earlier.map { rfc3339($0.at) } ?? Self.zeroTime), "num_procs": .integer(0),
            "storage_stats": .object([:]), "cpu_stats": Self.processors(stats),
            "precpu_stats": Self.processors(earlier?.stats), "os_type": .string("linux"),
        ]
        guard let stats else {
            members["pids_stats"] = .object([:])
            members["memory_stats"] = .object([:])
            members["blkio_stats"] = .object(Dictionary(Self.blockNames.map { ($0, .null) }) { first, _ in first })
            return .object(members)
        }
        var processes: [String: JSONValue] = [:]
        processes["current"] = stats.pids.map(Self.number)
        processes["limit"] = stats.pidsLimit.map(Self.number)
        members["pids_stats"] = .object(processes)
        members["memory_stats"] = memory(stats)
        members["blkio_stats"] = Self.blocks(stats.blockIO)
        if !interfaces.isEmpty { members["networks"] = .object(interfaces.mapValues(\.document)) }
        return .object(members)
    }

    private static func number(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }

    private static func processors(_ stats: CgroupStats?) -> JSONValue {
        let throttling = stats?.cpuThrottling
        var usage: [String: JSONValue] = [
            "total_usage": number(stats?.cpuNanoseconds ?? 0),
            "usage_in_usermode": number(stats?.cpuUserNanoseconds ?? 0),
            "usage_in_kernelmode": number(stats?.cpuSystemNanoseconds ?? 0),
        ]
        if let each = stats?.cpuPerProcessor, !each.isEmpty { usage["percpu_usage"] = .array(each.map(number)) }
        var members: [String: JSONValue] = [
            "cpu_usage": .object(usage),
            "throttling_data": .object([
                "periods": number(throttling?.periods ?? 0),
                "throttled_periods": number(throttling?.throttledPeriods ?? 0),
                "throttled_time": number(throttling?.throttledNanoseconds ?? 0),
            ]),
        ]
        if let stats {
            members["system_cpu_usage"] = number(stats.hostCPUNanoseconds)
            members["online_cpus"] = .integer(Int64(stats.onlineProcessors))
        }
        return .object(members)
    }

    private func memory(_ stats: CgroupStats) -> JSONValue {
        guard let usage = stats.memoryUsage else { return .object([:]) }
        var members: [String: JSONValue] = [
            "usage": Self.number(usage), "limit": Self.number(stats.memoryLimit ?? memoryTotal),
            "stats": .object(stats.memoryDetails.mapValues(Self.number)),
        ]
        if stats.isMemoryVersionOne {
            members["max_usage"] = stats.memoryUsageMax.map(Self.number)
            members["failcnt"] = stats.memoryLimitHits.map(Self.number)
        }
        return .object(members)
    }

    private static let blockNames = [
        "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
        "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
    ]

    private static func blocks(_ blocks: [CgroupStats.BlockIO]) -> JSONValue {
        func list(_ value: (CgroupStats.BlockIO) -> UInt64) -> JSONValue {
            .array(
                blocks.map { block in
                    .object([
                        "major": number(block.major), "minor": number(block.minor),
                        "op": .string(block.operation), "value": number(value(block)),
                    ])
                })
        }
        var members = Dictionary(blockNames.map { ($0, JSONValue.null) }) { first, _ in first }
        if !blocks.isEmpty {
            members["io_service_bytes_recursive"] = list(\.bytes)
            members["io_serviced_recursive"] = list(\.requests)
        }
        return .object(members)
    }
}

/// What went through an interface.
struct InterfaceCounters: Equatable, Sendable {
    var received: [UInt64]
    var sent: [UInt64]

    var document: JSONValue {
        var members: [String: JSONValue] = [:]
        for (prefix, values) in [("rx", received), ("tx", sent)] {
            for (name, value) in zip(["bytes", "packets", "errors", "dropped"], values) {
                members["\(prefix)_\(name)"] = .integer(Int64(clamping: value))
            }
        }
        return .object(members)
    }
}

/// Of the network namespace of a process, loopback left out. proc_pid_net(5).
func networkCounters(process pid: Int32) -> [String: InterfaceCounters] {
    // One that has ended has none.
    guard let bytes = try? FileSystem.readFile("/proc/\(pid)/net/dev") else { return [:] }
    return networkCounters(table: String(decoding: bytes, as: UTF8.self))
}

func networkCounters(table: String) -> [String: InterfaceCounters] {
    let columns = 16
    var found: [String: InterfaceCounters] = [:]
    for line in table.split(separator: "\n") {
        guard let colon = line.firstIndex(of: ":") else { continue }
        let name = line[..<colon].filter { $0 != " " }
        let values = line[line.index(after: colon)...].split(separator: " ").compactMap { UInt64($0) }
        guard values.count >= columns, name != "lo" else { continue }
        found[name] = InterfaceCounters(received: Array(values[0..<4]), sent: Array(values[8..<12]))
    }
    return found
}

/// Bytes.
private func hostMemoryByteCount() -> UInt64 {
    UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
}
