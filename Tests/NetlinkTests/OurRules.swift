import Testing

@testable import Netlink

/// A table of the kind that Gantry makes, built by our own hands.
enum OurRules {
    static let sets = [
        FirewallSet("ports6", keyType: 12 << 6 | 13, keyByteCount: 8, value: .data(type: 8 << 6 | 13, byteCount: 20)),
        FirewallSet(
            "slots4", keyType: 12 << 6 | 13, keyByteCount: 8, value: .data(type: 7, byteCount: 4), isInterval: true,
            fieldByteCounts: [1, 2]),
        FirewallSet(
            "allow6", keyType: (12 << 6 | 13) << 6 | 8, keyByteCount: 24, isInterval: true,
            fieldByteCounts: [1, 2, 16]),
        FirewallSet("networks", keyType: 7, keyByteCount: 4, isInterval: true),
        FirewallSet(
            "affinity", keyType: 7, keyByteCount: 4, value: .data(type: 7, byteCount: 4),
            timeoutMilliseconds: 60_000, isDynamic: true, countMax: 1000),
        FirewallSet("bridges", keyType: 41, keyByteCount: 16, value: .verdict, isHostOrder: true),
    ]

    static let elements: [String: [SetElement]] = [
        "ports6": [SetElement(port(6, 8080), value: .data([UInt8](repeating: 1, count: 16) + [0, 80, 0, 0]))],
        "slots4": [SetElement(port(17, 20_000), value: .data([10, 0, 0, 1]), keyEnd: port(17, 30_000))],
        "allow6": [
            SetElement(
                port(6, 80) + [0xfd] + [UInt8](repeating: 0, count: 15),
                keyEnd: port(6, 80) + [0xfd] + [UInt8](repeating: 0xff, count: 15))
        ],
        "networks": [
            SetElement([0, 0, 0, 0], isIntervalEnd: true), SetElement([10, 1, 0, 0]),
            SetElement([10, 1, 128, 0], isIntervalEnd: true), SetElement([10, 9, 0, 5]),
            SetElement([10, 9, 0, 6], isIntervalEnd: true),
        ],
        "affinity": [
            SetElement([10, 0, 0, 9], value: .data([10, 0, 0, 1])),
            SetElement([10, 0, 0, 8], value: .data([10, 0, 0, 2]), timeoutMilliseconds: 120_000),
        ],
        "bridges": [
            SetElement(name("br-1"), value: .verdict(.goto("door"))), SetElement(name("br-2"), value: .verdict(.drop)),
        ],
    ]

    /// How many nft counts: two of a range are one.
    static let elementCount = 9

    private static func port(_ transport: UInt8, _ number: UInt16) -> [UInt8] {
        [transport, 0, 0, 0, UInt8(number >> 8), UInt8(number & 255), 0, 0]
    }
    private static func name(_ text: String) -> [UInt8] {
        Array(text.utf8) + [UInt8](repeating: 0, count: 16 - text.utf8.count)
    }
    private static func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
    private static func isFamily(_ family: NetfilterFamily) -> [RuleExpression] {
        [.meta(.family, into: .word(0)), .equal(.word(0), [family.rawValue])]
    }
    private static let protocolAndPort: [RuleExpression] = [
        .meta(.transport, into: .word(0)), .destinationPort(into: .word(1)),
    ]

    static let chains = [
        FirewallChain(
            "door", rules: [[.count(packets: 1, bytes: 60), .verdict(.return)], [.reject(.unreachable(.prohibited))]]),
        FirewallChain(
            "early", base: .init(type: "nat", hook: .prerouting, priority: -101),
            rules: [
                [.route(.destinationKind, into: .word(0)), .equal(.word(0), word(2))]
                    + isFamily(.ipv6) + protocolAndPort
                    + [
                        .lookUp(.word(0), map: "ports6", into: .word(0)),
                        .destinationNAT(.ipv6, address: .word(0), port: .word(4)),
                    ],
                isFamily(.ipv4) + protocolAndPort
                    + [.lookUp(.word(0), map: "slots4", into: .word(0)), .destinationNAT(.ipv4, address: .word(0))],
            ]),
        FirewallChain(
            "late", base: .init(type: "nat", hook: .postrouting, priority: 99),
            rules: [
                isFamily(.ipv4) + [
                    .sourceAddress(.ipv4, into: .word(0)), .member(.word(0), set: "networks"),
                    .meta(.outputName, into: .word(0)), .notEqual(.word(0), name("br-1")), .masquerade,
                ]
            ]),
        FirewallChain(
            "through", base: .init(type: "filter", hook: .forward, priority: -1, dropsByDefault: true),
            rules: [
                [
                    .connectionState(into: .word(0)), .mask(.word(0), 6), .notEqual(.word(0), [0, 0, 0, 0]),
                    .verdict(.accept),
                ],
                [.meta(.outputName, into: .word(0)), .lookUp(.word(0), map: "bridges", into: .verdict)],
                isFamily(.ipv6) + protocolAndPort
                    + [
                        .destinationAddress(.ipv6, into: .word(2)), .member(.word(0), set: "allow6"), .verdict(.accept),
                    ],
                [
                    .meta(.transport, into: .word(0)), .equal(.word(0), [6]),
                    .payload(.transport, offset: 13, byteCount: 1, into: .word(0)),
                    .bits(.word(0), mask: [2], xor: [0], into: .word(0)), .notEqual(.word(0), [0]),
                    .routeSegmentSize(into: .word(0)), .toNetworkOrder(.word(0), byteCount: 2, into: .word(0)),
                    .setSegmentSize(from: .word(0)),
                ],
                isFamily(.ipv4) + [
                    .sourceAddress(.ipv4, into: .word(0)), .lookUp(.word(0), map: "affinity", into: .word(1)),
                    .setMeta(.mark, from: .word(1)),
                ],
                [.number(.random, modulus: 5, offset: 100, into: .word(0)), .setMeta(.mark, from: .word(0))],
                [
                    .meta(.transport, into: .word(0)), .equal(.word(0), [6]), .log(prefix: "refused "),
                    .reject(.tcpReset),
                ],
            ]),
    ]

    static func batch(table: String) -> MessageBuilder {
        var batch = MessageBuilder()
        batch.beginBatch(generation: nil)
        batch.newTable(table)
        for (index, set) in sets.enumerated() { batch.newSet(set, table: table, id: UInt32(index) + 1) }
        for chain in chains { batch.newChain(chain, table: table) }
        for (set, elements) in elements { batch.newElements(elements, set: set, table: table) }
        for chain in chains {
            for rule in chain.rules {
                batch.newRule(rule, chain: chain.name, table: table, comment: "of \(chain.name)")
            }
        }
        batch.endBatch()
        return batch
    }
}
