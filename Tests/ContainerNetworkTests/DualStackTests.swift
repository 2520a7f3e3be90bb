import InternetAddress
import Testing

@testable import ContainerNetwork

@Suite struct DualStackTests {
    /// Between containers, to the outside and back, without any switch for the whole host.
    @Test func bothFamiliesWorkWithoutGlobalForwarding() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        let a = try NetworkFixture.dualBridge("a")
        let b = try NetworkFixture.dualBridge("b")
        for (id, network, host) in [("a1", a, 2), ("a2", a, 3), ("b1", b, 2)] as [(String, BridgeSpec, UInt128)] {
            try fixture.ensure(network)
            try fixture.attach(id, [NetworkFixture.dualInterface(id, on: network, host: host)])
        }
        try fixture.apply([a, b])
        for address in ["10.89.1.3", "fd00:89:0:1::3", "10.89.1.1", "fd00:89:0:1::1", "192.0.2.2", "2001:db8:1::2"] {
            #expect(fixture.pings("a1", address), "a1 to \(address)")
        }
        for address in ["10.89.2.2", "fd00:89:0:2::2"] { #expect(!fixture.pings("a1", address), "a1 to \(address)") }
        #expect(fixture.pings(nil, "fd00:89:0:1::2"))
        #expect(
            try fixture.lab.shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding")
                == "0\n0\n")
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv6/conf/up0/forwarding") == "0\n")
        // Router advertisements are still heard on the uplink.
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv6/conf/up0/accept_ra") == "1\n")
        try fixture.expectNothingLeft()
    }

    /// Only what touches our bridges goes through an interface that forwards because of us.
    @Test func theHostRoutesNoIPv6ForOthers() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        let other = try fixture.make("other")
        try fixture.lab.shell(
            """
            ip link add up1 type veth peer name eth0 netns \(other)
            ip addr add 2001:db8:2::1/64 dev up1 nodad
            ip link set up1 up
            nsenter --net=\(other) sh -ec '
                echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
                ip addr add 2001:db8:2::2/64 dev eth0 nodad
                ip link set eth0 up
                ip -6 route add default via 2001:db8:2::1'
            nsenter --net=\(fixture.lanPath) ip -6 route add 2001:db8:2::/64 via 2001:db8:1::1
            """)
        let a = try NetworkFixture.dualBridge("a")
        try fixture.ensure(a)
        try fixture.attach("a1", [NetworkFixture.dualInterface("a1", on: a, host: 2)])
        try fixture.apply([a])
        #expect(fixture.pings("a1", "2001:db8:1::2") && fixture.pings("other", "2001:db8:2::1"))
        #expect(!fixture.pings("lan", "2001:db8:2::2"))
        // It would go through but for the table.
        try fixture.lab.shell("nft flush chain inet gantry forward")
        #expect(fixture.pings("lan", "2001:db8:2::2"))
        try fixture.apply([a])
        #expect(!fixture.pings("lan", "2001:db8:2::2"))
        // One family's forwarding for the whole host, its owner's wish, leaves the other as it is.
        try fixture.lab.shell("echo 1 >/proc/sys/net/ipv4/ip_forward")
        try fixture.onHost { manager in try manager.openUplinks() }
        #expect(!fixture.pings("lan", "2001:db8:2::2") && fixture.pings("a1", "2001:db8:1::2"))
        try fixture.lab.shell("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        try fixture.apply([a])
        #expect(fixture.pings("lan", "2001:db8:2::2"))
        // It goes off, and takes every interface's switch with it: ours come back.
        try fixture.lab.shell(
            "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding; echo 0 >/proc/sys/net/ipv4/ip_forward")
        #expect(!fixture.pings("a1", "2001:db8:1::2") && !fixture.pings("a1", "192.0.2.2"))
        try fixture.onHost { manager in try manager.openUplinks() }
        #expect(fixture.pings("a1", "2001:db8:1::2") && fixture.pings("a1", "192.0.2.2"))
        try fixture.expectNothingLeft()
    }

    @Test func networksHaveSeveralSubnetsAndChangeThemLive() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        var a = try NetworkFixture.dualBridge("a")
        for text in ["10.89.7.0/24", "fd00:89:0:7::/64"] {
            let range = try #require(CIDR(text))
            a.subnets.append(.init(range, gateway: range.firstHost))
        }
        try fixture.ensure(a)
        var one = NetworkFixture.dualInterface("a1", on: a, host: 2)
        one.gateways = Array(one.gateways.prefix(2))
        one.addresses.append(.init(try #require(IPAddress("10.89.1.200")), prefixLength: 24))
        one.addresses.append(.init(try #require(IPAddress("169.254.7.7")), prefixLength: 16))
        one.addresses.append(.init(try #require(IPAddress("fe80::7")), prefixLength: 64))
        try fixture.attach("a1", [one])
        try fixture.apply([a])
        for _ in 0..<2 {
            for address in ["10.89.1.2", "10.89.1.200", "10.89.7.2", "fd00:89:0:1::2", "fd00:89:0:7::2"] {
                #expect(fixture.pings(nil, address), "\(address)")
            }
            let text = try fixture.inside("a1", "ip -br addr show dev eth0")
            #expect(text.contains("169.254.7.7/16") && text.contains("fe80::7/64"))
            // The first address of a network is the one to send from.
            #expect(try fixture.inside("a1", "ip -4 route get 10.89.1.1").contains("src 10.89.1.2 "))
            try fixture.inside("a1", "ip addr del 10.89.1.2/24 dev eth0; ip addr del fd00:89:0:7::2/64 dev eth0")
            try fixture.attach("a1", [one])
        }
        let before = try fixture.lab.shell("ip -br addr show dev gn-a")
        a.subnets.removeSubrange(2...)
        let added = try #require(CIDR("10.89.8.0/24"))
        a.subnets.append(.init(added, gateway: added.lastHost))
        a.mtu = 1300
        // An address of a service is the firewall's, and stays.
        try fixture.lab.shell("ip addr add 10.89.1.99/32 dev gn-a")
        try fixture.ensure(a)
        let after = try fixture.lab.shell("ip -br addr show dev gn-a")
        #expect(before.contains("10.89.7.1/24") && before.contains("fd00:89:0:7::1/64"))
        #expect(
            after.contains("10.89.8.254/24") && after.contains("10.89.1.99/32") && after.contains("fd00:89:0:1::1/64"))
        #expect(!after.contains("10.89.7.1/24") && !after.contains("fd00:89:0:7::1/64"))
        try fixture.attach("a1", [one])
        #expect(try fixture.inside("a1", "ip link").contains("mtu 1300"))
        #expect(try fixture.lab.shell("ip link show gn-a; ip link show gva1").split(separator: "mtu 1300").count == 3)
        #expect(fixture.pings("a1", "10.89.1.1") && fixture.pings("a1", "fd00:89:0:1::1"))
        // The network has no IPv6 any more, and then again.
        var plain = a
        plain.subnets.removeAll { $0.range.isV6 }
        try fixture.ensure(plain)
        #expect(try fixture.lab.shell("ip -6 -br addr show dev gn-a") == "")
        try fixture.ensure(a)
        #expect(fixture.pings("a1", "fd00:89:0:1::1"))
        try fixture.expectNothingLeft()
    }

    @Test func internalNetworksHaveNoWayOutAndMayHaveNoGateway() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        var network = try NetworkFixture.dualBridge("i", isInternal: true)
        for index in network.subnets.indices { network.subnets[index].gateway = nil }
        try fixture.ensure(network)
        for (id, host) in [("i1", 2), ("i2", 3)] as [(String, UInt128)] {
            try fixture.attach(id, [NetworkFixture.dualInterface(id, on: network, host: host)])
        }
        try fixture.apply([network])
        #expect(fixture.pings("i1", "10.89.3.3") && fixture.pings("i1", "fd00:89:0:3::3"))
        #expect(try fixture.inside("i1", "ip route show default; ip -6 route show default") == "")
        #expect(try fixture.lab.shell("ip -br addr show dev gn-i").split { $0.isWhitespace }.count == 2)
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv[46]/conf/gn-i/*forwarding | sort -u") == "0\n")
        try fixture.inside("i1", "ip route add default dev eth0; ip -6 route add default dev eth0")
        #expect(!fixture.pings("i1", "192.0.2.2") && !fixture.pings("i1", "2001:db8:1::2"))
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv4/conf/up0/forwarding") == "0\n")
        try fixture.expectNothingLeft()
    }

    @Test func interfacesWithoutIPv6HaveNoneAndTheContainerMayMakeItsOwn() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let (plain, dual) = (NetworkFixture.bridge("b"), try NetworkFixture.dualBridge("a"))
        for network in [plain, dual] { try fixture.ensure(network) }
        var second = NetworkFixture.dualInterface("c2", on: dual, host: 2)
        second.containerInterface = "front.0"
        let interfaces = [NetworkFixture.interface("c1", on: plain, host: 2), second]
        // Out of the pool, and repaired later.
        _ = try fixture.onHost { manager in
            try manager.prepare(id: "c", interfaces, opensResolver: false)
        }
        for _ in 0..<2 {
            #expect(try fixture.inside("c", "ip -6 -br addr show dev eth0") == "")
            #expect(fixture.pings("c", "fd00:89:0:1::1") && fixture.pings("c", "10.89.2.1"))
            #expect(try fixture.inside("c", "ip -6 -br addr show dev front.0").contains("fe80::"))
            try fixture.inside(
                "c", "ip link add own0 type bridge; ip addr add fd00:99::1/64 dev own0; ip link del own0")
            try fixture.inside("c", "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0")
            #expect(try fixture.inside("c", "ip -6 -br addr show dev eth0").contains("fe80::"))
            try fixture.attach("c", interfaces)
        }
        try fixture.expectNothingLeft()
    }

    @Test func theUplinksMTUIsInheritedAndFollowed() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.lab.shell("ip link set up0 mtu 1400; ip route add default via 192.0.2.2")
        let a = try NetworkFixture.dualBridge("a")
        for mtu in ["1400", "1450"] {
            try fixture.lab.shell("ip link set up0 mtu \(mtu)")
            try fixture.ensure(a)
            try fixture.attach("a1", [NetworkFixture.dualInterface("a1", on: a, host: 2)])
            let links = try fixture.lab.shell("ip link show gn-a; ip link show gva1")
            #expect(links.split(separator: "mtu \(mtu)").count == 3)
            #expect(try fixture.inside("a1", "ip link show eth0").contains("mtu \(mtu)"))
        }
        try fixture.lab.shell("ip link set up0 mtu 1200")
        #expect(throws: NetworkError.mtuTooSmall(interface: "gn-a", mtu: 1200)) { try fixture.ensure(a) }
        try fixture.ensure(NetworkFixture.bridge("b"))
        try fixture.lab.shell("ip route del default via 192.0.2.2")
        try fixture.expectNothingLeft()
    }

    @Test func bridgesHaveNamesOfUsersAndForeignOnesAreRefused() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        var network = try NetworkFixture.dualBridge("a")
        network.bridge = "front.end"
        try fixture.ensure(network)
        try fixture.attach("a1", [NetworkFixture.dualInterface("a1", on: network, host: 2)])
        try fixture.apply([network])
        #expect(fixture.pings("a1", "192.0.2.2"))
        #expect(try fixture.onHost { try $0.observe().bridges.map(\.name) } == ["net-a"])
        #expect(try !fixture.onHost { try $0.hostRoutes().map(\.description) }.contains("10.89.1.0/24"))
        try fixture.lab.shell("ip link add upbr type bridge; ip link add upd0 type veth peer name upd1")
        for name in ["upbr", "upd0", "bad/name", "..", "much-too-long-a-name"] {
            var refused = network
            refused.bridge = name
            let wanted = refused
            #expect(throws: NetworkError.self) { try fixture.ensure(wanted) }
            #expect(throws: NetworkError.self) { try fixture.onHost { try $0.removeBridge(name) } }
        }
        // A bridge of another engine is told from an uplink by its mark, whatever its name.
        let other = NetworkFixture(lab: fixture.lab, manager: try fixture.lab.manager("gantry_2"))
        var others = NetworkFixture.bridge("b")
        others.bridge = "back"
        try other.ensure(others)
        let taken = others
        #expect(throws: NetworkError.self) { try fixture.ensure(taken) }
        #expect(try other.onHost { try $0.observe().bridges.map(\.name) } == ["net-b", nil])
        try other.onHost { try $0.removeBridge("back") }
        try fixture.lab.shell("ip link del upbr; ip link del upd0")
        try fixture.expectNothingLeft()
    }

    /// As on kernels before 6.17: one switch for the whole host, and nothing but our bridges gets through by it.
    @Test func withoutASwitchByInterfaceTheHostStillRoutesForNobodyElse() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        let manager = try fixture.lab.run {
            try NetworkManager(
                tableName: "gantry", namespaceDirectory: "\(HostLab.directory)/netns", readyNamespaceCountMax: 0,
                hostPorts: nil, forcesForwarding: false)
        }
        let old = NetworkFixture(lab: fixture.lab, manager: manager)
        let plain = NetworkFixture.bridge("b")
        try old.ensure(plain)
        try old.apply([plain])
        #expect(try old.lab.shell("cat /proc/sys/net/ipv6/conf/all/forwarding") == "0\n")
        let a = try NetworkFixture.dualBridge("a")
        try old.ensure(a)
        try old.attach("a1", [NetworkFixture.dualInterface("a1", on: a, host: 2)])
        try old.apply([a, plain])
        #expect(old.pings("a1", "2001:db8:1::2"))
        #expect(try old.lab.shell("cat /proc/sys/net/ipv6/conf/all/forwarding") == "1\n")
        #expect(
            try old.lab.shell("cat /proc/sys/net/ipv6/conf/up0/accept_ra /proc/sys/net/ipv6/conf/gn-a/accept_ra")
                == "2\n0\n")
        // An interface that comes later is kept from routing too.
        _ = try old.make("other")
        try old.lab.shell(
            """
            ip link add up1 type veth peer name eth0 netns \(HostLab.directory)/netns/other
            ip addr add 2001:db8:2::1/64 dev up1 nodad
            ip link set up1 up
            nsenter --net=\(HostLab.directory)/netns/other sh -ec '
                ip addr add 2001:db8:2::2/64 dev eth0 nodad
                ip link set eth0 up
                ip -6 route add default via 2001:db8:2::1'
            nsenter --net=\(old.lanPath) ip -6 route add 2001:db8:2::/64 via 2001:db8:1::1
            """)
        try old.onHost { try $0.openUplinks() }
        #expect(!old.pings("lan", "2001:db8:2::2") && old.pings("a1", "2001:db8:1::2"))
        try old.expectNothingLeft()
    }
}
