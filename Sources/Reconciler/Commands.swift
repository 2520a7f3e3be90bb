import StackModel

// Plans of the commands that need no stack file: what the containers were made of says enough.

/// Takes down what is observed: containers (dependents first, one-off ones too), then networks, then, when asked,
/// volumes. External networks and volumes stay.
/// - Parameters:
///   - stack: With a stack, containers of services that it does not have stay unless `removeOrphans`; so do the
///     networks they are on.
///   - timeout: Nanoseconds, in place of each service's grace period.
public func planDown(
    observed: ObservedState, stack: Stack? = nil, removeVolumes: Bool = false, removeOrphans: Bool = false,
    timeout: Int64? = nil
) -> Plan {
    let observed = observed.sorted()
    var builder = PlanBuilder()
    let kept = observed.containers.filter { container in
        guard let stack, !removeOrphans else { return false }
        return !stack.declares(container.service)
    }
    if !kept.isEmpty {
        builder.warn(
            code: "stack.orphans",
            "found orphan containers of services that are not in the stack file: "
                + kept.map(\.name).joined(separator: ", "),
            hint: "run with --remove-orphans to remove them")
    }
    let keptIDs = Set(kept.map(\.id))
    let removals = builder.tearDown(
        observed.containers.filter { !keptIDs.contains($0.id) }, reason: "down", timeout: timeout,
        anonymousVolumes: removeVolumes)
    let keptNetworks = Set(kept.flatMap { $0.definition.networkNames.values })
    for network in observed.networks where !network.external && !network.definition.external {
        guard !keptNetworks.contains(network.name) else {
            builder.warn(code: "network.in-use", "network \(network.name) is in use by an orphan container and stays")
            continue
        }
        builder.single(
            .remove, .network, .removeNetwork(name: network.name), .init(name: network.name, reason: "down"),
            after: removals)
    }
    guard removeVolumes else { return builder.finished(observed: observed) }
    let keptVolumes = Set(kept.flatMap { $0.definition.volumeNames.values })
    for volume in observed.volumes where !volume.external && !volume.definition.external {
        guard !keptVolumes.contains(volume.name) else {
            builder.warn(code: "volume.in-use", "volume \(volume.name) is in use by an orphan container and stays")
            continue
        }
        builder.single(
            .remove, .volume, .removeVolume(name: volume.name), .init(name: volume.name, reason: "down"),
            after: removals)
    }
    return builder.finished(observed: observed)
}

/// Stops the running containers of `services` (empty: all), dependents first.
/// - Parameter timeout: Nanoseconds, in place of each service's grace period.
public func planStop(observed: ObservedState, services: [String] = [], timeout: Int64? = nil) -> Plan {
    var command = CommandPlanner(observed: observed, services: services)
    var stops: [String: [Int]] = [:]
    for service in command.order.reversed() {
        let after = command.graph.dependents(of: service, among: Set(command.order)).flatMap { stops[$0] ?? [] }
        var own: [Int] = []
        for container in command.containers(of: service) where container.isAlive || container.state == .restarting {
            let step = command.builder.single(
                .stop, .container, .stopContainer(id: container.id, timeout: timeout, drain: 0),
                .init(name: container.name, service: service, reason: "stop"), after: after)
            own.append(step)
        }
        // A service without a live container passes on what it would have waited for.
        stops[service] = own.isEmpty ? after : own
    }
    return command.finished()
}

/// Starts the containers of `services` (empty: all) and of what they depend on that do not run, as their
/// dependencies allow.
/// - Parameters:
///   - since: Nanoseconds since 1970: what was started since then and has ended is its restart policy's business.
///   - now: Nanoseconds since 1970.
public func planStart(
    observed: ObservedState, services: [String] = [], since: Int64? = nil, now: Int64 = 0
) -> Plan {
    var command = CommandPlanner(observed: observed, services: services, withDependencies: true)
    let awaited = Surveyor.awaited(in: command.graph)
    for service in command.order {
        for container in command.containers(of: service) where !container.isAlive && container.state != .dead {
            let isOneShot = awaited.contains(service) || container.definition.service.isJob
            guard !isOneShot || !container.hasCompleted else { continue }
            if let since, container.wasStarted(since: since, now: now) {
                command.startAgain(container, now: now)
                continue
            }
            let reason = container.state == .created ? "not running" : container.exitText
            command.launch(container, .start, .startContainer(.id(container.id), byPolicy: false), reason: reason)
        }
    }
    return command.finished()
}

/// Restarts the containers of `services` (empty: all), running or not, in dependency order; and the running ones of
/// services that ask for it with `depends_on.X.restart` or share a namespace with them, unless `noDependencies`.
/// - Parameter timeout: Nanoseconds, in place of each service's grace period.
public func planRestart(
    observed: ObservedState, services: [String] = [], noDependencies: Bool = false, timeout: Int64? = nil
) -> Plan {
    var command = CommandPlanner(observed: observed, services: services)
    var reasons = Dictionary(command.order.map { ($0, "restart") }, uniquingKeysWith: { first, _ in first })
    if !noDependencies { command.addDependents(to: &reasons) }
    for service in command.order {
        for container in command.containers(of: service) where container.state != .dead {
            let reason = reasons[service] ?? "restart"
            guard reason == "restart" || container.isAlive else { continue }
            command.launch(
                container, .restart, .restartContainer(id: container.id, timeout: timeout), reason: reason,
                gated: !noDependencies)
        }
    }
    return command.finished()
}

/// Sends `signal` to the running containers of `services` (empty: all), all at once.
public func planKill(observed: ObservedState, services: [String] = [], signal: String = "SIGKILL") -> Plan {
    var command = CommandPlanner(observed: observed, services: services)
    for service in command.order {
        for container in command.containers(of: service) where container.isAlive {
            command.builder.single(
                .signal, .container, .signalContainer(id: container.id, signal: signal),
                .init(name: container.name, service: service, reason: signal))
        }
    }
    return command.finished()
}

/// What the commands share: the services they are about, in dependency order. One-off containers are not among them.
private struct CommandPlanner {
    private let index: ContainerIndex
    let graph: DependencyGraph
    var builder = PlanBuilder()
    var order: [String] = []
    private var starts: [String: [Int]] = [:]
    private let byService: [String: [ObservedContainer]]

    init(observed: ObservedState, services: [String], withDependencies: Bool = false) {
        let observed = observed.sorted()
        index = ContainerIndex(observed)
        let containers = observed.containers.filter { !$0.oneOff }
        graph = DependencyGraph(containers: containers)
        byService = Dictionary(grouping: containers, by: \.service)
        for name in Set(services).sorted() where byService[name] == nil {
            builder.block(
                Diagnostic(
                    code: "service.no-container", "service \"\(name)\" has no container",
                    hint: "make it with `gantry up \(name)`"))
        }
        guard builder.plan.blocked.isEmpty else { return }
        let named = services.isEmpty ? Set(byService.keys) : Set(services)
        setOrder(withDependencies ? graph.closure(of: named.sorted()) : named)
    }

    private mutating func setOrder(_ names: Set<String>) {
        let (order, cyclic) = graph.order(of: names)
        self.order = order + cyclic
    }

    func containers(of service: String) -> [ObservedContainer] { byService[service] ?? [] }

    /// Adds the services that restart when one that is there does, to any depth, with the reason.
    mutating func addDependents(to reasons: inout [String: String]) {
        var left = order
        while let service = left.popLast() {
            for dependent in graph.dependents(of: service, among: Set(byService.keys))
            where reasons[dependent] == nil && graph.edges[dependent]?[service]?.restart == true {
                reasons[dependent] = "\(service) restarts"
                left.append(dependent)
            }
        }
        if !order.isEmpty { setOrder(Set(reasons.keys)) }
    }

    /// A step that ends with the container running, after those of what it depends on.
    mutating func launch(
        _ container: ObservedContainer, _ change: PlanChange.Action, _ action: Action, reason: String,
        gated: Bool = true
    ) {
        var (after, gates) = ([Int](), [Gate]())
        for (name, dependency) in graph.dependencies(of: container.service) where gated && order.contains(name) {
            after += starts[name] ?? []
            let gate = dependency.gate(on: name)
            if !dependency.required, case .failed = gate.status(in: index, except: builder.touched) { continue }
            gates.append(gate)
        }
        builder.touch(container.id)
        let step = builder.single(
            change, .container, action, .init(name: container.name, service: container.service, reason: reason),
            after: after, gates: gates)
        starts[container.service, default: []].append(step)
    }

    /// As the restart policy has it.
    mutating func startAgain(_ container: ObservedContainer, now: Int64) {
        switch RestartBackoff.decision(for: container, now: now) {
        case .stay: return
        case .restart(let time) where time > now: builder.wait(for: container, until: time)
        case .restart:
            let mode = container.definition.service.restart.mode.rawValue
            launch(
                container, .start, .startContainer(.id(container.id), byPolicy: true),
                reason: "\(container.exitText), restart is \(mode)")
        }
    }

    func finished() -> Plan { builder.finished(index) }
}
