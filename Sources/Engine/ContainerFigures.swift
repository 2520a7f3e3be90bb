import ContainerRuntime
import EngineWire
import LinuxSystem
import Metrics
import Reconciler
import StackModel

/// What the engine knows of a container without asking the kernel, for `GET /metrics`.
struct ContainerFacts: Sendable {
    var labels: MetricLabels
    var id: String
    var number: Int
    var oneOff: Bool
    var state: ContainerStatus.State
    var health: ContainerStatus.Health?
    var restarts: Int
    var startedAt: Nanoseconds?
    /// When it has ended.
    var exitCode: Int?
    /// Of its supervisor.
    var folder: String
    var pid: Int32?
    /// What goes through its interfaces is its own.
    var hasOwnNetwork: Bool
}

/// What the kernel says of a running one.
struct ContainerUsage: Sendable {
    var stats: CgroupStats
    var interfaces: [String: InterfaceCounters]
}

/// All containers of an engine at one moment. Blocks; runs on a thread of its own.
struct ContainerFigures: Sendable {
    private let all: [(facts: ContainerFacts, usage: ContainerUsage?)]
    /// Containers that run and could not be read.
    let failures: Int

    init(_ facts: [ContainerFacts], _ runtime: Runtime) {
        var failures = 0
        all = facts.map { facts in
            guard let pid = facts.pid else { return (facts, nil) }
            do throws(RuntimeError) {
                let stats = try runtime.stats(directory: facts.folder, isBrief: true)
                let interfaces = facts.hasOwnNetwork ? networkCounters(process: pid) : [:]
                return (facts, ContainerUsage(stats: stats, interfaces: interfaces))
            } catch {
                // One that has ended meanwhile has nothing to tell.
                if case .notRunning = error { return (facts, nil) }
                failures += 1
                return (facts, nil)
            }
        }
        self.failures = failures
    }

    func write(to text: inout MetricsText) {
        writeStates(to: &text)
        writeProcessors(to: &text)
        writeMemory(to: &text)
        writeNetwork(to: &text)
        writeDisks(to: &text)
    }

    private func writeStates(to text: inout MetricsText) {
        text.begin("gantry_container_info", .gauge, "Always 1: what container it is.")
        for (facts, _) in all {
            text.add(
                1,
                facts.labels.adding("id", facts.id).adding("replica", String(facts.number))
                    .adding("one_off", String(facts.oneOff)))
        }
        text.begin("gantry_container_state", .gauge, "1 for the state that the container is in.")
        for (facts, _) in all {
            for state in ContainerStatus.State.allCases {
                text.add(facts.state == state ? 1 : 0, facts.labels.adding("state", state.rawValue))
            }
        }
        text.begin("gantry_container_health", .gauge, "1 for what its healthcheck said last; none: it has none.")
        for (facts, _) in all where facts.pid != nil {
            for health in ContainerStatus.Health.allCases {
                text.add(facts.health == health ? 1 : 0, facts.labels.adding("health", health.rawValue))
            }
            text.add(facts.health == nil ? 1 : 0, facts.labels.adding("health", "none"))
        }
        text.begin(
            "gantry_container_restarts_total", .counter,
            "Restarts by its policy; begins anew after ten steady seconds and with each start by a command.")
        for (facts, _) in all { text.add(facts.restarts, facts.labels) }
        text.begin("gantry_container_start_time_seconds", .gauge, "When it was last started, since 1970.")
        for (facts, _) in all {
            if let time = facts.startedAt { text.add(nanoseconds: time, facts.labels) }
        }
        text.begin("gantry_container_exit_code", .gauge, "Of its last run, when it does not run.")
        for (facts, _) in all {
            if let code = facts.exitCode { text.add(code, facts.labels) }
        }
    }

    private func writeProcessors(to text: inout MetricsText) {
        let stats = all.compactMap { entry in entry.usage.map { (entry.facts.labels, $0.stats) } }
        text.begin("gantry_container_cpu_usage_seconds_total", .counter, "Processor time of its processes.")
        for (labels, stats) in stats {
            if let time = stats.cpuNanoseconds { text.add(nanoseconds: time, labels) }
        }
        text.begin("gantry_container_cpu_user_seconds_total", .counter, "That part of it in user mode.")
        for (labels, stats) in stats {
            if let time = stats.cpuUserNanoseconds { text.add(nanoseconds: time, labels) }
        }
        text.begin("gantry_container_cpu_system_seconds_total", .counter, "That part of it in the kernel.")
        for (labels, stats) in stats {
            if let time = stats.cpuSystemNanoseconds { text.add(nanoseconds: time, labels) }
        }
        text.begin("gantry_container_cpu_throttled_seconds_total", .counter, "Time held back by its limit.")
        for (labels, stats) in stats {
            if let throttling = stats.cpuThrottling {
                text.add(nanoseconds: throttling.throttledNanoseconds, labels)
            }
        }
        text.begin("gantry_container_processes", .gauge, "Processes and threads.")
        for (labels, stats) in stats { if let count = stats.pids { text.add(count, labels) } }
        text.begin("gantry_container_processes_limit", .gauge, "The most it may have, where it has a limit.")
        for (labels, stats) in stats { if let limit = stats.pidsLimit { text.add(limit, labels) } }
    }

    private func writeMemory(to text: inout MetricsText) {
        let stats = all.compactMap { entry in entry.usage.map { (entry.facts.labels, $0.stats) } }
        text.begin("gantry_container_memory_usage_bytes", .gauge, "Memory it uses, cached files included.")
        for (labels, stats) in stats { if let usage = stats.memoryUsage { text.add(usage, labels) } }
        text.begin(
            "gantry_container_memory_working_set_bytes", .gauge, "Without cached files that can go at once.")
        for (labels, stats) in stats {
            guard let usage = stats.memoryUsage else { continue }
            let inactive = stats.memoryInactiveFile ?? 0
            text.add(usage > inactive ? usage - inactive : 0, labels)
        }
        text.begin("gantry_container_memory_limit_bytes", .gauge, "The most it may use, where it has a limit.")
        for (labels, stats) in stats { if let limit = stats.memoryLimit { text.add(limit, labels) } }
        text.begin("gantry_container_oom_kills_total", .counter, "Processes the kernel killed for want of memory.")
        for (labels, stats) in stats { if let kills = stats.oomKills { text.add(kills, labels) } }
    }

    private func writeNetwork(to text: inout MetricsText) {
        let units = ["bytes", "packets", "errors", "packets_dropped"]
        for (verb, what, side) in [
            ("receive", "Received", \InterfaceCounters.received), ("transmit", "Sent", \InterfaceCounters.sent),
        ] {
            for (index, unit) in units.enumerated() {
                let words = unit == "packets_dropped" ? "packets dropped" : unit
                text.begin(
                    "gantry_container_network_\(verb)_\(unit)_total", .counter,
                    "\(what) through its interfaces: \(words).")
                for (facts, usage) in all {
                    for (name, counters) in (usage?.interfaces ?? [:]).sorted(by: { $0.key < $1.key }) {
                        text.add(counters[keyPath: side][index], facts.labels.adding("interface", name))
                    }
                }
            }
        }
    }

    private func writeDisks(to text: inout MetricsText) {
        for (name, operation, words) in [("read", "read", "read"), ("written", "write", "written")] {
            for (unit, value) in [("bytes", \CgroupStats.BlockIO.bytes), ("operations", \CgroupStats.BlockIO.requests)]
            {
                let what = unit == "bytes" ? "Bytes" : "Requests"
                text.begin(
                    "gantry_container_block_\(name)_\(unit)_total", .counter,
                    "\(what) \(words), all disks together; what came from a cache is none.")
                for case let (facts, usage?) in all {
                    let blocks = usage.stats.blockIO.filter { $0.operation.lowercased() == operation }
                    text.add(blocks.reduce(UInt64(0)) { $0 &+ $1[keyPath: value] }, facts.labels)
                }
            }
        }
    }
}
