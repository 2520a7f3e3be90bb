import CLinux
import Glibc
import Testing

@testable import Netlink

/// What we read of a rule set against what `nft -j list ruleset` says of it, both ways: neither has what the other has
/// not.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct FirewallDumpTests {
    @Test func aRuleSetOfNftIsReadAsNftReadsIt() throws {
        let file =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/everything.nft"
        let reading = try inPrivateNetwork {
            try shell("nft -f '\(file)'")
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
