import InternetAddress
import Netlink
import Testing

@testable import ContainerNetwork

@Suite struct FirewallChangeTests {
    /// Applied to the elements of one state, a change gives those of the next; the groups that the elements say are
    /// those of the state.
    @Test(arguments: 0..<20)
    func changesLeadToTheState(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var model = FirewallModel()
        var elements = FirewallElements()
        var turns: Set<Turn> = []
        for step in 0..<60 {
            let input = RandomFirewall.input(&generator)
            let change = try model.change(to: input)
            for set in change.gone.setNames {
                let known = elements[set].isSuperset(of: change.gone[set])
                #expect(known, "seed \(seed) step \(step): \(set)")
            }
            elements = elements.subtracting(change.gone)
            for set in change.new.setNames {
                let free = elements[set].isDisjoint(with: change.new[set])
                #expect(free, "seed \(seed) step \(step): \(set)")
            }
            elements.formUnion(change.new)
            turns = turns.subtracting(change.goneTurns).union(change.newTurns)
            try #require(elements == model.elements, "seed \(seed) step \(step)")
            #expect(turns == model.turns)
            let says = try members(elements.groups) == members(wanted(input.state))
            #expect(says, "seed \(seed) step \(step)")
            var successor = FirewallModel(takingOver: elements)
            let takesOver = inTable(successor.groups) == inTable(model.groups)
            #expect(takesOver, "seed \(seed) step \(step)")
            try successor.replace(by: input)
            let keeps = inTable(successor.groups) == inTable(model.groups)
            #expect(keeps, "seed \(seed) step \(step)")
            let used = Set(model.groups.compactMap { $1.turn($0.place) })
            #expect(successor.turns == used)
        }
    }

    private func wanted(_ state: FirewallState) throws -> [GroupKey: FirewallGroup] {
        try WantedGroups(from: FirewallState(), to: state).groups.mapValues {
            FirewallGroup(members: $0.members, lane: 0)
        }
    }

    private func inTable(_ groups: [GroupKey: FirewallGroup]) -> [GroupKey: FirewallGroup] {
        var result = groups
        for key in groups.keys where key.place.isRange { result[key]?.members.removeSubrange(1...) }
        return result
    }

    /// Of a range, its first backend alone is in the table.
    private func members(_ groups: [GroupKey: FirewallGroup]) -> [GroupKey: Set<Backend>] {
        var result: [GroupKey: Set<Backend>] = [:]
        for (key, group) in groups where !key.place.isRange { result[key] = Set(group.members) }
        return result
    }

    /// The kernel's elements after a walk through random states, each reached by the difference from the one before,
    /// are those of the last state.
    @Test(arguments: 0..<4)
    func differencesLeadToTheState(seed: UInt64) throws {
        let lab = try HostLab()
        defer { lab.close() }
        let manager = try lab.manager("gantry_\(seed)")
        var generator = SeededGenerator(seed: seed)
        for step in 0..<25 {
            let state = RandomFirewall.input(&generator).state
            try lab.run { try manager.applyFirewall(state) }
            let elements = try lab.run { try manager.readElements(sets: FirewallTable.setNames) }
            let expected = manager.firewall.withLock { $0?.model.elements }
            let isSame = elements == expected
            #expect(isSame, "seed \(seed) step \(step)")
            // Somebody else's transaction makes the next one look at the kernel first.
            if step % 5 == 0 { try lab.shell("nft add table ip foreign") }
        }
        #expect(try lab.run { try manager.observe().firewall } == .asApplied)
    }

    @Test(arguments: 0..<200)
    func slotsChangeByThoseThatComeAndGo(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        func some() -> [Backend] {
            (0..<UInt16(12)).filter { _ in Bool.random(using: &generator) }.map {
                Backend(address: .v4(.any), port: $0)
            }
        }
        var slots: [Backend] = []
        for _ in 0..<10 {
            let wanted = some()
            let before = slots
            slots = FirewallGroup.slots(before, changedTo: wanted)
            #expect(slots.sorted() == wanted)
            let gone = Set(before).subtracting(wanted).count
            let new = Set(wanted).subtracting(before).count
            let changed = zip(before, slots).filter { $0 != $1 }.count + abs(before.count - slots.count)
            #expect(changed <= max(gone, new) + max(0, gone - new))
        }
    }
}

/// States with everything that there is, few enough to collide now and then.
enum RandomFirewall {
    static func input(_ generator: inout SeededGenerator) -> FirewallInput {
        FirewallInput(
            state: FirewallState(
                bridges: bridges(&generator), ports: ports(&generator), virtualAddresses: addresses(&generator)))
    }

    private static func bridges(_ generator: inout SeededGenerator) -> [BridgeSpec] {
        let modes = [BridgeSpec.Gateway.nat, .routed, .unprotected]
        // Neighbouring subnets: one ends where the next begins.
        return (0..<6).filter { _ in Bool.random(using: &generator) }.map { index in
            let ranges = ["10.0.\(index).0/24", "fd00:0:0:\(index)::/64"].compactMap { CIDR($0) }
            return BridgeSpec(
                name: "n\(index)", bridge: "gn-\(index)", subnets: ranges.map { .init($0, gateway: $0.firstHost) },
                isInternal: Int.random(in: 0..<4, using: &generator) == 0,
                interContainer: .random(using: &generator),
                gateway4: modes.randomElement(using: &generator) ?? .nat,
                gateway6: modes.randomElement(using: &generator) ?? .nat)
        }
    }

    private static func address(_ generator: inout SeededGenerator, isV6: Bool) -> IPAddress {
        let network = Int.random(in: 0..<6, using: &generator)
        let host = Int.random(in: 2..<9, using: &generator)
        return IPAddress(isV6 ? "fd00:0:0:\(network)::\(host)" : "10.0.\(network).\(host)") ?? .v4(.any)
    }

    private static func ports(_ generator: inout SeededGenerator) -> [PublishedPort] {
        let hosts: [IPAddress?] = [nil, .v4(.loopback), IPAddress("2001:db8::1"), .v6(.loopback)]
        var ports: [PublishedPort] = []
        for number in 0..<6 as Range<UInt16> {
            for hostIP in hosts where Bool.random(using: &generator) {
                let backends = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
                    Backend(
                        address: address(&generator, isV6: .random(using: &generator)),
                        port: .random(in: 80...82, using: &generator))
                }
                ports.append(
                    PublishedPort(
                        hostIP: hostIP, port: 8000 + number,
                        transport: Transport.allCases.randomElement(using: &generator) ?? .tcp, backends: backends,
                        balance: Bool.random(using: &generator) ? .roundRobin : .clientAddress))
            }
        }
        for hostIP in hosts where Bool.random(using: &generator) {
            let isV6 = Bool.random(using: &generator)
            let last: UInt16 = Bool.random(using: &generator) ? 9100 : 9300
            let backends = (0..<2).map { _ in Backend(address: address(&generator, isV6: isV6), port: 9000) }
            ports.append(
                PublishedPort(hostIP: hostIP, port: 9000, lastPort: last, transport: .udp, backends: backends))
        }
        return ports
    }

    private static func addresses(_ generator: inout SeededGenerator) -> [VirtualAddress] {
        (0..<4).filter { _ in Bool.random(using: &generator) }.compactMap { index -> VirtualAddress? in
            let isV6 = index % 2 == 0
            guard let own = IPAddress(isV6 ? "fd00::\(index)00" : "10.0.0.\(100 + index)") else { return nil }
            let backends = (0..<Int.random(in: 0...4, using: &generator)).map { _ in address(&generator, isV6: isV6) }
            return VirtualAddress(
                address: own, bridge: "gn-\(index)", backends: backends,
                balance: Bool.random(using: &generator) ? .roundRobin : .clientAddress)
        }
    }
}
