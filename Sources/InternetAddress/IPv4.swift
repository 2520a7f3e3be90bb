/// An IPv4 address.
public struct IPv4Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Host byte order: 127.0.0.1 is `0x7f000001`.
    public var value: UInt32

    public init(value: UInt32) { self.value = value }

    /// Parses the dotted form: four decimal numbers, no leading zeros (inet_aton(3)'s octal and short forms are
    /// refused).
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard let number = decimal(part, max: 255) else { return nil }
            value = value << 8 | UInt32(number)
        }
        self.value = value
    }

    /// Four bytes in network byte order.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    public static let any = IPv4Address(value: 0)
    public static let loopback = IPv4Address(value: 0x7f00_0001)

    /// In network byte order.
    public var bytes: [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

    public var isLoopback: Bool { value >> 24 == 127 }

    public var description: String { bytes.map(String.init).joined(separator: ".") }

    public static func < (one: IPv4Address, other: IPv4Address) -> Bool { one.value < other.value }
}

/// An IPv4 network: its first address and prefix length.
public struct CIDR4: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// First address: host bits are zero.
    public let network: IPv4Address
    /// 0 to 32.
    public let prefixLength: Int

    /// `nil` when the prefix length is none. Host bits of `address` are cleared.
    public init?(_ address: IPv4Address, prefixLength: Int) {
        guard (0...32).contains(prefixLength) else { return nil }
        self.prefixLength = prefixLength
        network = IPv4Address(value: address.value & Self.mask(prefixLength))
    }

    /// Parses `10.1.2.0/24`. Host bits may be set, as `docker network create --subnet` allows.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(parts[0]), let length = decimal(parts[1], max: 32) else {
            return nil
        }
        self.init(address, prefixLength: length)
    }

    /// The network of one address.
    public init(host address: IPv4Address) {
        network = address
        prefixLength = 32
    }

    static func mask(_ prefixLength: Int) -> UInt32 { prefixLength == 0 ? 0 : UInt32.max << UInt32(32 - prefixLength) }

    /// Last address.
    public var last: IPv4Address { IPv4Address(value: network.value | ~Self.mask(prefixLength)) }

    public func contains(_ address: IPv4Address) -> Bool {
        address.value & Self.mask(prefixLength) == network.value
    }

    public func contains(_ other: CIDR4) -> Bool { prefixLength <= other.prefixLength && contains(other.network) }

    public func overlaps(_ other: CIDR4) -> Bool { contains(other.network) || other.contains(network) }

    /// The first and last address have no meaning of their own only in networks of 31 and 32 bits (RFC 3021).
    public var firstHost: IPv4Address { prefixLength >= 31 ? network : IPv4Address(value: network.value + 1) }
    public var lastHost: IPv4Address { prefixLength >= 31 ? last : IPv4Address(value: last.value - 1) }

    public var description: String { "\(network)/\(prefixLength)" }

    public static func < (one: CIDR4, other: CIDR4) -> Bool {
        (one.network, one.prefixLength) < (other.network, other.prefixLength)
    }
}

/// A decimal number without sign or leading zero, at most `max`.
func decimal(_ text: some StringProtocol, max: Int) -> Int? {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
        text.utf8.count == 1 || text.utf8.first != 48, let number = Int(text), number <= max
    else { return nil }
    return number
}

extension IPv4Address: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(decoder, "IPv4 address") { IPv4Address($0) }
    }
    public func encode(to encoder: any Encoder) throws { try encodeText(description, encoder) }
}

extension CIDR4: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "IPv4 network") { CIDR4($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(description, encoder) }
}

/// Values with a text form are stored in it.
func decodeText<Value>(_ decoder: any Decoder, _ what: String, _ parse: (String) -> Value?) throws -> Value {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = parse(text) else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is no \(what)")
    }
    return value
}

func encodeText(_ text: String, _ encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
}
