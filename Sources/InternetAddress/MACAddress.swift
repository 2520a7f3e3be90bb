/// An Ethernet address.
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// Six bytes in a number's low 48 bits, first byte highest.
    public let value: UInt64

    private init(value: UInt64) { self.value = value }

    /// Parses `02:42:0a:01:02:03` (or with `-`). Group addresses and zero are refused: no interface can have them.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "-" }
        guard parts.count == 6 else { return nil }
        var value: UInt64 = 0
        for part in parts {
            guard part.utf8.count == 2, let byte = UInt8(part, radix: 16) else { return nil }
            value = value << 8 | UInt64(byte)
        }
        guard value != 0, value >> 40 & 1 == 0 else { return nil }
        self.value = value
    }

    /// Six bytes; `nil` also for group addresses and zero.
    public init?(bytes: some Collection<UInt8>) {
        let value = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard bytes.count == 6, value != 0, value >> 40 & 1 == 0 else { return nil }
        self.value = value
    }

    /// The address that belongs to an IPv4 address: `02:42` and its four bytes. An address that moves to another
    /// container keeps it, so that no neighbour holds a stale one.
    public init(_ address: IPv4Address) { self.init(value: 0x0242 << 32 | UInt64(address.value)) }

    /// The address that belongs to an address of either family: IPv6's is `02:46` and the last four bytes.
    public init(_ address: IPAddress) {
        switch address {
        case .v4(let address): self.init(address)
        case .v6(let address): self.init(value: 0x0246 << 32 | address.low & 0xffff_ffff)
        }
    }

    public var bytes: [UInt8] { stride(from: 40, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) } }

    public var description: String {
        bytes.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined(separator: ":")
    }
}

extension MACAddress: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(decoder, "Ethernet address") { MACAddress($0) }
    }
    public func encode(to encoder: any Encoder) throws { try encodeText(description, encoder) }
}
