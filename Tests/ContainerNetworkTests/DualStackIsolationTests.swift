import ContainerNetwork
import InternetAddress
import Testing

@Suite struct DualStackIsolationTests {
    /// Networks 1 and 2 with NAT, 3 internal, 4 routed, 5 unprotected, 6 without traffic between its containers.
    @Test(arguments: [false, true], [false, true])
    func networksAreAsOpenAsTheySay(isV6: Bool, bridgeFiltering: Bool) throws {
        let lab = try DualLab()
        defer { lab.lab.close() }
        try lab.setBridgeFiltering(bridgeFiltering)
        let networks = [
            DualLab.network(1), DualLab.network(2), DualLab.network(3, isInternal: true),
            DualLab.network(4, gateway: .routed), DualLab.network(5, gateway: .unprotected),
            DualLab.network(6, interContainer: false),
        ]
        var places: [String: Place] = ["lan": lab.lan, "host": .host]
        var servers = try [80, 81, 9005].map { try lab.server("lan", in: lab.lan, port: $0) }
        for (id, network, host) in [
            ("n1", 1, 2), ("m1", 1, 3), ("n2", 2, 2), ("i1", 3, 2), ("i2", 3, 3), ("r1", 4, 2), ("u1", 5, 2),
            ("x1", 6, 2), ("x2", 6, 3),
        ] {
            let place = try lab.container(id, on: networks[network - 1], host: host)
            places[id] = place
            for port in [80, 81, 9005] as [UInt16] { servers.append(try lab.server(id, in: place, port: port)) }
        }
        try lab.apply(
            networks,
            [
                PublishedPort(port: 8080, backends: DualLab.backends(1, [2])),
                PublishedPort(port: 8083, backends: DualLab.backends(3, [2])),
                PublishedPort(port: 8084, backends: DualLab.backends(4, [2])),
                PublishedPort(hostIP: .v4(.loopback), port: 8085, backends: DualLab.backends(4, [2], port: 81)),
                PublishedPort(port: 9000, lastPort: 9010, backends: DualLab.backends(4, [2], port: 9000)),
            ])
        func own(_ network: Int, _ host: Int) -> String { DualLab.address(network, host, isV6: isV6) }
        let host = DualLab.hostAddress(isV6: isV6)
        let client = DualLab.lanAddress(isV6: isV6)
        let cases: [(from: String, to: String, UInt16, Outcome)] = [
            ("n1", own(1, 3), 80, .reached("m1", peer: own(1, 2))), ("n1", own(2, 2), 80, .silence),
            ("n2", own(1, 2), 80, .silence), ("n1", client, 80, .reached("lan", peer: host)),
            ("lan", own(1, 2), 80, .silence), ("host", own(1, 2), 80, .reached("n1", peer: own(1, 1))),
            // Internal: closed in all directions, published ports too.
            ("i1", own(3, 3), 80, .reached("i2", peer: own(3, 2))), ("i1", client, 80, .silence),
            ("i1", own(1, 2), 80, .silence), ("n1", own(3, 2), 80, .silence), ("lan", own(3, 2), 80, .silence),
            ("i1", own(3, 1), 8080, .silence), ("lan", host, 8083, .silence), ("n1", host, 8083, .silence),
            // Routed: own addresses both ways, published ports only.
            ("r1", client, 80, .reached("lan", peer: own(4, 2))),
            ("lan", own(4, 2), 80, .reached("r1", peer: client)), ("lan", own(4, 2), 81, .silence),
            ("lan", own(4, 2), 9005, .reached("r1", peer: client)), ("n1", own(4, 2), 80, .silence),
            ("lan", host, 8084, .reached("r1", peer: client)),
            // Unprotected: every port, but not from other networks.
            ("lan", own(5, 2), 81, .reached("u1", peer: client)), ("n1", own(5, 2), 81, .silence),
            ("u1", client, 80, .reached("lan", peer: own(5, 2))), ("x1", own(6, 3), 80, .silence),
        ]
        for (from, to, port, expected) in cases {
            let place = try #require(places[from])
            // A filtered bridge tells that no neighbour answers, rather than nothing.
            let outcome = try lab.reach(from: place, to: to, port, servers, waitMilliseconds: 250)
            #expect(outcome == expected, "\(from) to \(to):\(port)")
        }
    }
}
