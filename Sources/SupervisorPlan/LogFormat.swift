/// A stream of a container's output.
public enum LogStream: UInt8, Sendable, Codable {
    case stdout = 1
    case stderr = 2

    public var name: String { self == .stdout ? "stdout" : "stderr" }
}

/// RFC 3339 in UTC with nine digits, as CRI logs carry it.
public enum Timestamp {
    public static let byteCount = 30

    /// `2026-11-21T04:04:04.123456789Z` for nanoseconds since 1970.
    public static func text(nanoseconds: UInt64) -> [UInt8] {
        let seconds = Int64(nanoseconds / 1_000_000_000)
        let (year, month, day) = civil(days: seconds / 86400)
        let inDay = seconds % 86400
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        func put(_ value: Int64, _ digits: Int) {
            var divisor: Int64 = 1
            for _ in 1..<digits { divisor *= 10 }
            while divisor > 0 {
                bytes.append(UInt8(truncatingIfNeeded: 0x30 + value / divisor % 10))
                divisor /= 10
            }
        }
        put(year, 4)
        bytes.append(UInt8(ascii: "-"))
        put(month, 2)
        bytes.append(UInt8(ascii: "-"))
        put(day, 2)
        bytes.append(UInt8(ascii: "T"))
        put(inDay / 3600, 2)
        bytes.append(UInt8(ascii: ":"))
        put(inDay / 60 % 60, 2)
        bytes.append(UInt8(ascii: ":"))
        put(inDay % 60, 2)
        bytes.append(UInt8(ascii: "."))
        put(Int64(nanoseconds % 1_000_000_000), 9)
        bytes.append(UInt8(ascii: "Z"))
        return bytes
    }

    /// Nanoseconds since 1970 of what `text` writes; `nil` for anything else.
    public static func parse(_ bytes: some RandomAccessCollection<UInt8>) -> UInt64? {
        let bytes = Array(bytes)
        guard bytes.count == byteCount, bytes[4] == 0x2d, bytes[7] == 0x2d, bytes[10] == 0x54, bytes[13] == 0x3a,
            bytes[16] == 0x3a, bytes[19] == 0x2e, bytes[29] == 0x5a
        else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let nanoseconds = number(20..<29), year >= 1970, (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let seconds = ((days(year: year, month: month, day: day) * 24 + hour) * 60 + minute) * 60 + second
        return UInt64(seconds) * 1_000_000_000 + UInt64(nanoseconds)
    }

    /// Gregorian date of a day since 1970-01-01: years start in March, so that the leap day is the last.
    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

/// The times of one log's records, each later than the one before even where the clock stands still or is set back: a
/// reader can go on after the last record it has seen.
public struct LogStamps: Sendable {
    /// The last time given out, nanoseconds since 1970.
    private var last: UInt64
    private var second: UInt64 = .max
    private var text: [UInt8] = []

    /// - Parameter last: of the record that the log ends with, or 0.
    public init(after last: UInt64 = 0) { self.last = last }

    /// Appends the text of a time that is `now` or just after the last one.
    public mutating func append(now: UInt64, to output: inout [UInt8]) {
        last = max(now, last &+ 1)
        if last / 1_000_000_000 == second {
            // Most records share their second with the one before: only the fraction is written anew.
            var rest = last % 1_000_000_000
            for index in stride(from: 28, through: 20, by: -1) {
                text[index] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
                rest /= 10
            }
        } else {
            text = Timestamp.text(nanoseconds: last)
            second = last / 1_000_000_000
        }
        output.append(contentsOf: text)
    }
}

/// How a record's text stands in its line.
public enum LogTag: UInt8, Sendable {
    /// The line, or the rest of it.
    case full = 0x46  // F
    /// A piece of a line: the next record of the stream goes on with it.
    case partial = 0x50  // P
    /// The end of the stream, in the middle of a line that nothing goes on with.
    case end = 0x45  // E
}

/// Turns one stream's bytes into log records as CRI has them: `TIME STREAM F|P|E TEXT`. A line without its end waits
/// here, up to `lineByteCountMax`, then goes out as a partial record.
public struct LogAssembler: Sendable {
    public static let lineByteCountMax = 16 << 10

    private let label: [UInt8]
    private var pending: [UInt8] = []
    /// The last record was a piece of a line.
    private var isInLine = false

    public init(_ stream: LogStream) { label = Array(" \(stream.name) ".utf8) }

    /// Appends the records that `bytes` complete to `output`.
    public mutating func append(
        _ bytes: UnsafeRawBufferPointer, now: UInt64, _ stamps: inout LogStamps, to output: inout [UInt8]
    ) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let room = Self.lineByteCountMax - pending.count
            let end = rest.firstIndex(of: 0x0a)
            if let end, end - rest.startIndex <= room {
                stamps.append(now: now, to: &output)
                put(rest[..<end], .full, to: &output)
                rest = rest[(end + 1)...]
            } else if rest.count >= room {
                stamps.append(now: now, to: &output)
                put(rest.prefix(room), .partial, to: &output)
                rest = rest.dropFirst(room)
            } else {
                pending.append(contentsOf: rest)
                return
            }
        }
    }

    /// The end of the stream: what is left of a line goes out as its end.
    public mutating func finish(now: UInt64, _ stamps: inout LogStamps, to output: inout [UInt8]) {
        guard !pending.isEmpty || isInLine else { return }
        stamps.append(now: now, to: &output)
        put(UnsafeRawBufferPointer(start: nil, count: 0)[...], .end, to: &output)
    }

    private mutating func put(_ text: Slice<UnsafeRawBufferPointer>, _ tag: LogTag, to output: inout [UInt8]) {
        output.append(contentsOf: label)
        output.append(tag.rawValue)
        output.append(UInt8(ascii: " "))
        output.append(contentsOf: pending)
        output.append(contentsOf: text)
        output.append(0x0a)
        pending.removeAll(keepingCapacity: true)
        isInLine = tag == .partial
    }
}
