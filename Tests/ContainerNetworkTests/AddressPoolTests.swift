import ContainerNetwork
import InternetAddress
import Testing

@Suite struct AddressPoolTests {
    private func subnet(_ text: String) throws -> CIDR4 { try #require(CIDR4(text)) }
    private func address(_ text: String) throws -> IPv4Address { try #require(IPv4Address(text)) }

    @Test func subnetsAvoidRoutesOfEverySize() throws {
        #expect(try SubnetPool.standard.free(avoiding: []).description == "10.89.0.0/24")
        let used = try ["10.89.0.0/24", "10.89.1.128/25", "10.89.2.0/23", "10.90.0.0/16"].map(subnet)
        #expect(try SubnetPool.standard.free(avoiding: used).description == "10.89.4.0/24")
        #expect(try SubnetPool.standard.free(avoiding: [subnet("10.0.0.0/8")]).description == "172.16.0.0/24")
        #expect(throws: NetworkError.poolsExhausted) { try SubnetPool.standard.free(avoiding: [subnet("0.0.0.0/0")]) }
        #expect(throws: NetworkError.self) { try SubnetPool.check(subnet("10.90.1.0/24"), avoiding: used) }
    }

    @Test(arguments: 0..<20)
    func everySubnetIsFreeAndInAPoolUntilAllAreTaken(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let pool = SubnetPool(pools: [
            .init(base: try subnet("10.1.0.0/20"), subnetPrefixLength: 26),
            .init(base: try subnet("255.255.255.0/24"), subnetPrefixLength: 28),
        ])
        var used: [CIDR4] = []
        for _ in 0..<10 {
            let value = UInt32(10 << 24 | 1 << 16) + UInt32.random(in: 0..<4096, using: &generator)
            used.append(
                try #require(CIDR4(IPv4Address(value: value), prefixLength: .random(in: 24...32, using: &generator))))
        }
        var chosen = 0
        // The only error is that there is none to be had.
        while let next = try? pool.free(avoiding: used) {
            #expect(!used.contains { $0.overlaps(next) })
            #expect(pool.pools.contains { $0.base.contains(next) && next.prefixLength == $0.subnetPrefixLength })
            used.append(next)
            chosen += 1
        }
        #expect(chosen >= 16 && chosen <= 64 + 16)
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
        for text in ["10.1.2.0", "10.1.2.255", "10.1.3.4"] {
            #expect(throws: NetworkError.addressOutsideSubnet(try address(text), network)) {
                try pool.take(address(text))
            }
        }
        #expect(throws: NetworkError.self) {
            try AddressPool(subnet: network, range: subnet("10.1.3.0/25"), reserved: [])
        }
    }

    /// Against a plain model: what is given out is free, and there is an address whenever the model has one.
    @Test(arguments: 0..<20)
    func takingAndReleasingKeepsToTheModel(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let network = try subnet("10.1.2.0/28")
        let gateway = AddressPool.defaultGateway(of: network)
        var pool = try AddressPool(subnet: network, reserved: [gateway])
        var model = Set<IPv4Address>()
        for _ in 0..<400 {
            switch Int.random(in: 0..<5, using: &generator) {
            case 0, 1:
                // The only error is that there is none to be had.
                guard let taken = try? pool.take() else {
                    #expect(model.count == 13)
                    continue
                }
                #expect(
                    network.contains(taken) && taken != gateway && taken != network.network && taken != network.last)
                #expect(model.insert(taken).inserted)
            case 2:
                let wanted = IPv4Address(value: network.network.value + .random(in: 0..<16, using: &generator))
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
