import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Netlink

/// Losses and interruptions that the kernel makes of a burst of changes.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct RecoveryTests {
    private static func aliases(_ range: Range<Int>) -> MessageBuilder {
        var request = MessageBuilder()
        for number in range {
            var change = LinkChange()
            change.alias = "number \(number)"
            request.setLink(.name("lo"), change)
        }
        return request
    }

    /// Everything that can be read now: what the events say, in order.
    private static func readAll(_ socket: NetlinkSocket) throws -> [String] {
        var words: [String] = []
        while let events = try socket.nextEvents(timeoutMilliseconds: 200) {
            switch events {
            case .lost: words.append("lost")
            case .messages(let messages): words += try messages.map { try Link($0).alias ?? "" }
            }
        }
        return words
    }

    @Test func aLossIsReportedOnceAndLaterEventsCome() throws {
        let words = try inPrivateNetwork {
            let events = try NetlinkSocket(.route, receiveBufferByteCount: 8 << 10)
            try events.subscribe(UInt32(RTNLGRP_LINK.rawValue))
            let socket = try NetlinkSocket(.route)
            var words: [[String]] = []
            for round in 0..<3 {
                try socket.transact(Self.aliases(0..<3000), operation: "change often")
                words.append(try Self.readAll(events))
                try socket.transact(Self.aliases(round..<round + 2), operation: "change twice")
                words.append(try Self.readAll(events))
            }
            return words
        }
        for round in 0..<3 {
            #expect(words[2 * round] == ["lost"])
            #expect(words[2 * round + 1] == ["number \(round)", "number \(round + 1)"])
        }
    }

    /// Whoever looks at everything after a loss knows the last state, however the reading and the changes interleave.
    @Test func theLastStateIsNeverMissed() throws {
        let (words, final) = try inPrivateNetwork {
            let events = try NetlinkSocket(.route, receiveBufferByteCount: 8 << 10)
            try events.subscribe(UInt32(RTNLGRP_LINK.rawValue))
            let socket = try NetlinkSocket(.route)
            let lines = "seq 1 20000 | sed 's/.*/link set lo alias number-&/'"
            try shell("(\(lines) | ip -batch - && ip link set lo alias last) > /dev/null 2>&1 &")
            var known = ""
            var words = (lost: 0, read: 0)
            let clock = ContinuousClock()
            let end = clock.now + .seconds(60)
            while known != "last", clock.now < end {
                switch try events.nextEvents(timeoutMilliseconds: 1000) {
                case .lost:
                    words.lost += 1
                    known = try socket.link(.name("lo"))?.alias ?? ""
                case .messages(let messages):
                    words.read += messages.count
                    known = try messages.last.map { try Link($0).alias ?? "" } ?? known
                case nil: break
                }
            }
            return (words, known)
        }
        #expect(final == "last")
        print("lost \(words.lost) times, \(words.read) events read")
    }

    @Test func eachMessageHasItsOutcome() throws {
        let (links, outcomes, batch, tables) = try inPrivateNetwork {
            let socket = try NetlinkSocket(.route)
            var request = MessageBuilder()
            request.newLink(NewLink("b0", .bridge(BridgeOptions())))
            request.newLink(NewLink("b0", .bridge(BridgeOptions())))
            request.setLink(.name("none"), LinkChange(isUp: true))
            request.newLink(NewLink("b1", .bridge(BridgeOptions())))
            let outcomes = try socket.transactEach(request, operation: "try")
            let netfilter = try NetlinkSocket(.netfilter)
            var batch = MessageBuilder()
            batch.beginBatch(generation: nil)
            batch.newTable("one")
            batch.deleteSet("none", table: "one")
            batch.newTable("two")
            batch.deleteChain("none", table: "one")
            batch.endBatch()
            return (
                try socket.links().map(\.name), outcomes, try netfilter.transactEach(batch, operation: "try"),
                try netfilter.tables()
            )
        }
        #expect(outcomes.map { $0?.code } == [nil, EEXIST, ENODEV, nil])
        #expect(Set(links).isSuperset(of: ["b0", "b1"]))
        #expect(batch.map { $0?.code } == [nil, ENOENT, nil, ENOENT])
        #expect(tables == [])
    }

    @Test func anInterruptedDumpIsMadeAnew() throws {
        let (names, dumps, failure) = try inPrivateNetwork {
            let socket = try NetlinkSocket(.route)
            let other = try NetlinkSocket(.route)
            var request = MessageBuilder()
            for number in 0..<100 { request.newLink(NewLink("b\(number)", .bridge(BridgeOptions()))) }
            try other.transact(request, operation: "make links")
            var dump = MessageBuilder()
            dump.message(type: UInt16(RTM_GETLINK), flags: NLM_F_DUMP) { $0.append([UInt8](repeating: 0, count: 16)) }
            func add(_ name: String) throws(NetlinkError) {
                var request = MessageBuilder()
                request.newLink(NewLink(name, .bridge(BridgeOptions())))
                try other.transact(request, operation: "add a link")
            }
            var datagrams = 0
            let messages = try socket.dump(dump, operation: "list links") { _ throws(NetlinkError) in
                datagrams += 1
                if datagrams == 1 { try add("late") }
            }
            var count = 0
            var failure: NetlinkError?
            do throws(NetlinkError) {
                _ = try socket.dump(dump, operation: "list links") { _ throws(NetlinkError) in
                    count += 1
                    try add("more\(count)")
                }
            } catch {
                failure = error
            }
            return (try messages.map { try Link($0).name }, datagrams, failure)
        }
        #expect(dumps > 2)
        #expect(names.count == 102 && Set(names).count == 102 && names.contains("late"))
        #expect(failure == .dumpInterrupted(operation: "list links"))
        #expect(failure?.description == "list links: tables changed during every dump")
    }

    @Test func aDumpOfMegabytesIsWhole() throws {
        let (routes, byteCount) = try inPrivateNetwork {
            let socket = try NetlinkSocket(.route)
            var request = MessageBuilder()
            for number in 0..<10_000 as Range<UInt32> {
                let bytes = withUnsafeBytes(of: number.bigEndian) { Array($0.suffix(2)) }
                for destination in [[10, 0] + bytes, [0xfd] + [UInt8](repeating: 0, count: 13) + bytes] as [[UInt8]] {
                    let length = UInt8(destination.count * 8)
                    var route = Route(destination: destination, prefixLength: length, gateway: nil, outputIndex: 1)
                    (route.table, route.mtu) = (1000, 1400)
                    request.newRoute(route)
                }
            }
            try socket.transact(request, operation: "make routes")
            var byteCount = 0
            for family in [AF_INET, AF_INET6] {
                let header = [UInt8(family)] + [UInt8](repeating: 0, count: 11)
                let messages = try socket.dump(type: UInt16(RTM_GETROUTE), operation: "list") { $0.append(header) }
                byteCount += messages.reduce(0) { $0 + $1.payload.count + 16 }
            }
            return (try socket.routes(family: AF_INET) + socket.routes(family: AF_INET6), byteCount)
        }
        #expect(byteCount > 1 << 20)
        let ours = routes.filter { $0.table == 1000 }
        #expect(ours.count == 20_000 && Set(ours.map(\.destination)).count == 20_000)
        #expect(ours.allSatisfy { $0.mtu == 1400 && $0.outputIndex == 1 })
    }
}
