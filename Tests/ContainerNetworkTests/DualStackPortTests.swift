import ContainerNetwork
import InternetAddress
import Testing

/// Published ports in both families, with real connections.
@Suite struct DualStackPortTests {
    /// Two containers a1 and a2 on network 1 and b1 on network 2, each with servers on port 80.
    struct Containers {
        let lab: DualLab
        let networks = [DualLab.network(1), DualLab.network(2)]
        var places: [String: Place]
        var servers: [DualServer] = []

        init(_ transport: Transport = .tcp) throws {
            lab = try DualLab()
            places = ["lan": lab.lan, "host": .host]
            for (id, network, host) in [("a1", 0, 2), ("a2", 0, 3), ("b1", 1, 2)] {
                let place = try lab.container(id, on: networks[network], host: host)
                places[id] = place
                servers.append(try lab.server(id, in: place, port: 80, transport))
            }
        }

        func reach(
            from place: String, to address: String, _ port: UInt16, _ transport: Transport = .tcp
        ) throws -> Outcome {
            try lab.reach(from: try #require(places[place]), to: address, port, servers, transport)
        }
    }

    @Test(arguments: [false, true], [false, true])
    func aPortIsReachedFromEverywhereItShouldBe(isV6: Bool, bridgeFiltering: Bool) throws {
        let containers = try Containers()
        defer { containers.lab.lab.close() }
        try containers.lab.setBridgeFiltering(bridgeFiltering)
        let own = DualLab.hostAddress(isV6: isV6)
        let client = DualLab.lanAddress(isV6: isV6)
        let gateway = DualLab.address(1, 1, isV6: isV6)
        try containers.lab.apply(
            containers.networks,
            [
                PublishedPort(port: 8080, backends: DualLab.backends(1, [2])),
                PublishedPort(hostIP: IPAddress(own), port: 8082, backends: DualLab.backends(2, [2])),
                PublishedPort(hostIP: .v4(.any), port: 8084, backends: DualLab.backends(1, [3])),
                PublishedPort(hostIP: .v6(.any), port: 8085, backends: DualLab.backends(1, [3])),
                PublishedPort(port: 8086, lastPort: 8099, backends: DualLab.backends(1, [2], port: 8086)),
                PublishedPort(
                    hostIP: IPAddress(own), port: 8087, lastPort: 8090, backends: DualLab.backends(1, [3], port: 8087)),
            ])
        let a1 = try #require(containers.places["a1"])
        let a2 = try #require(containers.places["a2"])
        let ranged = [
            try containers.lab.server("a1", in: a1, port: 8088), try containers.lab.server("a2", in: a2, port: 8088),
            try containers.lab.server("a1 end", in: a1, port: 8099),
        ]
        let cases: [(String, String, String, UInt16, Outcome)] = [
            ("from the LAN, client address kept", "lan", own, 8080, .reached("a1", peer: client)),
            ("host by its own address", "host", own, 8080, .reached("a1", peer: own)),
            ("hairpin to itself", "a1", own, 8080, .reached("a1", peer: gateway)),
            ("hairpin by the gateway", "a1", gateway, 8080, .reached("a1", peer: gateway)),
            ("neighbour in the same network", "a2", own, 8080, .reached("a1", peer: gateway)),
            ("container of another network", "b1", own, 8080, .reached("a1", peer: gateway)),
            ("binding to one address", "lan", own, 8082, .reached("b1", peer: client)),
            ("binding to one address, not by another", "host", gateway, 8082, .refused),
            ("all of IPv4", "lan", own, 8084, isV6 ? .refused : .reached("a2", peer: client)),
            ("all of IPv6", "lan", own, 8085, isV6 ? .reached("a2", peer: client) : .refused),
            ("not published", "lan", own, 8083, .refused),
        ]
        for (what, place, address, port, expected) in cases {
            #expect(try containers.reach(from: place, to: address, port) == expected, "\(what)")
        }
        let lab = containers.lab
        #expect(try lab.reach(from: lab.lan, to: own, 8088, ranged) == .reached("a2", peer: client))
        #expect(try lab.reach(from: lab.lan, to: own, 8099, ranged) == .reached("a1 end", peer: client))
        #expect(try lab.reach(from: lab.lan, to: own, 8100, ranged) == .refused)
        #expect(try lab.reach(from: .host, to: gateway, 8088, ranged).server == "a1")
    }

    @Test func loopbackIsForTheHost() throws {
        let containers = try Containers()
        defer { containers.lab.lab.close() }
        try containers.lab.apply(
            containers.networks,
            [
                PublishedPort(port: 8080, backends: DualLab.backends(1, [2])),
                PublishedPort(hostIP: .v4(.loopback), port: 8081, backends: DualLab.backends(1, [3])),
                PublishedPort(hostIP: .v6(.loopback), port: 8081, backends: DualLab.backends(1, [3])),
                PublishedPort(
                    hostIP: .v4(.loopback), port: 8082, lastPort: 8092, backends: DualLab.backends(1, [3], port: 8082)),
            ])
        let reach = containers.reach
        #expect(try reach("host", "127.0.0.1", 8080, .tcp) == .reached("a1", peer: "10.89.1.1"))
        #expect(try reach("host", "127.0.0.1", 8081, .tcp) == .reached("a2", peer: "10.89.1.1"))
        for address in ["192.0.2.1", "2001:db8:1::1"] {
            #expect(try reach("lan", address, 8081, .tcp) == .refused)
            #expect(try reach("lan", address, 8085, .tcp) == .refused)
            #expect(try reach("a1", address, 8081, .tcp) == .refused)
        }
        // A listener elsewhere serves it, or nobody does: never silence.
        #expect(try reach("host", "::1", 8080, .tcp) == .refused)
        #expect(try reach("host", "::1", 8081, .tcp) == .refused)
        let lab = containers.lab
        let listener = try lab.server("listener", in: .host, port: 8080)
        #expect(try lab.reach(from: .host, to: "::1", 8080, [listener]) == .reached("listener", peer: "::1"))
        // Link-local destinations are not sent on either.
        #expect(try lab.reach(from: .host, to: "192.0.2.1", 8080, containers.servers).server == "a1")
    }

    @Test(arguments: [false, true], [Transport.tcp, .udp, .sctp])
    func backendsTakeTurnsExactly(isV6: Bool, transport: Transport) throws {
        guard try transport != .sctp || hasSCTP() else { return }
        let containers = try Containers(transport)
        defer { containers.lab.lab.close() }
        let own = DualLab.hostAddress(isV6: isV6)
        let all = DualLab.backends(1, [2, 3]) + DualLab.backends(2, [2])
        // Three ports whose connections come in step.
        let ports = [3000, 3031, 8080] as [UInt16]
        try containers.lab.apply(
            containers.networks, ports.map { PublishedPort(port: $0, transport: transport, backends: all) })
        var counts: [UInt16: [String: Int]] = [:]
        for _ in 0..<6 {
            for port in ports {
                let outcome = try containers.reach(from: "lan", to: own, port, transport)
                counts[port, default: [:]][outcome.server ?? "\(outcome)", default: 0] += 1
            }
        }
        for port in ports { #expect(counts[port] == ["a1": 2, "a2": 2, "b1": 2], "port \(port)") }
        // Fewer, down to one and none, at once.
        for (backends, expected) in [
            (DualLab.backends(1, [2]) + DualLab.backends(2, [2]), ["a1", "b1"]),
            (DualLab.backends(1, [3]), ["a2"]), ([], []),
        ] {
            try containers.lab.apply(
                containers.networks, [PublishedPort(port: 8080, transport: transport, backends: backends)])
            var seen: [String: Int] = [:]
            for _ in 0..<4 {
                let outcome = try containers.reach(from: "lan", to: own, 8080, transport)
                seen[outcome.server ?? "\(outcome)", default: 0] += 1
            }
            #expect(seen.keys.sorted() == (expected.isEmpty ? ["refused"] : expected), "\(seen)")
            #expect(Set(seen.values).count == 1, "\(seen)")
        }
    }

    /// The same client always gets the same backend, other clients get others.
    @Test(arguments: [false, true])
    func clientsKeepTheirBackend(isV6: Bool) throws {
        let containers = try Containers()
        let lab = containers.lab
        defer { lab.lab.close() }
        let own = DualLab.hostAddress(isV6: isV6)
        let ports = [
            PublishedPort(port: 8080, backends: DualLab.backends(1, [2, 3]), balance: .clientAddress)
        ]
        try lab.apply(containers.networks, ports)
        func serversSeen() throws -> [String] {
            try (20..<40).map { client in
                let address = isV6 ? "2001:db8:1::\(client)" : "192.0.2.\(client)"
                let prefix = isV6 ? 64 : 24
                let inLan = "nsenter --net=\(lab.lanPath) ip \(isV6 ? "-6" : "-4")"
                try lab.lab.shell(
                    """
                    \(inLan) addr replace \(address)/\(prefix) dev eth0 \(isV6 ? "nodad" : "")
                    \(inLan) route replace \(own) dev eth0 src \(address)
                    """)
                // The first packets of a new address may wait for its neighbours to learn it.
                for _ in 0..<10 {
                    if try containers.reach(from: "lan", to: own, 8080).server != nil { break }
                }
                let outcomes = try (0..<3).map { _ in try containers.reach(from: "lan", to: own, 8080) }
                let isSame = outcomes.allSatisfy { $0 == outcomes[0] }
                #expect(isSame, "\(outcomes)")
                guard case .reached(let server, let peer) = outcomes[0] else { return "\(outcomes[0])" }
                #expect(peer == address)
                return server
            }
        }
        let seen = try serversSeen()
        #expect(Set(seen) == ["a1", "a2"])
        // Also after the table was made again.
        try lab.lab.shell("nft delete table inet gantry")
        try lab.apply(containers.networks, ports)
        #expect(try serversSeen() == seen)
    }

    @Test(arguments: [false, true])
    func datagramsFollowThePort(isV6: Bool) throws {
        let containers = try Containers(.udp)
        let lab = containers.lab
        defer { lab.lab.close() }
        let own = DualLab.hostAddress(isV6: isV6)
        func port(_ hosts: [Int]) -> PublishedPort {
            PublishedPort(port: 5300, transport: .udp, backends: DualLab.backends(1, hosts))
        }
        func receiver(_ port: UInt16 = 5300, _ servers: [DualServer]? = nil) throws -> String? {
            try lab.reach(
                from: lab.lan, to: own, port, servers ?? containers.servers, .udp, sourcePort: 5555
            ).server
        }
        try lab.apply(containers.networks)
        #expect(try receiver() == nil)
        for hosts in [[2], [3], [2]] {
            try lab.apply(containers.networks, [port(hosts)])
            for _ in 0..<2 { #expect(try receiver() == (hosts == [2] ? "a1" : "a2")) }
        }
        // Who joins does not move a flow that has a backend.
        try lab.apply(containers.networks, [port([2, 3])])
        for _ in 0..<4 { #expect(try receiver() == "a1") }
        // A range that is published over a flow that began before.
        let first = try lab.server("first", in: try #require(containers.places["a1"]), port: 20_500, .udp)
        let second = try lab.server("second", in: try #require(containers.places["a2"]), port: 20_500, .udp)
        let host = try lab.server("host", in: .host, port: 20_500, .udp)
        let all = [first, second, host]
        #expect(try receiver(20_500, all) == "host")
        for (index, name) in [(2, "first"), (3, "second")] {
            let backends = DualLab.backends(1, [index], port: 20_000)
            try lab.apply(
                containers.networks,
                [PublishedPort(port: 20_000, lastPort: 30_000, transport: .udp, backends: backends)])
            for _ in 0..<2 { #expect(try receiver(20_500, all) == name) }
        }
        #expect(try lab.lab.shell("nft list map inet gantry ranges\(isV6 ? 6 : 4)").contains("udp . 20000-30000"))
    }

    /// By which forgetting of connections is needed at all: a busy flow outlives the change of the elements.
    @Test(arguments: [false, true])
    func connectionsOfAnAddressAreForgotten(isV6: Bool) throws {
        let containers = try Containers(.udp)
        let lab = containers.lab
        defer { lab.lab.close() }
        try lab.apply(
            containers.networks, [PublishedPort(port: 5300, transport: .udp, backends: DualLab.backends(1, [2]))])
        let own = DualLab.hostAddress(isV6: isV6)
        _ = try lab.reach(from: lab.lan, to: own, 5300, containers.servers, .udp)
        let table = "/proc/net/nf_conntrack"
        let entries = { try lab.lab.shell("[ ! -e \(table) ] || grep -c dport=5300 \(table) || true") }
        let before = try entries()
        let address = try #require(IPAddress(DualLab.address(1, 2, isV6: isV6)))
        let other = try #require(IPAddress(DualLab.address(1, 3, isV6: isV6)))
        let manager = lab.manager
        try lab.lab.run { try manager.forgetConnections(of: [other]) }
        #expect(try entries() == before)
        try lab.lab.run { try manager.forgetConnections(of: [address]) }
        #expect(try before.isEmpty || (before == "1\n" && entries() == "0\n"))
    }
}
