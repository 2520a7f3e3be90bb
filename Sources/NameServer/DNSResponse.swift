/// An answer of another server, understood as far as it takes to hand it to several clients, now and later.
struct DNSResponse: Equatable {
    /// Without the OPT record, which belongs to one pair of speakers (RFC 6891 section 6.1.1); under id 0.
    private(set) var bytes: [UInt8]
    /// Where lifetimes stand.
    private var lifetimeOffsets: [Int]
    /// The response code with the upper bits from OPT.
    let code: UInt16
    private let questionEnd: Int
    /// How long it may be remembered; 0: not at all (RFC 2181 section 8, RFC 2308 section 5).
    let secondsToLive: UInt32

    var byteCount: Int { bytes.count }

    /// `nil` for a message that cannot be taken apart: it is good for one client, as it is.
    init?(_ message: [UInt8]) {
        guard let header = DNSHeader(message), header.isResponse, header.questionCount == 1,
            let (question, questionEnd) = DNSQuestion.read(message)
        else { return nil }
        var walk = RecordWalk(message, offset: questionEnd)
        for (section, count) in [header.answerCount, header.authorityCount, header.additionalCount].enumerated() {
            for _ in 0..<count {
                guard walk.step(section: section) else { return nil }
            }
        }
        var writer = DNSWriter(bytes: Array(message.prefix(walk.end)))
        writer.set(word: 0, at: 0)
        if walk.hasOPT { writer.set(word: header.additionalCount &- 1, at: 10) }
        bytes = writer.bytes
        lifetimeOffsets = walk.lifetimeOffsets
        self.questionEnd = questionEnd
        code = walk.codeUpperBits << 4 | header.code
        secondsToLive = Self.lifetime(header, question, walk, code: code)
    }

    private static func lifetime(
        _ header: DNSHeader, _ question: DNSQuestion, _ walk: RecordWalk, code: UInt16
    ) -> UInt32 {
        guard header.flags & DNSFlags.truncated == 0, question.class == DNSClass.internet,
            question.type < DNSType.firstMeta || question.type > DNSType.any
        else { return 0 }
        let isNegative = code == DNSCode.nameError.rawValue || header.answerCount == 0
        if isNegative {
            guard code == DNSCode.nameError.rawValue || code == 0, let seconds = walk.negativeLifetime else { return 0 }
            return min(seconds, walk.lifetimeMin, DNSLimits.cachedNegativeSecondsMax)
        }
        return code == 0 ? min(walk.lifetimeMin, DNSLimits.cachedSecondsMax) : 0
    }

    /// The answer for one client, `age` seconds after it came.
    func message(for query: DNSQuery, age: UInt32, byteCountMax: Int) -> [UInt8] {
        var writer = DNSWriter(bytes: bytes)
        writer.set(word: query.id, at: 0)
        let optByteCount = query.edns == nil ? 0 : DNSReply.optByteCount
        if bytes.count + optByteCount > byteCountMax {
            writer.bytes.removeSubrange(questionEnd...)
            for offset in stride(from: 6, to: DNSHeader.byteCount, by: 2) { writer.set(word: 0, at: offset) }
            writer.set(word: writer.word(at: 2) | DNSFlags.truncated, at: 2)
        } else {
            for offset in lifetimeOffsets {
                let left = writer.long(at: offset) - min(age, writer.long(at: offset))
                writer.set(word: UInt16(left >> 16), at: offset)
                writer.set(word: UInt16(left & 0xFFFF), at: offset + 2)
            }
        }
        // The client's mix of upper and lower case, which some compare.
        if query.questionBytes.count == questionEnd - DNSHeader.byteCount {
            writer.bytes.replaceSubrange(DNSHeader.byteCount..<questionEnd, with: query.questionBytes)
        }
        if let edns = query.edns {
            writer.set(word: writer.word(at: 10) &+ 1, at: 10)
            DNSReply.writeOPT(code, wantsSignatures: edns.wantsSignatures, to: &writer)
        }
        return writer.bytes
    }
}

/// Goes through the records of a message.
private struct RecordWalk {
    private var reader: DNSReader
    private let bytes: [UInt8]
    private(set) var end: Int
    private(set) var lifetimeOffsets: [Int] = []
    private(set) var lifetimeMin = UInt32.max
    private(set) var negativeLifetime: UInt32?
    private(set) var hasOPT = false
    private(set) var codeUpperBits: UInt16 = 0

    init(_ bytes: [UInt8], offset: Int) {
        self.bytes = bytes
        reader = DNSReader(bytes, offset: offset)
        end = offset
    }

    /// `false`: malformed, or a record behind the OPT record, which then cannot be cut off.
    mutating func step(section: Int) -> Bool {
        guard !hasOPT, reader.skipName(), let type = reader.word(), reader.skip(2) else { return false }
        let lifetimeOffset = reader.offset
        guard let lifetime = reader.long(), let length = reader.word(), reader.skip(Int(length)) else { return false }
        if type == DNSType.opt {
            guard section == 2 else { return false }
            hasOPT = true
            codeUpperBits = UInt16(lifetime >> 24)
            return true
        }
        end = reader.offset
        lifetimeOffsets.append(lifetimeOffset)
        // RFC 2181 section 8: the top bit set means zero.
        lifetimeMin = min(lifetimeMin, lifetime > UInt32(Int32.max) ? 0 : lifetime)
        // The minimum is the last number of an SOA record.
        if type == DNSType.soa, section == 1, length >= 22 {
            var minimum = DNSReader(bytes, offset: end - 4)
            negativeLifetime = minimum.long().map { min($0, lifetime) }
        }
        return true
    }
}

extension DNSWriter {
    func word(at offset: Int) -> UInt16 {
        guard offset >= 0, offset + 1 < bytes.count else { return 0 }
        return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    func long(at offset: Int) -> UInt32 { UInt32(word(at: offset)) << 16 | UInt32(word(at: offset + 2)) }
}
