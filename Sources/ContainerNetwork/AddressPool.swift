import InternetAddress

/// Chooses free subnets for networks. A pure value: what is in use is given to it.
public struct SubnetPool: Equatable, Sendable {
    /// A range that is cut into subnets of one size.
    public struct Pool: Equatable, Sendable {
        public var base: CIDR4
        /// Prefix length of the subnets, at least the base's and at most 30.
        public var subnetPrefixLength: Int

        public init(base: CIDR4, subnetPrefixLength: Int) {
            self.base = base
            self.subnetPrefixLength = subnetPrefixLength
        }
    }

    public var pools: [Pool]

    public init(pools: [Pool]) { self.pools = pools }

    /// 10.89.0.0/16 to 10.255.0.0/16 in /24 pieces (as Podman does: 42,752 networks), then 172.16.0.0/12 for hosts
    /// whose routes take all of 10.0.0.0/8.
    public static let standard = SubnetPool(
        pools: (89...255).compactMap { second in
            CIDR4(IPv4Address(value: 10 << 24 | UInt32(second) << 16), prefixLength: 16)
        }.map { Pool(base: $0, subnetPrefixLength: 24) }
            + [CIDR4("172.16.0.0/12")].compactMap { $0 }.map { Pool(base: $0, subnetPrefixLength: 24) })

    /// The first subnet that overlaps nothing in `used`.
    public func free(avoiding used: [CIDR4]) throws(NetworkError) -> CIDR4 {
        for pool in pools where pool.subnetPrefixLength >= pool.base.prefixLength && pool.subnetPrefixLength <= 30 {
            let relevant = used.filter { $0.overlaps(pool.base) }.sorted()
            if let subnet = firstGap(in: pool, relevant) { return subnet }
        }
        throw .poolsExhausted
    }

    /// Walks candidates upward, jumping past each range in the way; `used` is sorted by first address.
    private func firstGap(in pool: Pool, _ used: [CIDR4]) -> CIDR4? {
        let size = UInt64(1) << UInt64(32 - pool.subnetPrefixLength)
        let end = UInt64(pool.base.last.value)
        var candidate = UInt64(pool.base.network.value)
        for range in used {
            if UInt64(range.last.value) < candidate { continue }
            if UInt64(range.network.value) >= candidate + size { break }
            candidate = (UInt64(range.last.value) + size) / size * size
        }
        guard candidate + size - 1 <= end, let value = UInt32(exactly: candidate) else { return nil }
        return CIDR4(IPv4Address(value: value), prefixLength: pool.subnetPrefixLength)
    }

    /// Checks a subnet that a user asked for.
    public static func check(_ subnet: CIDR4, avoiding used: [CIDR4]) throws(NetworkError) {
        if let other = used.first(where: { $0.overlaps(subnet) }) { throw .subnetInUse(subnet, other) }
    }
}

/// Hands out the addresses of one subnet. A pure value: a released address is given out again only when all others that
/// are free were given out since, so that a neighbour's or client's memory of it has faded.
public struct AddressPool: Codable, Equatable, Sendable {
    public let subnet: CIDR4
    /// Where addresses are chosen from: the subnet or `ip_range`.
    public let range: CIDR4
    /// Gateway and auxiliary addresses: never given out.
    public let reserved: Set<IPv4Address>
    public private(set) var used: Set<IPv4Address>
    /// Where the next search starts.
    private var next: IPv4Address

    public init(
        subnet: CIDR4, range: CIDR4? = nil, reserved: Set<IPv4Address>, used: Set<IPv4Address> = []
    ) throws(NetworkError) {
        let range = range ?? subnet
        guard subnet.contains(range) else { throw .addressOutsideSubnet(range.network, subnet) }
        self.subnet = subnet
        self.range = range
        self.reserved = reserved
        self.used = used
        let first = max(range.network, subnet.firstHost)
        // Goes on after the highest address in use: a pool made anew from what is running does not reuse early.
        next = used.filter { range.contains($0) }.max().map { IPv4Address(value: $0.value &+ 1) } ?? first
    }

    private var first: IPv4Address { max(range.network, subnet.firstHost) }
    private var last: IPv4Address { min(range.last, subnet.lastHost) }

    /// The address a subnet's gateway has when the user gave none: the first host of it.
    public static func defaultGateway(of subnet: CIDR4) -> IPv4Address { subnet.firstHost }

    public func isFree(_ address: IPv4Address) -> Bool {
        address >= subnet.firstHost && address <= subnet.lastHost && !reserved.contains(address)
            && !used.contains(address)
    }

    /// Takes the next free address.
    public mutating func take() throws(NetworkError) -> IPv4Address {
        let first = first
        let last = last
        guard first <= last else { throw .subnetExhausted(range) }
        let start = next >= first && next <= last ? next : first
        // Each step passes an address that is taken: there are no more of those than entries in the two sets.
        let stepsMax = min(Int(last.value - first.value), used.count + reserved.count) + 1
        var candidate = start
        for _ in 0..<stepsMax {
            if isFree(candidate) {
                used.insert(candidate)
                next = candidate == last ? first : IPv4Address(value: candidate.value + 1)
                return candidate
            }
            candidate = candidate == last ? first : IPv4Address(value: candidate.value + 1)
        }
        throw .subnetExhausted(range)
    }

    /// Takes an address that the user asked for; it may lie outside of `range`.
    public mutating func take(_ address: IPv4Address) throws(NetworkError) {
        guard subnet.contains(address), address >= subnet.firstHost, address <= subnet.lastHost else {
            throw .addressOutsideSubnet(address, subnet)
        }
        guard isFree(address) else { throw .addressInUse(address) }
        used.insert(address)
    }

    /// Gives an address back; one that is not in use is no error.
    public mutating func release(_ address: IPv4Address) { used.remove(address) }
}
