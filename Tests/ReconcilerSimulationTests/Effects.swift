import Reconciler
import StackModel

/// One change that either has happened or has not, however the engine dies. A step is a few of them in order.
enum Effect: Equatable, Sendable {
    case writeNetwork(key: String)
    case makeBridge(String)
    case deleteBridge(String)
    case forgetNetwork(String)
    case writeVolume(key: String)
    case removeVolume(String)
    case writeContainer(service: String, number: Int)
    case makeObject
    /// It leaves the balancer and DNS.
    case leave(String)
    case drain(String, patience: Int64)
    /// SIGTERM, and SIGKILL after the grace period. `byUser`: no restart policy starts it again.
    case signal(String, grace: Int64?)
    /// Its end, known.
    case awaitEnd(String)
    case plug(ContainerReference)
    case run(ContainerReference, byPolicy: Bool)
    case deleteObject(String)
    case forgetContainer(String)
    case rename(from: String)
    case update(String)
    case attach(String, network: String)
    case repairFirewall
    case kill(String)

    /// It writes to the store, which can fail.
    var isWrite: Bool {
        switch self {
        case .writeNetwork, .forgetNetwork, .writeVolume, .writeContainer, .forgetContainer, .rename, .update: true
        default: false
        }
    }
}

/// An effect that could not be had.
struct EffectFailure: Error { var text: String }

extension Action {
    /// As the engine does it: a record is written before its object is made, and deleted after it is gone.
    var effects: [Effect] {
        switch self {
        case .createNetwork(let key): [.writeNetwork(key: key), .makeBridge(key)]
        case .removeNetwork(let name): [.deleteBridge(name), .forgetNetwork(name)]
        case .repairNetwork(let name): [.makeBridge(name)]
        case .createVolume(let key): [.writeVolume(key: key)]
        case .removeVolume(let name): [.removeVolume(name)]
        case .createContainer(let service, let number):
            [.writeContainer(service: service, number: number), .makeObject]
        case .startContainer(let reference, let byPolicy): [.plug(reference), .run(reference, byPolicy: byPolicy)]
        case .stopContainer(let id, let timeout, let drain):
            [.leave(id), .drain(id, patience: drain), .signal(id, grace: timeout), .awaitEnd(id)]
        case .renameContainer(let name): [.rename(from: name)]
        case .removeContainer(let id, _): [.deleteObject(id), .forgetContainer(id)]
        case .restartContainer(let id, let timeout):
            [
                .leave(id), .signal(id, grace: timeout), .awaitEnd(id), .plug(.id(id)), .run(.id(id), byPolicy: false),
            ]
        case .updateContainer(let id): [.update(id)]
        case .repairAttachment(let id, let network): [.attach(id, network: network)]
        case .repairFirewall: [.repairFirewall]
        case .signalContainer(let id, _): [.kill(id), .awaitEnd(id)]
        default: []
        }
    }
}

extension Machine {
    /// Does one effect of `step`; each finds it done where it is done.
    mutating func apply(_ effect: Effect, of step: Step) throws(EffectFailure) {
        guard let record else { throw EffectFailure(text: "no stack") }
        let stack = record.stack
        switch effect {
        case .writeNetwork(let key):
            guard let network = stack.networks[key] else { throw EffectFailure(text: "no network \(key)") }
            networks[stack.networkName(key), default: Net(definition: network)].definition = network
        case .makeBridge(let key):
            let name = networks[key] == nil ? stack.networkName(key) : key
            networks[name]?.hasBridge = true
        case .deleteBridge(let name):
            for index in containers.indices { containers[index].plugged.remove(name) }
            networks[name]?.hasBridge = false
        case .forgetNetwork(let name): networks[name] = nil
        case .writeVolume(let key): volumes[stack.volumeName(key)] = stack.volumes[key] ?? Volume()
        case .removeVolume(let name): volumes[name] = nil
        case .writeContainer(let service, let number): try write(step.name, service, number, record)
        case .makeObject:
            for index in containers.indices where containers[index].name == step.name {
                containers[index].hasObject = true
            }
        case .leave(let id): if let index = index(id) { containers[index].stopping = containers[index].seemsAlive }
        case .drain, .awaitEnd: return
        case .signal(let id, _):
            guard let index = index(id) else { break }
            containers[index].wasStopped = true
            containers[index].stoppedByUser = record.stopped.contains(containers[index].service)
        case .kill(let id): if let index = index(id), containers[index].isAlive { end(index, code: 137) }
        case .plug(let reference): try plug(try find(reference, step))
        case .run(let reference, let byPolicy): try run(try find(reference, step), byPolicy: byPolicy)
        case .deleteObject(let id): if let index = index(id) { delete(index) }
        case .forgetContainer(let id): containers.removeAll { $0.id == id }
        case .rename(let old): try rename(old, to: step.name)
        case .update(let id):
            guard let index = index(id) else { break }
            let instance = containers[index]
            containers[index].definition =
                ContainerDefinition(
                    stack: stack, service: instance.service, imageID: instance.definition.imageID)
                ?? instance.definition
        case .attach(let id, let network): if let index = index(id) { containers[index].plugged.insert(network) }
        case .repairFirewall: isFirewallWhole = true
        }
        refresh()
    }

    private mutating func delete(_ index: Int) {
        if containers[index].isAlive { end(index, code: 137) }
        containers[index].wasStopped = true
        containers[index].seemsAlive = false
        containers[index].hasObject = false
        containers[index].isHalfRemoved = true
    }

    private func find(_ reference: ContainerReference, _ step: Step) throws(EffectFailure) -> Int {
        let found = containers.firstIndex { instance in
            guard instance.hasRecord else { return false }
            switch reference {
            case .id(let id): return instance.id == id
            case .planned: return instance.name == step.name
            }
        }
        guard let found else { throw EffectFailure(text: "no container \(step.name)") }
        return found
    }

    private mutating func write(
        _ name: String, _ service: String, _ number: Int, _ record: Record
    ) throws(EffectFailure) {
        if let other = containers.first(where: { $0.name == name && $0.hasRecord }) {
            guard other.service == service, other.number == number else { throw EffectFailure(text: "name in use") }
            return
        }
        let image = record.imageIDs[service] ?? ""
        guard images.contains(image) else { throw EffectFailure(text: "no image \(image)") }
        guard let definition = ContainerDefinition(stack: record.stack, service: service, imageID: image) else {
            throw EffectFailure(text: "no service \(service)")
        }
        for name in definition.networkNames.values where networks[name] == nil {
            throw EffectFailure(text: "no network \(name)")
        }
        for name in definition.volumeNames.values where volumes[name] == nil {
            throw EffectFailure(text: "no volume \(name)")
        }
        lastID += 1
        containers.append(
            Instance(
                id: "c\(lastID)", name: name, service: service, number: number, definition: definition,
                createdAt: now))
    }

    private mutating func plug(_ index: Int) throws(EffectFailure) {
        guard !containers[index].isAlive else { return }
        for name in containers[index].definition.networkNames.values {
            guard networks[name] != nil else { throw EffectFailure(text: "no network \(name)") }
            networks[name]?.hasBridge = true
        }
        containers[index].plugged = Set(containers[index].definition.networkNames.values)
    }

    private mutating func run(_ index: Int, byPolicy: Bool) throws(EffectFailure) {
        guard !containers[index].isAlive else { return }
        var instance = containers[index]
        if let host = host(of: instance.definition.service),
            !containers.contains(where: { $0.service == host && $0.isAlive })
        {
            // Whatever the reason, the record says that it was tried.
            (containers[index].finishedAt, containers[index].exitCode) = (now, 128)
            containers[index].restarts = byPolicy ? instance.restarts + 1 : 0
            if instance.startedAt != nil { containers[index].startedAt = now }
            throw EffectFailure(text: "no namespace of \(host)")
        }
        if byPolicy {
            let length = instance.startedAt.flatMap { start in instance.finishedAt.map { $0 - start } }
            instance.restarts = length ?? 0 >= RestartBackoff.steadyAfter ? 1 : instance.restarts + 1
        } else {
            instance.restarts = 0
        }
        instance.stoppedByUser = false
        guard script(instance).fate != .unstartable else {
            (instance.finishedAt, instance.exitCode) = (now, 127)
            if instance.startedAt != nil { instance.startedAt = now }
            instance.plugged = []
            containers[index] = instance
            refresh()
            throw EffectFailure(text: "exec format error")
        }
        instance.hasObject = true
        (instance.isAlive, instance.seemsAlive, instance.wasStopped) = (true, true, false)
        instance.run += 1
        (instance.startedAt, instance.finishedAt, instance.exitCode) = (now, nil, nil)
        instance.health = instance.definition.service.healthcheck == nil ? .none : .starting
        instance.silent = instance.health == .none && instance.definition.service.isWatched
        instance.isListening = !instance.definition.service.isWatched
        instance.hostRun = host(of: instance.definition.service).flatMap(hostRun)
        containers[index] = instance
    }

    private mutating func rename(_ old: String, to new: String) throws(EffectFailure) {
        guard let index = containers.firstIndex(where: { $0.name == old && $0.hasRecord }) else {
            return
        }
        guard !containers.contains(where: { $0.name == new }) else { throw EffectFailure(text: "\(new) is in use") }
        containers[index].name = new
    }
}
