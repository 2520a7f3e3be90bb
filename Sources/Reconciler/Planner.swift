import StackModel

/// The difference between what there should be and what there is, as steps.
///
/// A pure function of its arguments; the order of arrays and dictionaries in them does not matter.
/// - Parameter now: Nanoseconds since 1970.
public func plan(desired: DesiredState, observed: ObservedState, now: Int64) -> Plan {
    var planner = Planner(desired: desired, observed: observed.sorted(), now: now)
    return planner.run()
}

/// The working state of one `plan`. Services are surveyed and then emitted in dependency order, so each finds what was
/// decided for those it depends on.
struct Planner {
    let desired: DesiredState
    let observed: ObservedState
    let index: ContainerIndex
    let now: Int64
    let graph: DependencyGraph
    var builder = PlanBuilder()
    /// Selected services and what they depend on, in dependency order.
    var services: [String] = []
    var surveys: [String: ServiceSurvey] = [:]
    /// By service, as they were before anything was held.
    var rollouts: [String: Rollout] = [:]
    /// Containers that are made like their definition while they run, with the step.
    var updateSteps: [String: Int] = [:]
    /// Service to the steps after which its replicas have been started.
    var startSteps: [String: [Int]] = [:]
    /// Network and volume keys to the step that makes them.
    var networkSteps: [String: Int] = [:]
    var volumeSteps: [String: Int] = [:]
    /// Network and volume keys that cannot be used, with the gate that says so.
    var resourceGates: [String: Gate] = [:]
    /// Keys of the networks and volumes of services that will have containers.
    var usedNetworks: [String] = []
    var usedVolumes: [String] = []
    /// Keys of volumes that are replaced, their data with them.
    var doomedVolumes: [String] = []
    /// Services in whose namespaces others live.
    let hosts: Set<String>
    /// Containers that a network replacement has already retired, with the removal step.
    var retired: [String: [Int]] = [:]

    init(desired: DesiredState, observed: ObservedState, now: Int64) {
        self.desired = desired
        self.observed = observed
        index = ContainerIndex(observed)
        self.now = now
        graph = DependencyGraph(services: desired.stack.services)
        hosts = graph.parents.values.reduce(into: []) { $0.formUnion($1) }
    }

    var stack: Stack { desired.stack }

    mutating func run() -> Plan {
        guard select() else { return builder.plan }
        findUsedResources()
        let changed = changedNetworks()
        doomedVolumes = replacedVolumes()
        let surveyor = Surveyor(
            desired: desired, observed: observed, now: now, graph: graph, changedNetworks: Set(changed),
            doomedVolumes: Set(doomedVolumes))
        let containers = Dictionary(grouping: observed.containers.filter { !$0.oneOff }, by: \.service)
        for service in services where !isLeftAlone(service) {
            let own = containers[service] ?? []
            let survey = surveyor.survey(service, containers: own, earlier: surveys) {
                stack.services[service].map { policy(of: $0, named: service, own).startsFirst } ?? false
            }
            surveys[service] = holding(survey, surveyor)
        }
        emitOrphans()
        emitNetworks(changed: changed)
        emitVolumes()
        emitFirewall()
        emitContainerRepairs()
        for service in services { emitService(service) }
        return builder.finished(index)
    }

    /// Fills `services`; `false` when there is nothing sensible to plan, with the reason in `blocked`.
    private mutating func select() -> Bool {
        for name in Set(desired.selection).union(desired.scale.keys).sorted()
        where stack.services.index(forKey: name) == nil {
            builder.block(Diagnostic(code: "service.unknown", "no such service: \(name)"))
        }
        var names = desired.selection.isEmpty ? Set(stack.services.keys) : Set(desired.selection)
        if !desired.noDependencies { names = graph.closure(of: names.sorted()) }
        let (order, cyclic) = graph.order(of: names)
        if !cyclic.isEmpty {
            let list = cyclic.joined(separator: ", ")
            builder.block(
                Diagnostic(
                    code: "dependency.cycle", "services depend on each other in a circle: \(list)",
                    source: stack.source(of: "services.\(cyclic[0]).depends_on")))
        }
        for name in order { check(name, among: names) }
        services = order
        return builder.plan.blocked.isEmpty
    }

    private mutating func check(_ name: String, among names: Set<String>) {
        let replicas = desired.replicas(of: name)
        var source: SourceMark? { stack.source(of: "services.\(name)") }
        if stack.services[name]?.schedule != nil, desired.scale[name] ?? 1 > 1 {
            let message = "service \(name) is started by the clock and cannot be scaled"
            builder.block(Diagnostic(code: "service.scheduled", message, source: source))
        }
        if replicas > DesiredState.replicasMax {
            let message =
                "service \(name) asks for \(replicas) replicas; at most \(DesiredState.replicasMax) are possible"
            builder.block(Diagnostic(code: "service.too-many-replicas", message, source: source))
        }
        if replicas > 1, let fixed = stack.services[name]?.containerName {
            builder.block(
                Diagnostic(
                    code: "service.container-name-scale",
                    "service \(name) cannot have \(replicas) replicas: its container name \(fixed) must be unique",
                    source: stack.source(of: "services.\(name).container_name"),
                    hint: "remove container_name to scale the service"))
        }
        guard !desired.noDependencies else { return }
        for (other, dependency) in (graph.edges[name] ?? [:]).sorted(by: { $0.key < $1.key })
        where stack.services.index(forKey: other) == nil {
            let path = "services.\(name).depends_on.\(other)"
            let message = "service \(name) depends on \(other), which is not in the stack"
            if dependency.required {
                builder.block(Diagnostic(code: "dependency.unknown", message, source: stack.source(of: path)))
            } else {
                builder.warn(code: "dependency.unknown", message, source: stack.source(of: path))
            }
        }
    }

    /// A command stopped it, and this is not a command.
    func isLeftAlone(_ service: String) -> Bool {
        isSpent(service) || (desired.mode == .maintain || desired.touches != nil) && desired.stopped.contains(service)
    }

    /// What has done its work once, or failed to, is not run again because an update is undone.
    func isSpent(_ service: String) -> Bool { desired.isRollback && desired.oneShots(graph).contains(service) }
}
