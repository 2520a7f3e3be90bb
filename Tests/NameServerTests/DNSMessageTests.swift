import InternetAddress
import Testing

@testable import NameServer

@Suite struct DNSMessageTests {
    private static let zone = CompiledZone(
        DNSZone(
            names: [
                "web": [0x0A00_0002, 0x0A00_0003, 0x0A00_0004], "shop-web-1": [0x0A00_0002],
                "DB.Example.": [0x0A00_0009],
                "empty": [], "bad..name": [1], String(repeating: "a", count: 64): [2],
            ]))

    private func decide(
        _ packet: [UInt8], _ zone: CompiledZone? = zone, isDatagram: Bool = true
    ) -> DNSResponder.Decision {
        var random = SpreadingGenerator(seed: 1)
        return DNSResponder.decide(packet, zone: zone, isDatagram: isDatagram, random: &random)
    }

    private func answer(
        _ packet: [UInt8], _ zone: CompiledZone? = zone, isDatagram: Bool = true
    ) throws -> DNSTestAnswer {
        guard case .reply(let bytes) = decide(packet, zone, isDatagram: isDatagram) else {
            throw UnexpectedDecision()
        }
        return try #require(DNSTestAnswer(bytes))
    }

    private struct UnexpectedDecision: Error {}

    /// The bytes of `dig +noedns web` against the answer for one address.
    @Test func writesTheBytesOfTheStandard() throws {
        let packet: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0x57, 0x65, 0x42, 0, 0, 1, 0, 1]
        #expect(packet == dnsQuestion("WeB"))
        let zone = CompiledZone(DNSZone(names: ["web": [0x0A01_0203]]))
        #expect(
            decide(packet, zone)
                == .reply([
                    0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 3, 0x57, 0x65, 0x42, 0, 0, 1, 0, 1,
                    0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 1, 2, 3,
                ]))
    }

    @Test func answersEveryAddressInSomeOrder() throws {
        var random = SpreadingGenerator(seed: 7)
        var firsts: [UInt32: Int] = [:]
        for _ in 0..<300 {
            let decision = DNSResponder.decide(dnsQuestion("WEB"), zone: Self.zone, isDatagram: true, random: &random)
            guard case .reply(let bytes) = decision else { throw UnexpectedDecision() }
            let answer = try #require(DNSTestAnswer(bytes))
            #expect(Set(answer.addresses) == [0x0A00_0002, 0x0A00_0003, 0x0A00_0004])
            #expect(answer.secondsToLive == [0])
            firsts[answer.addresses[0], default: 0] += 1
        }
        #expect(firsts.values.allSatisfy { $0 > 60 }, "\(firsts)")
    }

    @Test(arguments: [UInt16(28), 15, 16, 33, 65, 6])
    func namesOfOursHaveNothingBesidesAddresses(type: UInt16) throws {
        let answer = try answer(dnsQuestion("web", type: type))
        #expect(answer.code == 0)
        #expect(answer.addresses.isEmpty)
        #expect(answer.authority == 1)
    }

    @Test func aNameWithoutAddressesIsNotForwarded() throws {
        let answer = try answer(dnsQuestion("empty"))
        #expect(answer.code == 0)
        #expect(answer.addresses.isEmpty)
    }

    @Test func answersReverseQuestions() throws {
        #expect(try answer(dnsQuestion("2.0.0.10.in-addr.arpa", type: DNSType.ptr)).names == ["shop-web-1", "web"])
        #expect(try answer(dnsQuestion("3.0.0.10.IN-ADDR.arpa", type: DNSType.ptr)).names == ["web"])
        #expect(try answer(dnsQuestion("9.0.0.10.in-addr.arpa", type: DNSType.ptr)).names == ["db.example"])
        #expect(try answer(dnsQuestion("2.0.0.10.in-addr.arpa", type: DNSType.a)).names == [])
    }

    @Test func forwardsWhatItDoesNotKnowUnlessTheNetworkIsInternal() throws {
        var internalZone = Self.zone.source
        internalZone.external = false
        for name in [
            "unknown", "example.org", "8.8.8.8.in-addr.arpa", "web.example", String(repeating: "a", count: 63),
        ] {
            guard case .forward(let query) = decide(dnsQuestion(name)) else { throw UnexpectedDecision() }
            #expect(dnsText(query.question.name) == name)
            #expect(try answer(dnsQuestion(name), CompiledZone(internalZone)).code == DNSCode.nameError.rawValue)
        }
        guard case .forward = decide(dnsQuestion("web", class: 3)) else { throw UnexpectedDecision() }
        #expect(try answer(dnsQuestion("web"), CompiledZone(internalZone)).addresses.count == 3)
    }

    @Test func aScopeWithoutZoneSaysTryAgain() throws {
        #expect(try answer(dnsQuestion("web"), nil).code == DNSCode.serverFailure.rawValue)
    }

    @Test func cutsAnswersToWhatTheClientTakes() throws {
        let zone = CompiledZone(DNSZone(names: ["many": (1...500).map { UInt32($0) }]))
        let plain = try answer(dnsQuestion("many"), zone)
        #expect(plain.isTruncated)
        #expect(plain.addresses.count == (512 - 22) / 16)
        #expect(plain.byteCount <= 512)
        let extended = try answer(dnsQuestion("many", edns: 1_232), zone)
        #expect(extended.isTruncated && extended.hasEDNS)
        #expect(extended.byteCount > 1_200 && extended.byteCount <= 1_232)
        #expect(try answer(dnsQuestion("many", edns: 65_535), zone).byteCount <= DNSLimits.datagramByteCountMax)
        #expect(try answer(dnsQuestion("many", edns: 1), zone).byteCount > 480)
        let stream = try answer(dnsQuestion("many"), zone, isDatagram: false)
        #expect(!stream.isTruncated)
        #expect(stream.addresses.count == 500)
    }

    @Test func refusesOtherVersionsOfEDNS() throws {
        guard case .reply(let bytes) = decide(dnsQuestion("web", edns: 1_232, ednsVersion: 1)) else {
            throw UnexpectedDecision()
        }
        #expect(bytes[3] & 0xF == 0)
        #expect(bytes[bytes.count - 6] == 1)
    }

    @Test func refusesWhatIsMalformed() {
        let good = dnsQuestion("web")
        var twoQuestions = good
        twoQuestions[5] = 2
        var otherOpcode = good
        otherOpcode[2] = 0x28
        var answerPacket = good
        answerPacket[2] = 0x80
        var manyRecords = good
        manyRecords[10] = 0xFF
        let loop: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xC0, 12, 0, 1, 0, 1]
        let reserved: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 1, 0, 1]
        var longName = dnsQuestion((0..<4).map { _ in String(repeating: "a", count: 63) }.joined(separator: "."))
        for (packet, code) in [
            (twoQuestions, DNSCode.formatError), (otherOpcode, .notImplemented), (manyRecords, .formatError),
            (loop, .formatError), (reserved, .formatError), (longName, .formatError),
            (Array(good.dropLast()), .formatError), (Array(good.prefix(12)), .formatError),
        ] {
            guard case .reply(let bytes) = decide(packet) else {
                Issue.record("no reply to \(packet)")
                continue
            }
            #expect(DNSHeader(bytes)?.code == code.rawValue)
            #expect(bytes.count == 12)
        }
        #expect(decide(answerPacket) == .drop)
        for count in 0..<12 { #expect(decide(Array(good.prefix(count))) == .drop) }
        longName = []
        #expect(decide(longName) == .drop)
    }

    @Test func aSecondOPTIsRefused() {
        var packet = dnsQuestion("web", edns: 1_232)
        packet += packet.suffix(11)
        packet[11] = 2
        guard case .reply(let bytes) = decide(packet) else {
            Issue.record("no reply")
            return
        }
        #expect(DNSHeader(bytes)?.code == DNSCode.formatError.rawValue)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomPacketsNeverTrap(seed: UInt64) {
        var random = SpreadingGenerator(seed: seed)
        let seeds = [
            dnsQuestion("web"), dnsQuestion("a.b.example.org", edns: 4_096),
            dnsQuestion("2.0.0.10.in-addr.arpa", type: 12),
        ]
        for _ in 0..<2_000 {
            var packet = seeds.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                guard !packet.isEmpty else { break }
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    packet[Int.random(in: 0..<packet.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                case 1: packet.removeLast(Int.random(in: 0...packet.count, using: &random))
                case 2: packet.insert(0xC0, at: Int.random(in: 0...packet.count, using: &random))
                default: packet += packet.prefix(40)
                }
            }
            if case .reply(let bytes) = decide(packet) {
                #expect(bytes.count >= 12 && bytes.count <= DNSLimits.datagramByteCountMax)
                #expect(bytes.prefix(2) == packet.prefix(2))
                #expect(bytes[2] & 0x80 != 0)
            }
            _ = Self.lookup.judge(packet)
            if let response = DNSResponse(packet) {
                for limit in [12, 512, 65_535] {
                    let message = response.message(for: Self.query, age: 3, byteCountMax: limit)
                    #expect(DNSHeader(message) != nil)
                }
            }
            var stream = DNSStreamBuffer()
            stream.append(packet)
            while stream.nextMessage() != nil {}
        }
    }

    private static let query = DNSQuery(
        id: 1, flags: 0, question: DNSQuestion(name: [0], type: 1, class: 1), questionBytes: [0, 0, 1, 0, 1])
    private static var lookup: DNSLookup {
        DNSLookup(DNSLookupKey(query, servers: []), order: [], attemptCount: 1, timeoutMilliseconds: 1)
    }

    @Test func judgesAnswersOfOtherServers() throws {
        guard case .query(let query) = DNSQuery.parse(dnsQuestion("example.org", id: 5)) else { return }
        let lookup = DNSLookup(
            DNSLookupKey(query, servers: []), order: [], attemptCount: 1, timeoutMilliseconds: 1)
        lookup.id = 777
        let asked = lookup.packet
        #expect(asked.prefix(2) == [3, 9])
        #expect(asked.dropFirst(2) == dnsQuestion("example.org").dropFirst(2))
        #expect(lookup.judge(dnsAnswered(asked, [1])) == .answer)
        #expect(lookup.judge(dnsAnswered(dnsQuestion("EXAMPLE.org", id: 777), [1])) == .answer)
        #expect(lookup.judge(dnsAnswered(dnsQuestion("example.org", id: 778), [1])) == .foreign)
        #expect(lookup.judge(dnsAnswered(dnsQuestion("example.net", id: 777), [1])) == .foreign)
        #expect(lookup.judge(dnsAnswered(dnsQuestion("example.org", type: 28, id: 777), [1])) == .foreign)
        #expect(lookup.judge(asked) == .foreign)
        #expect(lookup.judge(dnsAnswered(asked, [], code: .refused)) == .refused)
        #expect(lookup.judge(dnsAnswered(asked, [], code: .nameError)) == .answer)
        var cut = dnsAnswered(asked, [1])
        cut[2] |= UInt8(DNSFlags.truncated >> 8)
        #expect(lookup.judge(cut) == .truncated)
        lookup.isStream = true
        #expect(lookup.judge(cut) == .answer)
        let bare = try #require(DNSHeader(asked))
        #expect(lookup.judge(DNSReply.refusal(bare, .serverFailure)) == .refused)
        #expect(lookup.judge(DNSReply.refusal(bare, .noError)) == .foreign)
    }

    @Test func deadlinesComeInOrder() {
        var queue = DeadlineQueue()
        for token in 1...1_000 as ClosedRange<UInt64> { queue.push(token, at: token + 10) }
        #expect(queue.first == 11)
        #expect(queue.popExpired(10) == nil)
        for token in 1...1_000 as ClosedRange<UInt64> { #expect(queue.popExpired(5_000) == token) }
        #expect(queue.popExpired(5_000) == nil)
        #expect(queue.first == nil)
    }
}
