import InternetAddress
import Netlink

/// Where in the table a group of backends is: each place has sets of its own, with keys of its own kind.
enum FirewallPlace: UInt8, CaseIterable, Sendable {
    /// A port of every address of the host.
    case port4, port6
    /// A port of one address of the host.
    case portOfAddress4, portOfAddress6
    /// As those, for a range of ports.
    case range4, range6, rangeOfAddress4, rangeOfAddress6
    /// An address of its own, with all ports and protocols.
    case virtual4, virtual6

    var isV6: Bool {
        switch self {
        case .port6, .portOfAddress6, .range6, .rangeOfAddress6, .virtual6: true
        case .port4, .portOfAddress4, .range4, .rangeOfAddress4, .virtual4: false
        }
    }

    var family: NetfilterFamily { isV6 ? .ipv6 : .ipv4 }

    /// The key begins with an address.
    var hasAddress: Bool {
        switch self {
        case .portOfAddress4, .portOfAddress6, .rangeOfAddress4, .rangeOfAddress6, .virtual4, .virtual6: true
        case .port4, .port6, .range4, .range6: false
        }
    }

    var isVirtual: Bool { self == .virtual4 || self == .virtual6 }

    var isRange: Bool {
        switch self {
        case .range4, .range6, .rangeOfAddress4, .rangeOfAddress6: true
        case .port4, .port6, .portOfAddress4, .portOfAddress6, .virtual4, .virtual6: false
        }
    }

    /// Of a published port, or range of them.
    static func published(isV6: Bool, hasAddress: Bool, isRange: Bool) -> FirewallPlace {
        switch (isRange, hasAddress) {
        case (false, false): isV6 ? .port6 : .port4
        case (false, true): isV6 ? .portOfAddress6 : .portOfAddress4
        case (true, false): isV6 ? .range6 : .range4
        case (true, true): isV6 ? .rangeOfAddress6 : .rangeOfAddress4
        }
    }

    /// Bytes of an address of the family.
    var addressByteCount: Int { isV6 ? 16 : 4 }

    /// Bytes of a key: address, transport and port, each padded to four.
    var keyByteCount: Int { (hasAddress ? addressByteCount : 0) + (isVirtual ? 0 : 8) }

    // MARK: names of sets

    /// Key to the group's first backend.
    var direct: String {
        switch self {
        case .port4: "ports4"
        case .port6: "ports6"
        case .portOfAddress4: "ports4_ip"
        case .portOfAddress6: "ports6_ip"
        case .range4: "ranges4"
        case .range6: "ranges6"
        case .rangeOfAddress4: "ranges4_ip"
        case .rangeOfAddress6: "ranges6_ip"
        case .virtual4: "virtual4"
        case .virtual6: "virtual6"
        }
    }

    /// Ending of the names of the sets and chains of groups with several backends.
    private var suffix: String {
        switch self {
        case .port4, .range4: "4"
        case .port6, .range6: "6"
        case .portOfAddress4, .rangeOfAddress4: "4_ip"
        case .portOfAddress6, .rangeOfAddress6: "6_ip"
        case .virtual4: "4_virtual"
        case .virtual6: "6_virtual"
        }
    }

    /// Key to number of backends and lane, of groups with more than one.
    var shared: String { "shared\(suffix)" }
    /// Key and number to the group's other backends.
    var slots: String { "slots\(suffix)" }
    /// Number of backends and lane to the chain that chooses one.
    var turns: String { "turns\(suffix)" }

    func turnName(count: UInt32, lane: UInt32) -> String { "turn\(suffix)_\(count)_\(lane)" }
}

/// What identifies a group of backends: a published port in one family, or a virtual address.
struct GroupKey: Hashable, Sendable {
    var place: FirewallPlace
    /// The host's address, for places that have one.
    var address: IPAddress?
    /// IANA number; 0 for a virtual address.
    var transport: UInt8
    var port: UInt16
    /// The same as `port` when it is no range.
    var lastPort: UInt16

    init(place: FirewallPlace, address: IPAddress?, transport: UInt8, port: UInt16, lastPort: UInt16) {
        self.place = place
        self.address = address
        self.transport = transport
        self.port = port
        self.lastPort = lastPort
    }

    static func virtual(_ address: IPAddress) -> GroupKey {
        GroupKey(
            place: address.isV6 ? .virtual6 : .virtual4, address: address, transport: 0, port: 0, lastPort: 0)
    }

    /// The start of an element's key, as `bytes` makes it; what follows is left alone. `nil` when it is too short.
    init?(_ place: FirewallPlace, bytes: [UInt8], end: [UInt8]? = nil) {
        guard bytes.count >= place.keyByteCount else { return nil }
        let addressByteCount = place.hasAddress ? place.addressByteCount : 0
        if place.hasAddress {
            guard let address = IPAddress(bytes: bytes.prefix(addressByteCount)) else { return nil }
            self.address = address
        } else {
            address = nil
        }
        self.place = place
        guard !place.isVirtual else {
            (transport, port, lastPort) = (0, 0, 0)
            return
        }
        func number(_ bytes: [UInt8]) -> UInt16 {
            UInt16(bytes[addressByteCount + 4]) << 8 | UInt16(bytes[addressByteCount + 5])
        }
        transport = bytes[addressByteCount]
        port = number(bytes)
        lastPort = number(end.flatMap { $0.count >= place.keyByteCount ? $0 : nil } ?? bytes)
    }

    /// Key in the place's sets: each field padded to four bytes.
    var bytes: [UInt8] { bytes(port: port) }

    /// Last key of a range.
    var endBytes: [UInt8]? { place.isRange ? bytes(port: lastPort) : nil }

    private func bytes(port: UInt16) -> [UInt8] {
        let address = place.hasAddress ? address?.bytes ?? [] : []
        return place.isVirtual ? address : address + portBytes(transport: transport, port: port)
    }

    var ports: ClosedRange<UInt16> { port...max(port, lastPort) }

    /// Both are of the same address and transport, and share a port.
    func overlaps(_ other: GroupKey) -> Bool {
        !place.isVirtual && !other.place.isVirtual && place.isV6 == other.place.isV6 && address == other.address
            && transport == other.transport && ports.overlaps(other.ports)
    }
}

/// Transport and port as fields of a key.
func portBytes(transport: UInt8, port: UInt16) -> [UInt8] {
    [transport, 0, 0, 0, UInt8(port >> 8), UInt8(truncatingIfNeeded: port), 0, 0]
}

/// A number in the machine's byte order.
func nativeBytes(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

/// A chain that hands out the backends of groups that have `count` of them.
///
/// There is one for each `count` that occurs, and of those as many as groups use, each a lane with a counter of its
/// own: groups whose connections come in step would otherwise each see only every second number of a common counter.
struct Turn: Hashable, Sendable {
    var place: FirewallPlace
    /// 2 or more.
    var count: UInt32
    /// From 1 on; 0 chooses by the client's address, which counts nothing and can be shared by all.
    var lane: UInt32

    static let byClientAddress: UInt32 = 0
    /// Lanes for one number of backends; groups beyond them share the least used. The kernel looks at every chain that
    /// can be reached whenever one is added: they must stay few.
    static let laneCountMax: UInt32 = 256

    /// More take no part.
    static let countMax = (1 << 16) - 1

    var chainName: String { place.turnName(count: count, lane: lane) }
    var bytes: [UInt8] { nativeBytes(count << 16 | lane) }

    /// Its element in the place's `turns`.
    ///
    /// A jump, not a goto: the kernel reads the generation of the rules once for a packet, and that of the elements at
    /// each look-up (`nft_do_chain`, net/netfilter/nf_tables_core.c). A packet that meets a change may be led by a new
    /// element into a chain that has no rules in the packet's generation. It comes back from there, and goes to the
    /// first backend.
    var element: SetElement { SetElement(bytes, value: .verdict(.jump(chainName))) }

    init(_ place: FirewallPlace, count: Int, lane: UInt32) {
        self.place = place
        self.count = UInt32(min(count, Self.countMax))
        self.lane = lane
    }

    init?(_ place: FirewallPlace, bytes: [UInt8]) {
        guard bytes.count >= 4 else { return nil }
        let number = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        self.place = place
        (count, lane) = (number >> 16, number & 0xffff)
    }
}
