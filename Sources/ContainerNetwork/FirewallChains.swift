import CLinux
import Glibc
import Netlink

/// The chains of the table.
enum FirewallChains {
    static let all: [FirewallChain] =
        [publish4, publish6, virtual4, virtual6, visit4, visit6, arrive, depart, prerouting, output, postrouting]
        + [rawPrerouting, refuse, input, ours, forward]

    // MARK: steps

    private static let key = Register.word(0)
    /// Above every key: the longest has an IPv6 address, transport, port and slot.
    private static let scratch = Register.word(8)

    private static func isFamily(_ family: NetfilterFamily) -> [RuleExpression] {
        [.meta(.family, into: key), .equal(key, [family.rawValue])]
    }
    private static func goto(_ chain: String) -> [RuleExpression] { [.verdict(.goto(chain))] }

    private static func inputIs(in set: String) -> [RuleExpression] {
        [.meta(.inputName, into: key), .member(key, set: set)]
    }
    private static func outputIs(in set: String) -> [RuleExpression] {
        [.meta(.outputName, into: key), .member(key, set: set)]
    }
    private static let isToHost: [RuleExpression] = [
        .destinationKind(into: key), .equal(key, nativeBytes(UInt32(RTN_LOCAL))),
    ]
    /// Bits of `NF_CT_STATE_BIT`: invalid 1, established 2, related 4, new 8.
    private static func hasState(_ bits: UInt32) -> [RuleExpression] {
        [.connectionState(into: key), .mask(key, bits), .notEqual(key, nativeBytes(0))]
    }
    private static let isDestinationNAT: [RuleExpression] = [
        .connectionStatus(into: key), .mask(key, UInt32(IPS_DST_NAT.rawValue)), .notEqual(key, nativeBytes(0)),
    ]
    private static func sourceIs(_ family: NetfilterFamily, in set: String) -> [RuleExpression] {
        isFamily(family) + [.sourceAddress(family, into: key), .member(key, set: set)]
    }
    private static func destinationIs(_ family: NetfilterFamily, in set: String) -> [RuleExpression] {
        isFamily(family) + [.destinationAddress(family, into: key), .member(key, set: set)]
    }
    /// The first byte of the IPv4 source (offset 12) or destination (16) is 127.
    private static func isLoopback(offset: UInt32) -> [RuleExpression] {
        isFamily(.ipv4) + [.payload(.network, offset: offset, byteCount: 1, into: key), .equal(key, [127])]
    }

    private static func loadPort(_ word: UInt32) -> [RuleExpression] {
        [.meta(.transport, into: .word(word)), .destinationPort(into: .word(word + 1))]
    }

    private static func addressWordCount(_ family: NetfilterFamily) -> UInt32 { family == .ipv6 ? 4 : 1 }

    /// Loads the key of the place's sets into the first registers.
    private static func loadKey(_ place: FirewallPlace) -> [RuleExpression] {
        let address: [RuleExpression] = place.hasAddress ? [.destinationAddress(place.family, into: key)] : []
        let word = place.hasAddress ? addressWordCount(place.family) : 0
        return address + (place.isVirtual ? [] : loadPort(word))
    }

    private static func sendOn(_ place: FirewallPlace, _ map: String) -> [RuleExpression] {
        let keepsPort = place.isRange || place.isVirtual
        let port = Register.word(addressWordCount(place.family))
        return [
            .lookUp(key, map: map, into: key),
            .destinationNAT(place.family, address: key, port: keepsPort ? nil : port),
        ]
    }

    // MARK: where connections go

    private static func toFirst(_ place: FirewallPlace) -> [RuleExpression] {
        loadKey(place) + sendOn(place, place.direct)
    }

    /// The number passes through the packet's mark, which gets its own value back at once: `nft list ruleset` ends with
    /// a failed assertion at a map whose key comes straight from another map.
    private static func toTurn(_ place: FirewallPlace) -> [RuleExpression] {
        let mark = Register.word(9)
        return loadKey(place) + [
            .lookUp(key, map: place.shared, into: scratch),
            .meta(.mark, into: mark), .setMeta(.mark, from: scratch),
            .meta(.mark, into: scratch), .setMeta(.mark, from: mark),
            .lookUp(scratch, map: place.turns, into: .verdict),
        ]
    }

    /// Chooses a slot; number 0, which has none, is the group's first backend.
    static func turn(_ turn: Turn) -> FirewallChain {
        let place = turn.place
        let slot = Register.word(UInt32(place.keyByteCount / 4))
        let choose: [RuleExpression] =
            turn.lane == Turn.byClientAddress
            ? [
                .sourceAddress(place.family, into: scratch),
                .hash(
                    scratch, byteCount: UInt32(place.addressByteCount), modulus: turn.count, seed: hashSeed, into: slot
                ),
            ] : [.counter(modulus: turn.count, into: slot)]
        return FirewallChain(
            turn.chainName, rules: [loadKey(place) + choose + sendOn(place, place.slots), toFirst(place)])
    }

    /// The same in every table: who got a backend keeps it when the table is made again.
    private static let hashSeed: UInt32 = 0x6a17_0b5d

    /// A binding to one address comes before the one to every address.
    private static func publish(
        _ name: String, _ ofAddress: FirewallPlace, _ rangeOfAddress: FirewallPlace, _ ofAll: FirewallPlace,
        _ rangeOfAll: FirewallPlace, except: [[RuleExpression]] = []
    ) -> FirewallChain {
        FirewallChain(
            name,
            rules: except + [
                toTurn(ofAddress), toFirst(ofAddress), toFirst(rangeOfAddress), toTurn(ofAll), toFirst(ofAll),
                toFirst(rangeOfAll),
            ])
    }

    private static let publish4 = publish("publish4", .portOfAddress4, .rangeOfAddress4, .port4, .range4)

    /// A connection to `::1` cannot be sent on: the kernel takes no answer to it from an interface other than loopback.
    /// Nor can one to fe80::/10, whose sender may have an address that is not forwarded. Both find no listener on the
    /// host, or one that passes them on.
    private static let publish6 = publish(
        "publish6", .portOfAddress6, .rangeOfAddress6, .port6, .range6,
        except: [
            [
                .destinationAddress(.ipv6, into: key), .equal(key, [UInt8](repeating: 0, count: 15) + [1]),
                .verdict(.return),
            ],
            [
                .payload(.network, offset: 24, byteCount: 2, into: key),
                .bits(key, mask: [0xff, 0xc0], xor: [0, 0], into: key), .equal(key, [0xfe, 0x80]), .verdict(.return),
            ],
        ])

    private static let virtual4 = FirewallChain("virtual4", rules: [toTurn(.virtual4), toFirst(.virtual4)])
    private static let virtual6 = FirewallChain("virtual6", rules: [toTurn(.virtual6), toFirst(.virtual6)])

    /// A virtual address works on its own network only.
    private static func visit(_ name: String, _ family: NetfilterFamily, _ set: String, _ next: String) -> FirewallChain
    {
        FirewallChain(
            name,
            rules: [
                [
                    .meta(.inputName, into: key), .destinationAddress(family, into: .word(4)),
                    .member(key, set: set), .verdict(.goto(next)),
                ]
            ])
    }
    private static let visit4 = visit("visit4", .ipv4, "neighbours4", "virtual4")
    private static let visit6 = visit("visit6", .ipv6, "neighbours6", "virtual6")

    private static let arrive = FirewallChain(
        "arrive",
        rules: [
            destinationIs(.ipv4, in: "virtuals4") + goto("visit4"),
            destinationIs(.ipv6, in: "virtuals6") + goto("visit6"),
            isFamily(.ipv4) + goto("publish4"),
            isFamily(.ipv6) + goto("publish6"),
        ])

    private static let depart = FirewallChain(
        "depart",
        rules: [
            destinationIs(.ipv4, in: "virtuals4") + goto("virtual4"),
            destinationIs(.ipv6, in: "virtuals6") + goto("virtual6"),
            isFamily(.ipv4) + goto("publish4"),
            isFamily(.ipv6) + goto("publish6"),
        ])

    /// A loopback destination that did not come from the host itself is never sent on: a neighbour on the LAN must not
    /// reach what is bound to 127.0.0.1.
    private static let prerouting = FirewallChain(
        "prerouting", base: .init(type: "nat", hook: .prerouting, priority: -100),
        rules: [isLoopback(offset: 16) + [.verdict(.return)], isToHost + goto("arrive")])

    private static let output = FirewallChain(
        "output", base: .init(type: "nat", hook: .output, priority: -100), rules: [isToHost + goto("depart")])

    /// Whoever is on a bridge and was sent on to a bridge must be answered by way of the host, which gives the answer
    /// its address back: on one bridge the backend would otherwise answer its neighbour directly. By source, not by
    /// input: with br_netfilter a bridged packet has no input here.
    private static let postrouting = FirewallChain(
        "postrouting", base: .init(type: "nat", hook: .postrouting, priority: 100),
        rules: [
            outputIs(in: "bridges") + isLoopback(offset: 12) + [.masquerade],
            outputIs(in: "bridges") + isDestinationNAT + sourceIs(.ipv4, in: "subnets4") + [.masquerade],
            outputIs(in: "bridges") + isDestinationNAT + sourceIs(.ipv6, in: "subnets6") + [.masquerade],
            inputIs(in: "masquerade4") + isFamily(.ipv4) + toOutside + [.masquerade],
            inputIs(in: "masquerade6") + isFamily(.ipv6) + toOutside + [.masquerade],
        ])

    private static let toOutside: [RuleExpression] = [
        .meta(.outputName, into: key), .notMember(key, set: "bridges"),
    ]

    // MARK: who may

    /// Closes what route_localnet opens, before connection tracking gives replies their 127/8 destination back. The
    /// kernel itself drops `::1` that comes from outside.
    private static let rawPrerouting = FirewallChain(
        "raw_prerouting", base: .init(type: "filter", hook: .prerouting, priority: -300),
        rules: [inputIs(in: "bridges") + isLoopback(offset: 16) + [.verdict(.drop)]])

    /// What was not sent on by a virtual address has no backend, or comes from elsewhere: it is told so at once, and
    /// never reaches what listens on all addresses of the host.
    private static let input = FirewallChain(
        "input", base: .init(type: "filter", hook: .input, priority: 0),
        rules: [
            hasState(8) + destinationIs(.ipv4, in: "virtuals4") + goto("refuse"),
            hasState(8) + destinationIs(.ipv6, in: "virtuals6") + goto("refuse"),
        ])

    private static let refuse = FirewallChain(
        "refuse",
        rules: [
            [.meta(.transport, into: key), .equal(key, [UInt8(IPPROTO_TCP)]), .reject(.tcpReset)],
            [.reject(.unreachable(.port))],
        ])

    private static func isOpened(_ family: NetfilterFamily, _ set: String) -> [RuleExpression] {
        inputIs(in: set) + isFamily(family)
            + [.meta(.outputName, into: key), .notEqual(key, Array(bridgeNamePrefix.utf8)), .verdict(.drop)]
    }

    /// What touches no bridge of ours is none of our business, unless we were the ones who made its interface forward:
    /// then only bridges of Gantry, also of another engine's, are reached through it.
    private static let forward = FirewallChain(
        "forward", base: .init(type: "filter", hook: .forward, priority: 0),
        rules: [
            inputIs(in: "bridges") + goto("ours"),
            outputIs(in: "bridges") + goto("ours"),
            isOpened(.ipv4, "opened4"),
            isOpened(.ipv6, "opened6"),
        ])

    /// A container's own address and port, of networks without NAT.
    private static func isReachable(_ family: NetfilterFamily, _ networks: String, _ set: String) -> [RuleExpression] {
        outputIs(in: networks) + isFamily(family) + [.destinationAddress(family, into: key)]
            + loadPort(addressWordCount(family)) + [.member(key, set: set), .verdict(.accept)]
    }

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
            inputIs(in: "bridges") + outputIs(in: "bridges") + [.verdict(.drop)],
            outputIs(in: "unprotected4") + isFamily(.ipv4) + [.verdict(.accept)],
            outputIs(in: "unprotected6") + isFamily(.ipv6) + [.verdict(.accept)],
            isReachable(.ipv4, "routed4", "reachable4"),
            isReachable(.ipv4, "routed4", "reachable4_range"),
            isReachable(.ipv6, "routed6", "reachable6"),
            isReachable(.ipv6, "routed6", "reachable6_range"),
            outputIs(in: "bridges") + [.verdict(.drop)],
            [.verdict(.accept)],
        ])
}
