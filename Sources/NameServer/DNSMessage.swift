/// Numbers of the DNS protocol (RFC 1035 section 3.2 and 4.1.1, RFC 6891).
enum DNSType {
    static let a: UInt16 = 1
    static let soa: UInt16 = 6
    static let ptr: UInt16 = 12
    static let aaaa: UInt16 = 28
    static let opt: UInt16 = 41
    /// From here to 255: questions about more than one record, transfers among them (RFC 6895 section 3.1).
    static let firstMeta: UInt16 = 128
    static let any: UInt16 = 255
}

enum DNSClass {
    static let internet: UInt16 = 1
    static let any: UInt16 = 255
}

enum DNSCode: UInt16 {
    case noError = 0
    case formatError = 1
    case serverFailure = 2
    case nameError = 3
    case notImplemented = 4
    case refused = 5
    /// Extended (RFC 6891 section 9): its upper bits travel in the OPT record.
    case badVersion = 16
}

/// The header's second word.
enum DNSFlags {
    static let response: UInt16 = 0x8000
    static let opcodeMask: UInt16 = 0x7800
    static let authoritative: UInt16 = 0x0400
    static let truncated: UInt16 = 0x0200
    static let recursionDesired: UInt16 = 0x0100
    static let recursionAvailable: UInt16 = 0x0080
    /// RFC 4035 section 3.2: the client understands AD; the client checks signatures itself.
    static let authenticData: UInt16 = 0x0020
    static let checkingDisabled: UInt16 = 0x0010
    static let codeMask: UInt16 = 0x000F
    /// In the OPT record.
    static let wantsSignatures: UInt16 = 0x8000
}

/// The fixed 12 bytes at the start of a message (RFC 1035 section 4.1.1).
struct DNSHeader: Equatable {
    static let byteCount = 12

    var id: UInt16
    var flags: UInt16
    var questionCount: UInt16
    var answerCount: UInt16
    var authorityCount: UInt16
    var additionalCount: UInt16

    init?(_ bytes: [UInt8]) {
        var reader = DNSReader(bytes)
        guard let id = reader.word(), let flags = reader.word(), let questionCount = reader.word(),
            let answerCount = reader.word(), let authorityCount = reader.word(), let additionalCount = reader.word()
        else { return nil }
        self.id = id
        self.flags = flags
        self.questionCount = questionCount
        self.answerCount = answerCount
        self.authorityCount = authorityCount
        self.additionalCount = additionalCount
    }

    var isResponse: Bool { flags & DNSFlags.response != 0 }
    var code: UInt16 { flags & DNSFlags.codeMask }
}

/// What is asked. Equality is that of the DNS: case of letters does not count (RFC 4343).
struct DNSQuestion: Hashable {
    /// Labels with their length bytes and the final zero, in lower case.
    var name: [UInt8]
    var type: UInt16
    var `class`: UInt16

    /// The question right after the header. A question's name stands in full: a compression pointer here could only
    /// point at itself or beyond, and is refused.
    static func read(_ bytes: [UInt8]) -> (question: DNSQuestion, end: Int)? {
        var reader = DNSReader(bytes, offset: DNSHeader.byteCount)
        guard let name = reader.plainName(), let type = reader.word(), let `class` = reader.word() else { return nil }
        return (DNSQuestion(name: name, type: type, class: `class`), reader.offset)
    }
}

/// A question packet, parsed as far as an answer needs it.
struct DNSQuery: Equatable {
    struct EDNS: Equatable {
        var version: UInt8
        /// The largest UDP answer the client takes, bytes.
        var byteCountMax: Int
        /// DO: the client wants signatures (RFC 3225).
        var wantsSignatures: Bool
    }

    enum Parsed: Equatable {
        case query(DNSQuery)
        /// Answered with the code and nothing else.
        case refuse(DNSCode)
        /// No header, or not a question: an answer could be thrown back and forth for ever.
        case ignore
    }

    var id: UInt16
    var flags: UInt16
    var question: DNSQuestion
    /// The question section as it came, with the client's mix of upper and lower case.
    var questionBytes: [UInt8]
    var edns: EDNS?

    static func parse(_ bytes: [UInt8]) -> Parsed {
        guard let header = DNSHeader(bytes), !header.isResponse else { return .ignore }
        guard header.flags & DNSFlags.opcodeMask == 0 else { return .refuse(.notImplemented) }
        guard header.questionCount == 1, let (question, end) = DNSQuestion.read(bytes) else {
            return .refuse(.formatError)
        }
        let recordCount = Int(header.answerCount) + Int(header.authorityCount) + Int(header.additionalCount)
        guard recordCount <= DNSLimits.recordCountMax else { return .refuse(.formatError) }
        var query = DNSQuery(
            id: header.id, flags: header.flags, question: question,
            questionBytes: Array(bytes[DNSHeader.byteCount..<end]))
        var reader = DNSReader(bytes, offset: end)
        for _ in 0..<recordCount {
            guard reader.skipName(), let type = reader.word(), let size = reader.word(), reader.skip(1),
                let version = reader.byte(), let flags = reader.word(), let length = reader.word(),
                reader.skip(Int(length))
            else { return .refuse(.formatError) }
            guard type == DNSType.opt else { continue }
            // RFC 6891 section 6.1.1: more than one OPT is an error.
            guard query.edns == nil else { return .refuse(.formatError) }
            query.edns = EDNS(
                version: version, byteCountMax: Int(size), wantsSignatures: flags & DNSFlags.wantsSignatures != 0)
        }
        return .query(query)
    }

    /// The largest UDP answer of our own to this client, bytes.
    var datagramByteCountMax: Int {
        guard let edns else { return DNSLimits.plainDatagramByteCountMax }
        return min(max(edns.byteCountMax, DNSLimits.plainDatagramByteCountMax), DNSLimits.datagramByteCountMax)
    }
}

/// Reads big-endian numbers and names; every read checks the bounds.
struct DNSReader {
    private static let labelByteCountMax = 63
    private static let nameByteCountMax = 255

    private let bytes: [UInt8]
    private(set) var offset: Int

    init(_ bytes: [UInt8], offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    mutating func byte() -> UInt8? {
        guard offset >= 0, offset < bytes.count else { return nil }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func word() -> UInt16? {
        guard let high = byte(), let low = byte() else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }

    mutating func long() -> UInt32? {
        guard let high = word(), let low = word() else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, count <= bytes.count - offset else { return false }
        offset += count
        return true
    }

    /// A name without compression, in lower case, with its length bytes and the final zero.
    mutating func plainName() -> [UInt8]? {
        var name: [UInt8] = []
        while let length = byte() {
            guard length <= Self.labelByteCountMax, name.count + Int(length) + 1 <= Self.nameByteCountMax else {
                return nil
            }
            name.append(length)
            if length == 0 { return name }
            for _ in 0..<length {
                guard let next = byte() else { return nil }
                name.append(lowercaseASCII(next))
            }
        }
        return nil
    }

    /// Steps over a name. A compression pointer ends it, and is not followed.
    mutating func skipName() -> Bool {
        var byteCount = 0
        while let length = byte() {
            if length == 0 { return true }
            if length & 0xC0 == 0xC0 { return skip(1) }
            byteCount += Int(length) + 1
            guard length <= Self.labelByteCountMax, byteCount < Self.nameByteCountMax, skip(Int(length)) else {
                return false
            }
        }
        return false
    }

    /// `web.example` as labels, in lower case; `nil` for a text that is no name of the DNS.
    static func name(_ text: String) -> [UInt8]? {
        var name: [UInt8] = []
        let text = text.hasSuffix(".") ? text.dropLast() : text[...]
        for label in text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard !label.isEmpty, label.count <= labelByteCountMax else { return nil }
            name.append(UInt8(label.count))
            name += label.map(lowercaseASCII)
        }
        name.append(0)
        return name.count <= nameByteCountMax ? name : nil
    }
}

func lowercaseASCII(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}
