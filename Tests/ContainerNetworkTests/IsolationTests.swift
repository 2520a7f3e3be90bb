import ContainerNetwork
import Testing

@Suite struct IsolationTests {
    @Test(arguments: [false, true])
    func networksAreApartAndInternalOnesAreClosed(bridgeFiltering: Bool) throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.setBridgeFiltering(bridgeFiltering)
        let a = NetworkFixture.bridge("a")
        let b = NetworkFixture.bridge("b")
        let i = NetworkFixture.bridge("i", isInternal: true)
        var places: [String: Place] = ["lan": .namespace(fixture.lanPath), "host": .host]
        var servers: [Server] = [try fixture.lab.server("lan", inNamespace: fixture.lanPath, port: 80)]
        let containers: [(String, BridgeSpec, UInt32)] = [
            ("a1", a, 2), ("a2", a, 3), ("b1", b, 2), ("i1", i, 2), ("i2", i, 3),
        ]
        for (id, network, host) in containers {
            let path = try fixture.container(id, on: network, host: host)
            places[id] = .namespace(path)
            servers.append(try fixture.lab.server(id, inNamespace: path, port: 80))
        }
        try fixture.apply([a, b, i], [PublishedPort(port: 8080, backends: [backend("10.89.1.2")])])

        let cases: [(from: String, to: String, UInt16, Answer?)] = [
            ("a1", "10.89.1.3", 80, Answer(server: "a2", peer: "10.89.1.2")),
            ("a1", "10.89.2.2", 80, nil),
            ("b1", "10.89.1.2", 80, nil),
            ("a1", "192.0.2.2", 80, Answer(server: "lan", peer: "192.0.2.1")),
            ("i1", "10.89.3.3", 80, Answer(server: "i2", peer: "10.89.3.2")),
            ("i1", "192.0.2.2", 80, nil),
            ("i1", "10.89.1.2", 80, nil),
            ("a1", "10.89.3.2", 80, nil),
            ("i1", "10.89.3.1", 8080, nil),
            ("lan", "10.89.1.2", 80, nil),
            ("lan", "10.89.3.2", 80, nil),
            ("host", "10.89.1.2", 80, Answer(server: "a1", peer: "10.89.1.1")),
            ("host", "10.89.3.2", 80, Answer(server: "i1", peer: "10.89.3.1")),
        ]
        for (from, to, port, expected) in cases {
            let place = try #require(places[from])
            #expect(try fixture.lab.connect(from: place, to: to, port, servers) == expected, "\(from) to \(to):\(port)")
        }
    }

    @Test func containersOfANetworkWithoutInterContainerTrafficOnlySeeThePublishedPort() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        // With br_netfilter the bridge itself translates the address, and then keeps the two ports apart.
        try fixture.setBridgeFiltering(false)
        let a = NetworkFixture.bridge("a", interContainer: false)
        let one = try fixture.container("a1", on: a, host: 2)
        let two = try fixture.container("a2", on: a, host: 3)
        let servers = [
            try fixture.lab.server("a1", inNamespace: one, port: 80),
            try fixture.lab.server("a2", inNamespace: two, port: 80),
        ]
        try fixture.apply([a], [PublishedPort(port: 8080, backends: [backend("10.89.1.2")])])
        #expect(try fixture.lab.connect(from: .namespace(two), to: "10.89.1.2", 80, servers) == nil)
        #expect(try fixture.lab.connect(from: .namespace(two), to: "192.0.2.1", 8080, servers)?.server == "a1")
    }

    /// Making the uplink forward must not turn the host into a router for its neighbours.
    @Test func theHostDoesNotRouteForOthers() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let other = try fixture.make("other")
        try fixture.lab.shell(
            """
            ip link add up1 type veth peer name eth0 netns \(other)
            ip addr add 198.51.100.1/24 dev up1
            ip link set up1 up
            nsenter --net=\(other) sh -ec '
                ip addr add 198.51.100.2/24 dev eth0
                ip link set eth0 up
                ip route add default via 198.51.100.1'
            nsenter --net=\(fixture.lanPath) ip route add 198.51.100.0/24 via 192.0.2.1
            """)
        let server = try fixture.lab.server("other", inNamespace: other, port: 80)
        let a = NetworkFixture.bridge("a")
        let path = try fixture.container("a1", on: a, host: 2)
        let inside = try fixture.lab.server("a1", inNamespace: path, port: 80)
        try fixture.apply([a], [PublishedPort(port: 8080, backends: [backend("10.89.1.2")])])
        let lan = Place.namespace(fixture.lanPath)
        #expect(try fixture.lab.connect(from: lan, to: "198.51.100.2", 80, [server]) == nil)
        #expect(try fixture.lab.connect(from: .namespace(other), to: "198.51.100.1", 8080, [inside])?.server == "a1")
        // Another manager, as after a restart of the engine, knows it from the table.
        let successor = try fixture.lab.manager()
        try fixture.lab.run { try successor.applyFirewall(FirewallState(bridges: [a], ports: [])) }
        #expect(try fixture.lab.connect(from: lan, to: "198.51.100.2", 80, [server]) == nil)
        // When the host's owner wants routing, there is routing.
        try fixture.lab.shell("echo 1 >/proc/sys/net/ipv4/ip_forward")
        try fixture.lab.run { try successor.applyFirewall(FirewallState(bridges: [a], ports: [])) }
        #expect(try fixture.lab.connect(from: lan, to: "198.51.100.2", 80, [server])?.server == "other")
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv4/ip_forward") == "1\n")
    }

    /// Two engines on one host: neither cuts off the other's ports, and their containers do not reach each other.
    @Test func enginesSideBySideLeaveEachOtherAlone() throws {
        let fixture = try NetworkFixture(table: "gantry_1")
        defer { fixture.lab.close() }
        let second = NetworkFixture(lab: fixture.lab, manager: try fixture.lab.manager("gantry_2"))
        let a = NetworkFixture.bridge("a")
        let b = NetworkFixture.bridge("b")
        let a1 = try fixture.container("a1", on: a, host: 2)
        try fixture.apply([a], [PublishedPort(port: 8080, backends: [backend("10.89.1.2")])])
        let b1 = try second.container("b1", on: b, host: 2)
        try second.apply([b], [PublishedPort(port: 8081, backends: [backend("10.89.2.2")])])
        let servers = [
            try fixture.lab.server("a1", inNamespace: a1, port: 80),
            try fixture.lab.server("b1", inNamespace: b1, port: 80),
        ]
        let lan = Place.namespace(fixture.lanPath)
        #expect(try fixture.lab.connect(from: lan, to: "192.0.2.1", 8080, servers)?.server == "a1")
        #expect(try fixture.lab.connect(from: lan, to: "192.0.2.1", 8081, servers)?.server == "b1")
        #expect(try fixture.lab.connect(from: .namespace(a1), to: "10.89.2.2", 80, servers) == nil)
        #expect(try fixture.lab.connect(from: .namespace(b1), to: "10.89.1.2", 80, servers) == nil)
        let observed = try fixture.lab.run { [manager = fixture.manager] in try manager.observe().bridges }
        #expect(observed.map(\.name) == ["net-a", nil])
        // The first goes: the second's port stays reachable.
        try fixture.lab.run { [manager = fixture.manager] in try manager.removeFirewall() }
        #expect(try fixture.lab.connect(from: lan, to: "192.0.2.1", 8081, servers)?.server == "b1")
    }
}
