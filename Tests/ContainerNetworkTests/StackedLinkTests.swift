import ContainerNetwork
import InternetAddress
import Testing

@Suite struct StackedLinkTests {
    private func spec(
        _ id: String, _ kind: InterfaceSpec.Kind, host: Int, parameters: [String: String] = [:]
    ) throws -> InterfaceSpec {
        InterfaceSpec(
            kind: kind, hostInterface: "gv\(id)", containerInterface: "eth0",
            addresses: [
                .init(try #require(IPAddress("192.0.2.\(host)")), prefixLength: 24),
                .init(try #require(IPAddress("2001:db8:1::\(host)")), prefixLength: 64),
            ], gateways: [try #require(IPAddress("192.0.2.2")), try #require(IPAddress("2001:db8:1::2"))],
            parameters: parameters)
    }

    @Test func containersAreOnTheLANByMacvlan() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        let kind = InterfaceSpec.Kind.macvlan(parent: "up0", mode: "bridge")
        let one = try spec("m1", kind, host: 11)
        let two = try spec("m2", kind, host: 12, parameters: ["net.ipv4.conf.IFNAME.log_martians": "1"])
        for _ in 0..<2 {
            try fixture.onHost { manager in
                _ = try manager.prepare(id: "m1", [one], opensResolver: true)
                _ = try manager.prepare(id: "m2", [two], opensResolver: false)
            }
            for address in ["192.0.2.2", "2001:db8:1::2", "192.0.2.12", "2001:db8:1::12"] {
                #expect(fixture.pings("m1", address), "m1 to \(address)")
            }
            #expect(fixture.pings("lan", "192.0.2.11") && fixture.pings("lan", "2001:db8:1::12"))
        }
        #expect(try fixture.inside("m2", "cat /proc/sys/net/ipv4/conf/eth0/log_martians") == "1\n")
        #expect(try fixture.inside("lan", "ip neigh show to 192.0.2.11").contains("02:42:c0:00:02:0b"))
        let seen = try fixture.onHost { try $0.observeStackedLinks(id: "m1") }
        #expect(seen == [.init(hostInterface: "gvm1", isUp: true)])
        let look = {
            try fixture.inside(
                "m1",
                """
                ip -o address show dev eth0 scope global | sed "s,^[0-9]*: ,,"; cat /sys/class/net/eth0/address
                ip route show default; ip -6 route show default
                """)
        }
        let before = try look()
        #expect(before.contains("192.0.2.11/24") && before.contains("2001:db8:1::11/64"))
        for damage in [
            "ip link del eth0", "ip link set eth0 down", "ip addr flush dev eth0", "ip link set eth0 name own1",
            "ip route del default", "ip link set eth0 address 02:00:00:00:00:09",
        ] {
            try fixture.inside("m1", damage)
            if damage.hasSuffix(" down") {
                let down = try fixture.onHost { try $0.observeStackedLinks(id: "m1") }
                #expect(down == [.init(hostInterface: "gvm1", isUp: false)])
            }
            try fixture.attach("m1", [one])
            #expect(fixture.pings("lan", "192.0.2.11") && fixture.pings("lan", "2001:db8:1::11"), "after \(damage)")
            #expect(try fixture.onHost { try $0.observeStackedLinks(id: "m1") } == seen, "after \(damage)")
            #expect(try look() == before, "after \(damage)")
        }
        for _ in 0..<2 { try fixture.onHost { try $0.detach(namespaceID: "m1", hostInterface: "gvm1") } }
        #expect(try fixture.onHost { try $0.observeStackedLinks(id: "m1") }.isEmpty)
        try fixture.onHost { try $0.detach(namespaceID: "nowhere", hostInterface: "gvm1") }
        try fixture.expectNothingLeft()
    }

    @Test func modesKeepContainersApart() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        let kind = InterfaceSpec.Kind.macvlan(parent: "up0", mode: "private")
        let (one, two) = (try spec("m1", kind, host: 11), try spec("m2", kind, host: 12))
        try fixture.attach("m1", [one])
        try fixture.attach("m2", [two])
        #expect(fixture.pings("lan", "192.0.2.11") && !fixture.pings("m1", "192.0.2.12"))
        let (bridged1, bridged2) = (
            try spec("m1", .macvlan(parent: "up0", mode: "bridge"), host: 11),
            try spec("m2", .macvlan(parent: "up0", mode: "bridge"), host: 12)
        )
        try fixture.attach("m1", [bridged1])
        try fixture.attach("m2", [bridged2])
        #expect(fixture.pings("m1", "192.0.2.12"))
        for mode in ["vepa", "passthru"] {
            try fixture.onHost { try $0.detach(namespaceID: "m1", hostInterface: "gvm1") }
            try fixture.onHost { try $0.detach(namespaceID: "m2", hostInterface: "gvm2") }
            try fixture.attach("m1", [try spec("m1", .macvlan(parent: "up0", mode: mode), host: 11)])
            #expect(fixture.pings("lan", "2001:db8:1::11"), "\(mode)")
        }
        try fixture.expectNothingLeft()
    }

    /// Not every kernel has ipvlan: what lacks is named.
    @Test func missingKindsAndParentsAreNamed() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let cases: [(InterfaceSpec.Kind, NetworkError)] = [
            (.macvlan(parent: "none0", mode: "bridge"), .missingInterface("none0")),
            (.macvlan(parent: "up0.7", mode: "bridge"), .missingInterface("up0.7")),
            (.macvlan(parent: "up0", mode: "source"), .invalidMode(kind: "macvlan", mode: "source")),
            (.ipvlan(parent: "up0", mode: "bridge"), .invalidMode(kind: "ipvlan", mode: "bridge")),
            (.ipvlan(parent: "up0", mode: "l2"), .unsupportedKind("ipvlan", option: "CONFIG_IPVLAN")),
        ]
        for (kind, expected) in cases {
            let wanted = try spec("m1", kind, host: 11)
            do {
                try fixture.attach("m1", [wanted])
                // A kernel that has it makes it, and gives it back.
                guard case .unsupportedKind = expected else {
                    Issue.record("\(kind) was made")
                    continue
                }
                #expect(fixture.pings("m1", "192.0.2.11"))
                try fixture.onHost { try $0.detach(namespaceID: "m1", hostInterface: "gvm1") }
            } catch let error as NetworkError {
                #expect(error == expected, "\(kind)")
            }
        }
        #expect(
            "\(NetworkError.unsupportedKind("ipvlan", option: "CONFIG_IPVLAN"))"
                == "this kernel has no ipvlan (CONFIG_IPVLAN)")
        try fixture.expectNothingLeft()
    }
}
