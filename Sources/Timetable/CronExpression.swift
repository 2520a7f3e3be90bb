/// When something is to be done: five fields as in crontab(5), a name such as `@daily`, or `@every 5m`.
public struct CronExpression: Equatable, Sendable {
    enum Form: Equatable, Sendable {
        case fields(CronFields)
        /// Nanoseconds, counted from 1970, so that nothing need be remembered.
        case every(Int64)
    }

    public let text: String
    let form: Form

    /// Longer ones are refused.
    static let byteCountMax = 256

    public init(parsing text: String) throws(CronError) {
        self.text = text
        guard text.utf8.count <= Self.byteCountMax else {
            throw CronError("it is longer than \(Self.byteCountMax) characters")
        }
        let words = text.split { $0 == " " || $0 == "\t" }.map(String.init)
        guard let first = words.first else {
            throw CronError("it is empty", hint: "write \"MINUTE HOUR DAY MONTH WEEKDAY\", for example \"0 3 * * *\"")
        }
        if first.hasPrefix("@") {
            form = try Self.named(words)
        } else {
            form = .fields(try CronFields(words))
        }
    }

    private static let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400]

    /// Of `1h30m`.
    private static func seconds(_ text: String) -> Int64? {
        var (sum, number) = (Int64(0), "")
        for character in text {
            if let unit = units[character] {
                guard number.utf8.count <= 8, let count = Int64(number) else { return nil }
                sum += count * unit
                number = ""
            } else {
                guard character.isASCII, character.isNumber else { return nil }
                number.append(character)
            }
        }
        // Texts are short, so that nothing overflows.
        return number.isEmpty ? sum : nil
    }

    private static let names = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]

    private static func named(_ words: [String]) throws(CronError) -> Form {
        let name = words[0].lowercased()
        if name == "@every" {
            guard words.count == 2, let seconds = seconds(words[1]), seconds > 0 else {
                throw CronError(
                    "'@every' needs a duration", hint: "whole numbers with s, m, h, d or w, such as \"@every 1h30m\"")
            }
            return .every(seconds * 1_000_000_000)
        }
        guard words.count == 1, let fields = names[name] else {
            let hint =
                name == "@reboot"
                ? "a job runs at times; what is to run once at the start is a service"
                : "use @hourly, @daily, @weekly, @monthly, @yearly or @every DURATION"
            throw CronError("'\(words.joined(separator: " "))' is no time", hint: hint)
        }
        return .fields(try CronFields(fields.split(separator: " ").map(String.init)))
    }
}

/// What is wrong with a schedule: goes on after "the schedule '…': ".
public struct CronError: Error, Equatable, CustomStringConvertible, Sendable {
    public let description: String
    public let hint: String?

    init(_ description: String, hint: String? = nil) {
        self.description = description
        self.hint = hint
    }
}

/// The five fields as sets of bits.
struct CronFields: Equatable, Sendable {
    var minutes: UInt64
    var hours: UInt64
    var days: UInt64
    var months: UInt64
    /// Bit 0 is Sunday.
    var weekdays: UInt64
    /// Both say which days there are, and a day of either will do; else it must be of both.
    var takesEitherDay: Bool
    /// Neither minute nor hour begins with `*`: it names times of day, rather than an interval.
    var isAtFixedTimes: Bool

    private struct Place {
        var noun: String
        var range: ClosedRange<Int>
        var names: [String] = []
    }

    private static let places = [
        Place(noun: "minute", range: 0...59), Place(noun: "hour", range: 0...23),
        Place(noun: "day of the month", range: 1...31),
        Place(
            noun: "month", range: 1...12,
            names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        Place(noun: "day of the week", range: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]

    init(_ words: [String]) throws(CronError) {
        guard words.count == 5 else { throw Self.wrongCount(words) }
        var sets: [UInt64] = []
        for (word, place) in zip(words, Self.places) { sets.append(try Self.set(word, place)) }
        (minutes, hours, days, months, weekdays) = (sets[0], sets[1], sets[2], sets[3], sets[4])
        // Sunday is 0 and 7.
        if weekdays & 1 << 7 != 0 { weekdays = weekdays & ~(1 << 7) | 1 }
        takesEitherDay = !words[2].hasPrefix("*") && !words[4].hasPrefix("*")
        isAtFixedTimes = !words[0].hasPrefix("*") && !words[1].hasPrefix("*")
        let (days, months) = (days, months)
        let comes = (1...12).contains { month in
            months & 1 << UInt64(month) != 0 && days & ((1 << UInt64(Self.dayCountMax(month) + 1)) - 1) != 0
        }
        guard takesEitherDay || comes else { throw CronError("that day never comes") }
    }

    private static func dayCountMax(_ month: Int) -> Int { CivilTime.dayCount(month: month, year: 2000) }

    private static func wrongCount(_ words: [String]) -> CronError {
        if words[0].hasPrefix("TZ=") || words[0].hasPrefix("CRON_TZ=") {
            return CronError("the time zone is none of its fields", hint: "write it as 'time_zone' beside 'cron'")
        }
        return CronError(
            "it has \(words.count) fields, and not five",
            hint: words.count > 5
                ? "MINUTE HOUR DAY MONTH WEEKDAY; there are no seconds and years"
                : "write \"MINUTE HOUR DAY MONTH WEEKDAY\", for example \"0 3 * * *\"")
    }

    private static func set(_ word: String, _ place: Place) throws(CronError) -> UInt64 {
        var set: UInt64 = 0
        for part in word.split(separator: ",", omittingEmptySubsequences: false) {
            set |= try bits(String(part), place)
        }
        return set
    }

    /// `*`, `a`, `a-b`, each with `/step`.
    private static func bits(_ part: String, _ place: Place) throws(CronError) -> UInt64 {
        let halves = part.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard halves.count <= 2, let span = halves.first, !span.isEmpty else { throw notUnderstood(part, place) }
        var step = 1
        if halves.count == 2 {
            guard let value = digits(halves[1]), value > 0 else {
                throw CronError("the step '\(halves[1])' of the \(place.noun) is no number above 0")
            }
            step = value
        }
        let ends = span.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        let (low, high): (Int, Int)
        if span == "*" {
            (low, high) = (place.range.lowerBound, place.noun == "day of the week" ? 6 : place.range.upperBound)
        } else if ends.count == 1 {
            low = try value(ends[0], place, part)
            high = halves.count == 2 ? place.range.upperBound : low
        } else if ends.count == 2 {
            (low, high) = (try value(ends[0], place, part), try value(ends[1], place, part))
        } else {
            throw notUnderstood(part, place)
        }
        guard low <= high else {
            throw CronError(
                "the range '\(span)' of the \(place.noun) ends before it begins",
                hint: "write two: \(low)-\(place.range.upperBound),\(place.range.lowerBound)-\(high)")
        }
        return stride(from: low, through: high, by: step).reduce(0) { $0 | 1 << UInt64($1) }
    }

    private static func value(_ text: String, _ place: Place, _ part: String) throws(CronError) -> Int {
        if let index = place.names.firstIndex(of: text.lowercased()) { return index + place.range.lowerBound }
        guard let number = digits(text) else { throw notUnderstood(part, place) }
        guard place.range.contains(number) else {
            throw CronError(
                "the \(place.noun) must be \(place.range.lowerBound) to \(place.range.upperBound), found \(number)")
        }
        return number
    }

    private static func digits(_ text: String) -> Int? {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }

    private static func notUnderstood(_ part: String, _ place: Place) -> CronError {
        let hint: String?
        if part == "?" {
            hint = "write '*' for any"
        } else if part.contains(where: { "LW#".contains($0) }) {
            hint = "'L', 'W' and '#' are no part of cron's fields; name the days"
        } else {
            hint = place.names.isEmpty ? nil : "use numbers, or \(place.names.joined(separator: ", "))"
        }
        return CronError("the \(place.noun) '\(part)' is not understood", hint: hint)
    }
}
