/// Why a file of a time zone database cannot be used.
public struct TimeZoneFileError: Error, Equatable, CustomStringConvertible, Sendable {
    public let description: String
}

extension TimeZoneRules {
    /// Larger files are refused; the largest of the database have about 4 KB.
    public static let fileByteCountMax = 64 << 10

    /// Reads a TZif file (RFC 8536) of any version. Files with leap seconds (`right/…`) are refused: nobody's clock
    /// counts them.
    public init(file bytes: [UInt8]) throws(TimeZoneFileError) {
        guard bytes.count <= Self.fileByteCountMax else { throw TimeZoneFileError(description: "it is too large") }
        var reader = Reader(bytes: bytes)
        let first = try reader.header()
        guard first.version >= UInt8(ascii: "2") else {
            self = try reader.block(first, timeBytes: 4)
            return
        }
        try reader.skip(first.blockBytes(timeBytes: 4))
        let second = try reader.header()
        self = try reader.block(second, timeBytes: 8)
        guard let footer = reader.footer() else { throw TimeZoneFileError(description: "its end is missing") }
        guard !footer.isEmpty else { return }
        guard let rule = PosixTimeZone(parsing: footer) else {
            throw TimeZoneFileError(description: "its rule '\(footer)' is not understood")
        }
        self = TimeZoneRules(transitions: transitions, firstOffset: firstOffset, rule: rule)
    }
}

private struct Header {
    var version: UInt8
    var utcCount: Int
    var standardCount: Int
    var leapCount: Int
    var timeCount: Int
    var typeCount: Int
    var characterCount: Int

    func blockBytes(timeBytes: Int) -> Int {
        timeCount * (timeBytes + 1) + typeCount * 6 + characterCount + leapCount * (timeBytes + 4) + standardCount
            + utcCount
    }
}

private struct Reader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func skip(_ count: Int) throws(TimeZoneFileError) { _ = try take(count) }

    private mutating func take(_ count: Int) throws(TimeZoneFileError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw TimeZoneFileError(description: "it is cut off") }
        defer { position += count }
        return bytes[position..<(position + count)]
    }

    /// Big-endian, with its sign.
    private mutating func integer(_ byteCount: Int) throws(TimeZoneFileError) -> Int64 {
        let bits = try take(byteCount).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return byteCount == 8 ? Int64(bitPattern: bits) : Int64(Int32(truncatingIfNeeded: bits))
    }

    mutating func header() throws(TimeZoneFileError) -> Header {
        guard try take(4).elementsEqual("TZif".utf8) else {
            throw TimeZoneFileError(description: "it is no time zone file")
        }
        let version = try take(16).first ?? 0
        var counts: [Int] = []
        for _ in 0..<6 {
            let count = try integer(4)
            guard (0...Int64(TimeZoneRules.fileByteCountMax)).contains(count) else {
                throw TimeZoneFileError(description: "it counts more than it has")
            }
            counts.append(Int(count))
        }
        return Header(
            version: version, utcCount: counts[0], standardCount: counts[1], leapCount: counts[2],
            timeCount: counts[3], typeCount: counts[4], characterCount: counts[5])
    }

    mutating func block(_ header: Header, timeBytes: Int) throws(TimeZoneFileError) -> TimeZoneRules {
        guard header.leapCount == 0 else { throw TimeZoneFileError(description: "it counts leap seconds") }
        guard (1...256).contains(header.typeCount) else { throw TimeZoneFileError(description: "it has no local time") }
        var times: [Int64] = []
        for _ in 0..<header.timeCount { times.append(try integer(timeBytes)) }
        let types = Array(try take(header.timeCount)).map(Int.init)
        var offsets: [Int64] = []
        for _ in 0..<header.typeCount {
            offsets.append(try integer(4))
            try skip(2)
        }
        guard offsets.allSatisfy({ abs($0) <= 26 * 3600 }), types.allSatisfy({ $0 < offsets.count }),
            zip(times, times.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw TimeZoneFileError(description: "its table is damaged") }
        try skip(header.characterCount + header.standardCount + header.utcCount)
        let transitions = zip(times, types).map { TimeZoneRules.Transition(at: $0, offset: offsets[$1]) }
        return TimeZoneRules(transitions: transitions, firstOffset: offsets[0], rule: nil)
    }

    /// Between two line ends; `nil` when they are not there.
    func footer() -> String? {
        let rest = bytes[position...]
        guard rest.first == 0x0A, let end = rest.dropFirst().firstIndex(of: 0x0A) else { return nil }
        return String(decoding: rest[(position + 1)..<end], as: UTF8.self)
    }
}
