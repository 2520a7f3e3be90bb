import StackModel

// Networks, volumes, the firewall and what does not belong to a service.
extension Planner {
    /// Of services that will have containers.
    mutating func findUsedResources() {
        var (networks, volumes) = (Set<String>(), Set<String>())
        for name in services where !isLeftAlone(name) {
            guard let service = stack.services[name], desired.replicas(of: name) > 0 || service.schedule != nil else {
                continue
            }
            networks.formUnion(service.networks.keys)
            for mount in service.mounts where mount.kind == .volume {
                if let source = mount.source { volumes.insert(source) }
            }
        }
        (usedNetworks, usedVolumes) = (networks.sorted(), volumes.sorted())
    }

    private func observedNetwork(_ key: String) -> ObservedNetwork? {
        let name = stack.networkName(key)
        return observed.networks.first { $0.name == name }
    }

    /// Keys of networks that exist with another definition and may be replaced.
    func changedNetworks() -> [String] {
        guard !desired.noRecreate else { return [] }
        return usedNetworks.filter { key in
            guard let wanted = stack.networks[key], !wanted.external, let found = observedNetwork(key) else {
                return false
            }
            return !found.external && !wanted.isSame(as: found.definition) && strangers(on: found.name).isEmpty
        }
    }

    private func hint(on network: String) -> String? {
        let names = strangers(on: network).map(\.name)
        return names.isEmpty
            ? nil : "these are on it, and nothing is to be done about them: \(names.joined(separator: ", "))"
    }

    /// Containers on a network that the plan does not replace: orphans, one-off ones, those of other services.
    private func strangers(on network: String) -> [ObservedContainer] {
        observed.containers.filter { container in
            guard container.definition.networkNames.values.contains(network) || container.addresses[network] != nil
            else {
                return false
            }
            return container.oneOff || !services.contains(container.service) || isLeftAlone(container.service)
        }
    }

    mutating func emitNetworks(changed: [String]) {
        retireUsers(networks: changed, volumes: doomedVolumes)
        for key in usedNetworks {
            let name = stack.networkName(key)
            var source: SourceMark? { stack.source(of: "networks.\(key)") }
            let found = observedNetwork(key)
            if let found, changed.contains(key) {
                replace(found, key: key, source: source)
            } else if let found {
                check(found, key: key)
            } else if stack.networks[key]?.external == true {
                resourceGates["networks.\(key)"] = .networkPresent(name: name)
            } else {
                let subject = Subject(name: name, reason: "does not exist", source: source)
                networkSteps[key] = builder.single(.create, .network, .createNetwork(key: key), subject)
            }
        }
        repairAttachments()
    }

    /// Networks and volumes can only be taken away when nobody uses them, so their users go first, dependents before
    /// what they depend on; they are made again in the other order.
    private mutating func retireUsers(networks: [String], volumes: [String]) {
        guard !networks.isEmpty || !volumes.isEmpty else { return }
        let networks = Set(networks.map { stack.networkName($0) })
        let volumes = Set(volumes.map { stack.volumeName($0) })
        func uses(_ container: ObservedContainer) -> Bool {
            !networks.isDisjoint(with: container.definition.networkNames.values)
                || !volumes.isDisjoint(with: container.definition.volumeNames.values)
        }
        var all: [Int] = []
        for service in services.reversed() {
            for replica in surveys[service]?.kept ?? [] where uses(replica.container) {
                let container = replica.container
                guard case .replace(let reason, let source) = replica.verdict else { continue }
                let subject = Subject(name: container.name, service: service, reason: reason, source: source)
                let steps = builder.retire(container, subject, after: container.isAlive ? all : [])
                retired[container.id] = steps
            }
            for container in surveys[service]?.excess ?? [] where uses(container) {
                retired[container.id] = removeExcess(container, service: service, after: [], gates: [])
            }
            all = services.flatMap { name in
                (surveys[name].map { $0.kept.map(\.container) + $0.excess } ?? []).flatMap { retired[$0.id] ?? [] }
            }
        }
    }

    private mutating func replace(_ found: ObservedNetwork, key: String, source: SourceMark?) {
        let subject = Subject(name: found.name, reason: "definition changed", source: source)
        let users = observed.containers.filter { $0.definition.networkNames.values.contains(found.name) }
        let removal = builder.step(
            .removeNetwork(name: found.name), subject, after: users.flatMap { (retired[$0.id] ?? []).suffix(1) })
        let creation = builder.step(.createNetwork(key: key), subject, after: [removal])
        builder.change(.recreate, .network, subject, steps: [removal, creation])
        networkSteps[key] = creation
    }

    private mutating func check(_ found: ObservedNetwork, key: String) {
        guard let wanted = stack.networks[key], !wanted.external else { return }
        var source: SourceMark? { stack.source(of: "networks.\(key)") }
        guard !found.external else {
            builder.warn(
                code: "network.foreign", "network \(found.name) exists but was not made for this stack", source: source,
                hint: "set external: true to use it, or another name")
            return
        }
        if !wanted.isSame(as: found.definition) {
            builder.warn(
                code: "network.changed", "network \(found.name) differs from the stack file and is left as it is",
                source: source, hint: hint(on: found.name))
        }
        let problems = found.problems.filter { mayRepair($0.kind, at: PlanAddress.network(found.name, stack)) }
        guard !problems.isEmpty else { return }
        let reason = problems.map(\.text).sorted().joined(separator: ", ")
        let subject = Subject(name: found.name, reason: reason, source: source)
        networkSteps[key] = builder.single(.repair, .network, .repairNetwork(name: found.name), subject)
    }

    /// Running containers are plugged in again, never restarted: those that lost their interface, and those that are
    /// not ours to replace on a network that is made anew.
    private mutating func repairAttachments() {
        let names = Dictionary(
            usedNetworks.map { (stack.networkName($0), $0) }, uniquingKeysWith: { first, _ in first })
        let handled = Set(services)
        for container in observed.containers where container.isAlive && !container.stopping {
            let isOurs = handled.contains(container.service) && !isLeftAlone(container.service)
            guard isOurs || desired.selection.isEmpty else { continue }
            guard !isTouchedOrRetired(container) else { continue }
            var networks: [String: String] = [:]
            for problem in container.problems
            where mayRepair(problem.kind, container.service, at: PlanAddress.of(container)) {
                if let network = problem.network ?? resolverNetwork(container, problem) {
                    networks[network] = problem.text
                }
            }
            for (network, reason) in networks.sorted(by: { $0.key < $1.key }) {
                let subject = Subject(name: container.name, service: container.service, reason: reason)
                let action = Action.repairAttachment(id: container.id, network: network)
                let after = names[network].flatMap { networkSteps[$0] }.map { [$0] } ?? []
                builder.single(.repair, .container, action, subject, after: after)
            }
        }
    }

    func isTouchedOrRetired(_ container: ObservedContainer) -> Bool {
        if builder.touched.contains(container.id) { return true }
        guard let survey = surveys[container.service], !container.oneOff else { return false }
        if survey.excess.contains(where: { $0.id == container.id }) { return true }
        return survey.kept.contains { $0.container.id == container.id && $0.isTouched }
    }

    mutating func emitVolumes() {
        for key in usedVolumes {
            let name = stack.volumeName(key)
            let source = stack.source(of: "volumes.\(key)")
            guard let wanted = stack.volumes[key] else { continue }
            if let found = observed.volumes.first(where: { $0.name == name && !$0.isLost }) {
                guard !wanted.external, !wanted.isSame(as: found.definition) else { continue }
                emitChanged(found, key: key, source: source)
            } else if wanted.external {
                resourceGates["volumes.\(key)"] = .volumePresent(name: name)
            } else if !desired.recreates(key, name),
                let user = observed.containers.first(where: { hasUsed($0, volume: name) })
            {
                resourceGates["volumes.\(key)"] = .volumePresent(name: name)
                builder.warn(
                    code: "volume.lost", "volume \(name) is gone, and container \(user.name) has used it",
                    source: source, hint: "restore it, or begin with an empty one: `gantry up --recreate-volume \(key)`"
                )
            } else {
                let subject = Subject(name: name, reason: "does not exist", source: source)
                volumeSteps[key] = builder.single(.create, .volume, .createVolume(key: key), subject)
            }
        }
    }

    /// Keys of volumes that exist with another driver or other options, and may be destroyed.
    func replacedVolumes() -> [String] {
        guard desired.mode == .apply, !desired.isRollback, !desired.allowDestroy.isEmpty else { return [] }
        return usedVolumes.filter { key in
            let name = stack.volumeName(key)
            guard desired.allowDestroy.contains("volume.\(key)"), let wanted = stack.volumes[key], !wanted.external,
                let found = observed.volumes.first(where: { $0.name == name })
            else { return false }
            return !found.external && !wanted.isSame(as: found.definition)
        }
    }

    /// A volume with another definition is another volume: its data is never lost unless that was said.
    private mutating func emitChanged(_ found: ObservedVolume, key: String, source: SourceMark?) {
        let name = found.name
        let fields = stack.volumes[key]?.differences(from: found.definition).map(\.path) ?? []
        let what = fields.isEmpty ? "its definition" : fields.joined(separator: ", ")
        if doomedVolumes.contains(key) { return replace(found, key: key, what: what, source: source) }
        let flag = "--allow-destroy volume.\(key)"
        if desired.refusesDestruction, desired.mode == .apply, !desired.isRollback {
            builder.block(
                Diagnostic(
                    code: "consent.needed",
                    "volume \(name) would have to be replaced, and its data would be lost: \(what) changed",
                    source: source, hint: "save the data and run again with \(flag), or undo the change"))
        } else {
            builder.warn(
                code: "volume.changed",
                "volume \(name) differs from the stack file and is left as it is, because its data would be lost",
                source: source, hint: "save the data and run again with \(flag)")
        }
    }

    private mutating func replace(_ found: ObservedVolume, key: String, what: String, source: SourceMark?) {
        let subject = Subject(name: found.name, reason: "\(what) changed, its data is lost", source: source)
        let users = observed.containers.filter { $0.definition.volumeNames.values.contains(found.name) }
        if let user = users.first(where: { retired[$0.id] == nil && builder.removals[$0.name] == nil }) {
            builder.block(
                Diagnostic(
                    code: "volume.in-use",
                    "volume \(found.name) cannot be replaced: container \(user.name) uses it, and stays",
                    source: source,
                    hint: "remove the container, or run the command for all services"))
            return
        }
        let removal = builder.step(
            .removeVolume(name: found.name), subject,
            after: users.compactMap { retired[$0.id]?.last ?? builder.removals[$0.name] })
        let creation = builder.step(.createVolume(key: key), subject, after: [removal])
        builder.change(.recreate, .volume, subject, steps: [removal, creation])
        volumeSteps[key] = creation
    }

    /// An empty volume must not take the place of one with data.
    private func hasUsed(_ container: ObservedContainer, volume: String) -> Bool {
        container.startedAt != nil && container.definition.volumeNames.values.contains(volume)
    }

    mutating func emitFirewall() {
        guard !observed.firewallProblems.isEmpty, mayRepair(.firewall, at: PlanAddress.firewall) else { return }
        let reason = observed.firewallProblems.joined(separator: ", ")
        builder.single(.repair, .firewall, .repairFirewall, Subject(name: stack.name, reason: reason))
    }

    /// Containers of services that the stack does not have, and networks that nobody needs.
    mutating func emitOrphans() {
        let orphans = observed.containers.filter { !$0.oneOff && !stack.declares($0.service) }
        let prunes = desired.mode == .maintain && stack.driftPolicy(.orphan) == .repair
        guard desired.removeOrphans || prunes else {
            guard !orphans.isEmpty else { return }
            let list = orphans.map(\.name).joined(separator: ", ")
            builder.warn(
                code: "stack.orphans", "found orphan containers of services that are not in the stack file: \(list)",
                hint: "run with --remove-orphans to remove them")
            return
        }
        let removals = builder.tearDown(orphans, reason: "service is not in the stack file")
        let removed = Set(orphans.map(\.id))
        let needed = Set(stack.networks.keys.map { stack.networkName($0) }).union(
            observed.containers.filter { !removed.contains($0.id) }.flatMap { $0.definition.networkNames.values })
        for network in observed.networks where !network.external && !needed.contains(network.name) {
            let subject = Subject(name: network.name, reason: "network is not in the stack file")
            builder.single(.remove, .network, .removeNetwork(name: network.name), subject, after: removals)
        }
    }
}

extension PlanBuilder {
    /// Stops in reverse dependency order, as the containers' own definitions have it, and removes.
    ///
    /// - Returns: the removals.
    mutating func tearDown(
        _ containers: [ObservedContainer], reason: String, timeout: Int64? = nil, anonymousVolumes: Bool = false
    ) -> [Int] {
        let graph = DependencyGraph(containers: containers)
        let byService = Dictionary(grouping: containers, by: \.service)
        let names = Set(byService.keys)
        let (order, cyclic) = graph.order(of: names)
        var stops: [String: [Int]] = [:]
        var removals: [Int] = []
        for service in (order + cyclic).reversed() {
            let after = graph.dependents(of: service, among: names).flatMap { stops[$0] ?? [] }
            var own: [Int] = []
            for container in byService[service] ?? [] {
                let subject = Subject(name: container.name, service: service, reason: reason)
                let steps = retire(
                    container, subject, after: container.isAlive ? after : [], timeout: timeout,
                    anonymousVolumes: anonymousVolumes)
                change(.remove, .container, subject, steps: steps)
                if container.isAlive { own += steps.prefix(1) }
                removals += steps.suffix(1)
            }
            // A service without a live container passes on what it would have waited for.
            stops[service] = own.isEmpty ? after : own
        }
        return removals
    }
}
