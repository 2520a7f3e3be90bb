import EngineWire
import Images
import Reconciler
import StackModel

/// A plan as people and programs read it. A function of values, as the plan itself.
struct PlanDocument {
    let plan: Plan
    let desired: DesiredState
    let observed: ObservedState
    /// What tells a network or volume from a later one of the same name.
    struct Identity {
        /// In the stack file that it was made for.
        var key: String
        var id: String
    }

    /// By engine name.
    var networks: [String: Identity] = [:]
    var volumes: [String: Identity] = [:]
    /// Where the engine has them: what is sensitive in the stack that is applied now.
    var applied: Stack?

    private var stack: Stack { desired.stack }

    func reply() -> PlanReply {
        let context = PlanContext(plan: plan, desired: desired, observed: observed, applied: applied)
        var reply = PlanReply(
            stack: stack.name, changes: plan.displayChanges.map { change($0, context) },
            diagnostics: plan.blocked + plan.warnings.filter { $0.code != "stack.orphans" })
        reply.base.objects = objects
        reply.base.observed = Self.fingerprint(reply.base.objects)
        reply.orphans = orphans
        reply.ops = plan.steps.map(operation)
        reply.complete = desired.selection.isEmpty
        return reply
    }

    // MARK: What is there

    /// Address to what is there; several containers of one number are there during a replacement.
    var objects: [String: String] {
        var objects: [String: [String]] = [:]
        for container in observed.containers where !container.oneOff {
            objects[PlanAddress.of(container), default: []].append(String(container.id.prefix(12)))
        }
        for network in observed.networks where !network.external {
            let identity = networks[network.name]
            objects["network.\(identity?.key ?? network.name)", default: []].append(identity?.id ?? "")
        }
        for volume in observed.volumes where !volume.external {
            let identity = volumes[volume.name]
            objects["volume.\(identity?.key ?? volume.name)", default: []].append(identity?.id ?? "")
        }
        return objects.mapValues { $0.sorted().joined(separator: ",") }
    }

    static func fingerprint(_ objects: [String: String]) -> String {
        let text = objects.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined()
        return Digest.sha256(of: Array(text.utf8)).description
    }

    /// What the plan does not remove.
    private var orphans: [PlanReply.Object] {
        guard !desired.removeOrphans else { return [] }
        return observed.containers.filter { !$0.oneOff && !stack.declares($0.service) }
            .map { PlanReply.Object(address: PlanAddress.of($0), name: $0.name) }
            .sorted { $0.address < $1.address }
    }

    // MARK: Changes

    private func change(_ change: PlanChange, _ context: PlanContext) -> PlanReply.Change {
        let steps = change.steps.compactMap { id in plan.steps.indices.contains(id - 1) ? plan.steps[id - 1] : nil }
        let container = steps.lazy.compactMap { context.container($0) }.first
        var reply = PlanReply.Change(
            address: address(change, steps, container), action: PlanReply.Change.Action(change.action),
            kind: PlanReply.Change.Kind(change.kind), name: change.name, reason: change.reason,
            source: change.source, order: change.order, fields: fields(change, container, context),
            disruption: context.disruption(change, container, steps))
        if reply.action == .recreate, reply.kind == .volume { reply.disruption = .dataLoss }
        return reply
    }

    private func address(_ change: PlanChange, _ steps: [Step], _ container: ObservedContainer?) -> String {
        switch change.kind {
        case .network: return PlanAddress.network(change.name, stack)
        case .volume: return PlanAddress.volume(change.name, stack)
        case .firewall: return PlanAddress.firewall
        case .container:
            if let container { return PlanAddress.of(container) }
            for case .createContainer(let service, let number) in steps.map(\.action) {
                return PlanAddress.of(service, number)
            }
            let named = observed.containers.first { $0.name == change.name }
            return named.map(PlanAddress.of) ?? "container.\(change.name)"
        }
    }

    private func fields(
        _ change: PlanChange, _ container: ObservedContainer?, _ context: PlanContext
    ) -> [PlanReply.Field] {
        switch (change.kind, change.action) {
        case (.container, .recreate), (.container, .update):
            return container.map(context.fields) ?? []
        case (.network, .recreate):
            guard let key = stack.networkKey(change.name), let new = stack.networks[key],
                let old = observed.networks.first(where: { $0.name == change.name })
            else { return [] }
            return context.fields(new.differences(from: old.definition), at: "networks.\(key)")
        case (.volume, .recreate):
            guard let key = stack.volumeKey(change.name), let new = stack.volumes[key],
                let old = observed.volumes.first(where: { $0.name == change.name })
            else { return [] }
            return context.fields(new.differences(from: old.definition), at: "volumes.\(key)")
        default: return []
        }
    }

    private func operation(_ step: Step) -> PlanReply.Operation {
        PlanReply.Operation(
            id: step.id, op: step.action.operation, target: step.name, after: step.after,
            gates: step.gates.map(PlanReply.Operation.Gate.init))
    }
}

extension PlanReply.Change.Action {
    init(_ action: PlanChange.Action) {
        self =
            switch action {
            case .create: .create
            case .recreate: .recreate
            case .start: .start
            case .stop: .stop
            case .restart: .restart
            case .remove: .remove
            case .repair: .repair
            case .update, .signal: .update
            }
    }
}

extension PlanReply.Change.Kind {
    init(_ kind: PlanChange.Kind) {
        self =
            switch kind {
            case .container: .container
            case .network: .network
            case .volume: .volume
            case .firewall: .firewall
            }
    }
}

extension PlanReply.Operation.Gate {
    init(_ gate: Gate) {
        switch gate {
        case .started(let service): self.init(gate: "started", target: service)
        case .healthy(let service): self.init(gate: "healthy", target: service)
        case .completed(let service): self.init(gate: "completed", target: service)
        case .replicaReady(let name): self.init(gate: "ready", target: name)
        case .replicaSettled(let name, let monitor, _):
            self.init(gate: "settled", target: name, milliseconds: monitor / 1_000_000)
        case .networkPresent(let name): self.init(gate: "network-present", target: name)
        case .volumePresent(let name): self.init(gate: "volume-present", target: name)
        }
    }
}

extension Action {
    /// As plans name it.
    fileprivate var operation: String {
        switch self {
        case .createNetwork: "network.create"
        case .removeNetwork: "network.remove"
        case .repairNetwork: "network.repair"
        case .createVolume: "volume.create"
        case .removeVolume: "volume.remove"
        case .createContainer: "container.create"
        case .startContainer: "container.start"
        case .stopContainer: "container.stop"
        case .renameContainer: "container.rename"
        case .awaitReplica: "container.await"
        case .removeContainer: "container.remove"
        case .restartContainer: "container.restart"
        case .updateContainer: "container.update"
        case .repairAttachment: "container.attach"
        case .repairFirewall: "firewall.repair"
        case .restoreLimits: "container.limit"
        case .resumeContainer: "container.resume"
        case .signalContainer: "container.signal"
        }
    }
}
