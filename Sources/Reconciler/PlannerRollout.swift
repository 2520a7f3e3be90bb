import StackModel

// Replicas that take the place of others.
extension Planner {
    /// Suffix of the name that a replica has as long as its predecessor has its own.
    static let successorSuffix = "-next"

    /// A replica that what comes later has to wait for.
    private struct Awaited {
        /// The name it has then.
        var name: String
        /// Of this rollout: the next waits for its delay too.
        var isMade = false
        /// The steps before.
        var after: [Int] = []
    }

    func policy(of service: Service, named name: String, _ containers: [ObservedContainer]) -> RolloutPolicy {
        let config = desired.isRollback ? service.deploy?.rollback ?? service.deploy?.update : service.deploy?.update
        return RolloutPolicy(service, config: config, containers: containers, isShared: hosts.contains(name))
    }

    /// The survey without the replacements that wait for somebody: to promote the canaries, to resume, or to mend what
    /// failed. What is held lives on as it is, and is started again when it ends.
    mutating func holding(_ survey: ServiceSurvey, _ surveyor: Surveyor) -> ServiceSurvey {
        guard let service = stack.services[survey.name] else { return survey }
        var rollout = Rollout(
            survey, policy(of: service, named: survey.name, survey.kept.map(\.container) + survey.excess),
            since: desired.rolloutSince,
            followedSince: [desired.since, desired.followedSince].compactMap(\.self).max(), index)
        defer { rollouts[survey.name] = rollout }
        // Nobody can stay on a network that is made anew.
        guard survey.kept.contains(where: \.isReplaced),
            surveyor.changedNetworks.isDisjoint(with: service.networks.keys),
            let (count, reason) = rollout.allowance(desired, missing: survey.missing.count)
        else { return survey }
        let replaced = chain(survey).filter { $0.isReplaced && $0.container.state != .dead }
        let held = Set(replaced.dropFirst(count).map(\.container.id))
        guard !held.isEmpty else { return survey }
        rollout.isHeld = count == 0
        builder.hold(
            HeldRollout(service: survey.name, reason: reason, replicas: held.count),
            source: stack.source(of: "services.\(survey.name)"))
        var result = survey
        result.held = held.count
        for index in result.kept.indices where held.contains(result.kept[index].container.id) {
            let container = result.kept[index].container
            result.kept[index] = Replica(
                container: container, verdict: surveyor.verdictAsItIs(container, earlier: surveys), updates: [])
        }
        return result
    }

    func finalName(_ container: ObservedContainer) -> String {
        stack.containerName(service: container.service, number: container.number)
    }

    /// One of the same number is there to take its place.
    private func successor(of container: ObservedContainer, in survey: ServiceSurvey) -> Replica? {
        survey.kept.first { $0.container.number == container.number && !$0.isReplaced }
    }

    /// It runs, and goes on until its successor serves: whether it serves itself may change at any moment, as after a
    /// restart.
    func isSucceeded(_ container: ObservedContainer, _ survey: ServiceSurvey) -> Bool {
        container.isAlive && !container.stopping && !desired.noStart && successor(of: container, in: survey) != nil
    }

    // MARK: Replicas whose successors are there

    /// Takes predecessors away once those who take their place are ready, and gives these their names.
    ///
    /// - Returns: what is to be waited for, by the name of the replica that is kept.
    mutating func emitSuccessions(_ survey: ServiceSurvey, _ rollout: Rollout) -> [String: (name: String, after: [Int])]
    {
        var successions: [String: (name: String, after: [Int])] = [:]
        for replica in survey.kept where !replica.isReplaced && rollout.isTolerated(replica.container.name) {
            builder.noteTolerated(replica.container.id)
        }
        for replica in survey.kept where !replica.isReplaced && !rollout.isTolerated(replica.container.name) {
            let container = replica.container
            var after: [Int] = []
            for predecessor in survey.excess
            where predecessor.number == container.number && isSucceeded(predecessor, survey)
                && retired[predecessor.id] == nil
            {
                let subject = Subject(
                    name: predecessor.name, service: survey.name, reason: "replaced",
                    source: stack.source(of: "services.\(survey.name)"))
                let steps = builder.retire(
                    predecessor, subject, after: startSteps[survey.name] ?? [], gates: [rollout.gate(container.name)],
                    drain: rollout.policy.drain)
                builder.change(.remove, .container, subject, steps: steps)
                after += steps.suffix(1)
            }
            let name = finalName(container)
            guard container.name == name + Self.successorSuffix else {
                if !after.isEmpty { successions[container.name] = (container.name, after) }
                continue
            }
            after += builder.removals[name].map { [$0] } ?? []
            let rename = builder.single(
                .update, .container, .renameContainer(name: container.name),
                Subject(name: name, service: survey.name, reason: "its predecessor is gone"), after: after)
            successions[container.name] = (name, [rename])
        }
        return successions
    }

    // MARK: Replacement

    /// Replaces and restarts replicas: first those that do not run, then those that do not serve, then the others, as
    /// many at a time as the policy says. One that serves is only touched when all that were dealt with before it are
    /// ready, so that a service with several replicas always keeps one.
    mutating func emitChain(
        _ survey: ServiceSurvey, _ conditions: Conditions, _ rollout: Rollout,
        successions: [String: (name: String, after: [Int])], missing: [String]
    ) {
        var before = survey.kept.filter { replica in
            if case .restart = replica.verdict { return false }
            return !replica.isReplaced && !rollout.isTolerated(replica.container.name)
        }.map { replica in
            let succession = successions[replica.container.name]
            return Awaited(
                name: succession?.name ?? replica.container.name,
                isMade: rollout.made.contains { $0.container.id == replica.container.id },
                after: succession?.after ?? [])
        }
        before += missing.map { Awaited(name: $0) }
        var serving: [Replica] = []
        var previous: [Int] = []
        for replica in chain(survey) {
            guard !replica.container.isServing else {
                serving.append(replica)
                continue
            }
            let isFree = !replica.container.isAlive || retired[replica.container.id] != nil
            let steps = renew(replica, survey, conditions, rollout, after: isFree ? [] : previous, gates: [])
            if !isFree { previous = Array(steps.suffix(1)) }
            before.append(awaited(replica, successions))
        }
        emitServing(serving, survey, conditions, rollout, before: before, successions: successions)
        emitRest(survey, rollout)
    }

    /// One that is restarted may be a successor that does not have its name yet: who has it now is another.
    private func awaited(
        _ replica: Replica, _ successions: [String: (name: String, after: [Int])], after: [Int] = []
    ) -> Awaited {
        let succession = replica.isReplaced ? nil : successions[replica.container.name]
        return Awaited(
            name: succession?.name ?? finalName(replica.container), after: after + (succession?.after ?? []))
    }

    /// Those of a service that are replaced or restarted, in their order.
    private func chain(_ survey: ServiceSurvey) -> [Replica] {
        func rank(_ container: ObservedContainer) -> Int { container.isServing ? 2 : container.isAlive ? 1 : 0 }
        let chain = survey.kept.filter { replica in
            if case .restart = replica.verdict { return true }
            return replica.isReplaced
        }
        return chain.sorted {
            (rank($0.container), $0.container.number) < (rank($1.container), $1.container.number)
        }
    }

    /// The first so many wait for all before them; each of the others for the one so many places before it.
    private mutating func emitServing(
        _ serving: [Replica], _ survey: ServiceSurvey, _ conditions: Conditions, _ rollout: Rollout, before: [Awaited],
        successions: [String: (name: String, after: [Int])]
    ) {
        let starts = startSteps[survey.name] ?? []
        var done: [Awaited] = []
        for (index, replica) in serving.enumerated() {
            var (after, gates) = ([Int](), [Gate]())
            if index < rollout.policy.parallelism {
                after = starts + before.flatMap(\.after)
                gates = before.map { rollout.gate($0.name, isNext: $0.isMade) }
            } else {
                let earlier = done[index - rollout.policy.parallelism]
                after = earlier.after
                gates = [rollout.gate(earlier.name, isNext: true)]
            }
            let isFree = retired[replica.container.id] != nil
            let steps = renew(
                replica, survey, conditions, rollout, after: isFree ? [] : after, gates: desired.noStart ? [] : gates)
            done.append(awaited(replica, successions, after: Array(steps.suffix(1))))
        }
    }

    private mutating func renew(
        _ replica: Replica, _ survey: ServiceSurvey, _ conditions: Conditions, _ rollout: Rollout, after: [Int],
        gates: [Gate]
    ) -> [Int] {
        let container = replica.container
        switch replica.verdict {
        case .replace(let reason, let source):
            let subject = Subject(name: container.name, service: survey.name, reason: reason, source: source)
            let name = finalName(container)
            let startsFirst =
                rollout.policy.startsFirst && container.isServing && !desired.noStart
                && retired[container.id] == nil && [name, name + Self.successorSuffix].contains(container.name)
                && isFree(name + Self.successorSuffix)
            if startsFirst { return succeed(container, subject, conditions, rollout, after: after, gates: gates) }
            return replace(container, subject, survey, conditions, rollout, after: after, gates: gates)
        case .restart(let reason):
            return [restart(container, survey.name, reason, conditions, after: after, gates: gates)]
        case .keep, .start, .wait: return []
        }
    }

    /// No other service has that name, or will have it.
    private func isFree(_ name: String) -> Bool {
        !stack.services.values.contains { $0.containerName == name }
            && !observed.containers.contains { $0.name == name && finalName($0) == name }
    }

    /// Stop-first.
    private mutating func replace(
        _ container: ObservedContainer, _ subject: Subject, _ survey: ServiceSurvey, _ conditions: Conditions,
        _ rollout: Rollout, after: [Int], gates: [Gate]
    ) -> [Int] {
        var steps: [Int]
        if let early = retired[container.id] {
            steps = early
        } else {
            // One that runs goes on until its successor may start.
            let starts = !desired.noStart && container.isAlive
            // Where nobody else answers meanwhile, the sooner it is over the better.
            let isDrained = desired.replicas(of: container.service) > 1 || rollout.policy.startsFirst
            steps = builder.retire(
                container, subject, after: after + conditions.resources + (starts ? conditions.dependencies : []),
                gates: conditions.resourceGates + (starts ? conditions.dependencyGates : []) + gates,
                drain: isDrained ? rollout.policy.drain : 0)
        }
        var made = subject
        made.name = finalName(container)
        // Nobody of its number may run beside it.
        let twins = rollout.policy.startsFirst ? [] : survey.excess.filter { $0.number == container.number }
        let after = Array(steps.suffix(1)) + twins.compactMap { builder.removals[$0.name] }
        steps += create(container.number, made, conditions, replaced: container, after: after)
        let order = container.isServing ? "stop-first: \(rollout.policy.reason)" : nil
        builder.change(.recreate, .container, made, order: order, steps: steps)
        return steps
    }

    /// Start-first: the successor serves under another name before its predecessor goes.
    private mutating func succeed(
        _ container: ObservedContainer, _ subject: Subject, _ conditions: Conditions, _ rollout: Rollout,
        after: [Int], gates: [Gate]
    ) -> [Int] {
        var (subject, made, after) = (subject, subject, after)
        subject.name = finalName(container)
        made.name = subject.name + Self.successorSuffix
        var steps: [Int] = []
        if container.name == made.name {
            // Its predecessor is gone, and it does not have its name yet.
            steps.append(
                builder.step(
                    .renameContainer(name: container.name), subject,
                    after: builder.removals[subject.name].map { [$0] } ?? []))
            after += steps
        }
        steps += create(container.number, made, conditions, replaced: container, after: after, gates: gates)
        steps += builder.retire(
            container, subject, after: Array(steps.suffix(1)), gates: [rollout.gate(made.name)],
            drain: rollout.policy.drain)
        steps.append(
            builder.step(.renameContainer(name: made.name), subject, after: Array(steps.suffix(1))))
        builder.change(
            .recreate, .container, subject, order: "start-first: \(rollout.policy.reason)", steps: steps)
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
            after: after + conditions.resources + conditions.dependencies + updates(container),
            gates: conditions.resourceGates + dependencyGates(conditions, for: container, service: service) + gates)
        startSteps[service, default: []].append(step)
        return step
    }

    // MARK: The end

    /// One that others wait for to complete and that has failed: with it the update has, and none of them is replaced.
    func failedOneShot(_ survey: ServiceSurvey) -> FailedRollout? {
        guard let changedAt = desired.changedAt, !desired.isRollback else { return nil }
        let dependents = services.filter { name in
            graph.edges[name]?[survey.name].map { $0.required && $0.condition == .completed } ?? false
        }
        guard !dependents.isEmpty else { return nil }
        let failures: [Diagnostic] = survey.kept.compactMap { replica in
            guard replica.isLeftToItself, let startedAt = replica.container.startedAt, startedAt >= changedAt,
                case .failed(let diagnostic) = Gate.completion(replica.container)
            else { return nil }
            return diagnostic
        }
        guard !failures.isEmpty else { return nil }
        let isUndone = ([survey.name] + dependents).contains { name in
            rollouts[name].map { $0.policy.isExplicit && $0.policy.failureAction == .rollback } ?? false
        }
        return FailedRollout(service: survey.name, action: isUndone ? .rollback : .pause, failures: failures)
    }

    /// Where the stack file says how a service is updated, a rollout ends when the last replica has settled too.
    mutating func emitRest(_ survey: ServiceSurvey, _ rollout: Rollout) {
        guard rollout.policy.isExplicit, !desired.noStart else { return }
        for replica in rollout.made where !replica.isTouched && !rollout.isTolerated(replica.container.name) {
            let name = replica.container.name
            guard name == finalName(replica.container) else { continue }
            let gate = rollout.gate(name)
            guard gate.status(in: index) != .holds else { continue }
            let subject = Subject(
                name: name, service: survey.name, reason: "until it has settled",
                source: stack.source(of: "services.\(survey.name)"))
            _ = builder.step(.awaitReplica, subject, gates: [gate])
        }
    }
}
