import InternetAddress

/// Answers of our own, in wire form (RFC 1035 section 4.1).
enum DNSReply {
    enum Record: Equatable {
        case address(IPAddress)
        case pointer(name: [UInt8])
    }

    /// Zero: a name's addresses change with every replica that starts, stops or fails its health check, and a client
    /// that keeps an answer goes on connecting to the one that is gone (Docker says 600 and has that problem). The
    /// server is on the container's own loopback: asking again costs microseconds.
    static let secondsToLive: UInt32 = 0
    /// How long a client may remember that something is not there (RFC 2308 section 5).
    static let negativeSecondsToLive: UInt32 = 1

    /// An answer to `query`: as many records as fit into `byteCountMax`, with the TC bit when some do not.
    static func answer(
        _ query: DNSQuery, _ code: DNSCode, _ records: [Record] = [], byteCountMax: Int
    ) -> [UInt8] {
        var writer = DNSWriter()
        writer.word(query.id)
        writer.word(flags(query.flags, code) | DNSFlags.authoritative)
        writer.word(1)
        writer.word(0)  // Answers: set below.
        writer.word(0)
        writer.word(query.edns == nil ? 0 : 1)
        writer.bytes += query.questionBytes
        let room = byteCountMax - (query.edns == nil ? 0 : optByteCount)
        var count: UInt16 = 0
        for record in records {
            let start = writer.bytes.count
            write(record, to: &writer)
            guard writer.bytes.count <= room, count < UInt16.max else {
                writer.bytes.removeSubrange(start...)
                writer.set(word: flags(query.flags, code) | DNSFlags.authoritative | DNSFlags.truncated, at: 2)
                break
            }
            count += 1
        }
        writer.set(word: count, at: 6)
        let isNegative = records.isEmpty && (code == .noError || code == .nameError)
        if isNegative, writer.bytes.count + authorityByteCount <= room {
            writeAuthority(to: &writer)
            writer.set(word: 1, at: 8)
        }
        if let edns = query.edns {
            writeOPT(code.rawValue, wantsSignatures: edns.wantsSignatures, to: &writer)
        }
        return writer.bytes
    }

    /// A code without a question, for a packet that could not be parsed. `header` is that of the packet.
    static func refusal(_ header: DNSHeader, _ code: DNSCode) -> [UInt8] {
        var writer = DNSWriter()
        writer.word(header.id)
        writer.word(flags(header.flags, code))
        for _ in 0..<4 { writer.word(0) }
        return writer.bytes
    }

    private static func flags(_ query: UInt16, _ code: DNSCode) -> UInt16 {
        DNSFlags.response | query & (DNSFlags.opcodeMask | DNSFlags.recursionDesired) | DNSFlags.recursionAvailable
            | code.rawValue & DNSFlags.codeMask
    }

    private static func write(_ record: Record, to writer: inout DNSWriter) {
        // A pointer to the question's name (RFC 1035 section 4.1.4).
        writer.word(0xC000 | UInt16(DNSHeader.byteCount))
        let data: [UInt8]
        switch record {
        case .address(let address):
            writer.word(address.isV6 ? DNSType.aaaa : DNSType.a)
            data = address.bytes
        case .pointer(let name):
            writer.word(DNSType.ptr)
            data = name
        }
        writer.word(DNSClass.internet)
        writer.long(secondsToLive)
        writer.word(UInt16(truncatingIfNeeded: data.count))  // At most 255, a name.
        writer.bytes += data
    }

    private static let authorityByteCount = 11 + 22

    /// Without an SOA record resolvers choose themselves how long they remember a negative answer (RFC 2308 section 3).
    /// Ours speaks for the root: what is asked is above or at no name of ours.
    private static func writeAuthority(to writer: inout DNSWriter) {
        writer.bytes.append(0)
        writer.word(DNSType.soa)
        writer.word(DNSClass.internet)
        writer.long(negativeSecondsToLive)
        writer.word(22)
        writer.bytes += [0, 0]  // Name server and mailbox: the root.
        // Serial, refresh, retry, expire, minimum (RFC 1035 section 3.3.13).
        for number in [1, negativeSecondsToLive, negativeSecondsToLive, negativeSecondsToLive, negativeSecondsToLive] {
            writer.long(number)
        }
    }

    static let optByteCount = 11

    /// RFC 6891 section 6.1.2. `code`: all twelve bits.
    static func writeOPT(_ code: UInt16, wantsSignatures: Bool, to writer: inout DNSWriter) {
        writer.bytes.append(0)
        writer.word(DNSType.opt)
        writer.word(UInt16(DNSLimits.datagramByteCountMax))
        writer.bytes.append(UInt8(truncatingIfNeeded: code >> 4))
        writer.bytes.append(0)
        writer.word(wantsSignatures ? DNSFlags.wantsSignatures : 0)
        writer.word(0)
    }
}

/// Writes big-endian numbers.
struct DNSWriter {
    var bytes: [UInt8] = []

    init(bytes: [UInt8] = []) {
        self.bytes = bytes
        if bytes.isEmpty { self.bytes.reserveCapacity(DNSLimits.plainDatagramByteCountMax) }
    }

    mutating func word(_ value: UInt16) {
        bytes.append(UInt8(value >> 8))
        bytes.append(UInt8(value & 0xFF))
    }

    mutating func long(_ value: UInt32) {
        word(UInt16(value >> 16))
        word(UInt16(value & 0xFFFF))
    }

    /// Overwrites two bytes that were written before.
    mutating func set(word value: UInt16, at offset: Int) {
        guard offset >= 0, offset + 1 < bytes.count else { return }
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(value & 0xFF)
    }
}
