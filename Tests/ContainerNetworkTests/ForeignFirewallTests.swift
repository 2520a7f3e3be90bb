import InternetAddress
import LinuxSystem
import Netlink
import Testing

@testable import ContainerNetwork

@Suite("Other firewalls", .serialized)
struct ForeignFirewallTests {
    /// Rules of others as a shell would make them, and whether the chain blocks ways out and in.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let rules: String
        let directions: [ForwardBlock.Direction]?

        init(_ name: String, _ rules: String, _ directions: [ForwardBlock.Direction]?) {
            testDescription = name
            self.rules = rules
            self.directions = directions
        }
    }

    static let cases = [
        Case("accepts", "iptables -P FORWARD ACCEPT; iptables -A FORWARD -i eth7 -j DROP", nil),
        Case("policy drop", "iptables -P FORWARD DROP", [.out, .in]),
        Case(
            "docker",
            """
            iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -N DOCKER
            iptables -A DOCKER-USER -j RETURN; iptables -A FORWARD -j DOCKER-USER
            iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            iptables -A FORWARD -o docker0 -j DOCKER; iptables -A FORWARD -i docker0 -j ACCEPT
            """, [.out, .in]),
        Case("let through by name", "iptables -P FORWARD DROP; iptables -A FORWARD -i gn-+ -j ACCEPT", [.in]),
        Case(
            "let through by subnet", "iptables -P FORWARD DROP; iptables -A FORWARD -s 10.89.0.0/16 -j ACCEPT", [.in]),
        Case(
            "translated only",
            "iptables -P FORWARD DROP; iptables -A FORWARD -m conntrack --ctstate DNAT,ESTABLISHED -j ACCEPT", [.out]),
        Case("reject at the end", "iptables -A FORWARD -i lo -j ACCEPT; iptables -A FORWARD -j REJECT", [.out, .in]),
        Case(
            "as firewalld",
            """
            nft add table inet firewalld
            nft add chain inet firewalld filter_FORWARD '{ type filter hook forward priority 10; }'
            nft add chain inet firewalld filter_FORWARD_ZONES
            nft add chain inet firewalld filter_FWD_public
            nft add rule inet firewalld filter_FORWARD ct state established,related accept
            nft add rule inet firewalld filter_FORWARD ct status dnat accept
            nft add rule inet firewalld filter_FORWARD iifname lo accept
            nft add rule inet firewalld filter_FORWARD ct state invalid drop
            nft add rule inet firewalld filter_FORWARD jump filter_FORWARD_ZONES
            nft add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited
            nft add rule inet firewalld filter_FORWARD_ZONES iifname up0 goto filter_FWD_public
            """, [.out]),
        Case(
            "firewalld with the bridge's subnet trusted",
            """
            nft add table inet firewalld
            nft add chain inet firewalld filter_FORWARD '{ type filter hook forward priority 10; }'
            nft add chain inet firewalld filter_FWD_trusted
            nft add rule inet firewalld filter_FWD_trusted accept
            nft add rule inet firewalld filter_FORWARD ct status dnat accept
            nft add rule inet firewalld filter_FORWARD ip saddr 10.89.0.0/16 goto filter_FWD_trusted
            nft add rule inet firewalld filter_FORWARD reject
            """, nil),
        Case(
            "input only",
            """
            nft add table inet filter
            nft add chain inet filter input '{ type filter hook input priority 0; policy drop; }'
            """, nil),
    ]

    private func fixture() throws -> NetworkFixture {
        let fixture = try NetworkFixture()
        try fixture.lab.shell("ip route add default via 192.0.2.2")
        _ = try fixture.container("one", on: NetworkFixture.bridge("a"), host: 5)
        try fixture.apply([NetworkFixture.bridge("a")])
        return fixture
    }

    @Test("A chain that drops what it does not know is found", arguments: cases)
    func blocks(_ example: Case) throws {
        let fixture = try fixture()
        defer { fixture.lab.close() }
        try fixture.lab.shell(example.rules)
        let manager = fixture.manager
        let blocks = try fixture.lab.run { try manager.foreignForwardBlocks() }
        #expect(blocks.first?.directions == example.directions)
        #expect(blocks.allSatisfy { $0.networks == ["net-a"] })
    }

    @Test("Who keeps the chain is known by its neighbours")
    func managers() throws {
        let fixture = try fixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        try fixture.lab.shell("iptables -P FORWARD DROP")
        #expect(try fixture.lab.run { try manager.foreignForwardBlocks() }.first?.managers == [.iptables])
        try fixture.lab.shell("iptables -N DOCKER; iptables -N ufw-user-forward")
        #expect(try fixture.lab.run { try manager.foreignForwardBlocks() }.first?.managers == [.ufw, .docker])
    }

    @Test("Blocking chains are opened, stay usable for iptables, and are closed without a trace")
    func opens() throws {
        let fixture = try fixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        try fixture.lab.shell(
            """
            iptables -P FORWARD DROP; iptables -A FORWARD -j REJECT
            nft add table inet other
            nft add chain inet other forward '{ type filter hook forward priority 5; policy drop; }'
            nft add chain inet other open '{ type filter hook forward priority 6; }'
            """)
        let before = try fixture.lab.shell("iptables-save | grep -v '^#'; nft list table inet other")
        try fixture.lab.run { try manager.openForeignFirewalls() }
        #expect(try fixture.lab.run { try manager.foreignForwardBlocks() }.isEmpty)
        #expect(try fixture.lab.shell("iptables -S FORWARD").contains("-A FORWARD -i gn-+"))
        #expect(try fixture.lab.shell("nft list chain inet other open").contains("gn-") == false)
        // Somebody empties the chain, and fills it again.
        try fixture.lab.shell("iptables -F FORWARD; iptables -A FORWARD -j REJECT")
        #expect(try fixture.lab.run { try manager.foreignForwardBlocks() }.count == 1)
        try fixture.lab.run { try manager.openForeignFirewalls() }
        let once = try fixture.lab.shell("nft list ruleset")
        try fixture.lab.run { try manager.openForeignFirewalls() }
        #expect(try fixture.lab.shell("nft list ruleset") == once)
        #expect(try fixture.lab.run { try manager.foreignForwardBlocks() }.isEmpty)
        try fixture.lab.run { try manager.closeForeignFirewalls() }
        #expect(try fixture.lab.shell("iptables-save | grep -v '^#'; nft list table inet other") == before)
    }

    @Test("Bytes that are no test of the state alone are not understood")
    func conntrackMatch() {
        let match = ConntrackMatch(stateMask: 6)
        #expect(ConntrackMatch(match.bytes) == match)
        #expect(ConntrackMatch([1, 2, 3]) == nil)
        var other = match.bytes
        other[146] = 3
        #expect(ConntrackMatch(other)?.isStateAlone == false)
    }
}
