import CLinux
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import NameServer

@Suite(.serialized, .timeLimit(.minutes(1))) struct DNSForwardTests {
    private func withServer(_ zone: DNSZone, _ body: (DNSServer, _ udp: UInt16, _ tcp: UInt16) throws -> Void) throws {
        let server = try DNSServer()
        try server.start()
        defer { server.stop() }
        let (udp, tcp) = try add("c1", zone, server)
        try body(server, udp, tcp)
    }

    private func add(_ scope: String, _ zone: DNSZone, _ server: DNSServer) throws -> (udp: UInt16, tcp: UInt16) {
        let udp = try DNSSocket.udpListener(address: dnsLoopback, port: 0)
        let tcp = try DNSSocket.tcpListener(address: dnsLoopback, port: 0)
        let ports = (dnsPort(of: udp.raw), dnsPort(of: tcp.raw))
        try server.add(scope: scope, udp: udp, tcp: tcp)
        try server.update(scope: scope, zone: zone)
        return ports
    }

    @Test func anAnswerIsAskedForOnce() throws {
        let upstream = try DNSTestServer { packet, _ in [dnsAnswered(packet, [7], lifetime: 60)] }
        let other = try DNSTestServer { packet, _ in [dnsAnswered(packet, [8], lifetime: 60)] }
        defer {
            upstream.stop()
            other.stop()
        }
        try withServer(DNSZone(forwarders: [upstream.address])) { server, udp, tcp in
            let client = try DNSTestClient(port: udp)
            let stream = try DNSTestClient(port: tcp, isDatagram: false)
            for id in 1...50 as ClosedRange<UInt16> {
                let answer = try client.ask(dnsQuestion(id % 2 == 0 ? "a.example" : "A.Example", id: id))
                #expect(answer.id == id && answer.addresses == [7])
                #expect(try stream.ask(dnsQuestion("a.example", id: id)).addresses == [7])
            }
            #expect(upstream.packets.count == 1)
            // Another container on the same servers has it too, one on others has not.
            let (second, _) = try add("c2", DNSZone(forwarders: [upstream.address]), server)
            #expect(try DNSTestClient(port: second).ask(dnsQuestion("a.example")).addresses == [7])
            #expect(upstream.packets.count == 1)
            let (third, _) = try add("c3", DNSZone(forwarders: [other.address]), server)
            #expect(try DNSTestClient(port: third).ask(dnsQuestion("a.example")).addresses == [8])
        }
    }

    @Test func manyWhoAskTheSameWaitForOneAnswer() throws {
        let upstream = try DNSTestServer { packet, _ in
            usleep(100_000)
            return [dnsAnswered(packet, [7])]
        }
        defer { upstream.stop() }
        try withServer(DNSZone(forwarders: [upstream.address])) { _, udp, _ in
            let client = try DNSTestClient(port: udp)
            for id in 1...100 as ClosedRange<UInt16> { try client.send(dnsQuestion("a.example", id: id)) }
            var ids: Set<UInt16> = []
            for _ in 1...100 {
                let answer = try #require(DNSTestAnswer(try client.receive()))
                #expect(answer.addresses == [7])
                ids.insert(answer.id)
            }
            #expect(ids.count == 100)
            #expect(upstream.packets.count <= 2)
        }
    }

    @Test func whatIsCutOffIsAskedForOverTCP() throws {
        let addresses = (1...200).map { UInt32($0) }
        let upstream = try DNSTestServer { packet, isDatagram in
            guard isDatagram else { return [dnsAnswered(packet, addresses, lifetime: 60)] }
            var cut = dnsAnswered(packet, [])
            cut[2] |= UInt8(DNSFlags.truncated >> 8)
            return [cut]
        }
        defer { upstream.stop() }
        try withServer(DNSZone(forwarders: [upstream.address])) { _, udp, tcp in
            let client = try DNSTestClient(port: udp)
            #expect(try client.ask(dnsQuestion("many.example")).isTruncated)
            #expect(try client.ask(dnsQuestion("many.example", edns: 4_096)).addresses == addresses)
            let stream = try DNSTestClient(port: tcp, isDatagram: false)
            #expect(try stream.ask(dnsQuestion("many.example")).addresses == addresses)
        }
    }

    @Test func whatAClientAddsDoesNotTravelOn() throws {
        let upstream = try DNSTestServer { packet, _ in [dnsAnswered(packet, [7])] }
        defer { upstream.stop() }
        try withServer(DNSZone(forwarders: [upstream.address])) { _, udp, _ in
            // An OPT record with a cookie (RFC 7873).
            var packet = dnsQuestion("a.example", edns: 4_096)
            packet.replaceSubrange(packet.count - 2..<packet.count, with: [0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])
            let answer = try DNSTestClient(port: udp).ask(packet)
            #expect(answer.addresses == [7] && answer.hasEDNS)
            let asked = try #require(upstream.packets.first)
            #expect(asked.count == dnsQuestion("a.example", edns: 4_096).count)
            guard case .query(let query) = DNSQuery.parse(asked) else { return }
            #expect(query.edns?.byteCountMax == DNSLimits.upstreamDatagramByteCountMax)
        }
    }

    @Test func aDeadServerIsWaitedForOnce() throws {
        let dead = try DNSTestServer { _, _ in [] }
        let alive = try DNSTestServer { packet, _ in [dnsAnswered(packet, [7])] }
        defer {
            dead.stop()
            alive.stop()
        }
        try withServer(DNSZone(forwarders: [dead.address, alive.address])) { _, udp, _ in
            let client = try DNSTestClient(port: udp)
            #expect(try client.ask(dnsQuestion("a.example")).addresses == [7])
            let begun = monotonicMilliseconds()
            for number in 0..<20 { #expect(try client.ask(dnsQuestion("b\(number).example")).addresses == [7]) }
            // Half of what it took with a pause for each.
            #expect(monotonicMilliseconds() - begun < 10 * DNSLimits.serverMillisecondsMax)
            #expect(dead.packets.count == 1)
        }
    }

    @Test func questionsBehindEachOtherOnOneConnectionAreAllAnswered() throws {
        try withServer(DNSZone(names: ["web": [1]])) { _, _, tcp in
            let stream = try DNSTestClient(port: tcp, isDatagram: false)
            var together = DNSStreamBuffer()
            for id in 1...200 as ClosedRange<UInt16> { together.append(message: dnsQuestion("web", id: id)) }
            try stream.socket.writeAll(together.bytes)
            for id in 1...200 as ClosedRange<UInt16> {
                let answer = try #require(DNSTestAnswer(try stream.receive()))
                #expect(answer.id == id && answer.addresses == [1])
            }
        }
    }

    @Test func aZoneIsSharedAndChangesForAll() throws {
        try withServer(DNSZone(names: ["web": [1]])) { server, udp, _ in
            let (second, _) = try add("c2", DNSZone(), server)
            try server.run { $0.assign(scope: "c2", zone: "c1") }
            try server.update(scope: "c1", zone: DNSZone(names: ["web": [5]]))
            for port in [udp, second] {
                #expect(try DNSTestClient(port: port).ask(dnsQuestion("web")).addresses == [5])
            }
            // Forgotten, but still somebody's.
            try server.run { $0.forgetZone("c1") }
            #expect(try DNSTestClient(port: second).ask(dnsQuestion("web")).addresses == [5])
        }
    }
}
