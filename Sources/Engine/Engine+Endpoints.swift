import ContainerNetwork
import ContainerRuntime
import EngineWire
import LinuxSystem
import Logging
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
        var ports: [ContainerNetwork.PublishedPort] = []
        for name in Set(containers.values.map(\.stored.stackName)).sorted() {
            let answer = Reconciler.endpoints(of: observeRecords(name))
            for container in containers.values
            where container.stored.stackName == name && container.process != nil {
                dns.update(scope: container.stored.id, zone: zone(for: container.stored, answer))
            }
            ports += answer.ports.compactMap(published)
        }
        let state = FirewallState(
            bridges: networks.values.map(\.bridge).sorted { $0.name < $1.name }, ports: ports.sorted(by: isBefore))
        do throws(EngineError) {
            try await onNetwork { network throws(NetworkError) in
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

    private func published(
        _ port: Reconciler.PublishedPort, _ backends: [Reconciler.Backend]
    ) -> ContainerNetwork.PublishedPort? {
        // An address that does not parse was refused when the port was reserved.
        guard let key = try? PortRegistry.Key(hostIP: port.hostIP, port: port.port, transport: port.transport) else {
            return nil
        }
        let reachable = backends.compactMap { backend in
            IPv4Address(backend.address).map { ContainerNetwork.Backend(address: $0, port: backend.port) }
        }
        guard !reachable.isEmpty else { return nil }
        return ContainerNetwork.PublishedPort(
            hostIP: network.publishedAddress(key.hostIP), port: key.port, transport: Transport(port.transport),
            backends: reachable)
    }

    /// The names a container can look up: those of every network it is on.
    func zone(for stored: StoredContainer, _ answer: Endpoints? = nil) -> DNSZone {
        let answer = answer ?? Reconciler.endpoints(of: observeRecords(stored.stackName))
        var names: [String: [UInt32]] = [:]
        for attachment in stored.attachments {
            for (name, addresses) in answer.names[attachment.network] ?? [:] {
                names[name, default: []] += addresses.compactMap { IPv4Address($0)?.value }
            }
        }
        let forwards = stored.attachments.contains { networks[$0.network]?.definition.isInternal == false }
        return DNSZone(names: names, external: forwards)
    }
}

private func isBefore(_ left: ContainerNetwork.PublishedPort, _ right: ContainerNetwork.PublishedPort) -> Bool {
    (left.port, left.transport.rawValue, left.hostIP?.value ?? 0)
        < (right.port, right.transport.rawValue, right.hostIP?.value ?? 0)
}
