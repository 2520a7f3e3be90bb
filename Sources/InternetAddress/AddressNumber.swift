/// Addresses as numbers, for the arithmetic of address pools.
extension IPv6Address {
    /// Host byte order.
    public var value: UInt128 { UInt128(high) << 64 | UInt128(low) }

    public init(value: UInt128) {
        self.init(high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
    }
}

extension IPAddress {
    /// Host byte order; an IPv4 address is below 2^32.
    public var value: UInt128 {
        switch self {
        case .v4(let address): UInt128(address.value)
        case .v6(let address): address.value
        }
    }

    /// `nil` when the number is none of the family's addresses.
    public init?(value: UInt128, isV6: Bool) {
        if isV6 {
            self = .v6(IPv6Address(value: value))
        } else {
            guard let value = UInt32(exactly: value) else { return nil }
            self = .v4(IPv4Address(value: value))
        }
    }

    /// 169.254.0.0/16 or fe80::/10.
    public var isLinkLocal: Bool {
        switch self {
        case .v4(let address): address.value >> 16 == 0xa9fe
        case .v6(let address): address.isLinkLocal
        }
    }

    /// 224.0.0.0/4 or ff00::/8.
    public var isMulticast: Bool {
        switch self {
        case .v4(let address): address.value >> 28 == 0xe
        case .v6(let address): address.high >> 56 == 0xff
        }
    }
}

extension CIDR {
    /// The network of one address.
    public init(host address: IPAddress) {
        switch address {
        case .v4(let address): self = .v4(CIDR4(host: address))
        case .v6(let address): self = .v6(CIDR6(host: address))
        }
    }

    /// Bits of an address of this family.
    public var bitCount: Int { isV6 ? 128 : 32 }

    /// The last address that a host can have: in IPv4 the network's last is its broadcast address.
    public var lastHost: IPAddress {
        switch self {
        case .v4(let network): .v4(network.lastHost)
        case .v6(let network): .v6(network.last)
        }
    }
}

extension CIDR6 {
    /// The network of one address.
    public init(host address: IPv6Address) {
        network = address
        prefixLength = 128
    }
}
