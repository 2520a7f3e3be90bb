import ContainerNetwork
import InternetAddress
import Testing

@Suite struct VirtualAddressTests {
    @Test(arguments: [false, true], [false, true])
    func whateverIsSentToOneGoesToABackend(isV6: Bool, bridgeFiltering: Bool) throws {
        let lab = try DualLab()
        defer { lab.lab.close() }
        try lab.setBridgeFiltering(bridgeFiltering)
        let networks = [DualLab.network(1), DualLab.network(2), DualLab.network(3, isInternal: true)]
        var places: [String: Place] = ["lan": lab.lan, "host": .host]
        var servers: [DualServer] = []
        var datagrams: [DualServer] = []
        for (id, network, host) in [("a1", 0, 2), ("a2", 0, 3), ("a3", 0, 4), ("b1", 1, 2), ("i1", 2, 2), ("i2", 2, 3)]
        {
            let place = try lab.container(id, on: networks[network], host: host)
            places[id] = place
            if id == "a3" || id == "i1" { continue }
            servers.append(try lab.server(id, in: place, port: 80))
            datagrams.append(try lab.server(id, in: place, port: 53, .udp))
        }
        func virtual(_ network: Int, _ hosts: [Int]) throws -> VirtualAddress {
            VirtualAddress(
                address: try #require(IPAddress(DualLab.address(network, 200, isV6: isV6))), bridge: "gn-\(network)",
                backends: hosts.compactMap { IPAddress(DualLab.address(network, $0, isV6: isV6)) })
        }
        func reach(_ from: String, _ network: Int, _ port: UInt16 = 80) throws -> Outcome {
            let address = DualLab.address(network, 200, isV6: isV6)
            return try lab.reach(from: try #require(places[from]), to: address, port, servers)
        }
        let gateway = DualLab.address(1, 1, isV6: isV6)
        let ports = [PublishedPort(port: 80, backends: DualLab.backends(2, [2]))]
        try lab.apply(networks, ports, virtual: [virtual(1, [2, 3]), virtual(3, [3])])
        var seen: [String: Int] = [:]
        for _ in 0..<6 {
            let outcome = try reach("a3", 1)
            #expect(outcome == .reached(outcome.server ?? "", peer: gateway))
            seen[outcome.server ?? "\(outcome)", default: 0] += 1
        }
        #expect(seen == ["a1": 3, "a2": 3])
        // A backend too, be it itself that it gets.
        #expect(try Set((0..<2).map { _ in try reach("a1", 1).server }) == ["a1", "a2"])
        #expect(try Set((0..<2).map { _ in try reach("host", 1).server }) == ["a1", "a2"])
        #expect(try reach("a3", 1, 81) == .refused)
        #expect(try reach("i1", 3).server == "i2")
        // Not from elsewhere, not even what the host publishes at every address.
        for place in ["b1", "lan", "i1"] { #expect(try reach(place, 1) == .refused, "from \(place)") }
        for place in ["a1", "lan"] { #expect(try reach(place, 3) != .reached("i2", peer: gateway), "from \(place)") }
        let address = DualLab.address(1, 200, isV6: isV6)
        let a3 = try #require(places["a3"])
        #expect(try Set(["a1", "a2"]).contains(lab.reach(from: a3, to: address, 53, datagrams, .udp).server))
        let ping = "nsenter --net=\(HostLab.directory)/netns/a3 busybox ping \(isV6 ? "-6" : "") -c1 -W2 \(address)"
        try lab.lab.shell(ping)

        // Without backends it is refused at once.
        try lab.apply(networks, ports, virtual: [virtual(1, [])])
        for place in ["a3", "host", "b1", "lan"] { #expect(try reach(place, 1) == .refused, "from \(place)") }
        // The kernel sends no more than one message a second to whom it has just redirected, as it does (and drops) for
        // what comes back out of the bridge it came in by.
        var unserved = Outcome.silence
        for _ in 0..<10 where unserved == .silence {
            unserved = try lab.reach(from: a3, to: address, 53, datagrams, .udp)
        }
        #expect(unserved == .refused)
        try lab.apply(networks, ports, virtual: [virtual(1, [3])])
        for _ in 0..<2 { #expect(try reach("a3", 1).server == "a2") }
        #expect(try lab.reach(from: a3, to: address, 53, datagrams, .udp).server == "a2")
    }

    @Test func addressesStayWithTheirBridge() throws {
        let lab = try DualLab()
        defer { lab.lab.close() }
        let network = DualLab.network(1)
        _ = try lab.container("a1", on: network, host: 2)
        let entries = try [false, true].map { isV6 in
            VirtualAddress(
                address: try #require(IPAddress(DualLab.address(1, 200, isV6: isV6))), bridge: "gn-1", backends: [])
        }
        let shown = { try lab.lab.shell("ip -br addr show dev gn-1") }
        func isThere() throws -> Bool {
            let text = try shown()
            return text.contains("10.89.1.200/32") && text.contains("fd00:89:0:1::c8/128")
                && text.contains("10.89.1.1/24") && text.contains("fd00:89:0:1::1/64")
        }
        try lab.apply([network], virtual: entries)
        #expect(try isThere())
        // The bridge's own address is the one that is sent from.
        #expect(try lab.lab.shell("ip -6 route get fd00:89:0:1::2").contains("src fd00:89:0:1::1 "))
        let manager = lab.manager
        try lab.lab.run { try manager.ensureBridge(network) }
        #expect(try isThere())
        try lab.lab.shell("ip link del gn-1")
        try lab.lab.run { try manager.ensureBridge(network) }
        #expect(try isThere())
        // A manager that knows nothing yet, as after a restart, leaves them; and takes them when nobody wants them.
        let successor = try lab.lab.manager()
        try lab.lab.run { try successor.ensureBridge(network) }
        #expect(try isThere())
        try lab.lab.run { try successor.applyFirewall(FirewallState(bridges: [network])) }
        #expect(try !shown().contains("200/32") && !shown().contains("c8/128") && shown().contains("10.89.1.1/24"))
    }
}
