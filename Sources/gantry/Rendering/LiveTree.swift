import EngineWire
import StackModel

/// What is known about a stack while a command changes it: from its events, and from what the engine says when it is
/// asked how the stack is. How it looks is in `LiveTree+Nodes.swift`. Times are nanoseconds of one clock.
struct LiveTree {
    /// What the events say of one object.
    struct Item {
        var state: ProgressEvent.State
        var status: String
        var startedAt: Int64
        var changedAt: Int64
        /// When it was done or had failed.
        var endedAt: Int64?
        /// When it was first seen to be as it should be, since something was done to it.
        var settledAt: Int64?
    }

    struct Object {
        var title: String
        var item: Item
    }

    struct Replica {
        /// As the engine names it.
        var name: String
        var service: String
        /// The stack's name is not repeated.
        var title: String
        var number: Int?
        var item: Item
    }

    /// How the stack was when the engine was asked.
    struct Look {
        var askedAt: Int64
        var containers: [String: ContainerStatus]
        /// Without one-off containers.
        var members: [String: [ContainerStatus]]
        var rollout: RolloutReply?

        init(askedAt: Int64, containers: [ContainerStatus], rollout: RolloutReply?) {
            self.askedAt = askedAt
            self.containers = Dictionary(containers.map { ($0.name, $0) }) { first, _ in first }
            members = Dictionary(grouping: containers.filter { !$0.oneOff }, by: \.service)
            self.rollout = rollout
        }
    }

    enum End { case running, succeeded, failed }

    /// Objects on the tree; of a stack with more, the rest is not shown.
    static let objectCountMax = 10_000

    let stackName: String?
    let stack: Stack?
    /// Services that the command is about; `nil`: all.
    let selected: Set<String>?
    let beganAt: Int64
    private(set) var objects: [Object] = []
    private(set) var replicas: [String: Replica] = [:]
    /// In the order in which they were heard of.
    private(set) var names: [String] = []
    /// Below what they depend on; else as they were heard of.
    private(set) var services: [String] = []
    private(set) var look: Look?
    var end = End.running

    private var objectIndices: [String: Int] = [:]
    private let serviceByContainerName: [String: String]
    /// Services on the longest way of dependencies below each.
    private let ranks: [String: Int]

    /// - Parameters:
    ///   - services: the ones that were named; empty: all.
    ///   - dependencies: with what those depend on.
    init(
        stackName: String? = nil, stack: Stack? = nil, services: [String] = [], dependencies: Bool = true, at now: Int64
    ) {
        self.stackName = stackName ?? stack?.name
        self.stack = stack
        ranks = stack.map(dependencyRanks) ?? [:]
        beganAt = now
        selected = services.isEmpty ? nil : closure(services, stack, dependencies: dependencies)
        let named = (stack?.services ?? [:]).compactMap { key, service in service.containerName.map { ($0, key) } }
        serviceByContainerName = Dictionary(named) { first, _ in first }
    }

    // MARK: - Events

    mutating func update(
        kind: PlanReply.Change.Kind, name: String, state: ProgressEvent.State, status: String, at now: Int64
    ) {
        let status = harmless(status)
        let endedAt = state == .done || state == .failed || state == .warning ? now : nil
        let item = Item(state: state, status: status, startedAt: now, changedAt: now, endedAt: endedAt)
        guard kind == .container, let (service, number) = member(name) else {
            return update(objectTitle(kind, name), item)
        }
        if status == "Renamed" { forgetSuccessor(of: name) }
        guard var replica = replicas[name] else {
            guard names.count < Self.objectCountMax else { return }
            names.append(name)
            insert(service: service)
            replicas[name] = Replica(
                name: name, service: service, title: short(name), number: number, item: item)
            return
        }
        // Work that starts again after an end (created, then starting) goes on in the same line and time.
        let isSame = replica.item.state == state && replica.item.status == status
        // That it is healthy may be told long after it was seen.
        let settledAt = state == .done && replica.item.state == .done ? replica.item.settledAt : nil
        (replica.item.state, replica.item.status) = (state, status)
        (replica.item.endedAt, replica.item.settledAt) = (settledAt ?? endedAt, settledAt)
        if !isSame { replica.item.changedAt = now }
        replicas[name] = replica
    }

    /// What others depend on stands above them, whichever of them was heard of first.
    private mutating func insert(service: String) {
        guard !services.contains(service) else { return }
        let rank = rank(service)
        services.insert(service, at: services.firstIndex { self.rank($0) > rank } ?? services.endIndex)
    }

    func rank(_ service: String) -> Int { ranks[service] ?? 0 }

    private mutating func update(_ title: String, _ item: Item) {
        guard let index = objectIndices[title] else {
            guard objects.count < Self.objectCountMax else { return }
            objectIndices[title] = objects.count
            return objects.append(Object(title: title, item: item))
        }
        let startedAt = objects[index].item.startedAt
        objects[index].item = item
        objects[index].item.startedAt = startedAt
    }

    /// Of a replica that is not as it should be: why.
    mutating func fail(_ name: String, _ why: String, at now: Int64) {
        update(kind: .container, name: name, state: .failed, status: why, at: now)
    }

    /// What started first to replace another has taken over its name.
    private mutating func forgetSuccessor(of name: String) {
        let successor = name + Self.successorSuffix
        guard replicas.removeValue(forKey: successor) != nil else { return }
        names.removeAll { $0 == successor }
    }

    mutating func update(_ look: Look) {
        self.look = look
        for (name, replica) in replicas where replica.item.state == .done && replica.item.settledAt == nil {
            guard let seen = look.containers[name], look.askedAt >= replica.item.changedAt, seen.state == .running,
                seen.health == nil || seen.health == .healthy
            else { continue }
            replicas[name]?.item.settledAt = look.askedAt
            // What it took to become healthy is part of its time.
            if seen.health == .healthy { replicas[name]?.item.endedAt = look.askedAt }
        }
    }

    // MARK: - Names

    /// As the engine names what is to replace a replica that still serves.
    static let successorSuffix = "-next"

    /// Service and number of a container of the stack.
    private func member(_ name: String) -> (service: String, number: Int?)? {
        if let seen = look?.containers[name] { return (harmless(seen.service), seen.number) }
        var base = name[...]
        if base.hasSuffix(Self.successorSuffix) { base = base.dropLast(Self.successorSuffix.count) }
        if let service = serviceByContainerName[String(base)] { return (service, 1) }
        guard let stackName, base.hasPrefix(stackName + "-"), let dash = base.lastIndex(of: "-"),
            let number = Int(base[base.index(after: dash)...])
        else { return nil }
        let service = base[..<dash].dropFirst(stackName.count + 1)
        return service.isEmpty ? nil : (harmless(String(service)), number)
    }

    private func short(_ name: String) -> String {
        guard let stackName, name.hasPrefix(stackName + "-") else { return harmless(name) }
        return harmless(String(name.dropFirst(stackName.count + 1)))
    }

    private func objectTitle(_ kind: PlanReply.Change.Kind, _ name: String) -> String {
        guard let stackName, name.hasPrefix(stackName + "_") else { return "\(kind.rawValue) \(harmless(name))" }
        return "\(kind.rawValue) \(harmless(String(name.dropFirst(stackName.count + 1))))"
    }
}

/// The named services, and what they depend on.
private func closure(_ services: [String], _ stack: Stack?, dependencies: Bool) -> Set<String> {
    var result = Set(services)
    guard dependencies, let stack else { return result }
    var left = services
    while let service = left.popLast() {
        for name in stack.services[service]?.dependsOn.keys ?? [:].keys where result.insert(name).inserted {
            left.append(name)
        }
    }
    return result
}

/// Of each service: how many services the longest chain of its dependencies has.
private func dependencyRanks(_ stack: Stack) -> [String: Int] {
    var ranks: [String: Int] = [:]
    var left = Array(stack.services.keys)
    while !left.isEmpty {
        let rest = left.filter { name in
            let own = stack.services[name]?.dependsOn.keys.filter { stack.services[$0] != nil } ?? []
            let below = own.compactMap { ranks[$0] }
            guard below.count == own.count else { return true }
            ranks[name] = below.map { $0 + 1 }.max() ?? 0
            return false
        }
        // A circle has no order; a stack with one is refused elsewhere.
        guard rest.count < left.count else { break }
        left = rest
    }
    return ranks
}
