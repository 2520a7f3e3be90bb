import InternetAddress
import Netlink
import Testing

@testable import ContainerNetwork

@Suite struct FirewallElementsTests {
    @Test func onePortOneElementSharedPortOneSlotEach() throws {
        let one = PublishedPort(port: 80, backends: [backend("10.0.0.2")])
        let shared = PublishedPort(
            hostIP: .v4(.loopback), port: 81, transport: .udp,
            backends: [backend("10.0.0.4"), backend("10.0.0.2"), backend("10.0.0.3")])
        let elements = try FirewallElements(FirewallState(ports: [one, shared]))
        #expect(
            elements["ports4"] == [
                SetElement([6, 0, 0, 0, 0, 80, 0, 0], value: .data([10, 0, 0, 2, 0, 80, 0, 0]))
            ])
        #expect(elements["slots4_ip"].count == 120)
        let key: [UInt8] = [127, 0, 0, 1, 17, 0, 0, 0, 0, 81, 0, 0]
        #expect(elements["lanes4_ip"] == [SetElement(key, value: .verdict(.goto("lane_19")))])
        for (slot, last) in [(0, 2), (1, 3), (2, 4), (119, 4)] as [(UInt8, UInt8)] {
            #expect(
                elements["slots4_ip"].contains(
                    SetElement(key + [slot, 0, 0, 0], value: .data([10, 0, 0, last, 0, 80, 0, 0]))))
        }
        #expect(elements.backends == [PortKey(one): Set(one.backends), PortKey(shared): Set(shared.backends)])
    }

    @Test func aPortPublishedTwiceIsRefused() {
        let port = PublishedPort(port: 80, backends: [backend("10.0.0.2")])
        #expect(throws: NetworkError.self) { try FirewallElements(FirewallState(ports: [port, port])) }
        let unused = PublishedPort(port: 80, backends: [])
        #expect(throws: Never.self) { try FirewallElements(FirewallState(ports: [port, unused])) }
    }

    @Test func onlyConnectionlessFlowsOfBackendsThatGoAreForgotten() throws {
        func elements(_ transport: Transport, _ addresses: [String]) throws -> FirewallElements {
            try FirewallElements(
                FirewallState(ports: [
                    PublishedPort(port: 53, transport: transport, backends: addresses.map { backend($0) })
                ]))
        }
        let two = try elements(.udp, ["10.0.0.2", "10.0.0.3"])
        #expect(StaleConnections.filters(from: two, to: two).isEmpty)
        #expect(
            StaleConnections.filters(from: two, to: try elements(.udp, ["10.0.0.3", "10.0.0.4"])) == [
                ConntrackFilter(transport: 17, originalDestinationPort: 53, replySource: [10, 0, 0, 2])
            ])
        #expect(
            StaleConnections.filters(from: FirewallElements(), to: two) == [
                ConntrackFilter(transport: 17, originalDestinationPort: 53)
            ])
        #expect(StaleConnections.filters(from: try elements(.tcp, ["10.0.0.2"]), to: FirewallElements()).isEmpty)
    }

    /// The kernel's elements after a walk through random states, each reached by the difference from the one before,
    /// are those of the last state.
    @Test(arguments: 0..<4)
    func differencesLeadToTheState(seed: UInt64) throws {
        let lab = try HostLab()
        defer { lab.close() }
        let manager = try lab.manager("gantry_\(seed)")
        var generator = SeededGenerator(seed: seed)
        for step in 0..<25 {
            let state = randomState(&generator)
            try lab.run { try manager.applyFirewall(state) }
            let elements = try lab.run { try manager.readElements(sets: FirewallTable.sets.map(\.name)) }
            #expect(try elements == FirewallElements(state), "seed \(seed) step \(step)")
            // Somebody else's transaction makes the next one look at the kernel first.
            if step % 5 == 0 { try lab.shell("nft add table ip foreign") }
        }
    }

    private func randomState(_ generator: inout SeededGenerator) -> FirewallState {
        var bridges: [BridgeSpec] = []
        // Neighbouring subnets: one ends where the next begins.
        for index in 0..<8 where Bool.random(using: &generator) {
            let base = IPv4Address(value: 10 << 24 | UInt32(index) << 8)
            guard let subnet = CIDR4(base, prefixLength: 24) else { continue }
            bridges.append(
                BridgeSpec(
                    name: "n\(index)", bridge: "gn-\(index)",
                    subnets: [.init(.v4(subnet), gateway: .v4(subnet.firstHost))],
                    isInternal: .random(using: &generator), interContainer: .random(using: &generator)))
        }
        var ports: [PublishedPort] = []
        for port in 0..<6 as Range<UInt16> {
            for hostIP in [nil, IPAddress.v4(.loopback)] {
                let backends = (0..<UInt32.random(in: 0...4, using: &generator)).map {
                    Backend(
                        address: .v4(IPv4Address(value: 10 << 24 | 2 + $0)),
                        port: .random(in: 80...82, using: &generator))
                }
                let transport = Transport.allCases.randomElement(using: &generator) ?? .tcp
                ports.append(PublishedPort(hostIP: hostIP, port: 8000 + port, transport: transport, backends: backends))
            }
        }
        return FirewallState(bridges: bridges, ports: ports)
    }
}
