import StackModel

/// Collects steps and changes and hands out step ids.
struct PlanBuilder {
    private(set) var plan = Plan()
    /// Containers whose present state will not last: replaced, started, restarted or removed by the plan.
    private(set) var touched: Set<String> = []
    /// Engine name of a container to the step that frees the name.
    private(set) var removals: [String: Int] = [:]

    /// What all steps of one change have in common.
    struct Subject {
        var name: String
        var service: String?
        var reason: String
        var source: SourceMark?
    }

    mutating func step(_ action: Action, _ subject: Subject, after: [Int] = [], gates: [Gate] = []) -> Int {
        let id = plan.steps.count + 1
        plan.steps.append(
            Step(
                id: id, action: action, name: subject.name, service: subject.service, reason: subject.reason,
                source: subject.source, after: Set(after).sorted(), gates: gates))
        return id
    }

    mutating func change(
        _ action: PlanChange.Action, _ kind: PlanChange.Kind, _ subject: Subject, order: String? = nil, steps: [Int]
    ) {
        plan.displayChanges.append(
            PlanChange(
                action: action, kind: kind, name: subject.name, reason: subject.reason, source: subject.source,
                order: order, steps: steps))
    }

    /// One step that is one change.
    @discardableResult
    mutating func single(
        _ changeAction: PlanChange.Action, _ kind: PlanChange.Kind, _ action: Action, _ subject: Subject,
        after: [Int] = [], gates: [Gate] = []
    ) -> Int {
        let id = step(action, subject, after: after, gates: gates)
        change(changeAction, kind, subject, steps: [id])
        return id
    }

    /// Stops (when it runs) and removes. Answers the steps, the removal last.
    ///
    /// - Parameter drain: nanoseconds that connections have to end. One that does not serve now may do so when its turn
    ///   comes, or have requests from before.
    mutating func retire(
        _ container: ObservedContainer, _ subject: Subject, after: [Int] = [], gates: [Gate] = [],
        timeout: Int64? = nil, drain: Int64 = 0, anonymousVolumes: Bool = false
    ) -> [Int] {
        touched.insert(container.id)
        var (steps, after, gates) = ([Int](), after, gates)
        if container.isAlive {
            let stop = Action.stopContainer(id: container.id, timeout: timeout, drain: drain)
            steps.append(step(stop, subject, after: after, gates: gates))
            (after, gates) = (steps, [])
        }
        let removal = Action.removeContainer(id: container.id, anonymousVolumes: anonymousVolumes)
        steps.append(step(removal, subject, after: after, gates: gates))
        removals[container.name] = steps.last
        return steps
    }

    mutating func touch(_ id: String) { touched.insert(id) }

    mutating func block(_ diagnostic: Diagnostic) {
        if !plan.blocked.contains(diagnostic) { plan.blocked.append(diagnostic) }
    }

    mutating func warn(code: String, _ message: String, source: SourceMark? = nil, hint: String? = nil) {
        let diagnostic = Diagnostic(.warning, code: code, message, source: source, hint: hint)
        if !plan.warnings.contains(diagnostic) { plan.warnings.append(diagnostic) }
    }

    mutating func noteUnhealthy(_ id: String) { plan.unhealthy.insert(id) }
    mutating func noteTolerated(_ id: String) { plan.tolerated.insert(id) }

    mutating func fail(_ rollout: FailedRollout) { plan.failedRollouts.append(rollout) }

    mutating func hold(_ rollout: HeldRollout, source: SourceMark?) {
        plan.heldRollouts.append(rollout)
        let replicas = rollout.replicas == 1 ? "1 replica" : "\(rollout.replicas) replicas"
        switch rollout.reason {
        case .failed: break
        case .canary:
            warn(
                code: "rollout.canary",
                "the canaries of \(rollout.service) wait to be promoted; \(replicas) to be replaced then",
                source: source,
                hint: "`gantry promote \(rollout.service)` goes on, `gantry abort` goes back")
        case .paused:
            warn(
                code: "rollout.paused", "the update of \(rollout.service) is paused; \(replicas) to be replaced yet",
                source: source, hint: "`gantry rollout resume` goes on, `gantry abort` goes back")
        }
    }

    /// To be planned again then, at the latest.
    mutating func wake(at time: Int64) { plan.wakeAt = min(time, plan.wakeAt ?? time) }

    mutating func wait(for container: ObservedContainer, until time: Int64) {
        plan.waiting.append(WaitingContainer(name: container.name, until: time))
        wake(at: time)
    }

    /// The plan, with what its gates say of the present state.
    func finished(observed: ObservedState) -> Plan {
        finished(ContainerIndex(observed))
    }

    func finished(_ index: ContainerIndex) -> Plan {
        var result = self
        for step in plan.steps {
            for gate in step.gates {
                let status = gate.status(in: index)
                if status == .holds { continue }
                result.plan.pendingGates.append(PendingGate(step: step.id, gate: gate))
                if status == .pending, let time = gate.turnsAt(in: index) { result.wake(at: time) }
                if case .failed(var diagnostic) = gate.status(in: index, except: touched) {
                    diagnostic.source = diagnostic.source ?? step.source
                    result.block(diagnostic)
                }
            }
        }
        return result.plan
    }
}
