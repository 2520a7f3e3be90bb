import ContainerRuntime
import EngineWire
import LinuxSystem
import Metrics
import Reconciler
import StackModel

/// `GET /metrics`.
extension Engine {
    /// Everything in Prometheus's text format. What is on this actor is copied at once; the kernel is asked, and the
    /// text written, on a thread of the pool.
    ///
    /// - Parameter addAPI: adds what the server of the API has counted.
    public func metrics(
        version: String, addAPI: @escaping @Sendable (inout MetricsText) -> Void
    ) async -> MetricsText {
        let began = Clock.monotonic()
        let facts = containers.values.map(containerFacts).sorted { $0.id < $1.id }
        let (counters, services, known) = (counters, serviceFigures(), driftCounts())
        let listeners = events.listenerCount
        return await pool.run { [self] () -> MetricsText in
            var text = MetricsText()
            writeEngine(to: &text, version: version, listeners: listeners)
            addAPI(&text)
            counters.write(to: &text)
            text.begin("gantry_drift_entries", .gauge, "Differences from what was applied that are there now.")
            for (stack, count) in known { text.add(count, MetricLabels(["stack": stack])) }
            writeServices(services, to: &text)
            let figures = ContainerFigures(facts, runtime)
            figures.write(to: &text)
            text.gauge("gantry_scrape_errors", "Running containers that could not be read this time.", figures.failures)
            text.begin("gantry_scrape_duration_seconds", .gauge, "How long it took to find all this out.")
            text.add(nanoseconds: Clock.monotonic() - began)
            return text
        }
    }

    private func containerFacts(_ container: Container) -> ContainerFacts {
        let stored = container.stored
        var facts = ContainerFacts(
            labels: MetricLabels([
                "container": stored.name, "stack": stored.stackName, "service": stored.service,
                "image": stored.definition.service.image,
            ]), id: stored.id, number: stored.number, oneOff: stored.oneOff, state: state(of: container),
            restarts: stored.restarts, startedAt: stored.startedAt, folder: options.containerRun(stored.id),
            pid: container.process?.pid, hasOwnNetwork: usesOwnNamespace(stored))
        if isRestarting(stored.id) { facts.state = .restarting }
        facts.health = container.health.flatMap { ContainerStatus.Health(rawValue: $0.health.rawValue) }
        if container.process == nil { facts.exitCode = stored.exit?.code }
        return facts
    }

    private struct ServiceFigures: Sendable {
        var labels: MetricLabels
        var wanted: Int
        var running: Int
        var ready: Int
    }

    /// Of stacks that are up. What runs by the clock, or is provided by another program, has no number of replicas.
    private func serviceFigures() -> [ServiceFigures] {
        var counts: [String: [String: (running: Int, ready: Int)]] = [:]
        for container in containers.values where !container.stored.oneOff && container.process != nil {
            let (stack, service) = (container.stored.stackName, container.stored.service)
            counts[stack, default: [:]][service, default: (0, 0)].running += 1
            if container.isReady { counts[stack]?[service]?.ready += 1 }
        }
        return stacks.sorted { $0.key < $1.key }.flatMap { name, entry -> [ServiceFigures] in
            guard entry.record.active else { return [] }
            return entry.record.stack.services.sorted { $0.key < $1.key }.compactMap { service, definition in
                guard definition.schedule == nil, definition.provider == nil else { return nil }
                let present = counts[name]?[service] ?? (0, 0)
                return ServiceFigures(
                    labels: MetricLabels(["stack": name, "service": service]),
                    wanted: entry.record.scale[service] ?? definition.replicas, running: present.running,
                    ready: present.ready)
            }
        }
    }

    private func driftCounts() -> [(stack: String, count: Int)] {
        stacks.filter(\.value.record.active).keys.sorted().map { ($0, drift.known[$0]?.count ?? 0) }
    }

    private nonisolated func writeServices(_ services: [ServiceFigures], to text: inout MetricsText) {
        text.begin("gantry_service_replicas_wanted", .gauge, "Replicas that there should be.")
        for service in services { text.add(service.wanted, service.labels) }
        text.begin("gantry_service_replicas_running", .gauge, "Replicas that run.")
        for service in services { text.add(service.running, service.labels) }
        text.begin("gantry_service_replicas_ready", .gauge, "Replicas that serve: run, and are healthy.")
        for service in services { text.add(service.ready, service.labels) }
    }

    private nonisolated func writeEngine(to text: inout MetricsText, version: String, listeners: Int) {
        text.begin("gantry_build_info", .gauge, "Always 1: what engine it is.")
        text.add(1, MetricLabels(["version": version]))
        let process = ProcessFigures()
        text.begin("process_start_time_seconds", .gauge, "When the engine was started, since 1970.")
        text.add(nanoseconds: startedAt)
        text.begin("process_cpu_seconds_total", .counter, "Processor time of the engine.")
        text.add(nanoseconds: process.cpuNanoseconds)
        text.gauge("process_resident_memory_bytes", "Memory that the engine has in RAM.", process.residentByteCount)
        text.gauge("process_virtual_memory_bytes", "Memory that the engine has mapped.", process.virtualByteCount)
        text.gauge("process_open_fds", "Open file descriptors of the engine.", process.descriptorCount)
        text.gauge("process_max_fds", "The most file descriptors it may have.", process.descriptorCountMax)
        text.gauge("process_threads", "Threads of the engine.", process.threadCount)
        text.gauge("gantry_engine_tasks", "Pieces of work under way in the background.", background.count)
        text.begin("gantry_engine_pool_threads", .gauge, "Threads for calls that block.")
        let pools = [("work", pool), ("stream", streams)]
        for (name, pool) in pools {
            let load = pool.load
            let labels = MetricLabels(["pool": name])
            text.add(load.threads - load.idle, labels.adding("state", "busy"))
            text.add(load.idle, labels.adding("state", "idle"))
        }
        text.begin("gantry_engine_pool_queue_length", .gauge, "Calls that wait for a thread.")
        for (name, pool) in pools { text.add(pool.load.queued, MetricLabels(["pool": name])) }
        text.gauge("gantry_engine_event_listeners", "Clients that listen to events.", listeners)
    }
}
