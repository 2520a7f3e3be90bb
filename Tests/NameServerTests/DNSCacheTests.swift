import InternetAddress
import LinuxSystem
import Synchronization
import Testing

@testable import NameServer

@Suite struct DNSCacheTests {
    private func query(_ name: String, type: UInt16 = DNSType.a, edns: UInt16? = nil) throws -> DNSQuery {
        guard case .query(let query) = DNSQuery.parse(dnsQuestion(name, type: type, edns: edns)) else {
            throw SystemError("parse", code: 0)
        }
        return query
    }

    private func response(_ name: String, lifetime: UInt32) throws -> DNSResponse {
        try #require(DNSResponse(dnsAnswered(dnsQuestion(name), [1, 2], lifetime: lifetime)))
    }

    @Test func anAnswerIsRememberedForItsLifetime() throws {
        var cache = DNSCache()
        let key = DNSLookupKey(try query("a.example"), servers: [])
        cache.store(key, try response("a.example", lifetime: 10), 1_000)
        #expect(cache.find(key, 10_999)?.age == 9)
        #expect(cache.find(key, 11_000) == nil)
        #expect(cache.count == 0 && cache.byteCount == 0)
        cache.store(key, try response("a.example", lifetime: 0), 1_000)
        #expect(cache.count == 0)
        #expect(try response("a.example", lifetime: 1 << 31).secondsToLive == 0)
        #expect(try response("a.example", lifetime: 1_000_000).secondsToLive == DNSLimits.cachedSecondsMax)
    }

    @Test func whoAsksOtherServersOrOtherThingsHasAnswersOfItsOwn() throws {
        var cache = DNSCache()
        let server = try #require(ResolverAddress("192.0.2.1"))
        let plain = try query("a.example")
        cache.store(DNSLookupKey(plain, servers: [server]), try response("a.example", lifetime: 10), 0)
        #expect(cache.find(DNSLookupKey(try query("A.Example"), servers: [server]), 0) != nil)
        var other = plain
        other.flags |= DNSFlags.checkingDisabled
        for key in [
            DNSLookupKey(plain, servers: []), DNSLookupKey(other, servers: [server]),
            DNSLookupKey(try query("a.example", type: 28), servers: [server]),
            DNSLookupKey(try query("a.example", edns: 512), servers: [server]),
        ] {
            #expect(cache.find(key, 0) == nil)
        }
    }

    @Test func holdsNoMoreThanItMay() throws {
        var cache = DNSCache()
        for number in 0..<3 * DNSLimits.cachedAnswerCountMax {
            let name = "n\(number).example"
            cache.store(DNSLookupKey(try query(name), servers: []), try response(name, lifetime: 60), 0)
        }
        #expect(cache.count == DNSLimits.cachedAnswerCountMax)
        #expect(cache.byteCount <= DNSLimits.cachedByteCountMax)
        let newest = DNSLookupKey(try query("n\(3 * DNSLimits.cachedAnswerCountMax - 1).example"), servers: [])
        #expect(cache.find(newest, 0) != nil)
    }

    @Test func answersFitEachClient() throws {
        let addresses = (1...100).map { UInt32($0) }
        let response = try #require(DNSResponse(dnsAnswered(dnsQuestion("many.example"), addresses, lifetime: 60)))
        let small = try #require(
            DNSTestAnswer(response.message(for: try query("MANY.example"), age: 5, byteCountMax: 512)))
        #expect(small.isTruncated && small.addresses.isEmpty && small.byteCount <= 512 && small.id == 0x1234)
        let bytes = response.message(for: try query("Many.Example", edns: 4_096), age: 5, byteCountMax: 4_096)
        let large = try #require(DNSTestAnswer(bytes))
        #expect(large.addresses == addresses && large.secondsToLive == [55] && large.hasEDNS)
        #expect(bytes[13..<17].elementsEqual("Many".utf8))
    }

    @Test func negativeAnswersLiveAsLongAsTheirAuthoritySays() throws {
        var internalZone = DNSZone(names: ["web": [1]])
        internalZone.external = false
        var random = SpreadingGenerator(seed: 1)
        for name in ["web", "none"] {
            let decision = DNSResponder.decide(
                dnsQuestion(name, type: 28), zone: CompiledZone(internalZone), isDatagram: true, random: &random)
            guard case .reply(let bytes) = decision else { continue }
            #expect(DNSResponse(bytes)?.secondsToLive == DNSReply.negativeSecondsToLive)
            #expect(DNSTestAnswer(bytes)?.authority == 1)
        }
        #expect(DNSResponse(dnsAnswered(dnsQuestion("none"), [], code: .nameError).prefix(22).map { $0 }) == nil)
    }

    @Test func bothFamiliesAnswerAndPointBack() throws {
        let six = try #require(IPv6Address("fd00::12"))
        let zone = CompiledZone(DNSZone(names: ["web": [.v4(IPv4Address(value: 7)), .v6(six)]]))
        var random = SpreadingGenerator(seed: 1)
        func ask(_ name: String, _ type: UInt16) throws -> DNSTestAnswer {
            let decision = DNSResponder.decide(
                dnsQuestion(name, type: type), zone: zone, isDatagram: true, random: &random)
            guard case .reply(let bytes) = decision else { throw SystemError("decide", code: 0) }
            return try #require(DNSTestAnswer(bytes))
        }
        #expect(try ask("web", DNSType.aaaa).addresses6 == [six])
        #expect(try ask("web", DNSType.a).addresses == [7])
        let all = try ask("web", DNSType.any)
        #expect(all.addresses == [7] && all.addresses6 == [six])
        let reverse = "2.1" + String(repeating: ".0", count: 26) + ".0.0.d.f.ip6.arpa"
        #expect(try ask(reverse, DNSType.ptr).names == ["web"])
    }

    @Test func serversThatDidNotAnswerComeLast() throws {
        let servers = try ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map { try #require(ResolverAddress($0)) }
        var health = DNSServerHealth()
        #expect(health.order(servers, turn: 0, 0) == servers)
        #expect(health.order(servers, turn: 1, 0) == [servers[1], servers[2], servers[0]])
        health.noteDead(servers[0], 0)
        #expect(health.order(servers, turn: 0, 0) == [servers[1], servers[2], servers[0]])
        #expect(health.order(servers, turn: 0, DNSLimits.deadServerMillisecondsMax) == servers)
        health.noteAlive(servers[0])
        #expect(health.order(servers, turn: 0, 0) == servers)
    }

    @Test func optionsOfTheHostCount() {
        let file = ResolvConf(Array("nameserver 1.1.1.1\noptions timeout:1 attempts:9 rotate x:y timeout:z\n".utf8))
        #expect(file.timeoutMilliseconds == 1_000 && file.attemptCount == DNSLimits.attemptCountMax && file.rotates)
        let plain = ResolvConf(Array("options ndots:5".utf8))
        #expect(plain == ResolvConf())
    }
}
