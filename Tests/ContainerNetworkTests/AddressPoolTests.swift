import ContainerNetwork
import InternetAddress
import Testing

@Suite struct AddressPoolTests {
    private func subnet(_ text: String) throws -> CIDR { try #require(CIDR(text)) }
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func subnetsAvoidRoutesOfEverySize() throws {
        #expect(try SubnetPool.standard.free(avoiding: []).description == "10.89.0.0/24")
        let used = try ["10.89.0.0/24", "10.89.1.128/25", "10.89.2.0/23", "10.90.0.0/16", "fd00::/8"].map(subnet)
        #expect(try SubnetPool.standard.free(avoiding: used).description == "10.89.4.0/24")
        #expect(try SubnetPool.standard.free(avoiding: [subnet("10.0.0.0/8")]).description == "172.16.0.0/24")
        #expect(throws: NetworkError.poolsExhausted) { try SubnetPool.standard.free(avoiding: [subnet("0.0.0.0/0")]) }
        #expect(throws: NetworkError.self) { try SubnetPool.check(subnet("10.90.1.0/24"), avoiding: used) }
        #expect(throws: NetworkError.self) { try SubnetPool.check(subnet("fd12::/64"), avoiding: used) }
        try SubnetPool.check(subnet("10.91.1.0/24"), avoiding: used)
    }

    @Test func localPrefixesFollowFromTheSeed() throws {
        let pool = SubnetPool.uniqueLocal(seed: "machine 1".utf8)
        #expect(pool == SubnetPool.uniqueLocal(seed: "machine 1".utf8))
        #expect(pool != SubnetPool.uniqueLocal(seed: "machine 2".utf8))
        let base = try #require(pool.pools.first?.base)
        #expect(base.prefixLength == 48 && base.network.bytes[0] == 0xfd && pool.pools.count == 1)
        let first = try pool.free(avoiding: [subnet("10.0.0.0/8"), subnet("fe80::/64")])
        let second = try pool.free(avoiding: [first])
        #expect(first.network == base.network && first.prefixLength == 64 && base.contains(second))
        #expect(second.network.value == first.network.value + UInt128(1) << 64)
        #expect(throws: NetworkError.poolsExhausted) { try pool.free(avoiding: [subnet("fc00::/7")]) }
        // No bit of the prefix is the same for every seed.
        let prefixes = (0..<200).compactMap {
            SubnetPool.uniqueLocal(seed: [UInt8($0)]).pools.first?.base.network.value
        }
        #expect(Set(prefixes).count == 200)
        for bit in 80..<120 { #expect(Set(prefixes.map { $0 >> UInt128(bit) & 1 }).count == 2, "bit \(bit)") }
    }

    /// Bases at both ends of the address space, where arithmetic could overflow.
    @Test(
        arguments: 0..<20,
        [
            [("10.1.0.0/20", 26), ("255.255.255.0/24", 28)], [("0.0.0.0/24", 30)],
            [("fd00:1::/58", 64), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120", 126)], [("::/122", 126)],
        ])
    func everySubnetIsFreeAndInAPoolUntilAllAreTaken(seed: UInt64, bases: [(String, Int)]) throws {
        var generator = SeededGenerator(seed: seed)
        let pool = try SubnetPool(
            pools: bases.map { SubnetPool.Pool(base: try subnet($0.0), subnetPrefixLength: $0.1) })
        let base = try #require(pool.pools.first)
        let wholeCount = pool.pools.reduce(0) { $0 + 1 << ($1.subnetPrefixLength - $1.base.prefixLength) }
        var used: [CIDR] = []
        for _ in 0..<10 {
            let span = base.base.last.value - base.base.network.value
            let value = base.base.network.value + UInt128.random(in: 0...span, using: &generator)
            let length = Int.random(in: base.subnetPrefixLength - 2...base.base.bitCount, using: &generator)
            let address = try #require(IPAddress(value: value, isV6: base.base.isV6))
            used.append(try #require(CIDR(address, prefixLength: length)))
        }
        // Against a plain search: each subnet of each base that nothing overlaps.
        var free = Set<CIDR>()
        for pool in pool.pools {
            for index in 0..<UInt128(1 << (pool.subnetPrefixLength - pool.base.prefixLength)) {
                let value = pool.base.network.value + index << UInt128(pool.base.bitCount - pool.subnetPrefixLength)
                let address = try #require(IPAddress(value: value, isV6: pool.base.isV6))
                let candidate = try #require(CIDR(address, prefixLength: pool.subnetPrefixLength))
                if !used.contains(where: { $0.overlaps(candidate) }) { free.insert(candidate) }
            }
        }
        #expect(free.count <= wholeCount)
        // The only error is that there is none to be had.
        while let next = try? pool.free(avoiding: used) {
            #expect(free.remove(next) != nil, "\(next)")
            used.append(next)
        }
        #expect(free.isEmpty)
    }

    @Test func releasedAddressesComeLast() throws {
        var pool = try AddressPool(subnet: subnet("10.1.2.0/29"), reserved: [address("10.1.2.1"), address("10.1.2.4")])
        let first = try pool.take()
        #expect(first.description == "10.1.2.2")
        pool.release(first)
        #expect(
            try (0..<4).map { _ in try pool.take().description } == ["10.1.2.3", "10.1.2.5", "10.1.2.6", "10.1.2.2"])
        #expect(throws: NetworkError.self) { try pool.take() }
    }

    @Test func requestedAddressesAreChecked() throws {
        let network = try subnet("10.1.2.0/24")
        let gateway = try address("10.1.2.1")
        var pool = try AddressPool(subnet: network, range: subnet("10.1.2.128/25"), reserved: [gateway])
        #expect(try pool.take().description == "10.1.2.128")
        try pool.take(address("10.1.2.7"))
        for text in ["10.1.2.7", "10.1.2.1", "10.1.2.128"] {
            #expect(throws: NetworkError.addressInUse(try address(text))) { try pool.take(address(text)) }
        }
        for text in ["10.1.2.0", "10.1.2.255", "10.1.3.4", "fd00::1"] {
            #expect(throws: NetworkError.addressOutsideSubnet(try address(text), network)) {
                try pool.take(address(text))
            }
        }
        for range in ["10.1.3.0/25", "10.1.0.0/16", "fd00::/64"] {
            #expect(throws: NetworkError.self) { try AddressPool(subnet: network, range: subnet(range)) }
        }
    }

    @Test func subnetsOfIPv6AreTakenInTurnWithoutTheirAnycastAddress() throws {
        let network = try subnet("fd00:89:0:1::/64")
        let gateway = AddressPool.defaultGateway(of: network)
        #expect(gateway.description == "fd00:89:0:1::1")
        var pool = try AddressPool(subnet: network, reserved: [gateway])
        #expect(try (0..<3).map { _ in try pool.take().description.suffix(3) } == ["::2", "::3", "::4"])
        try pool.take(address("fd00:89:0:1:ffff:ffff:ffff:ffff"))
        #expect(!pool.isFree(network.network) && !pool.isFree(gateway))
        #expect(pool.isFree(try address("fd00:89:0:1:8000::")))
        // Behind the last address comes the first again.
        var resumed = try AddressPool(subnet: network, reserved: [gateway], used: pool.used)
        #expect(try resumed.take().description == "fd00:89:0:1::5")
        #expect(try AddressPool(subnet: network, used: [address("fd00:89:0:1::7")]).nextTaken == "fd00:89:0:1::8")
        var whole = try AddressPool(subnet: subnet("::/0"), used: [address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")])
        #expect(try whole.take().description == "::1")
    }

    /// Networks of one and two addresses have neither broadcast nor anycast addresses (RFC 3021, RFC 6164).
    @Test func theSmallestSubnetsAreUsedUp() throws {
        for (text, expected) in [
            ("10.1.2.4/32", ["10.1.2.4"]), ("255.255.255.254/31", ["255.255.255.254", "255.255.255.255"]),
            ("fd00::4/128", ["fd00::4"]), ("fd00::4/127", ["fd00::4", "fd00::5"]),
            ("10.1.2.4/30", ["10.1.2.5", "10.1.2.6"]),
        ] {
            var pool = try AddressPool(subnet: subnet(text))
            var taken: [String] = []
            for _ in expected { taken.append(try pool.take().description) }
            #expect(taken == expected)
            #expect(throws: NetworkError.subnetExhausted(try subnet(text))) { try pool.take() }
        }
    }

    /// Against a plain model: what is given out is free, and there is an address whenever the model has one.
    @Test(
        arguments: 0..<20,
        ["10.1.2.0/28", "255.255.255.240/28", "fd00::/124", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"])
    func takingAndReleasingKeepsToTheModel(seed: UInt64, text: String) throws {
        var generator = SeededGenerator(seed: seed)
        let network = try subnet(text)
        let gateway = AddressPool.defaultGateway(of: network)
        var pool = try AddressPool(subnet: network, reserved: [gateway])
        var model = Set<IPAddress>()
        for _ in 0..<400 {
            switch Int.random(in: 0..<5, using: &generator) {
            case 0, 1:
                // The only error is that there is none to be had.
                guard let taken = try? pool.take() else {
                    #expect(model.count == (network.isV6 ? 14 : 13))
                    continue
                }
                #expect(network.contains(taken) && taken != gateway && taken != network.network)
                #expect(network.isV6 || taken != network.last)
                #expect(model.insert(taken).inserted)
            case 2:
                let value = network.network.value + UInt128.random(in: 0..<16, using: &generator)
                let wanted = try #require(IPAddress(value: value, isV6: network.isV6))
                let isFree = pool.isFree(wanted)
                // The only error is that there is none to be had.
                #expect((try? pool.take(wanted)) != nil ? isFree : !isFree)
                if isFree { model.insert(wanted) }
            default:
                guard let some = model.sorted().randomElement(using: &generator) else { continue }
                pool.release(some)
                model.remove(some)
            }
            #expect(pool.used == model)
        }
    }
}

extension AddressPool {
    /// What would be given out next.
    fileprivate var nextTaken: String {
        var copy = self
        // Empty, which no test expects, when there is none.
        return (try? copy.take().description) ?? ""
    }
}

/// A small generator with a seed, so that a failure can be repeated (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
