import InternetAddress
import Netlink

/// The elements of the table's sets: what a `FirewallState` comes down to.
struct FirewallElements: Equatable, Sendable {
    private var sets: [String: Set<SetElement>] = [:]

    init() {}

    subscript(_ set: String) -> Set<SetElement> {
        get { sets[set] ?? [] }
        set { sets[set] = newValue.isEmpty ? nil : newValue }
    }

    /// `opened`: interfaces that forward only because of us.
    init(_ state: FirewallState, opened: OpenedUplinks = OpenedUplinks()) throws(NetworkError) {
        for bridge in state.bridges { add(bridge) }
        for name in opened.v4 { self["opened4"].insert(SetElement(Self.name(name))) }
        for name in opened.v6 { self["opened6"].insert(SetElement(Self.name(name))) }
        var seen: [PortKey: PublishedPort] = [:]
        for port in state.ports where !port.backends.isEmpty {
            if let other = seen.updateValue(port, forKey: PortKey(port)) { throw .conflictingPorts(port, other) }
            guard port.backends.count <= FirewallTable.slotCount else {
                throw .tooManyBackends(port: port.port, countMax: FirewallTable.slotCount)
            }
            add(port)
        }
    }

    private mutating func add(_ bridge: BridgeSpec) {
        let name = Self.name(bridge.bridge)
        self["bridges"].insert(SetElement(name))
        self[bridge.isInternal ? "internal" : "masquerade"].insert(SetElement(name))
        if bridge.interContainer { self["peers"].insert(SetElement(name + name)) }
        for subnet in bridge.subnets.compactMap(\.range.v4) {
            self["subnets4"].insert(SetElement(subnet.network.bytes))
            // The end is exclusive; a subnet at the very end of the address space has none.
            let last = subnet.last.value
            if last != UInt32.max {
                self["subnets4"].insert(SetElement(IPv4Address(value: last + 1).bytes, isIntervalEnd: true))
            }
        }
    }

    private mutating func add(_ port: PublishedPort) {
        let suffix = port.hostIP == nil ? "" : "_ip"
        let key = PortKey(port).bytes
        if port.backends.count == 1, let backend = port.backends.first {
            self["ports4\(suffix)"].insert(SetElement(key, value: .data(Self.target(backend))))
            return
        }
        let lane = FirewallTable.laneName(port: port.port)
        self["lanes4\(suffix)"].insert(SetElement(key, value: .verdict(.goto(lane))))
        for slot in 0..<FirewallTable.slotCount {
            let backend = port.backends[slot % port.backends.count]
            let slotBytes = withUnsafeBytes(of: UInt32(slot)) { Array($0) }
            self["slots4\(suffix)"].insert(SetElement(key + slotBytes, value: .data(Self.target(backend))))
        }
    }

    /// Padded with zeros to the length of a name's register.
    private static func name(_ name: String) -> [UInt8] {
        let bytes = Array(name.utf8.prefix(Int(FirewallTable.nameByteCount) - 1))
        return bytes + [UInt8](repeating: 0, count: Int(FirewallTable.nameByteCount) - bytes.count)
    }

    private static func target(_ backend: Backend) -> [UInt8] {
        backend.address.bytes + bigEndian(backend.port) + [0, 0]
    }

    /// Interface names in a set of names.
    func names(in set: String) -> [String] {
        self[set].map { String(decoding: $0.key.prefix { $0 != 0 }, as: UTF8.self) }.sorted()
    }

    /// Every backend of every published port: what the elements say, also those of a table that another run made.
    var backends: [PortKey: Set<Backend>] {
        var result: [PortKey: Set<Backend>] = [:]
        for (set, hasAddress) in [("ports4", false), ("slots4", false), ("ports4_ip", true), ("slots4_ip", true)] {
            for element in self[set] {
                guard let key = PortKey(bytes: element.key, hasAddress: hasAddress),
                    case .data(let data) = element.value,
                    data.count >= 6, let address = IPAddress(bytes: data.prefix(4))
                else { continue }
                let port = UInt16(data[4]) << 8 | UInt16(data[5])
                result[key, default: []].insert(Backend(address: address, port: port))
            }
        }
        return result
    }

    // MARK: difference

    /// Turns a table with these elements into one with `wanted`; empty when they are equal.
    func changes(to wanted: FirewallElements, table: String) -> MessageBuilder {
        var batch = MessageBuilder()
        for set in FirewallTable.sets {
            let gone = self[set.name].subtracting(wanted[set.name])
            if !gone.isEmpty { batch.deleteElements(Self.ordered(gone), set: set.name, table: table) }
        }
        for set in FirewallTable.sets {
            let new = wanted[set.name].subtracting(self[set.name])
            if !new.isEmpty { batch.newElements(Self.ordered(new), set: set.name, table: table) }
        }
        return batch
    }

    /// Names of the sets that differ.
    func differences(from other: FirewallElements) -> [String] {
        FirewallTable.sets.map(\.name).filter { self[$0] != other[$0] }
    }

    /// By key, the end of a range before the start of the next at the same address.
    static func ordered(_ elements: Set<SetElement>) -> [SetElement] {
        elements.sorted { one, other in
            if one.key == other.key { return one.isIntervalEnd && !other.isIntervalEnd }
            return one.key.lexicographicallyPrecedes(other.key)
        }
    }
}

/// What identifies a published port.
struct PortKey: Hashable, Sendable {
    var hostIP: IPAddress?
    /// IANA number.
    var transport: UInt8
    var port: UInt16

    init(_ port: PublishedPort) {
        hostIP = port.hostIP
        transport = port.transport.number
        self.port = port.port
    }

    init?(bytes: [UInt8], hasAddress: Bool) {
        let rest = bytes.dropFirst(hasAddress ? 4 : 0)
        guard rest.count >= 6, let transport = rest.first else { return nil }
        if hasAddress {
            guard let address = IPAddress(bytes: bytes.prefix(4)) else { return nil }
            hostIP = address
        }
        self.transport = transport
        port = UInt16(rest[rest.startIndex + 4]) << 8 | UInt16(rest[rest.startIndex + 5])
    }

    /// Key of a map: each field padded to four bytes.
    var bytes: [UInt8] { (hostIP?.bytes ?? []) + [transport, 0, 0, 0] + bigEndian(port) + [0, 0] }
}

private func bigEndian(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }
