import CLinux
import Glibc
import Testing

@testable import Netlink

/// What is built is read back the same.
@Suite struct RoundTripTests {
    private func message(_ build: (inout MessageBuilder) -> Void) throws -> NetlinkMessage {
        var builder = MessageBuilder()
        build(&builder)
        return try #require(try NetlinkMessage.parse(builder.bytes).first)
    }

    @Test func linksOfEveryKind() throws {
        var bridge = BridgeOptions()
        (bridge.forwardDelay, bridge.helloTime, bridge.maxAge, bridge.ageing) = (0, 200, 2000, 30_000)
        (bridge.usesSpanningTree, bridge.filtersVLANs, bridge.snoopsMulticast) = (true, true, false)
        (bridge.priority, bridge.defaultVLAN, bridge.groupForwardMask) = (0x8000, 7, 8)
        (bridge.queriesMulticast, bridge.callsIPTables, bridge.callsIP6Tables) = (true, false, true)
        var vxlan = VXLANOptions(id: 42)
        (vxlan.group, vxlan.local, vxlan.link) = ([239, 1, 1, 1], [10, 0, 0, 1], 3)
        (vxlan.port, vxlan.ttl, vxlan.learns, vxlan.ageing) = (4789, 16, false, 300)
        var vxlan6 = VXLANOptions(id: 0xffffff)
        (vxlan6.group, vxlan6.local) = ([UInt8](repeating: 0xfd, count: 16), [UInt8](repeating: 0xfe, count: 16))
        let kinds: [NewLink.Kind] =
            [.dummy, .bridge(bridge), .vxlan(vxlan), .vxlan(vxlan6), .vlan(id: 12), .vlan(id: 13, protocol: 0x88a8)]
            + MacvlanMode.allCases.map { .macvlan($0, flags: 1) }
            + IPvlanMode.allCases.flatMap { mode in IPvlanFlag.allCases.map { .ipvlan(mode, $0) } }
        for kind in kinds {
            var new = NewLink("x0", kind, parent: 5, isUp: true)
            (new.address, new.mtu, new.master) = ([2, 0, 0, 0, 0, 1], 1400, 9)
            let link = try Link(message { $0.newLink(new) })
            #expect(link.name == "x0" && link.kind == kind.name && link.details == kind.details)
            #expect(link.address == new.address && link.mtu == 1400 && link.master == 9 && link.parentIndex == 5)
            #expect(link.isUp)
        }
    }

    @Test func changesOfLinks() throws {
        var change = LinkChange(isUp: true)
        (change.port.isHairpin, change.port.isIsolated, change.port.learns) = (true, false, true)
        (change.port.floods, change.port.floodsMulticast, change.port.floodsBroadcast) = (false, true, false)
        (change.port.suppressesNeighbours, change.port.isBPDUGuard, change.port.isRootBlock) = (true, true, false)
        (change.port.cost, change.port.priority) = (7, 32)
        (change.alias, change.mtu, change.master, change.group) = ("text", 1234, 4, 11)
        let link = try Link(message { $0.setLink(.index(8), change) })
        #expect(link.port == change.port && link.index == 8 && link.alias == "text" && link.group == 11)
        #expect(link.mtu == 1234 && link.master == 4 && link.isUp && link.isHairpin && !link.isIsolated)
    }

    @Test func addresses() throws {
        for bytes in [[10, 0, 0, 1], [UInt8](repeating: 0xfd, count: 16)] as [[UInt8]] {
            let key = InterfaceAddress(index: 7, address: bytes, prefixLength: 24)
            #expect(try InterfaceAddress(message { $0.newAddress(key) }) == key)
            #expect(try InterfaceAddress(message { $0.deleteAddress(key) }) == key)
            var assigned = AssignedAddress(key, scope: .link, flags: 0x202)
            (assigned.label, assigned.broadcast, assigned.peer) = ("eth0:1", [10, 0, 0, 255], bytes.map { $0 ^ 1 })
            (assigned.validSeconds, assigned.preferredSeconds) = (600, 300)
            (assigned.protocolNumber, assigned.routePriority) = (2, 99)
            #expect(try AssignedAddress(message { $0.newAddress(assigned) }) == assigned)
        }
    }

    @Test func routes() throws {
        let v6 = [UInt8](repeating: 0xfd, count: 16)
        for (network, gateway) in [([10, 1, 0, 0], [10, 0, 0, 1]), (v6, v6), ([10, 1, 0, 0], v6)]
            as [([UInt8], [UInt8])]
        {
            var route = Route(destination: network, prefixLength: 16, gateway: gateway, outputIndex: 3)
            route.addressFamily = network.count == 16 ? UInt8(AF_INET6) : UInt8(AF_INET)
            (route.table, route.priority, route.protocolNumber) = (1000, 77, 99)
            (route.scope, route.preferredSource, route.isOnLink) = (.link, network, true)
            (route.mtu, route.segmentSize, route.preference) = (1300, 1200, 1)
            #expect(try Route(message { $0.newRoute(route) }) == route)
            #expect(try Route(message { $0.deleteRoute(route) }) == route)
            (route.gateway, route.outputIndex) = (nil, nil)
            route.nextHops = [
                NextHop(gateway: gateway, outputIndex: 3, weight: 256), NextHop(gateway: nil, outputIndex: 4, flags: 4),
            ]
            #expect(try Route(message { $0.newRoute(route) }) == route)
        }
    }

    @Test func rules() throws {
        let actions: [RoutingRule.Action] = [
            .table(254), .table(5000), .goto(9), .nothing, .blackhole, .unreachable, .prohibit, .other(5),
        ]
        for action in actions {
            var rule = RoutingRule(family: AF_INET, priority: 100, action: action)
            (rule.source, rule.sourcePrefixLength) = ([10, 0, 0, 0], 8)
            (rule.destination, rule.destinationPrefixLength) = ([10, 1, 0, 0], 16)
            (rule.inputName, rule.outputName, rule.mark, rule.markMask) = ("a", "b", 3, 0xff)
            (rule.suppressPrefixLength, rule.protocolNumber, rule.transport) = (0, 4, 6)
            (rule.sourcePorts, rule.destinationPorts, rule.isInverted) = (1...2, 80...80, true)
            #expect(try RoutingRule(message { $0.newRule(rule) }) == rule)
            #expect(try RoutingRule(message { $0.deleteRule(rule) }) == rule)
        }
    }

    @Test func neighbours() throws {
        var neighbour = Neighbour(
            family: AF_INET6, index: 4, address: [UInt8](repeating: 0xfd, count: 16), linkAddress: [2, 0, 0, 0, 0, 1],
            state: [.permanent], flags: [.router, .own])
        (neighbour.vlan, neighbour.protocolNumber) = (9, 4)
        #expect(try Neighbour(message { $0.newNeighbour(neighbour) }) == neighbour)
        #expect(try Neighbour(message { $0.deleteNeighbour(neighbour) }) == neighbour)
    }

    @Test func connections() throws {
        for bytes in [[10, 0, 0, 1], [UInt8](repeating: 0xfd, count: 16)] as [[UInt8]] {
            let tuple = ConnectionTuple(
                source: bytes, destination: bytes, transport: 6, sourcePort: 1, destinationPort: 0xfffe)
            let echo = ConnectionTuple(
                source: bytes, destination: bytes, transport: 1, icmp: .init(type: 8, code: 1, id: 0x1234))
            var connection = Connection(original: tuple, reply: echo, timeoutSeconds: 100)
            (connection.status, connection.mark, connection.zone) = (0x8e, 7, 3)
            connection.tcpState = .established
            let new = try message { $0.newConnection(connection) }
            #expect(try Connection(new) == connection)
            #expect(try ConnectionEvent(new)?.kind == .new)
        }
    }

    @Test func everyInstruction() throws {
        let everything: [RuleExpression] =
            FirewallKernelTests.rules.flatMap { $0 }
            + MetaKey.allCases.map { .meta($0, into: .word(4)) }
            + ConnectionKey.allCases.map { .connection($0, direction: .reply, into: .word(15)) }
            + Comparison.allCases.map { .compare(.word(8), $0, [1, 2, 3]) }
            + Reject.Unreachable.allCases.map { .reject(.unreachable($0)) }
            + [
                .reject(.icmp(code: 3)), .reject(.tcpReset), .masquerade, .redirect(port: nil),
                .redirect(port: .word(1)), .noTracking, .log(prefix: "x"), .count(packets: 1, bytes: 2),
                .routeSegmentSize(into: .word(0)), .toNetworkOrder(.word(0), byteCount: 2, into: .word(1)),
                .setSegmentSize(from: .word(1)), .route(.sourceKind, into: .word(2)),
                .hash(.word(0), byteCount: 16, modulus: 9, into: .word(1)),
                .range(.word(0), from: [0, 1], to: [0, 2], isInverted: true), .notMember(.word(0), set: "s"),
                .translate(
                    Translation(
                        .source, .ipv6, address: .word(0), addressEnd: .word(4), port: .word(8), portEnd: .word(9),
                        flags: 8)),
                .update(SetUpdate(.add, set: "s", key: .word(0), isInverted: true)),
                .verdict(.accept), .verdict(.drop), .verdict(.return), .verdict(.continue), .verdict(.jump("j")),
                .verdict(.goto("g")), .verdict(.queue(0x10003)),
                .other(name: "quota", attributes: hex("0c00 0100 0000000000000001")),
            ]
        let read = try RuleEntry(
            FirewallMessage(message { $0.newRule(everything, chain: "c", table: "t", comment: "why") }))
        #expect(read.expressions == everything)
        #expect(read.comment == "why" && read.chain == "c" && read.place.table == "t")
    }

    @Test func tablesChainsSetsAndElements() throws {
        #expect(
            try TableEntry(FirewallMessage(message { $0.newTable("t", family: .bridge) })).place
                == FirewallPlace(family: 7, table: "t"))
        for hook in FirewallChain.Hook.allCases {
            let base = FirewallChain.Base(type: "filter", hook: hook, priority: -150, dropsByDefault: hook == .forward)
            let new = try message { $0.newChain(FirewallChain("c", base: base, rules: []), table: "t") }
            #expect(try ChainEntry(FirewallMessage(new)).base == base)
        }
        for set in FirewallKernelTests.sets {
            #expect(try SetEntry(FirewallMessage(message { $0.newSet(set, table: "t", id: 1) })).set == set)
        }
        let elements = [
            SetElement([1, 2, 3, 4]), SetElement([1, 2, 3, 4], isIntervalEnd: true),
            SetElement([1, 0, 0, 0], value: .data([9]), keyEnd: [2, 0, 0, 0], timeoutMilliseconds: 5000),
            SetElement([1, 2, 3, 4], value: .verdict(.jump("c"))), .catchAll(value: .verdict(.drop)),
        ]
        let new = try message { $0.newElements(elements, set: "s", table: "t") }
        let list = try #require(try FirewallMessage(new)[NFTA_SET_ELEM_LIST_ELEMENTS]).nested()
        #expect(try list.map { try SetElement($0.nested()) } == elements)
    }
}
