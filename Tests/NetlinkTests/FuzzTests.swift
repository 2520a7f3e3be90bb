import CLinux
import Glibc
import Testing

@testable import Netlink

/// Every parser over real dumps of this machine and valid requests with bytes changed, cut and put in, and over noise:
/// a value or a typed error, never a trap. Seeded, so that a failure can be repeated.
@Suite struct FuzzTests {
    @Test(arguments: 0..<24)
    func hostileBytesNeverTrap(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let seeds = try Self.seeds()
        for _ in 0..<400 {
            var bytes = seeds.randomElement(using: &generator) ?? []
            for _ in 0..<Int.random(in: 1...8, using: &generator) { mutate(&bytes, &generator) }
            Self.readEverything(bytes)
        }
    }

    /// Requests of every kind, and what this machine's kernel says of itself.
    private static func seeds() throws -> [[UInt8]] {
        var builder = MessageBuilder()
        for set in FirewallKernelTests.sets { builder.newSet(set, table: "t", id: 1) }
        for rule in FirewallKernelTests.rules { builder.newRule(rule, chain: "c", table: "t", comment: "c") }
        builder.newElements(
            [SetElement([1, 0, 0, 0], value: .verdict(.goto("c")), keyEnd: [2, 0, 0, 0])], set: "s", table: "t")
        builder.newLink(NewLink("b", .bridge(BridgeOptions())))
        builder.newLink(NewLink("x", .vxlan(VXLANOptions(id: 7))))
        var route = Route(destination: [10, 0, 0, 0], prefixLength: 8, gateway: nil, outputIndex: nil)
        route.nextHops = [NextHop(gateway: [10, 0, 0, 1], outputIndex: 1), NextHop(gateway: nil, outputIndex: 2)]
        route.mtu = 1400
        builder.newRoute(route)
        builder.newAddress(AssignedAddress(InterfaceAddress(index: 1, address: [10, 0, 0, 1], prefixLength: 8)))
        builder.newRule(RoutingRule(family: AF_INET, priority: 3, action: .table(1000)))
        builder.newNeighbour(Neighbour(family: AF_INET, index: 1, address: [10, 0, 0, 1]))
        let tuple = ConnectionTuple(
            source: [10, 0, 0, 1], destination: [10, 0, 0, 2], transport: 6, sourcePort: 1, destinationPort: 2)
        builder.newConnection(Connection(original: tuple, reply: tuple, timeoutSeconds: 9))
        var seeds = (0..<builder.messageCount).map { Array(builder.message(at: $0)) }
        let socket = try NetlinkSocket(.route)
        for type in [RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETRULE] {
            let body = [UInt8](repeating: 0, count: type == RTM_GETLINK ? 16 : type == RTM_GETADDR ? 8 : 12)
            for message in try socket.dump(type: UInt16(type), operation: "record", { $0.append(body) }).prefix(20) {
                var copy = MessageBuilder()
                copy.message(type: message.type) { $0.append(message.payload) }
                seeds.append(copy.bytes)
            }
        }
        return seeds
    }

    private func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: bytes[place] = .random(in: 0...255, using: &generator)
        case 1: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
        case 2: bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
        case 3: bytes.removeSubrange(place...)
        case 4: bytes.insert(contentsOf: (0..<4).map { _ in .random(in: 0...255, using: &generator) }, at: place)
        default: bytes.removeSubrange(place..<min(bytes.count, place + 4))
        }
    }

    /// With the length put right half of the time, so that mutations get past the first check.
    static func readEverything(_ bytes: [UInt8]) {
        var mended = bytes
        if mended.count >= 16 {
            let length = UInt32(mended.count)
            withUnsafeBytes(of: length) { mended.replaceSubrange(0..<4, with: $0) }
        }
        for datagram in [bytes, mended] {
            for message in attempt({ try NetlinkMessage.parse(datagram) }) ?? [] { read(message) }
        }
        _ = AttributePath(bytes[...]).name(at: bytes.count / 2 & ~3)
        _ = AttributePath(bytes[...]).name(ofType: 1, inNestAt: bytes.count / 3 & ~3)
    }

    private static func read(_ message: NetlinkMessage) {
        _ = attempt { try Link(message) }
        _ = attempt { try AssignedAddress(message) }
        _ = attempt { try Route(message) }
        _ = attempt { try RoutingRule(message) }
        _ = attempt { try Neighbour(message) }
        _ = attempt { try Connection(message) }
        _ = attempt { try ConnectionEvent(message) }
        _ = attempt { try SocketEntry(message, transport: 6) }
        _ = attempt { try FirewallEvent(message) }
        _ = attempt { try Acknowledgement(message).explanation(message.payload) }
        _ = attempt { try Acknowledgement(done: message) }
        guard let entry = attempt({ try FirewallMessage(message) }) else { return }
        _ = attempt { try TableEntry(entry) }
        _ = attempt { try ChainEntry(entry) }
        _ = attempt { try RuleEntry(entry) }
        _ = attempt { try SetEntry(entry) }
        for attribute in entry.attributes {
            for item in attempt({ try attribute.nested() }) ?? [] { _ = attempt { try SetElement(item.nested()) } }
        }
    }

    private static func attempt<Value>(_ body: () throws -> Value) -> Value? {
        do {
            return try body()
        } catch {
            // A typed error is as good as a value.
            if !(error is NetlinkError) { Issue.record(error) }
            return nil
        }
    }
}
