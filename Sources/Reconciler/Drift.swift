import StackModel

/// One thing that is not as it was applied.
public struct DriftEntry: Equatable, Sendable {
    /// Where: `services.web[1]`, `networks.front`, `volumes.data`, `configs.app`, `firewall`, `host`.
    public var address: String
    public var kind: DriftClass
    /// What, in a few words.
    public var detail: String
    public var policy: DriftPolicy
    /// What the policy, or whoever reads this, does about it; `nil` where nothing can be done.
    public var repair: String?
    public var source: SourceMark?
}

/// What a report knows beyond the observed state.
public struct DriftFacts: Equatable, Sendable {
    public struct Object: Equatable, Sendable {
        public var address: String
        public var detail: String

        public init(address: String, detail: String) {
            self.address = address
            self.detail = detail
        }
    }

    /// The stack as its file says it now; `nil` when nobody looked.
    public var file: Stack?
    /// Service to the image id that its image's name leads to now.
    public var imageIDs: [String: String] = [:]
    /// Configs and secrets (`configs.app`) whose file says something else, and how.
    public var content: [Object] = []
    public var foreign: [Object] = []
    /// Parameters of the host, which are left to it.
    public var host: [Object] = []
    /// By container id: what only a deep look sees.
    public var inside: [String: [String]] = [:]

    public init() {}
}

/// Everything that differs and is not ignored, by address and class.
///
/// A pure function of its arguments; the order of arrays and dictionaries in them does not matter.
public func drift(desired: DesiredState, observed: ObservedState, facts: DriftFacts) -> [DriftEntry] {
    var report = DriftReporter(desired: desired, observed: observed.sorted(), facts: facts)
    report.addContainers()
    report.addMissing()
    report.addResources()
    report.addFacts()
    report.addFile()
    return report.entries.filter { $0.policy != .ignore && !isIgnored($0, desired.stack) }
        .sorted { ($0.address, $0.kind.rawValue, $0.detail) < ($1.address, $1.kind.rawValue, $1.detail) }
}

/// Whether one of the stack's patterns names the entry: parts between dots are compared from the left, `*` is any one,
/// `[…]` may be left out, and the class comes after the address.
private func isIgnored(_ entry: DriftEntry, _ stack: Stack) -> Bool {
    let parts = (entry.address + "." + entry.kind.rawValue).split(separator: ".")
    return (stack.gantry?.driftIgnored ?? []).contains { pattern in
        let wanted = pattern.split(separator: ".")
        guard !wanted.isEmpty, wanted.count <= parts.count else { return false }
        return zip(wanted, parts).allSatisfy { want, part in
            want == "*" || want == part || want == part.prefix { $0 != "[" }
        }
    }
}

private struct DriftReporter {
    let desired: DesiredState
    let observed: ObservedState
    let facts: DriftFacts
    var entries: [DriftEntry] = []

    var stack: Stack { desired.stack }

    init(desired: DesiredState, observed: ObservedState, facts: DriftFacts) {
        self.desired = desired
        self.observed = observed
        self.facts = facts
    }

    mutating func add(
        _ address: String, _ kind: DriftClass, _ detail: String, service: String? = nil, repair: String?
    ) {
        let path = address.prefix { $0 != "[" }
        var policy = stack.driftPolicy(kind, service: service)
        // What only a command of the user puts right is told, whatever the engine might do.
        var repair = repair
        if policy == .repair, repair?.hasPrefix("gantry ") ?? false { policy = .warn }
        // And what the engine leaves to the user is not said to have been done.
        if policy == .warn, let words = repair, !words.contains("gantry ") { repair = "gantry up" }
        entries.append(
            DriftEntry(
                address: address, kind: kind, detail: detail, policy: policy, repair: repair,
                source: stack.source(of: String(path))))
    }

    // MARK: Containers

    mutating func addContainers() {
        for container in observed.containers {
            guard !container.oneOff, stack.services[container.service] != nil else {
                if !container.oneOff, !stack.declares(container.service) { addOrphan(container) }
                continue
            }
            let address = "services.\(container.service)[\(container.number)]"
            if container.isAlive {
                addAlive(container, address)
            } else if !desired.stopped.contains(container.service), stack.services[container.service]?.schedule == nil {
                addEnded(container, address)
            }
            if let details = facts.inside[container.id] {
                for detail in details {
                    add(
                        address, .inside, detail, service: container.service,
                        repair: "gantry up --force-recreate \(container.service)")
                }
            }
        }
    }

    private mutating func addOrphan(_ container: ObservedContainer) {
        add(
            "services.\(container.service)[\(container.number)]", .orphan,
            "container \(container.name) is of a service that the stack does not have",
            repair: "gantry up --remove-orphans")
    }

    private mutating func addAlive(_ container: ObservedContainer, _ address: String) {
        let service = container.service
        guard !container.stopping else { return }
        for problem in container.problems {
            let repair =
                problem == .namespaceLost
                ? "restarted" : problem.kind == .dns ? "served again" : "put right in the running container"
            add(address, problem.kind, problem.text, service: service, repair: repair)
        }
        for limit in container.limits {
            add(address, .limits, limit.text, service: service, repair: "written back")
        }
        if container.state == .paused, !container.pausedByUser {
            add(address, .paused, "its processes are frozen", service: service, repair: "let go")
        }
        if container.state == .running, container.health == .unhealthy {
            let isReplaced = stack.services[service]?.restart.mode != .no
            add(
                address, .unhealthy, "its healthcheck fails", service: service,
                repair: isReplaced ? "replaced" : "gantry restart \(service)")
        }
        if let id = desired.imageIDs[service], container.definition.imageID != id {
            return  // A rollout is on its way.
        }
        if let now = facts.imageIDs[service], now != container.definition.imageID {
            add(
                address, .image,
                "image \(container.definition.service.image) leads to \(short(now)) now, not to "
                    + short(container.definition.imageID), service: service, repair: "gantry up")
        }
    }

    private mutating func addEnded(_ container: ObservedContainer, _ address: String) {
        let service = container.service
        if container.state == .dead {
            add(address, .deleted, "its files were removed", service: service, repair: "made anew")
            return
        }
        guard container.state != .created || container.finishedAt != nil else { return }
        var current = container
        if let policy = stack.services[service]?.restart { current.definition.service.restart = policy }
        switch RestartBackoff.decision(for: current, now: observed.at) {
        case .restart: add(address, .exited, container.exitText, service: service, repair: "started again")
        case .stay:
            guard !container.stoppedByUser, !container.hasCompleted else { return }
            add(address, .exited, container.exitText, service: service, repair: "gantry up")
        }
    }

    /// Replicas that were there and are not any more.
    mutating func addMissing() {
        guard desired.isSettled else { return }
        let selected = stack.applied(desired.selection)
        for name in stack.services.keys.sorted() where selected.contains(name) && !desired.stopped.contains(name) {
            let numbers = Set(observed.containers.filter { $0.service == name && !$0.oneOff }.map(\.number))
            let missing = desired.replicas(of: name) - numbers.count
            guard missing > 0 else { continue }
            for number in (1...desired.replicas(of: name)).filter({ !numbers.contains($0) }).prefix(missing) {
                add("services.\(name)[\(number)]", .deleted, "it is gone", service: name, repair: "made anew")
            }
        }
    }

    // MARK: What containers share

    mutating func addResources() {
        let networks = Dictionary(
            stack.networks.keys.map { (stack.networkName($0), $0) }, uniquingKeysWith: { first, _ in first })
        for network in observed.networks {
            for problem in network.problems {
                add(
                    "networks.\(networks[network.name] ?? network.name)", problem.kind, problem.text,
                    repair: "put right under the running containers")
            }
        }
        for problem in observed.firewallProblems {
            add("firewall", .firewall, problem, repair: "the whole table is put back at once")
        }
        for (key, wanted) in stack.volumes.sorted(by: { $0.key < $1.key }) where !wanted.external {
            let name = stack.volumeName(key)
            guard let found = observed.volumes.first(where: { $0.name == name }) else {
                guard desired.isSettled, isUsed(key) else { continue }
                addLost(key, name)
                continue
            }
            if found.isLost { addLost(key, name) }
            if !wanted.isSame(as: found.definition) {
                add(
                    "volumes.\(key)", .volumeOptions, "volume \(name) was made with other options",
                    repair: "save the data, and gantry up --allow-destroy volume.\(key)")
            }
        }
    }

    private func isUsed(_ key: String) -> Bool {
        stack.services.values.contains { $0.mounts.contains { $0.kind == .volume && $0.source == key } }
    }

    private mutating func addLost(_ key: String, _ name: String) {
        add(
            "volumes.\(key)", .volume, "volume \(name) is gone",
            repair: "restore it, or gantry up --recreate-volume \(key)")
    }

    // MARK: Facts

    mutating func addFacts() {
        for object in facts.content { add(object.address, .content, object.detail, repair: "gantry up") }
        for object in facts.foreign { add(object.address, .foreign, object.detail, repair: nil) }
        for object in facts.host {
            add(object.address, .sysctl, object.detail, repair: nil)
            // The host is its owner's.
            if let last = entries.indices.last, entries[last].policy == .repair { entries[last].policy = .warn }
        }
    }

    /// What the stack file says that was not applied.
    mutating func addFile() {
        guard let file = facts.file else { return }
        func add(_ address: String, _ detail: String, _ source: SourceMark?) {
            self.add(address, .stack, detail, repair: "gantry up")
            if let last = entries.indices.last, let source { entries[last].source = source }
        }
        for name in Set(file.services.keys).union(stack.services.keys).sorted() {
            let mark = file.source(of: "services.\(name)")
            guard let new = ContainerDefinition(stack: file, service: name, imageID: "") else {
                add("services.\(name)", "the stack file does not have it any more", nil)
                continue
            }
            guard let old = ContainerDefinition(stack: stack, service: name, imageID: "") else {
                add("services.\(name)", "the stack file has it, and it was not applied", mark)
                continue
            }
            // Of contents, the entry of the config says it.
            for change in new.changes(from: old) where change.effect != .none && !change.path.hasSuffix(" content") {
                add("services.\(name)", "\(change.path) changed", change.source(in: file, service: name))
            }
        }
        for (key, new) in file.networks.sorted(by: { $0.key < $1.key }) {
            guard let old = stack.networks[key], !new.isSame(as: old) else { continue }
            add("networks.\(key)", "its definition changed", file.source(of: "networks.\(key)"))
        }
    }

    private func short(_ id: String) -> String {
        String((id.split(separator: ":").last ?? "").prefix(12))
    }
}
