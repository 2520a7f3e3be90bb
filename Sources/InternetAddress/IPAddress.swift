/// An address of either family.
public enum IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    case v4(IPv4Address)
    case v6(IPv6Address)

    /// Parses dotted IPv4 or RFC 4291 text, without a zone.
    public init?(_ text: some StringProtocol) {
        if let address = IPv4Address(text) {
            self = .v4(address)
        } else if let address = IPv6Address(text) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// Four or sixteen bytes in network byte order.
    public init?(bytes: some Collection<UInt8>) {
        if let address = IPv4Address(bytes: bytes) {
            self = .v4(address)
        } else if let address = IPv6Address(bytes: bytes) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// In network byte order.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }

    public var v4: IPv4Address? { if case .v4(let address) = self { address } else { nil } }
    public var v6: IPv6Address? { if case .v6(let address) = self { address } else { nil } }

    public var isV6: Bool { v6 != nil }

    /// 0.0.0.0 or `::`.
    public var isAny: Bool { bytes.allSatisfy { $0 == 0 } }

    /// 127.0.0.0/8 or `::1`.
    public var isLoopback: Bool {
        switch self {
        case .v4(let address): address.isLoopback
        case .v6(let address): address == .loopback
        }
    }

    /// Bits of an address of this family.
    public var bitCount: Int { isV6 ? 128 : 32 }

    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }

    /// IPv4 before IPv6, then by number.
    public static func < (one: IPAddress, other: IPAddress) -> Bool {
        switch (one, other) {
        case (.v4(let one), .v4(let other)): one < other
        case (.v6(let one), .v6(let other)): one < other
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

/// A network of either family.
public enum CIDR: Hashable, Comparable, Sendable, CustomStringConvertible {
    case v4(CIDR4)
    case v6(CIDR6)

    /// Parses `10.1.2.0/24` or `fd00::/64`. Host bits may be set, as `docker network create --subnet` allows.
    public init?(_ text: some StringProtocol) {
        if let network = CIDR4(text) {
            self = .v4(network)
        } else if let network = CIDR6(text) {
            self = .v6(network)
        } else {
            return nil
        }
    }

    /// `nil` when the prefix length is none of the address's family. Host bits are cleared.
    public init?(_ address: IPAddress, prefixLength: Int) {
        switch address {
        case .v4(let address):
            guard let network = CIDR4(address, prefixLength: prefixLength) else { return nil }
            self = .v4(network)
        case .v6(let address):
            guard let network = CIDR6(address, prefixLength: prefixLength) else { return nil }
            self = .v6(network)
        }
    }

    public var v4: CIDR4? { if case .v4(let network) = self { network } else { nil } }
    public var v6: CIDR6? { if case .v6(let network) = self { network } else { nil } }

    public var isV6: Bool { v6 != nil }

    /// First address: host bits are zero.
    public var network: IPAddress {
        switch self {
        case .v4(let network): .v4(network.network)
        case .v6(let network): .v6(network.network)
        }
    }

    public var last: IPAddress {
        switch self {
        case .v4(let network): .v4(network.last)
        case .v6(let network): .v6(network.last)
        }
    }

    /// 0 to 32 or 128.
    public var prefixLength: Int {
        switch self {
        case .v4(let network): network.prefixLength
        case .v6(let network): network.prefixLength
        }
    }

    /// The first address that a host can have: in IPv6 the network's own is its routers' anycast address (RFC 4291
    /// section 2.6.1).
    public var firstHost: IPAddress {
        switch self {
        case .v4(let network): .v4(network.firstHost)
        case .v6(let network): .v6(network.firstHost)
        }
    }

    public func contains(_ address: IPAddress) -> Bool {
        switch (self, address) {
        case (.v4(let network), .v4(let address)): network.contains(address)
        case (.v6(let network), .v6(let address)): network.contains(address)
        default: false
        }
    }

    public func contains(_ other: CIDR) -> Bool { prefixLength <= other.prefixLength && contains(other.network) }

    public func overlaps(_ other: CIDR) -> Bool { contains(other.network) || other.contains(network) }

    public var description: String {
        switch self {
        case .v4(let network): network.description
        case .v6(let network): network.description
        }
    }

    public static func < (one: CIDR, other: CIDR) -> Bool {
        (one.network, one.prefixLength) < (other.network, other.prefixLength)
    }
}

extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(decoder, "IP address") { IPAddress($0) }
    }
    public func encode(to encoder: any Encoder) throws { try encodeText(description, encoder) }
}

extension CIDR: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "network") { CIDR($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(description, encoder) }
}
