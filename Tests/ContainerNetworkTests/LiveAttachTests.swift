import ContainerNetwork
import InternetAddress
import LinuxSystem
import Testing

@Suite struct LiveAttachTests {
    @Test func interfacesComeAndGoWhileOthersStay() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let (a, b) = (try NetworkFixture.dualBridge("a"), NetworkFixture.bridge("b"))
        for network in [a, b] { try fixture.ensure(network) }
        let one = NetworkFixture.dualInterface("c1", on: a, host: 2)
        var two = NetworkFixture.interface("c2", on: b, host: 2)
        two.containerInterface = "back"
        two.gateways = []
        let path = try fixture.attach("c", [one])
        try fixture.apply([a, b])
        let neighbour = try fixture.attach("n", [NetworkFixture.dualInterface("n1", on: a, host: 3)])
        try changeNetworks(fixture, one, two, client: neighbour, server: path)
        #expect(throws: NetworkError.self) {
            try fixture.onHost { manager in
                try manager.detach(namespaceID: "c", hostInterface: "up0x/")
            }
        }
        try fixture.expectNothingLeft()
    }

    /// Sockets of it keep the namespaces until it returns.
    private func changeNetworks(
        _ fixture: NetworkFixture, _ one: InterfaceSpec, _ two: InterfaceSpec, client: String, server: String
    ) throws {
        let server = try fixture.lab.server("c", inNamespace: server, port: 80)
        let connection = try fixture.lab.connection(from: client, to: "10.89.1.2", 80, server)
        let look = {
            try fixture.inside("c", "ip -j addr show dev eth0; ip route show dev eth0; ip -6 route show dev eth0")
        }
        let before = try look()
        try fixture.attach("c", [two])
        #expect(fixture.pings("c", "10.89.2.1") && fixture.pings("c", "fd00:89:0:1::1"))
        #expect(try look() == before)
        #expect(try fixture.inside("c", "ip -br address show dev back").contains("10.89.2.2/24"))
        #expect(try fixture.inside("c", "ip route show default") == "default via 10.89.1.1 dev eth0 proto static \n")
        // The default route moves to the other network and back.
        var (without, with) = (one, two)
        without.gateways = []
        with.gateways = [try #require(IPAddress("10.89.2.1"))]
        try fixture.attach("c", [without, with])
        #expect(try fixture.inside("c", "ip route show default") == "default via 10.89.2.1 dev back proto static \n")
        #expect(try fixture.inside("c", "ip -6 route show default") == "")
        try fixture.attach("c", [two, one])
        #expect(try look() == before)
        for _ in 0..<2 {
            try fixture.onHost { manager in
                try manager.detach(namespaceID: "c", hostInterface: "gvc2")
            }
        }
        #expect(try !fixture.inside("c", "ip -br link").contains("back"))
        #expect(try look() == before)
        #expect(fixture.pings("c", "10.89.1.1"))
        #expect(try fixture.inside("n", "ss -Htn state established dport = :80").contains("10.89.1.2:80"))
        _ = connection
    }

    @Test func whateverIsTakenAwayComesBack() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        let a = try NetworkFixture.dualBridge("a")
        var one = NetworkFixture.dualInterface("a1", on: a, host: 2)
        one.parameters = ["net.ipv4.conf.IFNAME.log_martians": "1", "net.ipv6.neigh.IFNAME.mcast_solicit": "7"]
        try fixture.ensure(a)
        try fixture.attach("a1", [one])
        try fixture.apply([a])
        let look = {
            let host = try fixture.lab.shell(
                "ip -j addr show gn-a | grep -o '\"\\(local\\|mtu\\|operstate\\|address\\)\":[^,]*' | sort;"
                    + "ip route; ip -6 route | grep -v ^fe80 | sed 's/proto .*//'; cd /proc/sys/net;"
                    + "grep . ipv4/conf/gn-a/* ipv6/conf/gn-a/* ipv6/conf/up0/force_forwarding"
                    + " | grep -v mc_forw || true"
            )
            let inside = try fixture.inside(
                "a1",
                "ip -br addr; ip route; ip -6 route; cd /proc/sys/net; grep . ipv4/conf/eth0/* ipv6/conf/eth0/* || true"
            )
            let text = host + inside
            // What a restored route has of its own.
            return text.split(separator: "\n").map { line in
                line.split { $0 == " " || $0 == "@" }.filter { !$0.hasPrefix("if") }.filter {
                    !["proto", "kernel", "static", "src", "metric"].contains($0)
                }
                .filter { $0 != "10.89.1.1" && $0 != "10.89.1.2" && $0 != "256" && $0 != "1024" }
                .joined(separator: " ")
            }.filter { !$0.contains("stable_secret") }.sorted()
        }
        let before = try look()
        let inside = "nsenter --net=\(HostLab.directory)/netns/a1"
        let damages = [
            "ip addr del 10.89.1.1/24 dev gn-a", "ip addr del fd00:89:0:1::1/64 dev gn-a", "ip link set gn-a down",
            "ip route del 10.89.1.0/24 dev gn-a", "ip -6 route del fd00:89:0:1::/64 dev gn-a", "ip link del gn-a",
            "ip link set gva1 nomaster", "ip link set gva1 down", "ip link del gva1", "ip link set gn-a mtu 1290",
            "echo 0 >/proc/sys/net/ipv4/conf/gn-a/forwarding", "echo 0 >/proc/sys/net/ipv4/conf/gn-a/rp_filter",
            "echo 0 >/proc/sys/net/ipv6/conf/gn-a/force_forwarding", "echo 1 >/proc/sys/net/ipv6/conf/gn-a/accept_ra",
            "echo 0 >/proc/sys/net/ipv4/conf/up0/forwarding", "echo 0 >/proc/sys/net/ipv6/conf/up0/force_forwarding",
            "echo 1 >/proc/sys/net/ipv6/conf/gn-a/disable_ipv6", "ip link set gn-a address 02:00:00:00:00:01",
            "ip addr flush dev gn-a", "\(inside) ip addr flush dev eth0", "\(inside) ip link set eth0 down",
            "\(inside) ip link del eth0",
            "\(inside) ip route del default", "\(inside) ip -6 route del default",
            "\(inside) ip route del 10.89.1.0/24", "\(inside) ip -6 route del fd00:89:0:1::/64",
            "\(inside) ip addr add 10.99.0.1/24 dev eth0", "\(inside) ip link set eth0 mtu 1300",
            "\(inside) ip addr del fd00:89:0:1::2/64 dev eth0", "\(inside) ip link set eth0 address 02:00:00:00:00:02",
            "\(inside) sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1", "\(inside) ip link set eth0 name eth7",
            "\(inside) sysctl -qw net.ipv4.conf.eth0.log_martians=0", "\(inside) ip link set lo down",
            "\(inside) sysctl -qw net.ipv6.conf.eth0.accept_ra=1",
        ]
        for damage in damages {
            try fixture.lab.shell(damage)
            try fixture.ensure(a)
            try fixture.attach("a1", [one])
            let after = try look()
            #expect(after == before, "after \(damage): \(Set(after).symmetricDifference(before).sorted())")
            #expect(fixture.pings("a1", "192.0.2.2") && fixture.pings("a1", "2001:db8:1::2"), "after \(damage)")
        }
        try fixture.expectNothingLeft()
    }

    @Test func onlyParametersOfTheInterfaceAreTaken() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let a = try NetworkFixture.dualBridge("a")
        try fixture.ensure(a)
        for (key, value) in [
            ("net.ipv4.conf.eth0.log_martians", "1"), ("net.ipv4.ip_forward", "1"), ("net.ipv4.conf.IFNAME", "1"),
            ("net.ipv4.conf.IFNAME.../all/x", "1"), ("kernel.conf.x.IFNAME.y", "1"), ("net.core.conf.IFNAME.x", "1"),
            ("net.ipv4.conf.all.log_martians", "1"), ("net.ipv4.conf.IFNAME.a.b", "1"), ("", ""),
            ("net.ipv4.conf.IFNAME.log_martians", "1\n"), ("net.ipv4.conf.IFNAME.log_martians", ""),
        ] {
            var spec = NetworkFixture.dualInterface("a1", on: a, host: 2)
            spec.parameters = [key: value]
            let refused = spec
            #expect(throws: NetworkError.invalidParameter(key)) { try fixture.attach("a1", [refused]) }
            #expect(try !fixture.lab.shell("ip -br link").contains("gva1"))
        }
        var spec = NetworkFixture.dualInterface("a1", on: a, host: 2)
        spec.containerInterface = "front"
        spec.parameters = [
            "net.ipv4.conf.IFNAME.log_martians": "1", "net.ipv4.neigh.IFNAME.base_reachable_time_ms": "7000",
        ]
        _ = try fixture.onHost { [spec] manager in
            try manager.prepare(id: "a2", [spec], opensResolver: false)
        }
        let values =
            "cat /proc/sys/net/ipv4/conf/front/log_martians /proc/sys/net/ipv4/neigh/front/base_reachable_time_ms"
        let seen = try fixture.inside("a2", values)
        #expect(seen == "1\n7000\n")
        #expect(try fixture.inside("a2", "cat /proc/sys/net/ipv4/conf/lo/log_martians") == "0\n")
        spec.parameters = ["net.ipv4.conf.IFNAME.nonsense": "1"]
        let unknown = spec
        #expect(throws: NetworkError.self) { try fixture.attach("a2", [unknown]) }
        try fixture.expectNothingLeft()
    }

    /// An address that another container had a moment ago, with another Ethernet address.
    @Test func neighboursLearnAtOnceWhoHasAnAddressNow() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let a = try NetworkFixture.dualBridge("a")
        try fixture.ensure(a)
        var one = NetworkFixture.dualInterface("a1", on: a, host: 2)
        one.mac = MACAddress("02:00:00:00:00:11")
        var two = NetworkFixture.dualInterface("a2", on: a, host: 2)
        two.mac = MACAddress("02:00:00:00:00:22")
        try fixture.attach("b", [NetworkFixture.dualInterface("b", on: a, host: 9)])
        try fixture.attach("a1", [one])
        for place in ["b", nil] { #expect(fixture.pings(place, "10.89.1.2") && fixture.pings(place, "fd00:89:0:1::2")) }
        let neighbours = "ip neigh show to 10.89.1.2; ip neigh show to fd00:89:0:1::2"
        #expect(try fixture.inside("b", neighbours).split(separator: "02:00:00:00:00:11").count == 3)
        try fixture.onHost { manager in
            try manager.detach(namespaceID: "a1", hostInterface: "gva1")
        }
        try fixture.attach("a2", [two])
        for _ in 0..<100 {
            if try fixture.inside("b", neighbours).split(separator: "02:00:00:00:00:22").count == 3 { break }
            waitTenMilliseconds()
        }
        #expect(try fixture.inside("b", neighbours).split(separator: "02:00:00:00:00:22").count == 3)
        for place in ["b", nil] { #expect(fixture.pings(place, "10.89.1.2") && fixture.pings(place, "fd00:89:0:1::2")) }
        try fixture.expectNothingLeft()
    }
}
