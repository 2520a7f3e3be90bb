import InternetAddress

/// Hands out the addresses of one subnet of either family, upwards. A pure value: a released address is given out again
/// only when all others that are free were given out since, so that a neighbour's or client's memory of it has faded.
public struct AddressPool: Codable, Equatable, Sendable {
    public let subnet: CIDR
    /// Where addresses are chosen from: the subnet or `ip_range`.
    public let range: CIDR
    /// Gateway and auxiliary addresses: never given out.
    public let reserved: Set<IPAddress>
    public private(set) var used: Set<IPAddress>
    /// Where the next search starts.
    private var next: IPAddress

    /// - Parameter used: what was given out before: the search goes on behind the highest of it, so that a pool made
    ///   anew from what is running does not reuse early.
    /// - Throws: `addressOutsideSubnet` when the range is not in the subnet.
    public init(
        subnet: CIDR, range: CIDR? = nil, reserved: Set<IPAddress> = [], used: Set<IPAddress> = []
    ) throws(NetworkError) {
        let range = range ?? subnet
        guard subnet.contains(range) else { throw .addressOutsideSubnet(range.network, subnet) }
        self.subnet = subnet
        self.range = range
        self.reserved = reserved
        self.used = used
        let highest = used.lazy.filter { range.contains($0) }.max()
        next = highest ?? range.network
        if highest != nil { next = following(next) }
    }

    private var first: IPAddress { max(range.network, subnet.firstHost) }
    private var last: IPAddress { min(range.last, subnet.lastHost) }

    /// The address a subnet's gateway has when the user gave none: the first host of it.
    public static func defaultGateway(of subnet: CIDR) -> IPAddress { subnet.firstHost }

    public func isFree(_ address: IPAddress) -> Bool {
        isHost(address) && !reserved.contains(address) && !used.contains(address)
    }

    /// Neither the network's own nor the broadcast address.
    private func isHost(_ address: IPAddress) -> Bool {
        subnet.contains(address) && address >= subnet.firstHost && address <= subnet.lastHost
    }

    /// The address behind one, from the last the first.
    private func following(_ address: IPAddress) -> IPAddress {
        guard address >= first, address < last else { return first }
        return IPAddress(value: address.value + 1, isV6: subnet.isV6) ?? first
    }

    /// Takes the next free address.
    /// - Throws: `subnetExhausted`.
    public mutating func take() throws(NetworkError) -> IPAddress {
        guard first <= last else { throw .subnetExhausted(range) }
        var candidate = next >= first && next <= last ? next : first
        // Each step passes an address that is taken: there are no more of those than entries in the two sets.
        let takenCount = UInt128(used.count + reserved.count)
        for _ in 0...min(last.value - first.value, takenCount) {
            if isFree(candidate) {
                used.insert(candidate)
                next = following(candidate)
                return candidate
            }
            candidate = following(candidate)
        }
        throw .subnetExhausted(range)
    }

    /// Takes an address that the user asked for; it may lie outside of `range`.
    /// - Throws: `addressOutsideSubnet`, `addressInUse`.
    public mutating func take(_ address: IPAddress) throws(NetworkError) {
        guard isHost(address) else { throw .addressOutsideSubnet(address, subnet) }
        guard isFree(address) else { throw .addressInUse(address) }
        used.insert(address)
    }

    /// Gives an address back; one that is not in use is no error.
    public mutating func release(_ address: IPAddress) { used.remove(address) }
}
