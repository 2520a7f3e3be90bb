import CLinux
import ContainerNetwork
import Glibc
import InternetAddress
import LinuxSystem
import Testing

@Suite struct NetworkRepairTests {
    @Test func attachingTwiceChangesNothingAndMakesWhatIpWouldMake() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let network = NetworkFixture.bridge("a")
        let path = try fixture.container("c0", on: network, host: 2)
        // Timers of the bridge run on.
        let withoutTimers = "sed 's/\"[a-z_]*_timer\":[^,]*,//g'"
        let look = {
            try fixture.lab.shell("{ ip -j -d link show dev gvc0; ip -j -d link show dev gn-a; } | \(withoutTimers)")
        }
        let lookInside = {
            try fixture.lab.shell("nsenter --net=\(path) sh -c 'ip -j -4 addr show dev eth0; ip -j route; ip -br link'")
        }
        let before = (try look(), try lookInside())
        for part in [#""master":"gn-a""#, #""hairpin":true"#, #""isolated":false"#, #""forward_delay":0"#] {
            #expect(before.0.contains(part))
        }
        #expect(before.0.contains(#""ifalias":"gantry:net-a""#))
        for part in [
            #""local":"10.89.1.2","prefixlen":24,"broadcast":"10.89.1.255""#,
            #""dst":"default","gateway":"10.89.1.1","dev":"eth0""#, "02:42:0a:59:01:02", "lo               UNKNOWN",
        ] {
            #expect(before.1.contains(part))
        }
        let manager = fixture.manager
        try fixture.lab.run {
            try manager.ensureBridge(network)
            try manager.attach(namespaceID: "c0", [NetworkFixture.interface("c0", on: network, host: 2)])
        }
        #expect(try look() == before.0)
        #expect(try lookInside() == before.1)
    }

    @Test func lostLinksAndAddressesComeBack() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let network = NetworkFixture.bridge("a")
        let path = try fixture.container("c0", on: network, host: 2)
        let server = try fixture.lab.server("c0", inNamespace: path, port: 80)
        let damages = [
            "ip link del gvc0", "ip link del gn-a", "ip link set gvc0 nomaster", "ip link set gn-a down",
            "ip addr flush dev gn-a", "ip addr add 10.99.0.1/24 dev gn-a", "ip link set gvc0 down",
            "nsenter --net=\(path) ip addr flush dev eth0", "nsenter --net=\(path) ip link set eth0 down",
            "nsenter --net=\(path) ip link set eth0 name eth7", "echo 0 >/proc/sys/net/ipv4/conf/gn-a/route_localnet",
        ]
        for damage in damages {
            try fixture.lab.shell(damage)
            _ = try fixture.container("c0", on: network, host: 2)
            #expect(
                try fixture.lab.connect(from: .host, to: "10.89.1.2", 80, [server])
                    == Answer(server: "c0", peer: "10.89.1.1"), "after \(damage)")
        }
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv4/conf/gn-a/route_localnet") == "1\n")
        #expect(try !fixture.lab.shell("ip -4 -br addr show dev gn-a").contains("10.99.0.1"))
    }

    @Test func namespacesAreMadeOnceAndGoWithTheirLinks() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let network = NetworkFixture.bridge("a")
        let manager = fixture.manager
        let path = try fixture.container("c0", on: network, host: 2)
        #expect(try fixture.make("c0") == path)
        #expect(try fixture.lab.run { try manager.namespaces() } == ["c0", "lan"])
        // At once again: the old pair may still be there, under the same names.
        for _ in 0..<3 {
            try fixture.lab.run { try manager.removeNamespace(id: "c0") }
            _ = try fixture.container("c0", on: network, host: 2)
        }
        try fixture.lab.run {
            try manager.removeNamespace(id: "c0")
            try manager.removeNamespace(id: "c0")
        }
        #expect(try fixture.lab.run { try manager.namespaces() } == ["lan"])
        let gone = "for i in $(seq 100); do ip -br link | grep -q -e gvc0 -e ^gx || exit 0; sleep 0.05; done; exit 1"
        try fixture.lab.shell("( \(gone) )")
        try fixture.lab.run { try manager.removeBridge("gn-a") }
        try fixture.lab.run { try manager.removeBridge("gn-a") }
        #expect(try !fixture.lab.shell("ip -br link").contains("gn-"))
        #expect(throws: NetworkError.invalidName("../c0")) { try manager.makeNamespace(id: "../c0") }
    }

    @Test func theTableIsRestoredWhoeverChangesIt() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        let network = NetworkFixture.bridge("a")
        let ports = [
            PublishedPort(port: 80, backends: [backend("10.89.1.2")]),
            PublishedPort(hostIP: .v4(.loopback), port: 81, backends: [backend("10.89.1.2"), backend("10.89.1.3")]),
        ]
        let state = FirewallState(bridges: [network], ports: ports)
        let observe = { try fixture.lab.run { try manager.observe().firewall } }
        #expect(try observe() == .notApplied(isTablePresent: false))
        try fixture.apply(state.bridges, state.ports)
        let table = try fixture.lab.shell("nft list table inet gantry")
        #expect(try observe() == .asApplied)
        let damages: [(String, NetworkObservation.Firewall)] = [
            ("nft delete table inet gantry", .missing),
            ("nft flush ruleset", .missing),
            ("nft flush chain inet gantry ours", .changed(sets: [], rules: true)),
            ("nft add rule inet gantry publish4 accept", .changed(sets: [], rules: true)),
            ("nft flush map inet gantry slots4_ip", .changed(sets: ["slots4_ip"], rules: false)),
            ("nft add element inet gantry bridges '{ eth0 }'", .changed(sets: ["bridges"], rules: false)),
            ("nft delete element inet gantry ports4 '{ tcp . 80 }'", .changed(sets: ["ports4"], rules: false)),
            ("nft add table inet foreign", .asApplied),
        ]
        for (damage, expected) in damages {
            try fixture.lab.shell(damage)
            #expect(try observe() == expected, "\(damage)")
            try fixture.apply(state.bridges, state.ports)
            #expect(try observe() == .asApplied, "repaired after \(damage)")
            #expect(try fixture.lab.shell("nft list table inet gantry") == table, "after \(damage)")
        }
        try fixture.lab.run { try manager.removeFirewall() }
        try fixture.lab.run { try manager.removeFirewall() }
        #expect(try !fixture.lab.shell("nft list tables").contains("gantry"))
    }

    @Test func othersChangesAreReportedAndOwnOnesAreNot() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        let network = NetworkFixture.bridge("a")
        _ = try fixture.container("c0", on: network, host: 2)
        let seen = ChangeLog()
        let watch = try fixture.lab.run { try manager.watch { seen.add($0) } }
        defer { watch.cancel() }
        try fixture.apply([network])
        try fixture.apply([network], [PublishedPort(port: 80, backends: [backend("10.89.1.2")])])
        try fixture.lab.shell("ip link set gn-a down")
        #expect(seen.wait(for: .linkChanged(name: "gn-a")))
        #expect(!seen.has(.tableChanged))
        try fixture.lab.shell("nft flush map inet gantry ports4")
        #expect(seen.wait(for: .tableChanged))
        try fixture.lab.shell("ip link set gvc0 nomaster")
        #expect(seen.wait(for: .linkChanged(name: "gvc0")))
        try fixture.lab.shell("ip link del gn-a")
        #expect(seen.wait(for: .linkRemoved(name: "gn-a")))
        try fixture.lab.shell("ip route add 198.51.100.0/24 via 192.0.2.2")
        #expect(seen.wait(for: .routesChanged))
        try fixture.lab.shell("ip link del gvc0")
        #expect(seen.wait(for: .linkRemoved(name: "gvc0")))
    }

    @Test func ipv6AddressesAreGivenAndIsolationHoldsForThem() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        var networks: [BridgeSpec] = []
        for (letter, id) in [("a", "a1"), ("b", "b1")] {
            var network = NetworkFixture.bridge(letter)
            let range = try #require(CIDR("fd00:89:0:\(letter)::/64"))
            network.subnets.append(.init(range, gateway: range.firstHost))
            var interface = NetworkFixture.interface(id, on: network, host: 2)
            interface.addresses.append(.init(try #require(IPAddress("fd00:89:0:\(letter)::2")), prefixLength: 64))
            _ = try fixture.make(id)
            networks.append(network)
            try fixture.lab.run { [network, interface] in
                try manager.ensureBridge(network)
                for _ in 0..<2 { try manager.attach(namespaceID: id, [interface]) }
            }
        }
        try fixture.apply(networks)
        let inside = "nsenter --net=\(HostLab.directory)/netns/a1"
        #expect(try fixture.lab.shell("\(inside) ip -6 -br addr show dev eth0").contains("fd00:89:0:a::2/64"))
        #expect(try fixture.lab.shell("ip -6 -br addr show dev gn-a").contains("fd00:89:0:a::1/64"))
        #expect(try fixture.lab.shell("\(inside) ip -6 route show default").contains("via fd00:89:0:a::1"))
        try fixture.lab.shell("busybox ping -6 -c1 -W2 fd00:89:0:a::2")
        try fixture.lab.shell("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        #expect(throws: LabError.self) { try fixture.lab.shell("\(inside) busybox ping -6 -c1 -W1 fd00:89:0:b::2") }
        try fixture.lab.shell("nft flush chain inet gantry ours; \(inside) busybox ping -6 -c1 -W2 fd00:89:0:b::2")
    }

    @Test func socketsAreMadeInsideOfANamespace() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        let path = try fixture.make("c0")
        let address = try #require(IPv4Address("127.0.0.11"))
        let raw = try fixture.lab.run {
            try manager.openSocket(inNamespace: path, type: Int32(SOCK_STREAM.rawValue), bindAddress: address, port: 53)
                .take()
        }
        defer { close(raw) }
        #expect(try fixture.lab.shell("nsenter --net=\(path) ss -Hltn").contains("127.0.0.11:53"))
        #expect(try !fixture.lab.shell("ss -Hltn").contains(":53"))
        #expect(throws: NetworkError.self) {
            try manager.openSocket(inNamespace: "/nowhere", type: 1, bindAddress: address, port: 53).take()
        }
    }

    /// Whether it comes out of the pool, is made on the spot, or is there already.
    @Test func aPreparedNamespaceHasItsInterfaceAndResolver() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let (manager, network) = (fixture.manager, NetworkFixture.bridge("a"))
        try fixture.lab.run { try manager.ensureBridge(network) }
        for (id, host) in [("c0", 2), ("c1", 3), ("c0", 2)] as [(String, UInt32)] {
            let sockets = try fixture.lab.run {
                try manager.prepare(
                    id: id, [NetworkFixture.interface(id, on: network, host: host)], opensResolver: true)
            }
            let inside = "nsenter --net=\(try manager.namespacePath(id: id))"
            #expect(sockets != nil)
            #expect(try fixture.lab.shell("\(inside) ss -Hltn").contains("127.0.0.11:53"))
            #expect(try fixture.lab.shell("\(inside) ss -Hlun").contains("127.0.0.11:53"))
            #expect(try fixture.lab.shell("\(inside) ip -4 -br addr show dev eth0").contains("10.89.1.\(host)/24"))
            try fixture.lab.shell("busybox ping -c1 -W2 10.89.1.\(host)")
        }
        let unwanted = try fixture.lab.run {
            try manager.prepare(
                id: "c0", [NetworkFixture.interface("c0", on: network, host: 2)], opensResolver: false)
        }
        #expect(unwanted == nil)
        // Sockets of a namespace before it are of no use: a new one's are answered unasked.
        let remade = try fixture.lab.run {
            try manager.prepare(
                id: "c2", [NetworkFixture.interface("c2", on: network, host: 4)], opensResolver: false)
        }
        #expect(remade != nil)
    }

    @Test func hostRoutesLeaveOutDefaultsAndOwnNetworks() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        try fixture.lab.shell(
            """
            ip route add default via 192.0.2.2
            ip route add 0.0.0.0/1 via 192.0.2.2
            ip route add 10.200.0.0/16 via 192.0.2.2
            ip link set up0 mtu 1420
            """)
        try fixture.lab.run { try manager.ensureBridge(NetworkFixture.bridge("a")) }
        let routes = try fixture.lab.run { try manager.hostRoutes() }.map(\.description)
        #expect(routes.contains("10.200.0.0/16"))
        #expect(routes.contains("192.0.2.0/24"))
        #expect(!routes.contains { $0.hasPrefix("0.0.0.0") || $0.hasPrefix("10.89.") || $0.hasPrefix("127.") })
        #expect(try fixture.lab.run { try manager.uplinkMTU() } == 1420)
        #expect(try fixture.lab.shell("ip link show dev gn-a").contains("mtu 1420"))
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv4/ip_forward") == "0\n")
    }
}
