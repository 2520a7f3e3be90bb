import StackModel

// The steps of one service.
extension Planner {
    private typealias Subject = PlanBuilder.Subject

    /// What the steps of one service wait for.
    private struct Conditions {
        /// Networks and volumes.
        var resources: [Int] = []
        var resourceGates: [Gate] = []
        /// Starts of the services it depends on.
        var dependencies: [Int] = []
        var dependencyGates: [Gate] = []
    }

    mutating func emitService(_ name: String) {
        guard let survey = surveys[name], let service = stack.services[name] else { return }
        var conditions = Conditions()
        findResources(of: service, into: &conditions)
        findDependencies(of: name, starts: startsAnything(survey), into: &conditions)
        let excess = removeExcessBefore(survey)
        var ready = emitKept(survey, conditions)
        ready += emitMissing(survey, conditions, after: excess)
        emitChain(survey, conditions, ready: ready)
        removeExcessAfter(survey)
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
            guard desired.replicas(of: other) > 0 else { continue }
            let gate = dependency.gate(on: other)
            if !dependency.required, case .failed(let diagnostic) = gate.status(in: observed, except: untrusted(other))
            {
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
    private func dependencyGates(
        _ conditions: Conditions, for container: ObservedContainer?, service: String
    ) -> [Gate] {
        guard desired.mode == .maintain, container?.startedAt != nil else { return conditions.dependencyGates }
        return conditions.dependencyGates.filter { gate in
            guard let other = gate.service else { return true }
            if isLeftAlone(other) { return false }
            if case .failed = gate.status(in: observed, except: untrusted(other)) { return false }
            return true
        }
    }

    /// Tells why a first start can never happen when a command stopped the dependency.
    private mutating func blockOnStopped(_ gates: [Gate], source: SourceMark?) {
        for gate in gates {
            guard let other = gate.service, isLeftAlone(other), gate.status(in: observed) != .holds else { continue }
            builder.block(
                Diagnostic(
                    code: "dependency.stopped", "dependency failed to start: service \(other) is stopped",
                    source: source, hint: "start it with `gantry start \(other)`"))
        }
    }

    // MARK: Replicas that stay

    /// Starts, updates and what waits; answers the names of the replicas that a rolling replacement has to wait for.
    private mutating func emitKept(_ survey: ServiceSurvey, _ conditions: Conditions) -> [String] {
        var ready: [String] = []
        for replica in survey.kept {
            let container = replica.container
            if !replica.control.isEmpty { update(replica, service: survey.name) }
            switch replica.verdict {
            case .keep:
                if container.state == .paused {
                    builder.warn(
                        code: "container.paused", "container \(container.name) is paused and is left as it is",
                        hint: "continue it with `gantry unpause \(survey.name)`")
                }
            case .wait(let until): builder.wait(for: container, until: until)
            case .start(let reason): start(container, survey.name, reason, conditions)
            case .replace, .restart: continue
            }
            ready.append(container.name)
        }
        return ready
    }

    private mutating func update(_ replica: Replica, service: String) {
        let subject = Subject(
            name: replica.container.name, service: service, reason: FieldChange.summary(replica.control),
            source: replica.control.first?.source(in: stack, service: service))
        builder.single(.update, .container, .updateContainer(id: replica.container.id), subject)
    }

    private mutating func start(
        _ container: ObservedContainer, _ service: String, _ reason: String, _ conditions: Conditions
    ) {
        let source = stack.source(of: "services.\(service)")
        let gates = dependencyGates(conditions, for: container, service: service)
        blockOnStopped(gates, source: source)
        let subject = Subject(name: container.name, service: service, reason: reason, source: source)
        builder.touch(container.id)
        let step = builder.single(
            .start, .container, .startContainer(.id(container.id)), subject,
            after: conditions.resources + conditions.dependencies, gates: conditions.resourceGates + gates)
        startSteps[service, default: []].append(step)
    }

    // MARK: New replicas

    private mutating func emitMissing(_ survey: ServiceSurvey, _ conditions: Conditions, after: [Int]) -> [String] {
        survey.missing.map { number in
            let name = stack.containerName(service: survey.name, number: number)
            let subject = Subject(
                name: name, service: survey.name, reason: "does not exist",
                source: stack.source(of: "services.\(survey.name)"))
            let steps = create(number, subject, conditions, replaced: nil, after: after)
            builder.change(.create, .container, subject, steps: steps)
            return name
        }
    }

    /// Makes and starts.
    private mutating func create(
        _ number: Int, _ subject: PlanBuilder.Subject, _ conditions: Conditions, replaced: ObservedContainer?,
        after: [Int]
    ) -> [Int] {
        let service = subject.service ?? ""
        var before = after + conditions.resources
        if let removal = builder.removals[subject.name] {
            before.append(removal)
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
            gates: conditions.resourceGates)
        guard !desired.noStart else { return [creation] }
        blockOnStopped(conditions.dependencyGates, source: subject.source)
        let start = builder.step(
            .startContainer(.planned(service: service, number: number)), subject,
            after: [creation] + conditions.dependencies, gates: conditions.dependencyGates)
        startSteps[service, default: []].append(start)
        return [creation, start]
    }

    // MARK: Replacement

    /// Replaces and restarts one replica after the other: first those that do not run, then those that do not serve,
    /// then the others. One that serves is only touched when all that were dealt with before are ready, so that a
    /// service with several replicas always keeps one.
    private mutating func emitChain(_ survey: ServiceSurvey, _ conditions: Conditions, ready: [String]) {
        let chain = survey.kept.filter { replica in
            if case .restart = replica.verdict { return true }
            return replica.isReplaced
        }
        func rank(_ container: ObservedContainer) -> Int { container.isServing ? 2 : container.isAlive ? 1 : 0 }
        let ordered = chain.sorted {
            (rank($0.container), $0.container.number) < (rank($1.container), $1.container.number)
        }
        var ready = ready
        var previous: [Int] = []
        for replica in ordered {
            let container = replica.container
            let isFree = rank(container) == 0 || retired[container.id] != nil
            var gates: [Gate] = []
            if container.isServing, !desired.noStart {
                gates = ready.map { Gate.replicaReady(name: $0) }
                previous += startSteps[survey.name] ?? []
            }
            let steps: [Int]
            switch replica.verdict {
            case .replace(let reason, let source):
                let subject = Subject(name: container.name, service: survey.name, reason: reason, source: source)
                steps = replace(container, subject, conditions, after: isFree ? [] : previous, gates: gates)
            case .restart(let reason):
                steps = [restart(container, survey.name, reason, conditions, after: previous, gates: gates)]
            case .keep, .start, .wait: continue
            }
            // The first that serves waits for all before it; from then on each waits for the one before.
            if container.isServing { ready = [] }
            ready.append(stack.containerName(service: survey.name, number: container.number))
            if !isFree { previous = Array(steps.suffix(1)) }
        }
    }

    private mutating func replace(
        _ container: ObservedContainer, _ subject: PlanBuilder.Subject, _ conditions: Conditions, after: [Int],
        gates: [Gate]
    ) -> [Int] {
        var steps: [Int]
        if let early = retired[container.id] {
            steps = early
        } else {
            // One that runs goes on until its successor may start.
            let starts = !desired.noStart && container.isAlive
            steps = builder.retire(
                container, subject, after: after + conditions.resources + (starts ? conditions.dependencies : []),
                gates: conditions.resourceGates + (starts ? conditions.dependencyGates : []) + gates)
        }
        var made = subject
        made.name = stack.containerName(service: container.service, number: container.number)
        steps += create(container.number, made, conditions, replaced: container, after: Array(steps.suffix(1)))
        builder.change(.recreate, .container, made, steps: steps)
        return steps
    }

    private mutating func restart(
        _ container: ObservedContainer, _ service: String, _ reason: String, _ conditions: Conditions, after: [Int],
        gates: [Gate]
    ) -> Int {
        let source = stack.source(of: "services.\(service)")
        let subject = Subject(name: container.name, service: service, reason: reason, source: source)
        builder.touch(container.id)
        let step = builder.single(
            .restart, .container, .restartContainer(id: container.id, timeout: nil), subject,
            after: after + conditions.resources + conditions.dependencies,
            gates: conditions.resourceGates + dependencyGates(conditions, for: container, service: service) + gates)
        startSteps[service, default: []].append(step)
        return step
    }

    // MARK: Replicas that go

    /// The replica that must serve before `survey`'s last serving one is removed; `nil` when nothing is lost.
    private func successor(in survey: ServiceSurvey) -> Replica? {
        guard !desired.noStart, survey.missing.isEmpty, !survey.kept.contains(where: { $0.container.isServing }) else {
            return nil
        }
        return survey.kept.first
    }

    private mutating func removeExcessBefore(_ survey: ServiceSurvey) -> [Int] {
        let successor = successor(in: survey)
        var removals: [Int] = []
        for container in survey.excess where retired[container.id] == nil {
            guard successor == nil || !container.isServing || container.name == successor?.container.name else {
                continue
            }
            removals += removeExcess(container, service: survey.name, after: [], gates: []).suffix(1)
        }
        return removals
    }

    private mutating func removeExcessAfter(_ survey: ServiceSurvey) {
        guard let successor = successor(in: survey) else { return }
        let name = stack.containerName(service: survey.name, number: successor.container.number)
        for container in survey.excess where !builder.touched.contains(container.id) {
            _ = removeExcess(
                container, service: survey.name, after: startSteps[survey.name] ?? [],
                gates: [.replicaReady(name: name)])
        }
    }

    mutating func removeExcess(
        _ container: ObservedContainer, service: String, after: [Int], gates: [Gate]
    ) -> [Int] {
        let subject = Subject(
            name: container.name, service: service, reason: "scaled to \(desired.replicas(of: service))",
            source: stack.source(of: "services.\(service)"))
        let steps = builder.retire(container, subject, after: after, gates: gates)
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
        case .replicaReady, .networkPresent, .volumePresent: nil
        }
    }
}
