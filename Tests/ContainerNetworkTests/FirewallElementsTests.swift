import InternetAddress
import Netlink
import Testing

@testable import ContainerNetwork

@Suite struct FirewallElementsTests {
    private func model(_ ports: [PublishedPort], virtual: [VirtualAddress] = []) throws -> FirewallModel {
        var model = FirewallModel()
        _ = try model.change(to: FirewallInput(state: FirewallState(ports: ports, virtualAddresses: virtual)))
        return model
    }

    @Test func onePortOneElementInEachFamily() throws {
        let port = PublishedPort(port: 80, backends: [backend("10.0.0.2"), backend("fd00::2")])
        let elements = try model([port]).elements
        #expect(
            elements["ports4"] == [SetElement([6, 0, 0, 0, 0, 80, 0, 0], value: .data([10, 0, 0, 2, 0, 80, 0, 0]))])
        let address6: [UInt8] = [0xfd] + [UInt8](repeating: 0, count: 14) + [2]
        #expect(elements["ports6"] == [SetElement([6, 0, 0, 0, 0, 80, 0, 0], value: .data(address6 + [0, 80, 0, 0]))])
        #expect(elements.count == 2)
    }

    @Test func wildcardsAreOfOneFamily() throws {
        let both = [backend("10.0.0.2"), backend("fd00::2")]
        let cases: [(String?, [String])] = [
            (nil, ["ports4", "ports6"]), ("0.0.0.0", ["ports4"]), ("::", ["ports6"]), ("127.0.0.1", ["ports4_ip"]),
            ("2001:db8::1", ["ports6_ip"]), ("::1", []),
        ]
        for (text, sets) in cases {
            let port = PublishedPort(hostIP: text.flatMap { IPAddress($0) }, port: 80, backends: both)
            #expect(try model([port]).elements.setNames.sorted() == sets, "\(text ?? "")")
        }
    }

    @Test func sharedPortsHaveASlotForEachOther() throws {
        let shared = PublishedPort(
            hostIP: .v4(.loopback), port: 81, transport: .udp,
            backends: [backend("10.0.0.4"), backend("10.0.0.2"), backend("10.0.0.3")])
        let elements = try model([shared]).elements
        let key: [UInt8] = [127, 0, 0, 1, 17, 0, 0, 0, 0, 81, 0, 0]
        #expect(elements["ports4_ip"] == [SetElement(key, value: .data([10, 0, 0, 2, 0, 80, 0, 0]))])
        #expect(
            elements["slots4_ip"] == [
                SetElement(key + [1, 0, 0, 0], value: .data([10, 0, 0, 3, 0, 80, 0, 0])),
                SetElement(key + [2, 0, 0, 0], value: .data([10, 0, 0, 4, 0, 80, 0, 0])),
            ])
        #expect(elements["shared4_ip"] == [SetElement(key, value: .data([1, 0, 3, 0]))])
        #expect(
            elements["turns4_ip"] == [SetElement([1, 0, 3, 0], value: .verdict(.jump("turn4_ip_3_1")))])
    }

    /// Whatever the number of backends and of other ports.
    @Test(arguments: [2, 10, 1000])
    func aBackendThatComesOrGoesChangesThreeElements(count: UInt32) throws {
        func state(_ hosts: [UInt32]) -> FirewallInput {
            let backends = hosts.map { Backend(address: .v4(IPv4Address(value: 10 << 24 | $0)), port: 80) }
            let others = (0..<50 as Range<UInt16>).map {
                PublishedPort(port: 100 + $0, backends: [backend("10.9.0.1")])
            }
            return FirewallInput(state: FirewallState(ports: [PublishedPort(port: 80, backends: backends)] + others))
        }
        var model = FirewallModel()
        _ = try model.change(to: state(Array(1...count)))
        // Chains for the numbers of backends around it are there.
        _ = try model.change(to: state(Array(1...count + 1)))
        _ = try model.change(to: state(Array(1...count)))
        let grown = try model.change(to: state(Array(0...count)))
        #expect(grown.gone.count + grown.new.count == 3 && !grown.changesChains)
        let shrunk = try model.change(to: state(Array(0...count).filter { $0 != 1 }))
        #expect(shrunk.gone.count + shrunk.new.count <= 5 && !shrunk.changesChains)
        let replaced = try model.change(to: state(Array(0...count - 1).filter { $0 != 1 } + [count + 7]))
        #expect(replaced.gone.count + replaced.new.count == 2 && !replaced.changesChains)
    }

    @Test func aRangeIsOneElement() throws {
        let range = PublishedPort(
            port: 20000, lastPort: 30000, transport: .udp, backends: [backend("10.0.0.2", 20000)])
        let elements = try model([range]).elements
        let start: [UInt8] = [17, 0, 0, 0, 0x4e, 0x20, 0, 0]
        let end: [UInt8] = [17, 0, 0, 0, 0x75, 0x30, 0, 0]
        #expect(elements["ranges4"] == [SetElement(start, value: .data([10, 0, 0, 2]), keyEnd: end)])
        #expect(elements.count == 1)
        // Other ports at the backend: one element each.
        let shifted = PublishedPort(port: 8000, lastPort: 8002, backends: [backend("10.0.0.2", 9000)])
        #expect(
            try model([shifted]).elements["ports4"].contains(
                SetElement([6, 0, 0, 0, 0x1f, 0x42, 0, 0], value: .data([10, 0, 0, 2, 0x23, 0x2a, 0, 0]))))
    }

    @Test func portsPublishedTwiceAreRefused() throws {
        let port = PublishedPort(port: 80, backends: [backend("10.0.0.2"), backend("fd00::2")])
        let range = PublishedPort(port: 70, lastPort: 90, backends: [backend("10.0.0.3", 70)])
        let other = PublishedPort(port: 90, lastPort: 95, backends: [backend("10.0.0.3", 90)])
        let any4 = PublishedPort(hostIP: .v4(.any), port: 80, backends: [backend("10.0.0.2")])
        let any6 = PublishedPort(hostIP: .v6(.any), port: 80, backends: [backend("fd00::2")])
        let udp = PublishedPort(port: 80, transport: .udp, backends: [backend("10.0.0.2")])
        let loopback = PublishedPort(hostIP: .v4(.loopback), port: 80, backends: [backend("10.0.0.2")])
        let unused = PublishedPort(port: 80, backends: [])
        for pair in [[port, port], [port, range], [range, other], [port, any4], [any6, port]] {
            #expect(throws: NetworkError.self, "\(pair)") { try model(pair) }
            // The second is refused when the first is there already, and may take its place.
            var known = try model([pair[0]])
            let before = known.elements
            #expect(throws: NetworkError.self, "\(pair)") {
                try known.change(to: FirewallInput(state: FirewallState(ports: pair)))
            }
            #expect(known.elements == before)
            _ = try known.change(to: FirewallInput(state: FirewallState(ports: [pair[1]])))
            #expect(try known.elements == model([pair[1]]).elements)
        }
        for pair in [[port, udp], [port, loopback], [port, unused], [any4, any6], [range, loopback]] {
            #expect(throws: Never.self, "\(pair)") { try model(pair) }
        }
        let address = VirtualAddress(address: .v4(.loopback), bridge: "gn-a", backends: [.v4(.any)])
        #expect(throws: NetworkError.conflictingAddresses(.v4(.loopback))) {
            try model([], virtual: [address, address])
        }
    }

    @Test func onlyConnectionlessFlowsOfBackendsThatGoAreForgotten() throws {
        func stale(_ old: [PublishedPort], _ new: [PublishedPort]) throws -> Set<ConntrackFilter> {
            var model = try model(old)
            let change = try model.change(to: FirewallInput(state: FirewallState(ports: new)))
            let hosts = [IPAddress("192.0.2.1"), IPAddress("2001:db8::1")].compactMap { $0 }
            return Set(try change.stale.flatMap { try $0.filters(hostAddresses: hosts) })
        }
        func port(_ transport: Transport, _ addresses: String..., last: UInt16? = nil) -> [PublishedPort] {
            [PublishedPort(port: 53, lastPort: last, transport: transport, backends: addresses.map { backend($0, 53) })]
        }
        func filter(isV6: Bool = false, _ port: UInt16?, _ source: [UInt8]? = nil) -> ConntrackFilter {
            var filter = ConntrackFilter(transport: 17, originalDestinationPort: port, replySource: source)
            filter.family = isV6 ? 10 : 2
            return filter
        }
        let two = port(.udp, "10.0.0.2", "10.0.0.3")
        #expect(try stale(two, two).isEmpty)
        #expect(
            try stale(two, port(.udp, "10.0.0.3", "10.0.0.4")) == [
                filter(53, [10, 0, 0, 2])
            ])
        #expect(try stale([], two) == [filter(53)])
        #expect(
            try stale([], port(.udp, "fd00::1")) == [
                filter(isV6: true, 53)
            ])
        #expect(try stale(port(.tcp, "10.0.0.2"), []).isEmpty)
        #expect(try stale(port(.sctp, "10.0.0.2"), []).isEmpty)
        #expect(
            try stale([], port(.udp, "10.0.0.2", last: 9999)) == [
                filter(nil, [192, 0, 2, 1])
            ])
        #expect(
            try stale(port(.udp, "10.0.0.2", last: 9999), []) == [
                filter(nil, [10, 0, 0, 2])
            ])
    }

    @Test func lanesAreOwnAsLongAsThereAreSome() throws {
        let both = [backend("10.0.0.2"), backend("10.0.0.3")]
        let ports = (0..<300 as Range<UInt16>).map { PublishedPort(port: 1000 + $0, backends: both) }
        var model = try model(ports)
        #expect(model.turns.count == Int(Turn.laneCountMax))
        // Unused chains are kept, but not many.
        let change = try model.change(to: FirewallInput())
        #expect(change.goneTurns.count == Int(Turn.laneCountMax) && model.turns.isEmpty && model.elements.isEmpty)
        _ = try model.change(to: FirewallInput(state: FirewallState(ports: Array(ports.prefix(3)))))
        #expect(Set(model.turns.map(\.lane)) == [1, 2, 3])
    }
}
