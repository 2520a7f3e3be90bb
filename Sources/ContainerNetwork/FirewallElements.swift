import Netlink

/// Elements of the table's sets.
struct FirewallElements: Equatable, Sendable {
    private var sets: [String: Set<SetElement>] = [:]

    init() {}

    subscript(_ set: String) -> Set<SetElement> {
        get { sets[set] ?? [] }
        set { sets[set] = newValue.isEmpty ? nil : newValue }
    }

    var isEmpty: Bool { sets.isEmpty }
    var count: Int { sets.values.reduce(0) { $0 + $1.count } }
    /// Names of the sets that have elements.
    var setNames: Dictionary<String, Set<SetElement>>.Keys { sets.keys }

    mutating func insert(_ element: SetElement, into set: String) { sets[set, default: []].insert(element) }

    mutating func formUnion(_ other: FirewallElements) { sets.merge(other.sets) { $0.union($1) } }

    func subtracting(_ other: FirewallElements) -> FirewallElements {
        var result = FirewallElements()
        for (name, elements) in sets { result[name] = elements.subtracting(other[name]) }
        return result
    }

    /// Interface names in a set of names.
    func names(in set: String) -> [String] {
        self[set].map { String(decoding: $0.key.prefix { $0 != 0 }, as: UTF8.self) }.sorted()
    }

    /// Names of the sets that differ.
    func differences(from other: FirewallElements) -> [String] {
        FirewallTable.setNames.filter { self[$0] != other[$0] }
    }

    /// By key, the end of a range before the start of the next at the same address.
    func ordered(_ set: String) -> [SetElement] {
        self[set].sorted { one, other in
            if one.key == other.key { return one.isIntervalEnd && !other.isIntervalEnd }
            return one.key.lexicographicallyPrecedes(other.key)
        }
    }
}

/// What turns one content of the table into another, at once.
struct FirewallChange: Equatable, Sendable {
    var gone = FirewallElements()
    var new = FirewallElements()
    var goneTurns: Set<Turn> = []
    var newTurns: Set<Turn> = []
    /// Tracked connections that the change makes wrong.
    var stale: Set<StaleConnections> = []

    var isEmpty: Bool { gone.isEmpty && new.isEmpty && goneTurns.isEmpty && newTurns.isEmpty }
    /// Chains come or go.
    var changesChains: Bool { !goneTurns.isEmpty || !newTurns.isEmpty }

    /// Chains are there before the elements that lead to them, and go after.
    func messages(table: String) -> MessageBuilder {
        var batch = MessageBuilder()
        let chains = newTurns.map(FirewallChains.turn).sorted { $0.name < $1.name }
        for chain in chains {
            batch.newChain(chain, table: table)
            batch.newRules(of: chain, table: table)
        }
        for set in gone.setNames.sorted() { batch.deleteElements(gone.ordered(set), set: set, table: table) }
        for set in new.setNames.sorted() { batch.newElements(new.ordered(set), set: set, table: table) }
        for chain in goneTurns.map(\.chainName).sorted() { batch.deleteChain(chain, table: table) }
        return batch
    }
}
