import CLinux
import Glibc
import Netlink

/// The sets of the table. Chains and rules never change but for those of `Turn`: everything else that changes is an
/// element.
///
/// A published port is one element of a `ports…` map: key to backend. Further backends have a slot each in a `slots…`
/// map (key and number), and one element of `shared…` says how many there are: it leads to the chain for that number,
/// whose counter says whose turn it is. So a backend that comes or goes changes two or three elements, however many
/// there are. The first backend has no slot but the element of `ports…`: a packet that looks at the moment of a change
/// and finds its slot gone goes there.
enum FirewallTable {
    // Type numbers of libnftables' datatypes; a concatenation has six bits a field. Only `nft list` uses them.
    private static let transportType: UInt32 = 12
    private static let portType: UInt32 = 13
    private static let markType: UInt32 = 19
    private static let nameType: UInt32 = 41
    private static func addressType(_ isV6: Bool) -> UInt32 { isV6 ? 8 : 7 }

    private static func types(_ fields: [UInt32]) -> UInt32 { fields.reduce(0) { $0 << 6 | $1 } }

    /// Bytes of an interface name in a register.
    static let nameByteCount = UInt32(IFNAMSIZ)

    static let sets: [FirewallSet] =
        nameSets + [false, true].flatMap(addressSets) + FirewallPlace.allCases.flatMap(groupSets)

    static let setNames = sets.map(\.name)

    private static let nameSets: [FirewallSet] = {
        let names = [
            "bridges", "internal", "masquerade4", "masquerade6", "routed4", "routed6", "unprotected4", "unprotected6",
            "opened4", "opened6",
        ]
        return names.map { FirewallSet($0, keyType: nameType, keyByteCount: nameByteCount, isHostOrder: true) } + [
            FirewallSet("peers", keyType: types([nameType, nameType]), keyByteCount: 2 * nameByteCount)
        ]
    }()

    private static func addressSets(isV6: Bool) -> [FirewallSet] {
        let suffix = isV6 ? "6" : "4"
        let byteCount: UInt32 = isV6 ? 16 : 4
        let address = addressType(isV6)
        let reachable = types([address, transportType, portType])
        return [
            FirewallSet("subnets\(suffix)", keyType: address, keyByteCount: byteCount, isInterval: true),
            FirewallSet("virtuals\(suffix)", keyType: address, keyByteCount: byteCount),
            FirewallSet(
                "neighbours\(suffix)", keyType: types([nameType, address]), keyByteCount: nameByteCount + byteCount),
            FirewallSet("reachable\(suffix)", keyType: reachable, keyByteCount: byteCount + 8),
            FirewallSet(
                "reachable\(suffix)_range", keyType: reachable, keyByteCount: byteCount + 8, isInterval: true,
                fieldByteCounts: [byteCount, 1, 2]),
        ]
    }

    private static func groupSets(_ place: FirewallPlace) -> [FirewallSet] {
        let address = addressType(place.isV6)
        let byteCount = UInt32(place.addressByteCount)
        let portFields = place.isVirtual ? [] : [transportType, portType]
        let keyFields = (place.hasAddress ? [address] : []) + portFields
        let keyByteCount = UInt32(place.keyByteCount)
        // Ranges and virtual addresses keep the port.
        let value: FirewallSet.Value =
            place.isRange || place.isVirtual
            ? .data(type: address, byteCount: byteCount)
            : .data(type: types([address, portType]), byteCount: byteCount + 4)
        if place.isRange {
            return [
                FirewallSet(
                    place.direct, keyType: types(keyFields), keyByteCount: keyByteCount, value: value,
                    isInterval: true, fieldByteCounts: (place.hasAddress ? [byteCount] : []) + [1, 2])
            ]
        }
        return [
            FirewallSet(place.direct, keyType: types(keyFields), keyByteCount: keyByteCount, value: value),
            FirewallSet(
                place.shared, keyType: types(keyFields), keyByteCount: keyByteCount,
                value: .data(type: markType, byteCount: 4)),
            FirewallSet(
                place.slots, keyType: types(keyFields + [markType]), keyByteCount: keyByteCount + 4, value: value),
            FirewallSet(place.turns, keyType: markType, keyByteCount: 4, value: .verdict),
        ]
    }

    // MARK: messages

    /// The whole table with its elements, in place of whatever has its name: to be sent as one batch.
    static func replacement(table: String, elements: FirewallElements, turns: Set<Turn>) -> MessageBuilder {
        var batch = MessageBuilder()
        // The first makes the deletion legal when there is no table.
        batch.newTable(table)
        batch.deleteTable(table)
        batch.newTable(table)
        for (index, set) in sets.enumerated() { batch.newSet(set, table: table, id: UInt32(index + 1)) }
        let chains = FirewallChains.all + turns.map(FirewallChains.turn).sorted { $0.name < $1.name }
        for chain in chains { batch.newChain(chain, table: table) }
        for chain in chains { batch.newRules(of: chain, table: table) }
        for set in setNames { batch.newElements(elements.ordered(set), set: set, table: table) }
        return batch
    }
}

extension MessageBuilder {
    mutating func newRules(of chain: FirewallChain, table: String) {
        for rule in chain.rules { newRule(rule, chain: chain.name, table: table) }
    }
}
