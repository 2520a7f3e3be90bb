/// A point in time: nanoseconds since 1970, UTC.
public struct Moment: Equatable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static func < (left: Moment, right: Moment) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Seconds, point, nine decimals: how the engine's API takes times.
    public var unixText: String {
        let seconds = nanoseconds / 1_000_000_000
        let fraction = String(abs(nanoseconds % 1_000_000_000))
        return "\(seconds)." + String(repeating: "0", count: 9 - fraction.count) + fraction
    }
}

extension Moment {
    /// Reads RFC 3339 (`2026-01-31T10:00:00.5Z`, `…+01:00`), also without seconds, time or zone (then UTC).
    public init?(rfc3339 text: String) {
        var reader = DigitReader(text)
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var (hour, minute, second, nanos, zone): (Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0)
        if reader.skip("T") || reader.skip("t") || reader.skip(" ") {
            guard let hours = reader.number(2), reader.skip(":"), let minutes = reader.number(2) else { return nil }
            (hour, minute) = (hours, minutes)
            if reader.skip(":") {
                guard let seconds = reader.number(2) else { return nil }
                second = seconds
                if reader.skip(".") {
                    guard let fraction = reader.fraction() else { return nil }
                    nanos = fraction
                }
            }
            guard let offset = reader.zone() else { return nil }
            zone = offset
        }
        guard reader.isAtEnd, hour < 24, minute < 60, second <= 60 else { return nil }
        // Years have four digits, so nothing here can leave Int64 except the nanoseconds.
        let days = daysSince1970(year: year, month: month, day: day)
        let seconds = days * 86400 + hour * 3600 + minute * 60 + second - zone
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow, scaled < Int64.max - nanos else { return nil }
        nanoseconds = scaled + nanos
    }

    /// Reads what `--since`, `--until` and the filter `until` take: RFC 3339, seconds since 1970, or a duration before
    /// `now`.
    public init?(argument text: String, now: Moment) {
        if let moment = Moment(rfc3339: text) {
            self = moment
        } else if let unix = TimeSpan(seconds: text) {
            nanoseconds = unix.nanoseconds
        } else if let span = TimeSpan(parsing: text) {
            nanoseconds = now.nanoseconds - span.nanoseconds
        } else {
            return nil
        }
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; months count from 1.
private func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
    // Counted from March, so that the leap day is the last of its year.
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}

private struct DigitReader {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func number(_ digits: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<digits {
            guard let digit = rest.first, (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - 0x30)
            rest = rest.dropFirst()
        }
        return value
    }

    /// Digits after the point as nanoseconds; what is finer is cut off.
    mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var count = 0
        while let digit = rest.first, (0x30...0x39).contains(digit) {
            if count < 9 { value = value * 10 + Int64(digit - 0x30) }
            count += 1
            rest = rest.dropFirst()
        }
        guard count > 0 else { return nil }
        for _ in 0..<max(0, 9 - count) { value *= 10 }
        return value
    }

    /// Seconds east of Greenwich; nothing is UTC.
    mutating func zone() -> Int64? {
        if rest.isEmpty || skip("Z") || skip("z") { return 0 }
        let sign: Int64
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}
