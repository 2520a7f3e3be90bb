import ContainerNetwork
import ContainerRuntime
import InternetAddress
import Logging
import Reconciler
import StackModel

/// One consistent look at what exists: records for what was made, the kernel for what is there.
extension Engine {
    func observe(_ name: String) async -> ObservedState {
        let kernel = await observeKernel()
        let stacked = await observeStackedLinks(name)
        var state = observeRecords(name)
        guard let kernel else { return state }
        for index in state.containers.indices {
            let id = state.containers[index].id
            let seen = problems(of: id, kernel) + problems(of: id, stacked: stacked[id])
            state.containers[index].problems = seen + insideProblems(of: id, except: seen)
        }
        for index in state.networks.indices {
            guard let record = networks[state.networks[index].name] else { continue }
            state.networks[index].problems = problems(of: record, kernel)
            if drift.changedNetworks.contains(record.name), state.networks[index].problems.isEmpty {
                state.networks[index].problems = [.settingChanged]
            }
        }
        if networks.values.contains(where: { $0.stackName == name }) {
            state.firewallProblems = problems(of: kernel.firewall)
        }
        return state
    }

    /// What the records and this process know, without asking the kernel anything.
    func observeRecords(_ name: String) -> ObservedState {
        noteReadiness(name)
        let stack = stacks[name]?.record.stack
        let externalNetworks = Set((stack?.networks ?? [:]).filter(\.value.external).map { $0.value.name ?? $0.key })
        let externalVolumes = Set((stack?.volumes ?? [:]).filter(\.value.external).map { $0.value.name ?? $0.key })
        var state = ObservedState(
            containers: observedContainers(name),
            networks: networks.values.filter { $0.stackName == name || externalNetworks.contains($0.name) }.map {
                ObservedNetwork(name: $0.name, definition: $0.definition, external: $0.stackName != name)
            },
            volumes: volumes.values.filter {
                !$0.anonymous && ($0.stackName == name || externalVolumes.contains($0.name))
            }.map { record in
                var volume = ObservedVolume(
                    name: record.name, definition: record.definition, external: record.stackName != name)
                volume.isLost = drift.lostVolumes.contains(record.name)
                return volume
            },
            serviceAddresses: observedServiceAddresses(name))
        state.at = Clock.now()
        return state
    }

    /// An engine that is started again counts anew.
    private func noteReadiness(_ stack: String) {
        for container in containers.values where container.stored.stackName == stack {
            guard container.isReady != (container.readySince != nil) else { continue }
            containers[container.stored.id]?.readySince = container.isReady ? Clock.now() : nil
        }
    }

    /// `nil` when the kernel could not be asked: nothing is then called broken.
    private func observeKernel() async -> NetworkObservation? {
        do throws(EngineError) {
            let kernel = try await onNetwork { network throws(NetworkError) in try network.observe() }
            drift.foreignPorts = Dictionary(
                kernel.bridges.map { ($0.bridge, $0.foreignPorts) }, uniquingKeysWith: { first, _ in first })
            return kernel
        } catch {
            log.warning("network not observed", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// What is inside of the namespaces of containers with a macvlan or ipvlan, which cannot be seen from the host.
    private func observeStackedLinks(_ stack: String) async -> [String: [NetworkObservation.StackedLink]] {
        let ids = containers.values.filter {
            $0.stored.stackName == stack && $0.process != nil && usesOwnNamespace($0.stored)
                && $0.stored.attachments.contains { !$0.interface.isOnBridge }
        }.map(\.stored.id)
        var found: [String: [NetworkObservation.StackedLink]] = [:]
        for id in ids {
            do throws(EngineError) {
                found[id] = try await onNetwork { network throws(NetworkError) in
                    try network.observeStackedLinks(id: id)
                }
            } catch {
                // One that ended meanwhile has none; nothing of it is called broken.
                log.debug("namespace not observed", metadata: ["container": "\(id)", "error": "\(error)"])
            }
        }
        return found
    }

    private func problems(of record: StoredNetwork, _ kernel: NetworkObservation) -> [ObservedNetwork.Problem] {
        guard record.hasBridge else { return [] }
        guard let bridge = kernel.bridges.first(where: { $0.bridge == record.bridge.bridge }) else {
            return [.bridgeMissing]
        }
        guard bridge.isUp else { return [.bridgeDown] }
        let wanted = record.bridge.subnets.compactMap { subnet in
            subnet.gateway.map { "\($0)/\(subnet.range.prefixLength)" }
        }
        guard wanted.allSatisfy({ bridge.addresses.contains($0) }) else { return [.addressMissing] }
        return bridge.lacksRoute ? [.routeMissing] : []
    }

    private func problems(of firewall: NetworkObservation.Firewall) -> [String] {
        switch firewall {
        case .asApplied, .notApplied: []
        case .missing: ["table \(options.tableName) is missing"]
        case .changed(let sets, let rules):
            (rules ? ["rules were changed"] : []) + sets.sorted().map { "set \($0) was changed" }
        }
    }

    private func problems(of id: String, _ kernel: NetworkObservation) -> [ObservedContainer.Problem] {
        guard let container = containers[id], container.process != nil, usesOwnNamespace(container.stored) else {
            return []
        }
        return container.stored.attachments.compactMap { attachment in
            let interface = attachment.interface
            guard interface.isOnBridge else { return nil }
            guard let host = kernel.hostInterfaces.first(where: { $0.name == interface.hostInterface }), host.isUp,
                interface.kind == host.master.map(InterfaceSpec.Kind.bridge)
            else { return .vethMissing(network: attachment.network) }
            return nil
        }
    }

    private func problems(of id: String, stacked: [NetworkObservation.StackedLink]?) -> [ObservedContainer.Problem] {
        guard let stacked, let container = containers[id] else { return [] }
        return container.stored.attachments.filter { !$0.interface.isOnBridge }.compactMap { attachment in
            let link = stacked.first { $0.hostInterface == attachment.interface.hostInterface }
            return link?.isUp == true ? nil : .vethMissing(network: attachment.network)
        }
    }

    /// The containers of a stack as the reconciler sees them, without asking the kernel anything.
    func observedContainers(_ stack: String) -> [ObservedContainer] {
        containers.values.filter { $0.stored.stackName == stack }.map(observed)
            .sorted { ($0.service, $0.number, $0.id) < ($1.service, $1.number, $1.id) }
    }

    private func observed(_ container: Container) -> ObservedContainer {
        let stored = container.stored
        // A start that failed leaves it `created`, with the time of the attempt.
        let idle: ObservedContainer.State = stored.startedAt == nil ? .created : .exited
        var observed = ObservedContainer(
            id: stored.id, name: stored.name, service: stored.service, number: stored.number,
            definition: stored.definition, state: container.process == nil ? idle : .running, oneOff: stored.oneOff)
        addDrift(of: container, to: &observed)
        observed.stopping = container.stopping
        observed.isStarting = container.isStarting
        observed.silentPorts = container.silentPorts
        observed.readySince = container.readySince
        observed.health = container.health?.health ?? .none
        observed.healthcheckDefined = healthCommand(of: stored) != nil
        observed.exitCode = stored.exit?.code
        observed.createdAt = stored.createdAt
        observed.startedAt = stored.startedAt
        observed.finishedAt = stored.exit?.finishedAt
        observed.restarts = stored.restarts
        if let replaced = stacks[stored.stackName]?.record.unhealthy {
            observed.unhealthyReplacements = replaced[PlanAddress.of(stored.service, stored.number)]?.count ?? 0
        }
        observed.stoppedByUser = stored.stoppedByUser
        observed.addresses = stored.addresses
        observed.connections = Dictionary(
            stored.attachments.compactMap { attachment in attachment.byHand.map { (attachment.network, $0) } },
            uniquingKeysWith: { first, _ in first })
        observed.chosenPorts = Dictionary(
            stored.chosenPorts.map { ($0.port, $0.published) }, uniquingKeysWith: { first, _ in first })
        observed.isHalfUpdated = stored.isUpdating == true
        observed.hasOwnVolumes = stored.volumes.values.contains { volumes[$0]?.anonymous == true }
        return observed
    }

}

extension InterfaceSpec {
    fileprivate var isOnBridge: Bool {
        if case .bridge = kind { return true }
        return false
    }
}

extension Engine.Container {
    /// It serves, as far as can be told.
    var isReady: Bool {
        process != nil && !stopping && !isStarting && silentPorts.isEmpty
            && health.map { $0.health == .healthy } ?? true
    }
}
