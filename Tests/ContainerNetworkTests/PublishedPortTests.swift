import ContainerNetwork
import InternetAddress
import LinuxSystem
import Testing

@Suite struct PublishedPortTests {
    @Test func connectionsGoRoundTheBackendsAndMembershipChangesAtOnce() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let network = NetworkFixture.bridge("a")
        var servers: [Server] = []
        for (index, id) in ["c0", "c1", "c2"].enumerated() {
            let path = try fixture.container(id, on: network, host: UInt32(index + 2))
            servers.append(try fixture.lab.server(id, inNamespace: path, port: 80))
        }
        let all = ["10.89.1.2", "10.89.1.3", "10.89.1.4"].map { backend($0) }
        try fixture.apply([network], [PublishedPort(port: 8080, backends: all)])

        func counts(_ connections: Int) throws -> [String: Int] {
            var counts: [String: Int] = [:]
            for _ in 0..<connections {
                let answer = try fixture.lab.connect(
                    from: .namespace(fixture.lanPath), to: "192.0.2.1", 8080, servers)
                counts[answer?.server ?? "none", default: 0] += 1
                #expect(answer?.peer == "192.0.2.2")
            }
            return counts
        }
        #expect(try counts(9) == ["c0": 3, "c1": 3, "c2": 3])
        try fixture.apply([network], [PublishedPort(port: 8080, backends: [all[0], all[2]])])
        #expect(try counts(6) == ["c0": 3, "c2": 3])
        try fixture.apply([network], [PublishedPort(port: 8080, backends: [all[1]])])
        #expect(try counts(3) == ["c1": 3])
        try fixture.apply([network], [])
        #expect(try fixture.lab.connect(from: .namespace(fixture.lanPath), to: "192.0.2.1", 8080, servers) == nil)
    }

    /// Two containers a1, a2 on network a and b1 on network b, each with a server on port 80.
    private func twoNetworks() throws -> (NetworkFixture, [BridgeSpec], [String: String], [Server]) {
        let fixture = try NetworkFixture()
        let a = NetworkFixture.bridge("a")
        let b = NetworkFixture.bridge("b")
        var paths: [String: String] = [:]
        var servers: [Server] = []
        for (id, network, host) in [("a1", a, 2), ("a2", a, 3), ("b1", b, 2)] as [(String, BridgeSpec, UInt32)] {
            let path = try fixture.container(id, on: network, host: host)
            paths[id] = path
            servers.append(try fixture.lab.server(id, inNamespace: path, port: 80))
        }
        return (fixture, [a, b], paths, servers)
    }

    @Test(arguments: [false, true])
    func aPortIsReachedFromEverywhereItShouldBe(bridgeFiltering: Bool) throws {
        let (fixture, networks, paths, servers) = try twoNetworks()
        defer { fixture.lab.close() }
        try fixture.setBridgeFiltering(bridgeFiltering)
        let loopback = IPAddress("127.0.0.1")
        let lanAddress = IPAddress("192.0.2.1")
        try fixture.apply(
            networks,
            [
                PublishedPort(port: 8080, backends: [backend("10.89.1.2")]),
                PublishedPort(hostIP: loopback, port: 8081, backends: [backend("10.89.1.3")]),
                PublishedPort(hostIP: lanAddress, port: 8082, backends: [backend("10.89.2.2")]),
                PublishedPort(hostIP: loopback, port: 8083, backends: [backend("10.89.1.2"), backend("10.89.1.3")]),
            ])
        let lan = Place.namespace(fixture.lanPath)
        let a1 = Place.namespace(try #require(paths["a1"]))
        let a2 = Place.namespace(try #require(paths["a2"]))
        let b1 = Place.namespace(try #require(paths["b1"]))
        let cases: [(String, Place, String, UInt16, Answer?)] = [
            ("from the LAN, client address kept", lan, "192.0.2.1", 8080, Answer(server: "a1", peer: "192.0.2.2")),
            ("host by loopback", .host, "127.0.0.1", 8080, Answer(server: "a1", peer: "10.89.1.1")),
            ("host by another loopback address", .host, "127.0.0.5", 8080, Answer(server: "a1", peer: "10.89.1.1")),
            ("host by its LAN address", .host, "192.0.2.1", 8080, Answer(server: "a1", peer: "192.0.2.1")),
            ("hairpin to itself", a1, "192.0.2.1", 8080, Answer(server: "a1", peer: "10.89.1.1")),
            ("hairpin by the gateway", a1, "10.89.1.1", 8080, Answer(server: "a1", peer: "10.89.1.1")),
            ("neighbour in the same network", a2, "192.0.2.1", 8080, Answer(server: "a1", peer: "10.89.1.1")),
            ("container of another network", b1, "192.0.2.1", 8080, Answer(server: "a1", peer: "10.89.1.1")),
            ("loopback binding from the host", .host, "127.0.0.1", 8081, Answer(server: "a2", peer: "10.89.1.1")),
            ("loopback binding not from the LAN", lan, "192.0.2.1", 8081, nil),
            ("loopback binding not by the LAN address", .host, "192.0.2.1", 8081, nil),
            ("address binding from the LAN", lan, "192.0.2.1", 8082, Answer(server: "b1", peer: "192.0.2.2")),
            ("address binding not by loopback", .host, "127.0.0.1", 8082, nil),
            ("shared loopback binding", .host, "127.0.0.1", 8083, Answer(server: "a1", peer: "10.89.1.1")),
            ("shared loopback binding, in turn", .host, "127.0.0.1", 8083, Answer(server: "a2", peer: "10.89.1.1")),
        ]
        for (what, place, address, port, expected) in cases {
            #expect(try fixture.lab.connect(from: place, to: address, port, servers) == expected, "\(what)")
        }
    }

    /// Two ports whose connections alternate still reach each of their backends: their counters are their own.
    @Test func portsDoNotDisturbEachOthersTurn() throws {
        let (fixture, networks, _, servers) = try twoNetworks()
        defer { fixture.lab.close() }
        let both = [backend("10.89.1.2"), backend("10.89.1.3")]
        try fixture.apply(
            networks, [PublishedPort(port: 3000, backends: both), PublishedPort(port: 8080, backends: both)])
        var seen: [UInt16: [String]] = [:]
        for _ in 0..<4 {
            for port in [3000, 8080] as [UInt16] {
                let answer = try fixture.lab.connect(from: .host, to: "127.0.0.1", port, servers)
                seen[port, default: []].append(answer?.server ?? "none")
            }
        }
        #expect(seen == [3000: ["a1", "a2", "a1", "a2"], 8080: ["a1", "a2", "a1", "a2"]])
    }

    /// A LAN neighbour that routes 127/8 to the host must not get at what is bound to loopback, nor may a container.
    @Test func craftedLoopbackDestinationsAreDropped() throws {
        let (fixture, networks, paths, servers) = try twoNetworks()
        defer { fixture.lab.close() }
        let loopback = IPAddress("127.0.0.1")
        try fixture.apply(networks, [PublishedPort(hostIP: loopback, port: 8081, backends: [backend("10.89.1.2")])])
        let b1 = try #require(paths["b1"])
        for (path, gateway) in [(fixture.lanPath, "192.0.2.1"), (b1, "10.89.2.1")] {
            try fixture.lab.shell(
                """
                nsenter --net=\(path) sh -ec '
                    echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet
                    ip addr del 127.0.0.1/8 dev lo
                    ip route add 127.0.0.0/8 via \(gateway) dev eth0'
                """)
            #expect(try fixture.lab.connect(from: .namespace(path), to: "127.0.0.1", 8081, servers) == nil)
        }
        #expect(try fixture.lab.connect(from: .host, to: "127.0.0.1", 8081, servers)?.server == "a1")
    }

    @Test func reservedPortsKeepOthersOff() throws {
        let lab = try HostLab()
        defer { lab.close() }
        let manager = try lab.manager()
        for transport in [Transport.tcp, .udp] {
            let held = try lab.run { try manager.reservePort(port: 8080, transport: transport) }
            #expect(throws: NetworkError.portInUse(hostIP: nil, port: 8080, transport: transport)) {
                try lab.run { try manager.reservePort(port: 8080, transport: transport) }
            }
            #expect(throws: NetworkError.portInUse(hostIP: .loopback, port: 8080, transport: transport)) {
                try lab.run { try manager.reservePort(hostIP: .loopback, port: 8080, transport: transport) }
            }
            #expect(held.port == 8080)
        }
        let again = try lab.run { try manager.reservePort(port: 8080, transport: .tcp) }
        #expect(again.port == 8080)
        try lab.shell("ip -6 address add fd77::1/128 dev lo nodad")
        let six = try #require(IPv6Address("fd77::1"))
        for transport in [Transport.tcp, .udp] {
            let held = try lab.run { try manager.reservePort6(hostIP: six, port: 8081, transport: transport) }
            // Whoever asked finds out whose it is.
            #expect(throws: NetworkError.portInUse(hostIP: nil, port: 8081, transport: transport)) {
                try lab.run { try manager.reservePort6(hostIP: six, port: 8081, transport: transport) }
            }
            #expect(held.port == 8081)
        }
        let address = try #require(IPv4Address("203.0.113.9"))
        #expect(throws: NetworkError.noSuchHostAddress(address)) {
            try lab.run { try manager.reservePort(hostIP: address, port: 8080, transport: .tcp) }
        }
    }

    /// A UDP flow follows its port to another backend, and starts to work when the port is published after it began.
    @Test func udpFlowsFollowThePort() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let network = NetworkFixture.bridge("a")
        var servers: [Server] = []
        for (id, host) in [("c0", 2), ("c1", 3)] as [(String, UInt32)] {
            let path = try fixture.container(id, on: network, host: host)
            servers.append(try fixture.lab.datagramServer(id, inNamespace: path, port: 53))
        }
        let flow = try fixture.lab.datagramFlow(from: fixture.lanPath, to: "192.0.2.1", 5300)
        func receiver() throws -> String? { try fixture.lab.send(over: flow, servers) }
        try fixture.apply([network])
        #expect(try receiver() == nil)
        func publish(_ addresses: String...) throws {
            let backends = addresses.map { backend($0, 53) }
            try fixture.apply([network], [PublishedPort(port: 5300, transport: .udp, backends: backends)])
        }
        try publish("10.89.1.2")
        #expect(try receiver() == "c0")
        try publish("10.89.1.3")
        #expect(try receiver() == "c1")
        // A backend that joins does not move a flow that has one.
        try publish("10.89.1.2", "10.89.1.3")
        for _ in 0..<3 { #expect(try receiver() == "c1") }
        // Without a table at first, as after a restart of the engine with another state.
        let successor = try fixture.lab.manager()
        let moved = PublishedPort(port: 5300, transport: .udp, backends: [backend("10.89.1.2", 53)])
        try fixture.lab.run { try successor.applyFirewall(FirewallState(bridges: [network], ports: [moved])) }
        #expect(try receiver() == "c0")
        try fixture.lab.run { try successor.forgetConnections(of: moved.backends.map(\.address)) }
        #expect(try receiver() == "c0")
    }

    /// An established TCP connection outlives the change that takes its backend away: it may finish.
    @Test func tcpConnectionsAreLeftToFinish() throws {
        let (fixture, networks, _, servers) = try twoNetworks()
        defer { fixture.lab.close() }
        try fixture.apply(networks, [PublishedPort(port: 8080, backends: [backend("10.89.1.2")])])
        let pair = try fixture.lab.connection(from: fixture.lanPath, to: "192.0.2.1", 8080, servers[0])
        try fixture.apply(networks, [PublishedPort(port: 8080, backends: [backend("10.89.1.3")])])
        try pair.client.writeAll([1, 2, 3])
        #expect(try pair.server.read(upTo: 16) == [1, 2, 3])
        try pair.server.writeAll([4, 5])
        #expect(try pair.client.read(upTo: 16) == [4, 5])
    }
}
