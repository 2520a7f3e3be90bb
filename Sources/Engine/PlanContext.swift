import EngineWire
import Reconciler
import StackModel

/// What a plan's changes are seen against: looked up once, for plans of many containers.
struct PlanContext {
    private let desired: DesiredState
    private let containers: [String: ObservedContainer]
    /// Service to the number of its replicas that serve.
    private let serving: [String: Int]
    /// Of those, the ones that go without another in their place.
    private let leaving: [String: Int]
    private let sensitivity: Sensitivity
    private let wanted: [String: ContainerDefinition]
    /// Engine names of networks and volumes that are replaced: all who use them are taken away together.
    private let replaced: Set<String>

    init(plan: Plan, desired: DesiredState, observed: ObservedState, applied: Stack?) {
        self.desired = desired
        containers = Dictionary(observed.containers.map { ($0.id, $0) }) { first, _ in first }
        serving = Dictionary(
            observed.containers.filter { !$0.oneOff && $0.isServing }.map { ($0.service, 1) }, uniquingKeysWith: +)
        let going = Set(
            plan.displayChanges.filter { $0.kind == .container && [.remove, .stop].contains($0.action) }.map(\.name))
        leaving = Dictionary(
            observed.containers.filter { !$0.oneOff && $0.isServing && going.contains($0.name) }
                .map { ($0.service, 1) }, uniquingKeysWith: +)
        sensitivity = Sensitivity([desired.stack] + (applied.map { [$0] } ?? []))
        var wanted: [String: ContainerDefinition] = [:]
        for name in desired.stack.services.keys {
            wanted[name] = ContainerDefinition(
                stack: desired.stack, service: name, imageID: desired.imageIDs[name] ?? "")
        }
        self.wanted = wanted
        replaced = Set(plan.displayChanges.filter { $0.action == .recreate && $0.kind != .container }.map(\.name))
    }

    /// The one that a step is about.
    func container(_ step: Step) -> ObservedContainer? {
        switch step.action {
        case .startContainer(.id(let id), _), .stopContainer(let id, _, _), .removeContainer(let id, _),
            .restartContainer(let id, _), .updateContainer(let id), .repairAttachment(let id, _),
            .signalContainer(let id, _):
            containers[id]
        case .renameContainer(let name): containers.values.first { $0.name == name }
        default: nil
        }
    }

    // MARK: Fields

    func fields(of container: ObservedContainer) -> [PlanReply.Field] {
        guard var definition = wanted[container.service] else { return [] }
        if desired.imageIDs[container.service] == nil { definition.imageID = container.definition.imageID }
        return definition.differences(from: container.definition).filter { $0.effect != .none }.map { difference in
            field(difference, source: difference.change.source(in: desired.stack, service: container.service))
        }
    }

    func fields(_ differences: [FieldDifference], at path: String) -> [PlanReply.Field] {
        differences.map { field($0, source: desired.stack.source(of: "\(path).\($0.path)")) }
    }

    private func field(_ difference: FieldDifference, source: SourceMark?) -> PlanReply.Field {
        PlanReply.Field(difference, source: source, sensitivity)
    }

    // MARK: Disruption

    func disruption(
        _ change: PlanChange, _ container: ObservedContainer?, _ steps: [Step]
    ) -> PlanReply.Disruption {
        guard change.kind == .container, let container, container.isServing else { return .none }
        switch change.action {
        case .recreate where isStartFirst(steps): return .none
        case .recreate, .restart:
            let resources = Array(container.definition.networkNames.values) + container.definition.volumeNames.values
            guard replaced.isDisjoint(with: resources) else { return .interruption }
            return isReducedOnly(container.service) ? .reduced : .interruption
        case .remove, .stop:
            // Scaling down is what was asked for.
            return desired.stack.services[container.service] == nil ? .interruption : .none
        case .create, .start, .repair, .update, .signal: return .none
        }
    }

    /// Some of the replicas serve while others are away.
    private func isReducedOnly(_ service: String) -> Bool {
        let parallelism = desired.stack.services[service]?.deploy?.update?.parallelism ?? 1
        // 0 is all at a time.
        guard parallelism > 0 else { return false }
        return (serving[service] ?? 0) - (leaving[service] ?? 0) > parallelism
    }

    /// The successor is started before the predecessor is stopped.
    private func isStartFirst(_ steps: [Step]) -> Bool {
        func first(_ isWanted: (Action) -> Bool) -> Int? { steps.first { isWanted($0.action) }?.id }
        let start = first { if case .startContainer = $0 { true } else { false } }
        let stop = first { if case .stopContainer = $0 { true } else { false } }
        guard let start, let stop else { return false }
        return start < stop
    }
}

extension PlanReply.Field {
    /// As it may be shown.
    init(_ difference: FieldDifference, source: SourceMark?, _ sensitivity: Sensitivity) {
        let values = [difference.before, difference.after].compactMap { $0 }
        let isSensitive =
            difference.isSecret || values.contains { sensitivity.covers(path: difference.path, $0) }
        func shown(_ value: String?) -> String? { isSensitive ? value.map { _ in Sensitivity.placeholder } : value }
        self.init(
            path: difference.path, before: shown(difference.before), after: shown(difference.after),
            sensitive: isSensitive, effect: difference.effect.rawValue, source: source)
    }
}
