import Reconciler
import StackModel

/// Watches every command of the core and every moment of the machine, and notes what must not be.
struct Monitor: Sendable {
    private(set) var violations: [Violation] = []
    /// How often what should happen sometimes has happened.
    private(set) var sometimes: [String: Int] = [:]

    /// Ids of containers that the present work has begun to stop.
    private var leaving: Set<String> = []
    /// Whose removal has begun once, however that ended.
    private var discarded: Set<String> = []
    /// Names of containers that are being made.
    private var making: Set<String> = []
    /// Containers of each service when the present work began, or its goal was changed.
    private var countBefore: [String: Int] = [:]
    /// How many of them were beside another of their number then.
    private var twinsBefore: [String: Int] = [:]
    /// Services that requests were answered for, and those that are down by no doing of the engine's.
    private var served: Set<String> = []
    private var troubled: Set<String> = []
    private var seenVersion = -1
    /// Services of `promisedFor` that a rollout need not interrupt, by name.
    private var promised: [(name: String, isAlwaysThere: Bool)] = []
    private var promisedFor: (revision: Int, isRollback: Bool)?
    /// What an operation was not done to that said so: nothing that follows is the core's doing.
    var excused: Set<String> = []

    mutating func note(_ property: Property, _ detail: @autoclosure () -> String, _ machine: Machine) {
        guard violations.count < 20 else { return }
        violations.append(Violation(property: property, detail: detail(), at: machine.clock))
    }

    mutating func expect(
        _ condition: Bool, _ property: Property, _ detail: @autoclosure () -> String, _ machine: Machine
    ) {
        if !condition { note(property, detail(), machine) }
    }

    mutating func count(_ what: String) { sometimes[what, default: 0] += 1 }

    mutating func trouble(_ service: String) { troubled.insert(service) }

    mutating func beginWork(_ machine: Machine) {
        leaving = []
        making = []
        countContainers(machine)
    }

    mutating func countContainers(_ machine: Machine) {
        (countBefore, twinsBefore) = ([:], [:])
        for (service, own) in Dictionary(grouping: machine.containers.filter(\.hasRecord), by: \.service) {
            countBefore[service] = own.count
            twinsBefore[service] = own.count - Set(own.map(\.number)).count
        }
    }

    // MARK: Commands

    mutating func end(_ step: Step) {
        switch step.action {
        case .createContainer: making.remove(step.name)
        case .stopContainer(let id, _, _), .restartContainer(let id, _), .removeContainer(let id, _):
            leaving.remove(id)
        default: break
        }
    }

    /// - Parameter seen: the last state that the core was given.
    mutating func check(_ step: Step, of work: Work, seen: ObservedState, _ machine: Machine) {
        switch step.action {
        case .createContainer(let service, _): checkSurge(step, service, work, seen, machine)
        case .startContainer(let reference, let byPolicy):
            checkStart(reference, step, byPolicy: byPolicy, work, seen, machine)
        case .stopContainer(let id, _, _), .restartContainer(let id, _), .removeContainer(let id, _):
            checkStop(id, step, work, seen, machine)
            if case .removeContainer = step.action { discarded.insert(id) }
        case .removeVolume(let name):
            if case .down(let down) = work, down.removeVolumes { break }
            note(.dataKept, "volume \(name) is removed", machine)
        case .removeNetwork(let name), .repairNetwork(let name):
            expect(name != Machine.foreignNetwork, .ownObjectsOnly, "network \(name) is not ours", machine)
            guard case .removeNetwork = step.action else { break }
            let users = seen.containers.filter {
                $0.isAlive && $0.addresses[name] != nil && !excused.contains($0.id)
            }
            expect(users.isEmpty, .networkInUse, "network \(name) is removed under \(users.map(\.name))", machine)
        default: break
        }
    }

    private func wanted(_ service: String, _ work: Work) -> Int? {
        work.wanted.map { $0.stack.services[service]?.replicas ?? 0 }
    }

    private func service(_ name: String, _ work: Work) -> Service? { work.wanted?.stack.services[name] }

    private mutating func checkSurge(
        _ step: Step, _ name: String, _ work: Work, _ seen: ObservedState, _ machine: Machine
    ) {
        guard let wanted = wanted(name, work), let service = service(name, work), let desired = work.wanted else {
            return
        }
        // One of that name is that one.
        guard !seen.containers.contains(where: { $0.name == step.name }) else { return }
        let own = seen.containers.filter { $0.service == name }
        // What has ended and is on its way out takes nothing from anybody.
        let there = own.count { container in
            !making.contains(container.name) && !excused.contains(container.id)
                && (container.isAlive || !discarded.contains(container.id))
        }
        let begun = making.count { $0.hasPrefix("shop-\(name)-") }
        var surge = desired.startsFirst(name) ? min(desired.parallelism(name), max(wanted, 1)) : 0
        // Successors that were there when the order was changed to stop-first (as a rollback's own order does) stay
        // beside their predecessors until those are gone.
        surge = max(surge, min(twinsBefore[name] ?? 0, own.count - Set(own.map(\.number)).count))
        // A failure that is put up with stays beside its predecessor.
        let failed = own.count { $0.name.hasSuffix("-next") && service.toleratesFailures && $0.hasFailed(at: seen.at) }
        let limit = max(wanted, countBefore[name] ?? 0) + surge + failed
        expect(there + begun < limit, .surge, "\(step.name) is one beyond \(limit)", machine)
        making.insert(step.name)
        if step.name.hasSuffix("-next") { count("start-first succession") }
    }

    private mutating func checkStart(
        _ reference: ContainerReference, _ step: Step, byPolicy: Bool, _ work: Work, _ seen: ObservedState,
        _ machine: Machine
    ) {
        let found = seen.containers.first { container in
            switch reference {
            case .id(let id): container.id == id
            case .planned: container.name == step.name
            }
        }
        if byPolicy { count("restart by policy") }
        guard let container = found, let service = service(container.service, work) else { return }
        let isReach: Bool
        if case .reach(let desired) = work { isReach = desired.mode == .apply } else { isReach = false }
        if isReach || container.startedAt == nil {
            for (name, dependency) in service.dependsOn.sorted(by: { $0.key < $1.key }) {
                checkDependency(name, dependency, of: container.name, work, seen, machine)
            }
        }
        guard service.isExclusive else { return }
        let twins = seen.containers.filter {
            $0.service == container.service && $0.number == container.number && $0.id != container.id && $0.isAlive
        }
        expect(twins.isEmpty, .singleWriter, "\(container.name) starts beside \(twins.map(\.name))", machine)
    }

    private mutating func checkDependency(
        _ name: String, _ dependency: Dependency, of dependent: String, _ work: Work, _ seen: ObservedState,
        _ machine: Machine
    ) {
        guard let wanted = wanted(name, work), wanted > 0 else { return }
        let others = seen.containers.filter { $0.service == name }
        let holds: Bool
        switch dependency.condition {
        case .started:
            holds = others.allSatisfy { one in
                // A successor that could not be started has its predecessor beside it.
                one.startedAt != nil || others.contains { $0.number == one.number && $0.isAlive }
            }
        case .healthy: holds = others.allSatisfy { $0.isAlive && $0.health == .healthy }
        case .completed: holds = others.allSatisfy { $0.state == .exited && $0.exitCode == 0 }
        }
        guard dependency.required else { return }
        // What ran once for a revision is not run, nor waited for, when that is gone back to.
        if dependency.condition == .completed, work.desired?.isRollback == true { return }
        expect(
            holds && !others.isEmpty, .dependencyOrder, "\(dependent) starts before \(name) is \(dependency.condition)",
            machine)
    }

    private mutating func checkStop(
        _ id: String, _ step: Step, _ work: Work, _ seen: ObservedState, _ machine: Machine
    ) {
        expect(!id.hasPrefix("theirs"), .ownObjectsOnly, "container \(id) is not ours", machine)
        guard let container = seen.containers.first(where: { $0.id == id }) else { return }
        if case .down = work {
            guard container.isAlive else { return }
            leaving.insert(id)
            for other in seen.containers where other.isAlive && !excused.contains(other.id) {
                let depends = other.definition.service.dependsOn[container.service] != nil
                expect(!depends, .stopOrder, "\(container.name) stops before \(other.name)", machine)
            }
        }
        guard let wanted = wanted(container.service, work), container.isAlive, !leaving.contains(id) else { return }
        defer { leaving.insert(id) }
        // It has come to serve since that look, which was an old one.
        if !container.isServing, machine.balancer[container.service]?.contains(id) == true {
            troubled.insert(container.service)
        }
        guard container.isServing, let service = service(container.service, work) else { return }
        checkUntouched(container, service, wanted, work, seen, machine)
        checkAvailability(container, service, wanted, work, seen, machine)
    }

    private func isCurrent(_ container: ObservedContainer, _ work: Work) -> Bool {
        switch work {
        case .reach(let desired), .keep(let desired):
            let imageID = desired.imageIDs[container.service] ?? container.definition.imageID
            let definition = ContainerDefinition(stack: desired.stack, service: container.service, imageID: imageID)
            return definition?.changes(from: container.definition).allSatisfy { $0.effect != .replace } ?? false
        default: return false
        }
    }

    /// Its life is bound to another's.
    private func isBound(_ service: Service, _ work: Work) -> Bool {
        service.networkMode != nil || service.dependsOn.values.contains(where: \.restart)
    }

    private mutating func checkUntouched(
        _ container: ObservedContainer, _ service: Service, _ wanted: Int, _ work: Work, _ seen: ObservedState,
        _ machine: Machine
    ) {
        guard isCurrent(container, work), !isBound(service, work), !machine.replacesNetworks else { return }
        let current = seen.containers.filter {
            $0.service == container.service && $0.isServing && isCurrent($0, work) && !leaving.contains($0.id)
        }
        // Beyond the number that is wanted, or two of one number.
        let isTwin = seen.containers.contains {
            $0.service == container.service && $0.number == container.number && $0.id != container.id
        }
        guard current.count <= wanted, !isTwin else { return }
        // A number higher than what is wanted goes when a lower one is on its way.
        guard seen.containers.filter({ $0.service == container.service }).count <= wanted else { return }
        note(.healthyUntouched, "\(container.name) serves, is of the revision, and is stopped", machine)
    }

    private mutating func checkAvailability(
        _ container: ObservedContainer, _ service: Service, _ wanted: Int, _ work: Work, _ seen: ObservedState,
        _ machine: Machine
    ) {
        guard !machine.replacesNetworks, !isBound(service, work) else { return }
        let others = seen.containers.filter {
            $0.service == container.service && $0.id != container.id && !leaving.contains($0.id)
        }
        // Slots, not containers: one whose successor serves is served.
        let slots = Set(others.filter { $0.isServing || ($0.state == .exited && $0.exitCode == 0) }.map(\.number))
        guard !slots.contains(container.number), let desired = work.wanted else { return }
        let serving = slots.count
        let missing = desired.startsFirst(container.service) ? 0 : desired.parallelism(container.service)
        guard !service.toleratesFailures, wanted > 0, serving < wanted - missing else { return }
        note(
            .availability,
            "\(container.name) is stopped while \(serving) others of \(wanted) serve, \(missing) may be missing",
            machine)
    }

    // MARK: Moments

    /// A request goes to every container that the balancer leads to, at every moment at which anything changes.
    mutating func checkRequests(_ machine: Machine, isGuarded: Bool) {
        guard let record = machine.record, machine.version != seenVersion else { return }
        seenVersion = machine.version
        promise(machine, record)
        for (name, isAlwaysThere) in promised {
            let backends = machine.balancer[name] ?? []
            for id in backends {
                guard let index = machine.index(id) else {
                    if isGuarded { note(.noRequestRefused, "\(name) leads to \(id), which is gone", machine) }
                    continue
                }
                let instance = machine.containers[index]
                if instance.isListening, !instance.isPaused {
                    count("request answered")
                    continue
                }
                if instance.wasStopped, !excused.contains(id) {
                    note(.noRequestRefused, "\(name) leads to \(instance.name), which was stopped", machine)
                } else {
                    troubled.insert(name)
                }
            }
            checkServed(name, backends, machine, record, isGuarded: isGuarded && isAlwaysThere)
        }
    }

    private mutating func promise(_ machine: Machine, _ record: Record) {
        if let promisedFor, promisedFor == (record.revision, record.isRollback) { return }
        promisedFor = (record.revision, record.isRollback)
        let desired = machine.desired()
        promised = record.stack.services.sorted { $0.key < $1.key }.map { name, service in
            let isAlwaysThere =
                service.replicas > 0 && !isBound(service, .start(services: []))
                && (desired?.startsFirst(name) == true
                    || desired?.parallelism(name) ?? 1 < service.replicas && !service.toleratesFailures)
            return (name, isAlwaysThere)
        }
    }

    private mutating func checkServed(
        _ name: String, _ backends: [String], _ machine: Machine, _ record: Record, isGuarded: Bool
    ) {
        guard isGuarded, record.isActive, !record.stopped.contains(name), !machine.replacesNetworks
        else {
            served.remove(name)
            return
        }
        if !backends.isEmpty {
            let own = machine.containers.filter { $0.service == name }
            if own.allSatisfy({ $0.isListening && backends.contains($0.id) && !leaving.contains($0.id) }) {
                troubled.remove(name)
            }
            // One whose end was decided on while it did not serve is nobody's to count on.
            if !backends.allSatisfy(leaving.contains) { served.insert(name) }
        } else if served.remove(name) != nil, !troubled.contains(name) {
            note(.noRequestRefused, "\(name) leads nowhere", machine)
        }
    }

    mutating func forgetServed() { served = [] }

    /// It got its stop signal.
    mutating func checkSignal(_ instance: Instance, isPlanned: Bool, _ machine: Machine) {
        guard instance.isAlive, isPlanned, !excused.contains(instance.id), !machine.replacesNetworks else { return }
        let isLed = machine.balancer[instance.service]?.contains(instance.id) == true
        expect(!isLed, .noRequestRefused, "\(instance.name) is stopped while requests go to it", machine)
        expect(
            machine.clock >= instance.busyUntil, .noRequestCutOff, "\(instance.name) is stopped amid a request", machine
        )
    }
}

extension Work {
    /// What there should be, for those that say.
    var wanted: DesiredState? {
        switch self {
        case .reach(let desired), .keep(let desired): desired
        default: nil
        }
    }
}

extension ObservedContainer {
    /// It ended, keeps ending, is unhealthy, or has had its time to become ready for long enough.
    fileprivate func hasFailed(at now: Int64) -> Bool {
        let isSettled = isReady && now - (readySince ?? now) >= 10 * second
        return !isAlive && finishedAt != nil || health == .unhealthy || restarts >= 2
            || !isSettled && now - createdAt >= 300 * second
    }
}
