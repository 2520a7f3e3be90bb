import CLinux
import Glibc
import Testing

@testable import Netlink

/// What we read of a rule set against what `nft -j list ruleset` says of it, both ways: neither has what the other has
/// not.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct FirewallDumpTests {
    /// Everything that this room has words for, and a few things that it has none for.
    private static let text = """
        table inet full {
            map ports4 {
                type inet_proto . inet_service : ipv4_addr . inet_service
                elements = { tcp . 80 : 10.0.0.1 . 8080, udp . 53 : 10.0.0.2 . 5353 }
            }
            set nets4 {
                type ipv4_addr
                flags interval
                elements = { 10.0.0.0/8, 192.168.1.5-192.168.1.9, 172.16.0.1, 240.0.0.0/4 }
            }
            set nets6 {
                type ipv6_addr
                flags interval
                elements = { fd00::/8, 2001:db8::1-2001:db8::ff }
            }
            set pairs {
                type inet_proto . inet_service . ipv4_addr
                flags interval
                elements = { tcp . 80-90 . 10.0.0.0/24, udp . 1000 . 10.1.0.1-10.1.0.9 }
            }
            set slow {
                type ipv4_addr
                flags timeout
                timeout 1h
                elements = { 10.9.0.1, 10.9.0.2 timeout 30m }
            }
            set learned {
                type ipv4_addr
                size 1000
                flags dynamic,timeout
                timeout 1m
            }
            map doors {
                type inet_service : verdict
                flags interval
                elements = { 80 : goto door, 100-200 : jump door, 443 : drop, * : accept }
            }
            map marks {
                type mark : mark
                elements = { 5 : 7, 6 : 9 }
            }
            set names {
                type ifname
                elements = { "eth0", "veth1" }
            }
            map addresses6 {
                type inet_service : ipv6_addr
                elements = { 80 : fd00::1 }
            }
            chain door {
                counter packets 3 bytes 180 return
            }
            chain early {
                type nat hook prerouting priority dstnat; policy accept;
                dnat ip to meta l4proto . th dport map @ports4
                tcp dport 8080 dnat ip to 10.0.0.7:80
                fib daddr type local counter packets 4 bytes 240
                udp dport 53 redirect to :5353
            }
            chain late {
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr 10.0.0.0/8 oifname != "br0" masquerade
                ip6 saddr fd00::/8 snat ip6 to fd00::99
            }
            chain through {
                type filter hook forward priority -5; policy drop;
                ct state established,related accept
                ct state invalid drop
                iifname "br*" ip saddr @nets4 accept
                ip6 daddr @nets6 accept
                iifname @names drop
                meta l4proto . th dport . ip daddr @pairs counter accept comment "pairs that may"
                tcp flags syn tcp option maxseg size set rt mtu
                ip saddr 10.1.2.3 meta mark set 0x7
                ip daddr 10.16.0.0/12 drop
                ct mark set meta mark
                tcp dport vmap @doors
                update @learned { ip saddr timeout 30s }
                meta l4proto tcp reject with tcp reset
                log prefix "gone: "
                limit rate 10/second accept
                meta mark set numgen inc mod 4 offset 2
                meta mark set jhash ip saddr mod 16 seed 0x1234 offset 1
                tcp dport { 22, 80-90 } accept
                tcp dport 100-200 drop
                ip ttl >= 5 jump door
                reject with icmpx admin-prohibited
            }
            chain out {
                type filter hook output priority raw; policy accept;
                ip daddr 127.0.0.1 notrack
            }
        }
        table ip old {
            chain input {
                type filter hook input priority 0; policy drop;
                iif "lo" accept
                icmp type echo-request limit rate 4/second accept
                reject with icmp port-unreachable
            }
        }
        table ip6 six {
            chain input {
                type filter hook input priority 10; policy accept;
                icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
            }
            chain output {
                type route hook output priority mangle; policy accept;
                meta mark set ct mark
            }
        }
        table bridge ports {
            chain through {
                type filter hook forward priority 0; policy accept;
                ether type ip accept
            }
        }
        table arp link {
            chain input {
                type filter hook input priority 0; policy accept;
                arp operation request accept
            }
        }
        table inet asleep {
            flags dormant
            chain input {
                type filter hook input priority 0; policy accept;
            }
        }
        table netdev card {
            chain early {
                type filter hook ingress device "lo" priority -100; policy accept;
                counter
            }
        }
        """

    @Test func aRuleSetOfNftIsReadAsNftReadsIt() throws {
        let reading = try inPrivateNetwork {
            try shell("nft -f - <<'END'\n\(Self.text)\nEND")
            return try FirewallReading()
        }
        #expect(try compare(reading) == Counts(tables: 7, chains: 12, rules: 37, sets: 10, elements: 21))
        #expect(reading.tables.first { $0.place.table == "asleep" }?.isDormant == true)
        #expect(reading.chains.first { $0.place.table == "card" }?.hook?.devices == ["lo"])
        // Nothing else is without words.
        let unknown = reading.rules.flatMap(\.expressions).compactMap { step in
            if case .other(let name, _) = step { name } else { nil }
        }
        #expect(unknown == ["limit", "limit"])
    }

    @Test func whatWeBuildIsReadByNftAsMeant() throws {
        let reading = try inPrivateNetwork {
            let batch = OurRules.batch(table: "ours")
            try NetlinkSocket(.netfilter).transact(batch, operation: "make the test's table")
            return try FirewallReading()
        }
        let rules = OurRules.chains.flatMap(\.rules)
        #expect(
            try compare(reading)
                == Counts(
                    tables: 1, chains: OurRules.chains.count, rules: rules.count, sets: OurRules.sets.count,
                    elements: OurRules.elementCount))
        #expect(reading.rules.map(\.expressions) == rules)
    }
}

/// The rule set of a network namespace, read by us and by nft.
private struct FirewallReading: Sendable {
    var tables: [TableEntry]
    var chains: [ChainEntry]
    var rules: [RuleEntry]
    var sets: [SetEntry]
    var elements: [[SetElement]] = []
    var theirs: String

    /// Of the calling thread's namespace.
    init() throws {
        let socket = try NetlinkSocket(.netfilter)
        tables = try socket.firewallTables()
        chains = try socket.firewallChains()
        rules = try socket.firewallRules()
        // nft shows the elements of sets without name where they are used.
        sets = try socket.firewallSets().filter { !$0.set.name.hasPrefix("__") }
        for entry in sets {
            let family = try #require(entry.place.knownFamily)
            elements.append(
                try socket.elements(ofSet: entry.set.name, table: entry.place.table, family: family))
        }
        theirs = try shell("nft -j list ruleset")
    }
}

struct Counts: Equatable, Sendable {
    var tables = 0
    var chains = 0
    var rules = 0
    var sets = 0
    var elements = 0
}

private func compare(_ ours: FirewallReading) throws -> Counts {
    let theirs = try JSON(ours.theirs)["nftables"]?.list ?? []
    #expect(Set(ours.tables.map { Words.table($0) }) == Set(theirs.compactMap { $0["table"] }.map(Words.table)))
    #expect(Set(ours.chains.map { Words.chain($0) }) == Set(theirs.compactMap { $0["chain"] }.map(Words.chain)))
    let others = theirs.compactMap { $0["rule"] }
    #expect(ours.rules.count == others.count)
    for (rule, other) in zip(ours.rules, others) {
        #expect(rule.handle.map(Int.init) == other["handle"]?.int && rule.chain == other["chain"]?.string)
        #expect(rule.place.table == other["table"]?.string && rule.comment == other["comment"]?.string)
        #expect(Words.family(rule.place) == other["family"]?.string)
        let expected = try Words.rule(other["expr"]?.list ?? [])
        #expect(Words.rule(rule.expressions, named: expected) == expected, "\(rule) \(other)")
    }
    return Counts(
        tables: ours.tables.count, chains: ours.chains.count, rules: ours.rules.count, sets: ours.sets.count,
        elements: try compareSets(ours, theirs.compactMap { $0["set"] ?? $0["map"] }))
}

/// Answers how many elements there are.
private func compareSets(_ ours: FirewallReading, _ theirs: [JSON]) throws -> Int {
    #expect(ours.sets.count == theirs.count)
    var count = 0
    for (entry, elements) in zip(ours.sets, ours.elements) {
        let other = try #require(
            theirs.first { $0["name"]?.string == entry.set.name && $0["table"]?.string == entry.place.table })
        let keys = Words.types(other["type"])
        let values = Words.types(other["map"])
        #expect(entry.handle.map(Int.init) == other["handle"]?.int)
        #expect(Words.family(entry.place) == other["family"]?.string)
        #expect(entry.set.keyType == SetType.number(keys) && Int(entry.set.keyByteCount) == SetType.byteCount(keys))
        switch entry.set.value {
        case .none: #expect(other["map"] == nil)
        case .verdict: #expect(values.isEmpty && other["map"]?.string == "verdict")
        case .data(let type, let count):
            #expect(type == SetType.number(values) && Int(count) == SetType.byteCount(values))
        }
        let flags = other["flags"]?.list ?? []
        #expect(entry.set.isInterval == flags.contains(.string("interval")))
        #expect(entry.set.hasTimeout == flags.contains(.string("timeout")))
        #expect(entry.set.timeoutMilliseconds.map { Int($0 / 1000) } == other["timeout"]?.int)
        #expect(entry.set.countMax.map(Int.init) == other["size"]?.int)
        #expect(entry.set.fieldByteCounts.isEmpty == (keys.count == 1 || !entry.set.isInterval))
        let words = Words.elements(elements, of: entry.set)
        let expected = try Words.elements(other["elem"]?.list ?? [], keys, values, timeout: other["timeout"]?.int)
        #expect(words == expected, "\(entry.set.name)")
        count += words.count
    }
    return count
}
