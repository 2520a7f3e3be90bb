import StackModel

// The steps of one service.
extension Planner {
    typealias Subject = PlanBuilder.Subject

    /// What the steps of one service wait for.
    struct Conditions {
        /// Networks and volumes.
        var resources: [Int] = []
        var resourceGates: [Gate] = []
        /// Starts of the services it depends on.
        var dependencies: [Int] = []
        var dependencyGates: [Gate] = []
    }

    mutating func emitService(_ name: String) {
        guard let survey = surveys[name], let rollout = rollouts[name] else { return }
        if !rollout.isHeld, let stallsAt = rollout.stallsAt, stallsAt > observed.at { builder.wake(at: stallsAt) }
        if let failed = rollout.failed ?? failedOneShot(survey) { builder.fail(failed) }
        if survey.isAtRest {
            emitRest(survey, rollout)
            return
        }
        guard let service = stack.services[name] else { return }
        for replica in survey.kept where replica.isReplacedAsUnhealthy { builder.noteUnhealthy(replica.container.id) }
        var conditions = Conditions()
        findResources(of: service, into: &conditions)
        findDependencies(of: name, starts: startsAnything(survey), into: &conditions)
        let excess = removeExcessBefore(survey, rollout)
        emitKept(survey, conditions)
        let successions = emitSuccessions(survey, rollout)
        let missing = emitMissing(survey, conditions, after: excess)
        emitChain(survey, conditions, rollout, successions: successions, missing: missing)
        removeExcessAfter(survey, rollout)
    }

    private func startsAnything(_ survey: ServiceSurvey) -> Bool {
        !survey.missing.isEmpty || survey.kept.contains { $0.isTouched }
    }

    // MARK: Conditions

    private func findResources(of service: Service, into conditions: inout Conditions) {
        for key in service.networks.keys.sorted() {
            if let step = networkSteps[key] { conditions.resources.append(step) }
            if let gate = resourceGates["networks.\(key)"] { conditions.resourceGates.append(gate) }
        }
        for key in Set(service.mounts.filter { $0.kind == .volume }.compactMap(\.source)).sorted() {
            if let step = volumeSteps[key] { conditions.resources.append(step) }
            if let gate = resourceGates["volumes.\(key)"] { conditions.resourceGates.append(gate) }
        }
    }

    private mutating func findDependencies(of name: String, starts: Bool, into conditions: inout Conditions) {
        guard !desired.noDependencies, !desired.noStart else { return }
        for (other, dependency) in graph.dependencies(of: name) where services.contains(other) {
            guard desired.replicas(of: other) > 0, !isSpent(other) else { continue }
            let gate = dependency.gate(on: other)
            if !dependency.required, case .failed(let diagnostic) = gate.status(in: index, except: untrusted(other)) {
                if starts {
                    builder.warn(
                        code: diagnostic.code, diagnostic.message,
                        source: stack.source(of: "services.\(name).depends_on.\(other)"), hint: diagnostic.hint)
                }
                continue
            }
            conditions.dependencies += startSteps[other] ?? []
            conditions.dependencyGates.append(gate)
        }
    }

    /// Containers of `service` that the plan touches, by what was decided (their steps come before this is asked).
    private func untrusted(_ service: String) -> Set<String> {
        guard let survey = surveys[service] else { return [] }
        return Set(survey.kept.filter(\.isTouched).map(\.container.id) + survey.excess.map(\.id))
    }

    /// The gates for starting `container` again after it has run. The restart policy waits for a dependency that is on
    /// its way, and not for one that failed or was stopped, which the container has outlived once already.
    func dependencyGates(
        _ conditions: Conditions, for container: ObservedContainer?, service: String
    ) -> [Gate] {
        guard let container, container.startedAt != nil, desired.mode(of: PlanAddress.of(container)) == .maintain
        else { return conditions.dependencyGates }
        return conditions.dependencyGates.filter { gate in
            guard let other = gate.service else { return true }
            if isLeftAlone(other) { return false }
            if case .failed = gate.status(in: index, except: untrusted(other)) { return false }
            return true
        }
    }

    /// Tells why a first start can never happen when a command stopped the dependency.
    private mutating func blockOnStopped(_ gates: [Gate], source: SourceMark?) {
        for gate in gates {
            guard let other = gate.service, isLeftAlone(other), gate.status(in: index) != .holds else { continue }
            builder.block(
                Diagnostic(
                    code: "dependency.stopped", "dependency failed to start: service \(other) is stopped",
                    source: source, hint: "start it with `gantry start \(other)`"))
        }
    }

    // MARK: Replicas that stay

    /// Starts, updates and what waits.
    private mutating func emitKept(_ survey: ServiceSurvey, _ conditions: Conditions) {
        for replica in survey.kept {
            let container = replica.container
            if !replica.updates.isEmpty { update(replica, survey.name, conditions) }
            switch replica.verdict {
            case .keep:
                if container.state == .paused, !mayResume(container) {
                    builder.warn(
                        code: "container.paused", "container \(container.name) is paused and is left as it is",
                        hint: "continue it with `gantry unpause \(survey.name)`")
                }
            case .wait(let until): builder.wait(for: container, until: until)
            case .start(let reason, let byPolicy):
                start(container, survey.name, reason, byPolicy: byPolicy, conditions)
            case .replace, .restart: continue
            }
        }
    }

    private mutating func update(_ replica: Replica, _ service: String, _ conditions: Conditions) {
        let subject = Subject(
            name: replica.container.name, service: service, reason: FieldChange.summary(replica.updates),
            source: replica.updates.first?.source(in: stack, service: service))
        updateSteps[replica.container.id] = builder.single(
            .update, .container, .updateContainer(id: replica.container.id), subject, after: conditions.resources,
            gates: conditions.resourceGates)
    }

    /// A container is started as it is to be.
    func updates(_ container: ObservedContainer) -> [Int] { updateSteps[container.id].map { [$0] } ?? [] }

    private mutating func start(
        _ container: ObservedContainer, _ service: String, _ reason: String, byPolicy: Bool, _ conditions: Conditions
    ) {
        let source = stack.source(of: "services.\(service)")
        let gates = dependencyGates(conditions, for: container, service: service)
        blockOnStopped(gates, source: source)
        let subject = Subject(name: container.name, service: service, reason: reason, source: source)
        builder.touch(container.id)
        let step = builder.single(
            .start, .container, .startContainer(.id(container.id), byPolicy: byPolicy), subject,
            after: conditions.resources + conditions.dependencies + updates(container),
            gates: conditions.resourceGates + gates)
        startSteps[service, default: []].append(step)
    }

    // MARK: New replicas

    private mutating func emitMissing(_ survey: ServiceSurvey, _ conditions: Conditions, after: [Int]) -> [String] {
        survey.missing.map { number in
            let name = stack.containerName(service: survey.name, number: number)
            let subject = Subject(
                name: name, service: survey.name, reason: "does not exist",
                source: stack.source(of: "services.\(survey.name)"))
            let steps = create(number, subject, conditions, after: after)
            builder.change(.create, .container, subject, steps: steps)
            return name
        }
    }

    /// Makes and starts, under the subject's name.
    mutating func create(
        _ number: Int, _ subject: Subject, _ conditions: Conditions, replaced: ObservedContainer? = nil, after: [Int],
        gates: [Gate] = []
    ) -> [Int] {
        let service = subject.service ?? ""
        var before = after + conditions.resources
        if let removal = builder.removals[subject.name] {
            before.append(removal)
        } else if let holder = surveys[service]?.excess.first(where: { $0.name == subject.name }),
            holder.id != replaced?.id, retired[holder.id] == nil
        {
            // One too many that was to go once all serve: now that its name is needed.
            before += removeExcess(holder, service: service, after: after, gates: gates).suffix(1)
        } else if let other = observed.containers.first(where: { $0.name == subject.name && $0.id != replaced?.id }),
            !(surveys[other.service]?.excess.contains { $0.id == other.id } ?? false)
        {
            builder.block(
                Diagnostic(
                    code: "container.name-in-use",
                    "container name \(subject.name) is in use by a container of service \(other.service)",
                    source: subject.source, hint: "remove it, or run with --remove-orphans"))
        }
        let creation = builder.step(
            .createContainer(service: service, number: number), subject, after: before,
            gates: conditions.resourceGates + gates)
        guard !desired.noStart else { return [creation] }
        blockOnStopped(conditions.dependencyGates, source: subject.source)
        let start = builder.step(
            .startContainer(.planned(service: service, number: number), byPolicy: false), subject,
            after: [creation] + conditions.dependencies, gates: conditions.dependencyGates)
        startSteps[service, default: []].append(start)
        return [creation, start]
    }

    // MARK: Replicas that go

    /// Names of the replicas that must serve before one beyond the wanted number that serves is removed; empty when
    /// nothing is lost by that.
    private func awaited(_ survey: ServiceSurvey, _ rollout: Rollout) -> [String] {
        guard !desired.noStart, survey.missing.isEmpty else { return [] }
        let all = survey.kept.map(\.container) + survey.excess
        let served = Set(all.filter(\.isServing).map(\.number))
        return survey.kept.filter { replica in
            let container = replica.container
            return !served.contains(container.number) && !container.hasCompleted
                && !rollout.isTolerated(container.name)
        }.map { $0.isReplaced ? finalName($0.container) : $0.container.name }
    }

    private mutating func removeExcessBefore(_ survey: ServiceSurvey, _ rollout: Rollout) -> [Int] {
        let awaited = awaited(survey, rollout)
        var removals: [Int] = []
        for container in survey.excess where retired[container.id] == nil && !isSucceeded(container, survey) {
            guard awaited.isEmpty || !container.isServing || awaited.contains(container.name) else { continue }
            removals += removeExcess(container, service: survey.name, after: [], gates: []).suffix(1)
        }
        return removals
    }

    private mutating func removeExcessAfter(_ survey: ServiceSurvey, _ rollout: Rollout) {
        let awaited = awaited(survey, rollout)
        guard !awaited.isEmpty else { return }
        for container in survey.excess
        where !builder.touched.contains(container.id) && !isSucceeded(container, survey) {
            _ = removeExcess(
                container, service: survey.name, after: startSteps[survey.name] ?? [],
                gates: awaited.map { rollout.gate($0) })
        }
    }

    mutating func removeExcess(
        _ container: ObservedContainer, service: String, after: [Int], gates: [Gate]
    ) -> [Int] {
        let subject = Subject(
            name: container.name, service: service, reason: "scaled to \(desired.replicas(of: service))",
            source: stack.source(of: "services.\(service)"))
        let steps = builder.retire(
            container, subject, after: after, gates: gates,
            drain: RolloutPolicy.drain(of: stack.services[service] ?? container.definition.service))
        builder.change(.remove, .container, subject, steps: steps)
        return steps
    }
}

extension Dependency {
    func gate(on service: String) -> Gate {
        switch condition {
        case .started: .started(service: service)
        case .healthy: .healthy(service: service)
        case .completed: .completed(service: service)
        }
    }
}

extension Gate {
    /// The service that a dependency gate waits for.
    var service: String? {
        switch self {
        case .started(let service), .healthy(let service), .completed(let service): service
        case .replicaReady, .replicaSettled, .networkPresent, .volumePresent: nil
        }
    }
}
