import Glibc
import LinuxSystem
import Testing

@testable import Netlink

/// Rule sets in the kernel of a private network namespace.
@Suite struct FirewallKernelTests {
    private static func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    static let sets = [
        FirewallSet("ports6", keyType: 12 << 6 | 13, keyByteCount: 8, value: .data(type: 8 << 6 | 13, byteCount: 20)),
        FirewallSet(
            "slots4", keyType: 12 << 6 | 13, keyByteCount: 8, value: .data(type: 7, byteCount: 4), isInterval: true,
            fieldByteCounts: [1, 2]),
        FirewallSet(
            "allow6", keyType: (12 << 6 | 13) << 6 | 8, keyByteCount: 24, isInterval: true,
            fieldByteCounts: [1, 2, 16]),
        FirewallSet(
            "doors", keyType: 12 << 6 | 13, keyByteCount: 8, value: .verdict, isInterval: true,
            fieldByteCounts: [1, 2]),
        FirewallSet(
            "affinity", keyType: 7, keyByteCount: 4, value: .data(type: 7, byteCount: 4),
            timeoutMilliseconds: 60_000, isDynamic: true, countMax: 1000),
    ]

    static let rules: [[RuleExpression]] = [
        [
            .sourceAddress(.ipv6, into: .word(0)), .equal(.word(0), [UInt8](repeating: 0xfd, count: 16)),
            .verdict(.drop),
        ],
        [
            .meta(.transport, into: .word(0)), .destinationPort(into: .word(1)),
            .lookUp(.word(0), map: "ports6", into: .word(0)),
            .destinationNAT(.ipv6, address: .word(0), port: .word(4)),
        ],
        [
            .meta(.transport, into: .word(0)), .destinationPort(into: .word(1)),
            .lookUp(.word(0), map: "slots4", into: .word(0)), .destinationNAT(.ipv4, address: .word(0)),
        ],
        [
            .meta(.transport, into: .word(0)), .destinationPort(into: .word(1)),
            .lookUp(.word(0), map: "doors", into: .verdict),
        ],
        [
            .number(.incremental, modulus: 7, into: .word(0)), .equal(.word(0), word(3)),
            .number(.random, modulus: 5, offset: 100, into: .word(1)), .equal(.word(1), word(102)),
        ],
        [
            .sourceAddress(.ipv4, into: .word(0)),
            .hash(.word(0), byteCount: 4, modulus: 60, seed: 0x1234_5678, offset: 2, into: .word(1)),
            .equal(.word(1), word(4)),
        ],
        [
            .sourceAddress(.ipv4, into: .word(0)), .lookUp(.word(0), map: "affinity", into: .word(4)),
            .update(SetUpdate(.update, set: "affinity", key: .word(0), value: .word(4), timeoutMilliseconds: 30_000)),
        ],
        [
            .connection(.destinationPort, direction: .original, into: .word(0)),
            .range(.word(0), from: [0x1f, 0x90], to: [0x1f, 0x99]), .count(packets: 3, bytes: 180),
        ],
        [.load(word(7), into: .word(0)), .setMeta(.mark, from: .word(0)), .setConnection(.mark, from: .word(0))],
    ]

    /// As `nft -f` would take them, all in one batch; then everything of it is removed piece by piece.
    @Test(.enabled(if: geteuid() == 0)) func everyInstructionIsTaken() throws {
        let socket = try NetlinkSocket(.netfilter)
        let table = "gantry_test_all"
        var batch = MessageBuilder()
        batch.beginBatch(generation: nil)
        batch.newTable(table)
        for (index, set) in Self.sets.enumerated() { batch.newSet(set, table: table, id: UInt32(index) + 1) }
        batch.newChain(
            FirewallChain("pre", base: .init(type: "nat", hook: .prerouting, priority: -100), rules: []), table: table)
        batch.newChain(
            FirewallChain("in", base: .init(type: "filter", hook: .input, priority: 0), rules: []), table: table)
        batch.newChain(
            FirewallChain(
                "fwd", base: .init(type: "filter", hook: .forward, priority: 0, dropsByDefault: true), rules: []),
            table: table)
        batch.newChain(FirewallChain("door", rules: []), table: table)
        for rule in Self.rules { batch.newRule(rule, chain: "pre", table: table, comment: "of the test") }
        batch.newRule(
            [.meta(.transport, into: .word(0)), .equal(.word(0), [6]), .reject(.tcpReset)], chain: "in", table: table)
        batch.newRule([.reject(.unreachable(.prohibited))], chain: "in", table: table)
        batch.newRule(
            [
                .meta(.transport, into: .word(0)), .equal(.word(0), [6]), .routeSegmentSize(into: .word(0)),
                .toNetworkOrder(.word(0), byteCount: 2, into: .word(0)), .setSegmentSize(from: .word(0)),
            ], chain: "fwd", table: table)
        let target = SetElement(
            [6, 0, 0, 0, 0x1f, 0x90, 0, 0], value: .data([UInt8](repeating: 1, count: 18) + [0, 0]))
        batch.newElements([target], set: "ports6", table: table)
        batch.newElements(
            [
                SetElement(
                    [17, 0, 0, 0, 0x4e, 0x20, 0, 0], value: .data([10, 0, 0, 1]),
                    keyEnd: [17, 0, 0, 0, 0x75, 0x30, 0, 0])
            ], set: "slots4", table: table)
        batch.newElements(
            [
                SetElement(
                    [6, 0, 0, 0, 0, 80, 0, 0], value: .verdict(.goto("door")), keyEnd: [6, 0, 0, 0, 0, 90, 0, 0])
            ], set: "doors", table: table)
        let network = [0xfd] + [UInt8](repeating: 0, count: 15)
        let last = [0xfd] + [UInt8](repeating: 0xff, count: 15)
        batch.newElements(
            [SetElement([6, 0, 0, 0, 0, 80, 0, 0] + network, keyEnd: [6, 0, 0, 0, 0, 80, 0, 0] + last)],
            set: "allow6", table: table)
        batch.endBatch()
        try socket.transact(batch, operation: "make the test's table")
        #expect(try socket.elements(ofSet: "ports6", table: table) == [target])
        #expect(try socket.elements(ofSet: "allow6", table: table).first?.keyEnd?.last == 0xff)

        var removal = MessageBuilder()
        removal.beginBatch(generation: nil)
        removal.flushElements(set: "doors", table: table)
        removal.flushRules(chain: "pre", table: table)
        removal.flushRules(chain: nil, table: table)
        for name in ["pre", "in", "fwd", "door"] { removal.deleteChain(name, table: table) }
        for set in Self.sets { removal.deleteSet(set.name, table: table) }
        removal.endBatch()
        try socket.transact(removal, operation: "empty the test's table")
        #expect(try socket.shape(ofTable: table).isEmpty)
        var end = MessageBuilder()
        end.beginBatch(generation: nil)
        end.deleteTable(table)
        end.endBatch()
        try socket.transact(end, operation: "delete the test's table")
    }
}
