/// A time zone by rule, as in the variable TZ and at the end of TZif files (POSIX.1, "TZ"; RFC 8536, 3.3):
/// `CET-1CEST,M3.5.0,M10.5.0/3`.
struct PosixTimeZone: Equatable, Sendable {
    enum Day: Equatable, Sendable {
        /// Day of the year from 1, without 29 February.
        case julian(Int)
        /// Day of the year from 0.
        case ordinal(Int)
        /// The `week`-th (5: the last) such day of the month; 0 is Sunday.
        case weekday(month: Int, week: Int, day: Int)
    }

    struct Change: Equatable, Sendable {
        var day: Day
        /// Seconds after midnight; may lie outside of the day.
        var time: Int64
    }

    struct Summer: Equatable, Sendable {
        /// Seconds east of Greenwich.
        var offset: Int64
        var start: Change
        var end: Change
    }

    /// Seconds east of Greenwich.
    var offset: Int64
    var summer: Summer?

    /// - Returns: `nil` when it is not of that form, or its rules are left to the reader.
    init?(parsing text: String) {
        var scanner = Scanner(rest: Array(text.utf8)[...])
        guard scanner.skipName(), let west = scanner.time(hoursMax: 24) else { return nil }
        offset = -west
        guard !scanner.isAtEnd else { return }
        guard scanner.skipName() else { return nil }
        var summerOffset = offset + 3600
        if scanner.peek != UInt8(ascii: ",") {
            guard let west = scanner.time(hoursMax: 24) else { return nil }
            summerOffset = -west
        }
        guard scanner.skip(","), let start = scanner.change(), scanner.skip(","), let end = scanner.change(),
            scanner.isAtEnd
        else { return nil }
        summer = Summer(offset: summerOffset, start: start, end: end)
    }

    /// The changes from `first` to the end of `last`, by time (seconds since 1970), each with the offset from then on.
    func transitions(years first: Int64, _ last: Int64) -> [TimeZoneRules.Transition] {
        guard let summer, first <= last else { return [] }
        return (first...last).flatMap { year in
            [
                TimeZoneRules.Transition(at: Self.seconds(summer.start, year) - offset, offset: summer.offset),
                TimeZoneRules.Transition(at: Self.seconds(summer.end, year) - summer.offset, offset: offset),
            ]
        }.sorted { $0.at < $1.at }
    }

    private static func seconds(_ change: Change, _ year: Int64) -> Int64 {
        let newYear = CivilTime(year: year, month: 1, day: 1).days
        let day: Int64
        switch change.day {
        case .ordinal(let number): day = newYear + Int64(number)
        case .julian(let number):
            day = newYear + Int64(number) - 1 + (CivilTime.isLeap(year) && number >= 60 ? 1 : 0)
        case .weekday(let month, let week, let wanted):
            let first = CivilTime(year: year, month: month, day: 1).days
            let toFirst = (wanted - weekday(days: first) + 7) % 7
            var number = toFirst + (week - 1) * 7
            if number >= CivilTime.dayCount(month: month, year: year) { number -= 7 }
            day = first + Int64(number)
        }
        return day * secondsPerDay + change.time
    }
}

private struct Scanner {
    var rest: ArraySlice<UInt8>

    var isAtEnd: Bool { rest.isEmpty }
    var peek: UInt8? { rest.first }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    /// `CET` or `<+03>`.
    mutating func skipName() -> Bool {
        if skip("<") {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")), end > rest.startIndex else { return false }
            rest = rest[(end + 1)...]
            return true
        }
        let name = rest.prefix { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") }
        rest = rest[name.endIndex...]
        return name.count >= 3
    }

    private mutating func number(max: Int64) -> Int64? {
        let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard (1...3).contains(digits.count) else { return nil }
        rest = rest[digits.endIndex...]
        let value = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        return value <= max ? value : nil
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    mutating func time(hoursMax: Int64) -> Int64? {
        let isNegative = skip("-")
        if !isNegative { _ = skip("+") }
        guard var seconds = number(max: hoursMax).map({ $0 * 3600 }) else { return nil }
        for unit in [Int64(60), 1] {
            guard skip(":") else { break }
            guard let part = number(max: 59) else { return nil }
            seconds += part * unit
        }
        return isNegative ? -seconds : seconds
    }

    /// `M3.5.0/2`, `J60`, `59`.
    mutating func change() -> PosixTimeZone.Change? {
        guard let day = day() else { return nil }
        guard skip("/") else { return PosixTimeZone.Change(day: day, time: 2 * 3600) }
        return time(hoursMax: 167).map { PosixTimeZone.Change(day: day, time: $0) }
    }

    private mutating func day() -> PosixTimeZone.Day? {
        if skip("J") {
            guard let day = number(max: 365), day >= 1 else { return nil }
            return .julian(Int(day))
        }
        guard skip("M") else { return number(max: 365).map { .ordinal(Int($0)) } }
        guard let month = number(max: 12), month >= 1, skip("."), let week = number(max: 5), week >= 1, skip("."),
            let day = number(max: 6)
        else { return nil }
        return .weekday(month: Int(month), week: Int(week), day: Int(day))
    }
}
