/// A duration as people write it: whole or decimal seconds, or Go's form (`1m30s`, `500ms`; `ParseDuration` of Go's
/// package `time`).
public struct TimeSpan: Equatable, Sendable {
    public var nanoseconds: Int64

    /// About 100 years: sums of a few of them stay far from Int64's end.
    private static let nanosecondsMax: Int64 = 3_200_000_000 * 1_000_000_000

    /// Longer suffixes before those they begin with.
    private static let units: [(suffix: String, nanoseconds: Int64)] = [
        ("ms", 1_000_000), ("us", 1000), ("µs", 1000), ("ns", 1), ("h", 3600 * 1_000_000_000),
        ("m", 60 * 1_000_000_000), ("s", 1_000_000_000),
    ]

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Of either form.
    public init?(argument: String) {
        if let plain = TimeSpan(seconds: argument) { self = plain } else { self.init(parsing: argument) }
    }

    /// Digits with an optional fraction, no unit.
    public init?(seconds text: String) {
        guard let value = Self.product(text[...], 1_000_000_000) else { return nil }
        nanoseconds = value
    }

    /// Numbers with units, as in `1h30m`.
    public init?(parsing text: String) {
        var rest = text[...]
        guard !rest.isEmpty else { return nil }
        nanoseconds = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest[number.endIndex...]
            guard let unit = Self.units.first(where: { rest.hasPrefix($0.suffix) }),
                let value = Self.product(number, unit.nanoseconds), nanoseconds <= Self.nanosecondsMax - value
            else { return nil }
            rest = rest.dropFirst(unit.suffix.count)
            nanoseconds += value
        }
    }

    /// Exactly, but for what is finer than a nanosecond: a decimal number of units of so many nanoseconds.
    private static func product(_ number: Substring, _ unit: Int64) -> Int64? {
        let digitCountMax = 18
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count),
            parts.allSatisfy({ !$0.isEmpty && $0.count <= digitCountMax && $0.allSatisfy { $0.isASCII && $0.isNumber } }
            ),
            let whole = Int64(parts[0]), whole <= nanosecondsMax / unit
        else { return nil }
        var value = whole * unit
        var place = unit
        for digit in parts.dropFirst().joined() {
            place /= 10
            value += Int64(digit.wholeNumberValue ?? 0) * place
        }
        return value <= nanosecondsMax ? value : nil
    }
}
