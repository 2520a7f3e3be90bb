import InternetAddress

/// Chooses free subnets for networks. A pure value: what is in use is given to it.
public struct SubnetPool: Equatable, Sendable {
    /// A range that is cut into subnets of one size.
    public struct Pool: Equatable, Sendable {
        public var base: CIDR
        /// Prefix length of the subnets, at least the base's and small enough for a gateway and a container: at most 30
        /// in IPv4, 126 in IPv6. A pool with another is passed over.
        public var subnetPrefixLength: Int

        public init(base: CIDR, subnetPrefixLength: Int) {
            self.base = base
            self.subnetPrefixLength = subnetPrefixLength
        }

        var isUsable: Bool { (base.prefixLength...base.bitCount - 2).contains(subnetPrefixLength) }
    }

    public var pools: [Pool]

    public init(pools: [Pool]) { self.pools = pools }

    /// 10.89.0.0/16 to 10.255.0.0/16 in /24 pieces (as Podman does: 42,752 networks), then 172.16.0.0/12 for hosts
    /// whose routes take all of 10.0.0.0/8.
    public static let standard = SubnetPool(
        pools: ((89...255).compactMap { CIDR4("10.\($0).0.0/16") } + [CIDR4("172.16.0.0/12")].compactMap { $0 })
            .map { Pool(base: .v4($0), subnetPrefixLength: 24) })

    /// The 65,536 subnets of 64 bits of a local prefix: fd00::/8 and 40 bits made from `seed` (RFC 4193 section 3.2.2:
    /// what is likely to be another on every machine, such as its id). The same seed gives the same prefix.
    public static func uniqueLocal(seed: some Sequence<UInt8>) -> SubnetPool {
        let globalID = mixed(seed) >> 24
        let prefix = CIDR6(IPv6Address(high: 0xfd << 56 | globalID << 16, low: 0), prefixLength: 48)
        return SubnetPool(pools: [prefix].compactMap { $0 }.map { Pool(base: .v6($0), subnetPrefixLength: 64) })
    }

    /// FNV-1a, then the finishing steps of SplitMix64: every bit of the seed reaches every bit of the result.
    private static func mixed(_ seed: some Sequence<UInt8>) -> UInt64 {
        var value = seed.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// The first subnet that overlaps nothing in `used`.
    public func free(avoiding used: [CIDR]) throws(NetworkError) -> CIDR {
        for pool in pools where pool.isUsable {
            let relevant = used.filter { $0.overlaps(pool.base) }.sorted()
            if let subnet = firstGap(in: pool, relevant) { return subnet }
        }
        throw .poolsExhausted
    }

    /// Walks candidates upward, jumping past each range in the way; `used` is sorted by first address.
    private func firstGap(in pool: Pool, _ used: [CIDR]) -> CIDR? {
        /// Addresses in a subnet, less one: what its last address has more than its first.
        let span = UInt128.max >> UInt128(128 - (pool.base.bitCount - pool.subnetPrefixLength))
        let end = pool.base.last.value
        var candidate = pool.base.network.value
        for range in used {
            if range.last.value < candidate { continue }
            if range.network.value > candidate + span { break }
            // The first subnet that starts behind the range; none when the range reaches to the end.
            let (next, overflow) = (range.last.value | span).addingReportingOverflow(1)
            if overflow || next > end { return nil }
            candidate = next
        }
        return IPAddress(value: candidate, isV6: pool.base.isV6).flatMap {
            CIDR($0, prefixLength: pool.subnetPrefixLength)
        }
    }

    /// Checks a subnet that a user asked for.
    public static func check(_ subnet: CIDR, avoiding used: [CIDR]) throws(NetworkError) {
        if let other = used.first(where: { $0.overlaps(subnet) }) { throw .subnetInUse(subnet, other) }
    }
}
