import ContainerNetwork
import ContainerRuntime
import DockerTranslation
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
    /// Chains of other firewalls that block our networks.
    var forwardBlocks: [ForwardBlock] = []
    /// The networks that these were looked for.
    var lookedAtBridges: [BridgeSpec]?
    /// What the firewall was told last.
    var firewall: FirewallState?
    /// What the containers on the same networks of a stack can look up.
    var zones: [ZoneKey: DNSZone] = [:]
    var isDueSoon = false
    /// When the firewall was changed last.
    var lastChange: Nanoseconds = 0
    var isTidyDue = false
    var soon = Engine.soonMin
}

/// Containers with the same key have the same names to look up.
struct ZoneKey: Hashable {
    var networks: [String]
    /// The service's own servers.
    var forwarders: [String]
    /// The container's own names for others.
    var links: [String]

    init(_ stored: StoredContainer) {
        networks = stored.attachments.map(\.network)
        forwarders = stored.definition.service.dns
        links = stored.networkLinks.flatMap { network, links in links.map { "\(network) \($0)" } }
    }

    /// No part of it has a line break.
    var text: String { (networks + [""] + forwarders + [""] + links).joined(separator: "\n") }
}

/// Engine network name, then DNS name, to addresses.
typealias NetworkNames = [String: [String: [IPAddress]]]

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
        let isNamed = stored.free != nil && stored.attachments.contains { $0.network != NetworkChoice.bridge }
        guard stored.oneOff, stored.definition.service.ports.isEmpty, !isNamed else { return await refreshEndpoints() }
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
        settleServiceAddresses()
        let answers = Set(containers.values.map(\.stored.stackName) + serviceAddresses.values.map(\.stackName))
            .map { Reconciler.endpoints(of: observeRecords($0)) }
        let names = mergedNames(answers)
        var zones: [ZoneKey: (zone: DNSZone, scopes: [String])] = [:]
        for container in containers.values where container.process != nil {
            let stored = container.stored
            zones[ZoneKey(stored), default: (zone(for: stored, names), [])].scopes.append(stored.id)
        }
        for (key, value) in zones { dns.update(zone: key.text, value.zone, scopes: value.scopes) }
        endpoints.zones = zones.mapValues(\.zone)
        let ports = answers.flatMap { answer in
            answer.ports.compactMap { published($0, $1, isByClient: answer.portsByClient.contains($0)) }
        }.flatMap(withRelayed)
        let state = FirewallState(
            bridges: networks.values.filter(\.hasBridge).map(\.bridge).sorted { $0.name < $1.name },
            ports: joinedRanges(ports),
            virtualAddresses: answers.flatMap(\.virtualAddresses).compactMap(virtual)
                .sorted { $0.address < $1.address })
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
            tidyFirewallLater()
            await lookAround(state.bridges)
        } catch {
            let text = "\(error)"
            if endpoints.lastError != text { log.error("firewall not applied", metadata: ["error": "\(text)"]) }
            endpoints.lastError = text
        }
    }

    /// A service that is scaled goes through many numbers of replicas: what the table had for each is taken away when
    /// it has come to rest.
    private func tidyFirewallLater() {
        endpoints.lastChange = Clock.monotonic()
        guard !endpoints.isTidyDue else { return }
        endpoints.isTidyDue = true
        background.start { [self] in
            while await isRestless() {
                // Cancelled at the engine's end; the next engine makes the table anew.
                do { try await Task.sleep(for: .nanoseconds(Self.restTime)) } catch { return }
            }
            await tidyFirewall()
        }
    }

    private static let restTime: Nanoseconds = 1_000_000_000

    private func isRestless() -> Bool { Clock.monotonic() - endpoints.lastChange < Self.restTime }

    private func tidyFirewall() async {
        endpoints.isTidyDue = false
        do throws(EngineError) {
            try await onNetwork { network throws(NetworkError) in try network.dropUnusedChains() }
        } catch {
            // They are in nobody's way; the next change tries again.
            log.debug("unused chains not removed", metadata: ["error": "\(error)"])
        }
    }

    /// Networks may be shared by stacks: a name there leads to what any of them has under it.
    private func mergedNames(_ answers: [Endpoints]) -> NetworkNames {
        guard var names = answers.first?.names else { return [:] }
        for answer in answers.dropFirst() {
            names.merge(answer.names) { $0.merging($1) { Set($0 + $1).sorted() } }
        }
        return names
    }

    private func published(
        _ port: Reconciler.PublishedPort, _ backends: [Reconciler.Backend], isByClient: Bool
    ) -> ContainerNetwork.PublishedPort? {
        guard !backends.isEmpty else { return nil }
        // An address that does not parse was refused when the port was reserved.
        guard let key = try? PortRegistry.Key(hostIP: port.hostIP, port: port.port, transport: port.transport) else {
            return nil
        }
        return ContainerNetwork.PublishedPort(
            hostIP: network.publishedAddress(key.hostIP), port: key.port, transport: Transport(port.transport),
            backends: backends.map { ContainerNetwork.Backend(address: $0.address, port: $0.port) },
            balance: isByClient ? .clientAddress : .roundRobin)
    }

    /// A connection to `::1` comes from a relay, by way of IPv4.
    private func withRelayed(_ port: ContainerNetwork.PublishedPort) -> [ContainerNetwork.PublishedPort] {
        guard case .v6(let address) = port.hostIP, address == .loopback || address == .any else { return [port] }
        var relayed = port
        relayed.hostIP = .v4(NetworkManager.relayedAddress)
        return address == .any ? [port, relayed] : [relayed]
    }

    private func virtual(_ endpoint: VirtualEndpoint) -> VirtualAddress? {
        guard let network = networks[endpoint.network], network.hasBridge else { return nil }
        return VirtualAddress(
            address: endpoint.address, bridge: network.bridge.bridge, backends: endpoint.backends,
            balance: endpoint.isByClient ? .clientAddress : .roundRobin)
    }

    /// The names a container that starts can look up: as of the last refresh, where its neighbours have been served.
    func knownZone(for stored: StoredContainer) -> (ZoneKey, DNSZone) {
        let key = ZoneKey(stored)
        if let zone = endpoints.zones[key] { return (key, zone) }
        let own = Set(stored.attachments.map(\.network))
        let stacks = containers.values.map(\.stored).filter { neighbour in
            neighbour.attachments.contains { own.contains($0.network) }
        }.map(\.stackName)
        let names = mergedNames(Set(stacks + [stored.stackName]).map { Reconciler.endpoints(of: observeRecords($0)) })
        return (key, zone(for: stored, names))
    }

    /// The names a container can look up: those of every network it is on.
    private func zone(for stored: StoredContainer, _ known: NetworkNames) -> DNSZone {
        var names: [String: [IPAddress]] = [:]
        for attachment in stored.attachments {
            for (name, addresses) in known[attachment.network] ?? [:] {
                names[name, default: []] += addresses
                if !addresses.isEmpty { names["\(name).\(attachment.network)", default: []] += addresses }
            }
        }
        for (alias, addresses) in linkedNames(of: stored, known) { names[alias] = addresses }
        let forwards = stored.attachments.contains { networks[$0.network]?.definition.isInternal == false }
        return DNSZone(names: names, external: forwards, forwarders: stored.definition.service.dns)
    }
}
