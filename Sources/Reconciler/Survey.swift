import StackModel

/// What is to happen to one replica that stays.
struct Replica {
    enum Verdict: Equatable {
        case keep
        case replace(reason: String, source: SourceMark?)
        /// `byPolicy`: its restart policy says so, and not a command.
        case start(reason: String, byPolicy: Bool = false)
        case restart(reason: String)
        /// Its restart policy starts it at that time (nanoseconds since 1970).
        case wait(until: Int64)
    }
    var container: ObservedContainer
    var verdict: Verdict
    /// Changes that it does not have to be replaced for.
    var updates: [FieldChange]

    var isReplaced: Bool {
        if case .replace = verdict { return true }
        return false
    }

    /// Nothing else is wrong with it than that it is unhealthy.
    var isReplacedAsUnhealthy = false

    /// Its present state will not last.
    var isTouched: Bool {
        switch verdict {
        case .replace, .start, .restart: true
        case .keep, .wait: false
        }
    }
}

/// What is to happen to one service.
struct ServiceSurvey {
    var name: String
    /// By number.
    var kept: [Replica] = []
    /// To be removed.
    var excess: [ObservedContainer] = []
    /// Numbers to be made.
    var missing: [Int] = []
    /// How many there should be.
    var replicas: Int = 0
    /// Of `kept`: how many would be replaced if the rollout were not held.
    var held: Int = 0

    /// After the plan, no replica is one that `container` can have been started with.
    func isRenewed(since container: ObservedContainer, now: Int64) -> Bool {
        guard replicas > 0, let startedAt = container.startedAt else { return false }
        return kept.allSatisfy { replica in
            let createdAt = replica.container.createdAt
            // A creation in the future is a clock that was set back: it would restart dependents for ever.
            return replica.isReplaced || (createdAt > startedAt && createdAt <= now)
        }
    }

    /// There is nothing to do for it, but to wait for those that a rollout has made.
    var isAtRest: Bool {
        missing.isEmpty && excess.isEmpty
            && kept.allSatisfy { replica in
                replica.verdict == .keep && replica.updates.isEmpty && replica.container.state != .paused
                    && !replica.container.name.hasSuffix(Planner.successorSuffix)
            }
    }

    /// The namespaces of the first replica, which others may share, will be new ones.
    var hasNewNamespaces: Bool { kept.first?.isTouched ?? !missing.isEmpty }
}

/// Looks at each service and decides; emits nothing.
struct Surveyor {
    let desired: DesiredState
    let observed: ObservedState
    let now: Int64
    let graph: DependencyGraph
    /// Keys of networks that are replaced, so that their users must be.
    let changedNetworks: Set<String>
    /// Keys of volumes that are replaced, their data with them.
    let doomedVolumes: Set<String>
    /// Services that somebody waits for to complete.
    let awaited: Set<String>

    init(
        desired: DesiredState, observed: ObservedState, now: Int64, graph: DependencyGraph,
        changedNetworks: Set<String>, doomedVolumes: Set<String> = []
    ) {
        self.desired = desired
        self.observed = observed
        self.now = now
        self.graph = graph
        self.changedNetworks = changedNetworks
        self.doomedVolumes = doomedVolumes
        awaited = desired.oneShots(graph)
    }

    static func awaited(in graph: DependencyGraph) -> Set<String> {
        var result: Set<String> = []
        for (name, dependency) in graph.edges.values.joined() where dependency.condition == .completed {
            result.insert(name)
        }
        return result
    }

    /// - Parameters:
    ///   - earlier: The surveys of the services that come before `service` in dependency order.
    ///   - startsFirst: Whether a successor may run beside its predecessor; asked only when there are such two.
    func survey(
        _ service: String, containers: [ObservedContainer], earlier: [String: ServiceSurvey],
        startsFirst: () -> Bool
    ) -> ServiceSurvey {
        var result = ServiceSurvey(name: service)
        result.replicas = desired.replicas(of: service)
        var changes: [String: [FieldChange]] = [:]
        let wanted = containers.isEmpty ? nil : desired.imageIDs[service].flatMap { definition(of: service, image: $0) }
        for container in containers {
            // A service without an image of its own keeps the one that its containers have.
            let wanted = wanted ?? definition(of: service, image: container.definition.imageID)
            let found = wanted?.changes(from: container.definition) ?? []
            if !found.isEmpty { changes[container.id] = found }
        }
        func isObsolete(_ container: ObservedContainer) -> Bool {
            let replacing = (changes[container.id] ?? []).filter { $0.effect == .replace }
            return !replacing.isEmpty || replacement(of: container, changes: []) != nil
        }
        let idle = idleTwins(containers, startsFirst: startsFirst)
        var ranks: [String: Int] = [:]
        if containers.count > 1 {
            for container in containers {
                ranks[container.id] = idle.contains(container.id) ? 2 : isObsolete(container) ? 1 : 0
            }
        }
        // Compose's order for scaling down: obsolete first, then the highest number; those that do not serve between.
        let byWorth =
            containers.count < 2
            ? containers
            : containers.sorted { left, right in
                (ranks[left.id] ?? 0, left.isServing ? 0 : 1, left.number, left.name, left.id)
                    < (ranks[right.id] ?? 0, right.isServing ? 0 : 1, right.number, right.name, right.id)
            }
        var numbers: Set<Int> = []
        var kept: [ObservedContainer] = []
        for container in byWorth {
            if kept.count < result.replicas, numbers.insert(container.number).inserted {
                kept.append(container)
            } else {
                result.excess.append(container)
            }
        }
        kept.sort { $0.number < $1.number }
        for container in kept {
            let replica = judge(container, changes: changes[container.id] ?? [], earlier: earlier)
            result.kept.append(replica)
        }
        if kept.count < result.replicas {
            result.missing = (1...result.replicas).lazy.filter { !numbers.contains($0) }
                .prefix(result.replicas - kept.count).filter { mayReplaceMissing(service, $0) }
        }
        return result
    }

    /// Ids of those that would have to be started while another of their number runs, where only one of them may run:
    /// the other one is replaced instead, in its turn.
    private func idleTwins(_ containers: [ObservedContainer], startsFirst: () -> Bool) -> Set<String> {
        guard containers.count > 1, !desired.noStart else { return [] }
        let alive = Set(containers.filter { $0.isAlive && !$0.stopping }.map(\.number))
        let idle = containers.filter { !$0.isAlive && alive.contains($0.number) }
        guard !idle.isEmpty, !startsFirst() else { return [] }
        return Set(idle.map(\.id))
    }

    private func definition(of service: String, image: String) -> ContainerDefinition? {
        ContainerDefinition(stack: desired.stack, service: service, imageID: image)
    }

    private func judge(
        _ container: ObservedContainer, changes: [FieldChange], earlier: [String: ServiceSurvey]
    ) -> Replica {
        let replacing = changes.filter { $0.effect == .replace }
        var updates = changes.filter { $0.effect != .replace && $0.effect != .none }
        // A record that says more than was applied would hide the rest.
        if desired.noRecreate, !replacing.isEmpty { updates = [] }
        if let verdict = replacement(of: container, changes: replacing) {
            return Replica(container: container, verdict: verdict, updates: [])
        }
        // Cut off in the midst: which half is done is not known.
        if container.isHalfUpdated, updates.isEmpty {
            updates = [FieldChange(path: "definition", sourcePath: "", effect: .live)]
        }
        var replica = Replica(
            container: container, verdict: verdictAsItIs(container, earlier: earlier), updates: updates)
        replica.isReplacedAsUnhealthy = replica.isReplaced
        return replica
    }

    /// What is to happen to one that is not replaced.
    func verdictAsItIs(_ container: ObservedContainer, earlier: [String: ServiceSurvey]) -> Replica.Verdict {
        container.isAlive ? verdictAlive(container, earlier: earlier) : verdictStopped(container)
    }

    private func replacement(of container: ObservedContainer, changes: [FieldChange]) -> Replica.Verdict? {
        let stack = desired.stack
        if container.state == .dead {
            guard mayReplaceMissing(container.service, container.number) else { return nil }
            return .replace(reason: "dead", source: stack.source(of: "services.\(container.service)"))
        }
        guard !desired.noRecreate else { return nil }
        if let first = changes.first {
            let source = first.source(in: stack, service: container.service)
            return .replace(reason: FieldChange.summary(changes), source: source)
        }
        if !changedNetworks.isEmpty, let networks = stack.services[container.service]?.networks,
            let key = networks.keys.sorted().first(where: changedNetworks.contains)
        {
            return .replace(reason: "network \(key) changed", source: stack.source(of: "networks.\(key)"))
        }
        if !doomedVolumes.isEmpty,
            let key = container.definition.volumeNames.keys.sorted().first(where: doomedVolumes.contains)
        {
            return .replace(reason: "volume \(key) is replaced", source: stack.source(of: "volumes.\(key)"))
        }
        if desired.mode == .apply, desired.forceRecreate, container.createdAt < (desired.since ?? Int64.max) {
            return .replace(
                reason: "recreation forced", source: stack.source(of: "services.\(container.service)"))
        }
        return nil
    }

    private func verdictAlive(
        _ container: ObservedContainer, earlier: [String: ServiceSurvey]
    ) -> Replica.Verdict {
        guard !desired.noStart, container.state == .running, !container.stopping else { return .keep }
        if container.problems.contains(.namespaceLost) {
            return .restart(reason: ObservedContainer.Problem.namespaceLost.text)
        }
        if let verdict = verdictUnhealthy(container) { return verdict }
        let parents = graph.parents[container.service] ?? []
        for (name, dependency) in graph.dependencies(of: container.service) {
            guard let survey = earlier[name] else { continue }
            if parents.contains(name), survey.hasNewNamespaces {
                return .restart(reason: "shares a namespace with \(name)")
            }
            if dependency.restart, !parents.contains(name), survey.isRenewed(since: container, now: now) {
                return .restart(reason: "\(name) was replaced")
            }
        }
        return .keep
    }

    /// One that stays unhealthy is replaced when its restart policy would have it start again, were it to end; not in a
    /// rollout, which fails for it, nor by a command.
    private func verdictUnhealthy(_ container: ObservedContainer) -> Replica.Verdict? {
        guard desired.mode == .maintain, desired.rolloutSince == nil, container.health == .unhealthy,
            let service = desired.stack.services[container.service], service.restart.mode != .no,
            desired.stack.driftPolicy(.unhealthy, service: container.service) == .repair
        else { return nil }
        let time =
            max(container.createdAt, container.startedAt ?? 0)
            + UnhealthyBackoff.patience(replacements: container.unhealthyReplacements)
        guard now >= time else { return .wait(until: time) }
        return .replace(reason: "unhealthy", source: desired.stack.source(of: "services.\(container.service)"))
    }

    private func verdictStopped(_ container: ObservedContainer) -> Replica.Verdict {
        guard !desired.noStart, container.state != .dead else { return .keep }
        if container.state == .created, container.finishedAt == nil { return .start(reason: "not running") }
        let isStarted = desired.since.map { container.wasStarted(since: $0, now: now) } ?? false
        if desired.mode(of: PlanAddress.of(container)) == .apply, !isStarted {
            let isDone = container.hasCompleted && awaited.contains(container.service)
            return isDone ? .keep : .start(reason: container.exitText)
        }
        var current = container
        if let policy = desired.stack.services[container.service]?.restart {
            current.definition.service.restart = policy
        }
        switch RestartBackoff.decision(for: current, now: now) {
        case .stay: return .keep
        case .restart where !mayRestart(container): return .keep
        case .restart(let time) where time > now: return .wait(until: time)
        case .restart:
            let mode = current.definition.service.restart.mode.rawValue
            return .start(reason: "\(container.exitText), restart is \(mode)", byPolicy: true)
        }
    }
}

extension ObservedContainer {
    /// A command that began at `since` has started it. What is in the future is from before the clock was set back.
    func wasStarted(since: Int64, now: Int64) -> Bool {
        let time = startedAt ?? finishedAt ?? Int64.min
        return time >= since && (time <= now || now < since)
    }
}
