import ContainerNetwork
import EngineWire
import LinuxSystem
import Reconciler
import StackModel

/// Which refresh of DNS and the firewall has been asked for and which is done.
struct EndpointState {
    var requested = 0
    var applied = 0
    var refreshing = false
    var forced = false
    var waiters: [(number: Int, continuation: CheckedContinuation<Void, Never>)] = []
    var lastError: String?
}

/// Who answers for which name and port follows from who runs and is healthy: recomputed whole and applied as a
/// difference, so that no sequence of events can leave it wrong.
extension Engine {
    /// Returns once DNS and the firewall show the state of this moment or a later one. Calls that come together are
    /// answered by one pass.
    ///
    /// - Parameter force: compare with the kernel even when nothing of ours has changed.
    func refreshEndpoints(force: Bool = false) async {
        endpoints.requested += 1
        endpoints.forced = endpoints.forced || force
        let mine = endpoints.requested
        guard !endpoints.refreshing else {
            await withCheckedContinuation { endpoints.waiters.append((mine, $0)) }
            return
        }
        endpoints.refreshing = true
        while endpoints.applied < endpoints.requested {
            let target = endpoints.requested
            let forced = endpoints.forced
            endpoints.forced = false
            await applyEndpoints(forced: forced)
            endpoints.applied = target
            let served = endpoints.waiters.filter { $0.number <= target }
            endpoints.waiters.removeAll { $0.number <= target }
            for waiter in served { waiter.continuation.resume() }
        }
        endpoints.refreshing = false
    }

    private func applyEndpoints(forced: Bool) async {
        for container in containers.values where container.process != nil {
            dns.update(scope: container.stored.id, zone: zone(for: container.stored))
        }
        let state = firewallState()
        do throws(EngineError) {
            try await onNetwork { network throws(NetworkError) in
                if forced { try network.forgetAppliedFirewall() }
                if state.bridges.isEmpty {
                    try network.removeFirewall()
                } else {
                    try network.applyFirewall(state)
                }
            }
            endpoints.lastError = nil
        } catch {
            let text = "\(error)"
            if endpoints.lastError != text { log.error("firewall not applied", metadata: ["error": "\(text)"]) }
            endpoints.lastError = text
        }
    }

    func firewallState() -> FirewallState {
        var ports: [PublishedPort] = []
        for (name, entry) in stacks.sorted(by: { $0.key < $1.key }) {
            let answer = Reconciler.endpoints(stack: entry.record.stack, containers: observedContainers(name))
            for port in answer.ports { ports.append(contentsOf: published(port)) }
        }
        for container in containers.values.sorted(by: { $0.stored.id < $1.stored.id }) where container.process != nil {
            guard !container.stopping else { continue }
            ports += ownPorts(of: container)
        }
        return FirewallState(bridges: networks.values.map(\.bridge).sorted { $0.name < $1.name }, ports: ports)
    }

    private func published(_ port: Endpoints.Published) -> [PublishedPort] {
        // An address that does not parse was refused when the port was reserved.
        guard let key = try? PortRegistry.Key(hostIP: port.hostIP, port: port.port, transport: port.transport) else {
            return []
        }
        let backends = port.backends.compactMap { backend in
            IPv4Address(backend.address).map { Backend(address: $0, port: backend.port) }
        }
        guard !backends.isEmpty else { return [] }
        return [
            PublishedPort(
                hostIP: key.hostIP, port: key.port, transport: Transport(port.transport), backends: backends.sorted())
        ]
    }

    /// Ports that a container has for itself: chosen by the engine, or of a one-off container.
    private func ownPorts(of container: Container) -> [PublishedPort] {
        let address = container.stored.attachments.first { $0.interface.gateway4 != nil }?.interface.address4
        guard let address else { return [] }
        return container.stored.ephemeralPorts.map { port in
            PublishedPort(
                hostIP: port.hostIP == "0.0.0.0" ? nil : IPv4Address(port.hostIP), port: port.published,
                transport: Transport(port.transport), backends: [Backend(address: address, port: port.target)])
        }
    }

    /// The names a container can look up: those of every network it is on.
    func zone(for stored: StoredContainer) -> DNSZone {
        var names: [String: [UInt32]] = [:]
        let stack = stacks[stored.stackName]?.record.stack ?? Stack(name: stored.stackName)
        let answer = Reconciler.endpoints(stack: stack, containers: observedContainers(stored.stackName))
        let attached = Set(stored.attachments.map(\.network))
        for (network, entries) in answer.names where attached.contains(network) {
            for (name, addresses) in entries {
                let values = addresses.compactMap { IPv4Address($0)?.value }
                names[name.lowercased(), default: []] += values
            }
        }
        let forwards = stored.attachments.contains { networks[$0.network]?.definition.isInternal == false }
        return DNSZone(names: names.mapValues { Array(Set($0)).sorted() }, external: forwards)
    }
}
