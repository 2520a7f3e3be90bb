import CLinux
import Glibc

/// An IPv6 address.
public struct IPv6Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// First and last 64 bits, host byte order.
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Parses RFC 4291 text, without a zone.
    public init?(_ text: some StringProtocol) {
        var address = in6_addr()
        guard inet_pton(AF_INET6, String(text), &address) == 1 else { return nil }
        self.init(bytes: withUnsafeBytes(of: address) { Array($0) })
    }

    /// Sixteen bytes in network byte order.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    public static let any = IPv6Address(high: 0, low: 0)
    public static let loopback = IPv6Address(high: 0, low: 1)

    /// fe80::/10.
    public var isLinkLocal: Bool { high >> 54 == 0xfe80 >> 6 }

    /// In network byte order.
    public var bytes: [UInt8] {
        [high, low].flatMap { half in stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: half >> $0) }
        }
    }

    /// RFC 5952.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let bytes = bytes
        guard inet_ntop(AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "::" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public static func < (one: IPv6Address, other: IPv6Address) -> Bool {
        (one.high, one.low) < (other.high, other.low)
    }
}

/// An IPv6 network: its first address and prefix length.
public struct CIDR6: Hashable, Sendable, CustomStringConvertible {
    public let network: IPv6Address
    /// 0 to 128.
    public let prefixLength: Int

    /// `nil` when the prefix length is none. Host bits of `address` are cleared.
    public init?(_ address: IPv6Address, prefixLength: Int) {
        guard (0...128).contains(prefixLength) else { return nil }
        self.prefixLength = prefixLength
        let mask = Self.mask(prefixLength)
        network = IPv6Address(high: address.high & mask.high, low: address.low & mask.low)
    }

    /// Parses `fd00::/64`.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv6Address(parts[0]), let length = decimal(parts[1], max: 128) else {
            return nil
        }
        self.init(address, prefixLength: length)
    }

    /// Shifting by 64 or more gives zero.
    static func mask(_ prefixLength: Int) -> (high: UInt64, low: UInt64) {
        (UInt64.max << UInt64(max(0, 64 - prefixLength)), UInt64.max << UInt64(min(64, 128 - prefixLength)))
    }

    public var last: IPv6Address {
        let mask = Self.mask(prefixLength)
        return IPv6Address(high: network.high | ~mask.high, low: network.low | ~mask.low)
    }

    public func contains(_ address: IPv6Address) -> Bool {
        CIDR6(address, prefixLength: prefixLength)?.network == network
    }

    public func contains(_ other: CIDR6) -> Bool { prefixLength <= other.prefixLength && contains(other.network) }

    public func overlaps(_ other: CIDR6) -> Bool { contains(other.network) || other.contains(network) }

    /// The network's own address is its routers' anycast address, except in networks of 127 and 128 bits (RFC 6164).
    public var firstHost: IPv6Address {
        prefixLength >= 127 ? network : IPv6Address(high: network.high, low: network.low + 1)
    }

    public var description: String { "\(network)/\(prefixLength)" }
}

extension IPv6Address: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(decoder, "IPv6 address") { IPv6Address($0) }
    }
    public func encode(to encoder: any Encoder) throws { try encodeText(description, encoder) }
}

extension CIDR6: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "IPv6 network") { CIDR6($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(description, encoder) }
}
