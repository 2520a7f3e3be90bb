import CLinux
import Glibc
import Netlink

/// The static part of the table: chains, rules and empty sets. Everything that changes is a set element.
///
/// A port with one backend is one element of `ports4` (or `ports4_ip`). A port with several has 120 elements in
/// `slots4`: a counter of the connection's lane, modulo 120, is the last field of the key, slot i belongs to backend i
/// mod N. So the kernel hands out backends in turn, and membership changes by elements only, all at once. A lane is a
/// chain with counters of its own: ports whose connections come in step would otherwise each see only every second slot
/// of a common counter.
enum FirewallTable {
    /// Divisible by every number of backends up to 6, and by 8, 10, 12: even shares.
    static let slotCount = 120
    /// Prime, so that the usual ports (80, 8080, 443, 8443, 3000, …) fall into different lanes.
    static let laneCount = 31

    static func laneName(port: UInt16) -> String { "lane_\(Int(port) % laneCount)" }

    // Type numbers of libnftables' datatypes; a concatenation has six bits a field. Only `nft list` uses them.
    private static let addressType: UInt32 = 7
    private static let transportType: UInt32 = 12
    private static let portType: UInt32 = 13
    private static let markType: UInt32 = 19
    private static let nameType: UInt32 = 41

    private static func types(_ fields: UInt32...) -> UInt32 { fields.reduce(0) { $0 << 6 | $1 } }

    /// Bytes of an interface name in a register.
    static let nameByteCount = UInt32(IFNAMSIZ)

    static let sets: [FirewallSet] = {
        let target = FirewallSet.Value.data(type: types(addressType, portType), byteCount: 8)
        let name = { FirewallSet($0, keyType: nameType, keyByteCount: nameByteCount, isHostOrder: true) }
        return [
            name("bridges"), name("internal"), name("masquerade"), name("opened4"), name("opened6"),
            FirewallSet("peers", keyType: types(nameType, nameType), keyByteCount: 2 * nameByteCount),
            FirewallSet("subnets4", keyType: addressType, keyByteCount: 4, isInterval: true),
            FirewallSet("ports4", keyType: types(transportType, portType), keyByteCount: 8, value: target),
            FirewallSet(
                "ports4_ip", keyType: types(addressType, transportType, portType), keyByteCount: 12, value: target),
            FirewallSet("lanes4", keyType: types(transportType, portType), keyByteCount: 8, value: .verdict),
            FirewallSet(
                "lanes4_ip", keyType: types(addressType, transportType, portType), keyByteCount: 12, value: .verdict),
            FirewallSet(
                "slots4", keyType: types(transportType, portType, markType), keyByteCount: 12, value: target),
            FirewallSet(
                "slots4_ip", keyType: types(addressType, transportType, portType, markType), keyByteCount: 16,
                value: target),
        ]
    }()

    static let chains: [FirewallChain] =
        lanes + [publish, prerouting, output, postrouting, rawPrerouting, ours, forward]

    // MARK: steps

    private static let key = Register.word(0)

    private static let isIPv4: [RuleExpression] = [
        .meta(.family, into: key), .equal(key, [NetfilterFamily.ipv4.rawValue]),
    ]
    /// The first byte of the IPv4 source (offset 12) or destination (16) is 127.
    private static func isLoopback(offset: UInt32) -> [RuleExpression] {
        isIPv4 + [.payload(.network, offset: offset, byteCount: 1, into: key), .equal(key, [127])]
    }
    private static let sourceOffset: UInt32 = 12
    private static let destinationOffset: UInt32 = 16

    private static func inputIs(in set: String) -> [RuleExpression] {
        [.meta(.inputName, into: key), .member(key, set: set)]
    }
    private static func outputIs(in set: String) -> [RuleExpression] {
        [.meta(.outputName, into: key), .member(key, set: set)]
    }
    private static let isToHost: [RuleExpression] = [
        .destinationKind(into: key), .equal(key, native(UInt32(RTN_LOCAL))),
    ]
    private static func hasState(_ bits: UInt32) -> [RuleExpression] {
        [.connectionState(into: key), .mask(key, bits), .notEqual(key, native(0))]
    }
    private static let isDestinationNAT: [RuleExpression] = [
        .connectionStatus(into: key), .mask(key, UInt32(IPS_DST_NAT.rawValue)), .notEqual(key, native(0)),
    ]

    private static func native(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    /// Loads transport and destination port, with the destination address before them, into consecutive registers.
    private static func loadKey(withAddress: Bool) -> [RuleExpression] {
        let first: UInt32 = withAddress ? 1 : 0
        let address: [RuleExpression] =
            withAddress ? [.payload(.network, offset: destinationOffset, byteCount: 4, into: .word(0))] : []
        return address + [
            .meta(.transport, into: .word(first)),
            .payload(.transport, offset: 2, byteCount: 2, into: .word(first + 1)),
        ]
    }

    private static func sendOn(_ map: String) -> [RuleExpression] {
        [.lookUp(key, map: map, into: key), .destinationNAT(.ipv4, address: .word(0), port: .word(1))]
    }

    // MARK: chains

    /// A binding to one address comes before the one to every address.
    private static let publish = FirewallChain(
        "publish",
        rules: [
            isIPv4 + loadKey(withAddress: true) + sendOn("ports4_ip"),
            isIPv4 + loadKey(withAddress: true) + [.lookUp(key, map: "lanes4_ip", into: .verdict)],
            isIPv4 + loadKey(withAddress: false) + sendOn("ports4"),
            isIPv4 + loadKey(withAddress: false) + [.lookUp(key, map: "lanes4", into: .verdict)],
        ])

    private static let lanes: [FirewallChain] = (0..<laneCount).map { lane in
        let modulus = UInt32(slotCount)
        return FirewallChain(
            "lane_\(lane)",
            rules: [
                loadKey(withAddress: true) + [.counter(modulus: modulus, into: .word(3))] + sendOn("slots4_ip"),
                loadKey(withAddress: false) + [.counter(modulus: modulus, into: .word(2))] + sendOn("slots4"),
            ])
    }

    /// A loopback destination that did not come from the host itself is never sent on: a neighbour on the LAN must not
    /// reach what is bound to 127.0.0.1.
    private static let prerouting = FirewallChain(
        "prerouting", base: .init(type: "nat", hook: .prerouting, priority: -100),
        rules: [
            isLoopback(offset: destinationOffset) + [.verdict(.return)],
            isToHost + [.verdict(.goto("publish"))],
        ])

    private static let output = FirewallChain(
        "output", base: .init(type: "nat", hook: .output, priority: -100),
        rules: [isToHost + [.verdict(.goto("publish"))]])

    /// From the host's 127/8 to a container; from a container to a published port (by source subnet: with br_netfilter
    /// a bridged packet comes here without input device); from a container to the outside.
    private static let postrouting = FirewallChain(
        "postrouting", base: .init(type: "nat", hook: .postrouting, priority: 100),
        rules: [
            outputIs(in: "bridges") + isLoopback(offset: sourceOffset) + [.masquerade],
            outputIs(in: "bridges") + isDestinationNAT + isIPv4
                + [.payload(.network, offset: sourceOffset, byteCount: 4, into: key), .member(key, set: "subnets4")]
                + [.masquerade],
            inputIs(in: "masquerade") + [.meta(.outputName, into: key), .notMember(key, set: "bridges"), .masquerade],
        ])

    /// Closes what route_localnet opens, before connection tracking gives replies their 127/8 destination back.
    private static let rawPrerouting = FirewallChain(
        "raw_prerouting", base: .init(type: "filter", hook: .prerouting, priority: -300),
        rules: [inputIs(in: "bridges") + isLoopback(offset: destinationOffset) + [.verdict(.drop)]])

    /// What touches no bridge of ours is none of our business, unless we were the ones who made its interface forward:
    /// then only bridges of Gantry, also of another engine's, are reached through it.
    private static let forward = FirewallChain(
        "forward", base: .init(type: "filter", hook: .forward, priority: 0),
        rules: [
            inputIs(in: "bridges") + [.verdict(.goto("ours"))],
            outputIs(in: "bridges") + [.verdict(.goto("ours"))],
            isOpened(.ipv4, "opened4"), isOpened(.ipv6, "opened6"),
        ])

    private static func isOpened(_ family: NetfilterFamily, _ set: String) -> [RuleExpression] {
        inputIs(in: set) + [.meta(.family, into: key), .equal(key, [family.rawValue])]
            + [.meta(.outputName, into: key), .notEqual(key, Array(bridgeNamePrefix.utf8)), .verdict(.drop)]
    }

    /// Bits of `NF_CT_STATE_BIT`: invalid 1, established 2, related 4.
    private static let ours = FirewallChain(
        "ours",
        rules: [
            hasState(2 | 4) + [.verdict(.accept)],
            hasState(1) + [.verdict(.drop)],
            [
                .meta(.inputName, into: .word(0)), .meta(.outputName, into: .word(4)), .member(key, set: "peers"),
                .verdict(.accept),
            ],
            inputIs(in: "internal") + [.verdict(.drop)],
            outputIs(in: "internal") + [.verdict(.drop)],
            isDestinationNAT + [.verdict(.accept)],
            outputIs(in: "bridges") + [.verdict(.drop)],
            [.verdict(.accept)],
        ])

    // MARK: messages

    /// The whole table with its elements, in place of whatever has its name: to be sent as one batch.
    static func replacement(table: String, elements: FirewallElements) -> MessageBuilder {
        var batch = MessageBuilder()
        // The first makes the deletion legal when there is no table.
        batch.newTable(table)
        batch.deleteTable(table)
        batch.newTable(table)
        for (index, set) in sets.enumerated() { batch.newSet(set, table: table, id: UInt32(index + 1)) }
        for chain in chains { batch.newChain(chain, table: table) }
        for chain in chains {
            for rule in chain.rules { batch.newRule(rule, chain: chain.name, table: table) }
        }
        for set in sets {
            let elements = elements[set.name]
            if !elements.isEmpty { batch.newElements(FirewallElements.ordered(elements), set: set.name, table: table) }
        }
        return batch
    }
}
