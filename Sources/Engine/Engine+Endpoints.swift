import ContainerNetwork
import ContainerRuntime
import EngineWire
import InternetAddress
import LinuxSystem
import Logging
import NameServer
import NetworkService
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
    /// What the firewall was told last.
    var firewall: FirewallState?
    /// What the containers on the same networks of a stack can look up.
    var zones: [ZoneKey: DNSZone] = [:]
    var isDueSoon = false
    var soon = Engine.soonMin
}

/// Containers with the same key have the same names to look up.
struct ZoneKey: Hashable {
    var stack: String
    var networks: [String]
    /// The service's own servers.
    var forwarders: [String]

    init(_ stored: StoredContainer) {
        stack = stored.stackName
        networks = stored.attachments.map(\.network)
        forwarders = stored.definition.service.dns
    }

    /// No part of it has a line break.
    var text: String { ([stack] + networks + [""] + forwarders).joined(separator: "\n") }
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

    /// After the start or the end of one container. A one-off container without ports has only names of its own, which
    /// nobody waits for: they are there, or gone, a moment later.
    func refreshEndpoints(of stored: StoredContainer) async {
        guard stored.oneOff, stored.definition.service.ports.isEmpty else { return await refreshEndpoints() }
        guard !endpoints.isDueSoon else { return }
        endpoints.isDueSoon = true
        background.start { [self] in
            // Cancelled at the engine's end; the next one finds out everything anew.
            do { try await Task.sleep(for: .nanoseconds(endpoints.soon)) } catch { return }
            await refreshDueEndpoints()
        }
    }

    static let soonMin: Nanoseconds = 20_000_000
    private static let soonMax: Nanoseconds = 500_000_000
    /// With hundreds of containers a refresh takes milliseconds: this part of the time at most goes into those of
    /// one-off containers.
    private static let soonPart: Nanoseconds = 20

    private func refreshDueEndpoints() async {
        endpoints.isDueSoon = false
        let begun = Clock.monotonic()
        await refreshEndpoints()
        endpoints.soon = min(max(Self.soonMin, Self.soonPart * (Clock.monotonic() - begun)), Self.soonMax)
    }

    private func applyEndpoints(forced: Bool) async {
        var ports: [ContainerNetwork.PublishedPort] = []
        var zones: [ZoneKey: (zone: DNSZone, scopes: [String])] = [:]
        for (name, members) in Dictionary(grouping: containers.values, by: \.stored.stackName) {
            let answer = Reconciler.endpoints(of: observeRecords(name))
            for container in members where container.process != nil {
                let stored = container.stored
                zones[ZoneKey(stored), default: (zone(for: stored, answer), [])].scopes.append(stored.id)
            }
            ports += answer.ports.compactMap(published)
        }
        for (key, value) in zones { dns.update(zone: key.text, value.zone, scopes: value.scopes) }
        endpoints.zones = zones.mapValues(\.zone)
        let state = FirewallState(
            bridges: networks.values.map(\.bridge).sorted { $0.name < $1.name }, ports: ports.sorted(by: isBefore))
        guard forced || state != endpoints.firewall else { return }
        do throws(EngineError) {
            endpoints.firewall = nil
            try await onNetwork { network throws(NetworkError) in
                if state.bridges.isEmpty {
                    try network.removeFirewall()
                } else {
                    try network.applyFirewall(state)
                }
            }
            endpoints.firewall = state
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
            IPAddress(backend.address).map { ContainerNetwork.Backend(address: $0, port: backend.port) }
        }
        guard !reachable.isEmpty else { return nil }
        return ContainerNetwork.PublishedPort(
            hostIP: network.publishedAddress(key.hostIP.map { .v4($0) }), port: key.port,
            transport: Transport(port.transport),
            backends: reachable)
    }

    /// The names a container that starts can look up: as of the last refresh, where its neighbours have been served.
    func knownZone(for stored: StoredContainer) -> (ZoneKey, DNSZone) {
        let key = ZoneKey(stored)
        return (key, endpoints.zones[key] ?? zone(for: stored))
    }

    /// The names a container can look up: those of every network it is on.
    func zone(for stored: StoredContainer, _ answer: Endpoints? = nil) -> DNSZone {
        let answer = answer ?? Reconciler.endpoints(of: observeRecords(stored.stackName))
        var names: [String: [IPAddress]] = [:]
        var parsed: [String: IPAddress] = [:]
        for attachment in stored.attachments {
            for (name, addresses) in answer.names[attachment.network] ?? [:] {
                for text in addresses {
                    guard let value = parsed[text] ?? IPAddress(text) else { continue }
                    parsed[text] = value
                    names[name, default: []].append(value)
                    names["\(name).\(attachment.network)", default: []].append(value)
                }
                if addresses.isEmpty { names[name] = names[name] ?? [] }
            }
        }
        let forwards = stored.attachments.contains { networks[$0.network]?.definition.isInternal == false }
        return DNSZone(names: names, external: forwards, forwarders: stored.definition.service.dns)
    }
}

private func isBefore(_ left: ContainerNetwork.PublishedPort, _ right: ContainerNetwork.PublishedPort) -> Bool {
    (left.port, left.transport.rawValue, left.hostIP?.description ?? "")
        < (right.port, right.transport.rawValue, right.hostIP?.description ?? "")
}
