import ArgumentParser

/// A duration on the command line: whole or decimal seconds, or Go's form (`1m30s`, `500ms`).
struct TimeSpan: Equatable, Sendable, ExpressibleByArgument {
    var nanoseconds: Int64

    /// About 100 years, far from Int64's end.
    private static let secondsMax = 3_200_000_000.0

    private static let units: [(suffix: String, seconds: Double)] = [
        ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600), ("m", 60), ("s", 1),
    ]

    init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    init?(argument: String) {
        if let plain = TimeSpan(seconds: argument) { self = plain } else { self.init(parsing: argument) }
    }

    /// Digits with an optional fraction, no unit.
    init?(seconds text: String) {
        guard let seconds = Self.decimal(text[...]), seconds <= Self.secondsMax else { return nil }
        nanoseconds = Int64((seconds * 1e9).rounded())
    }

    init?(parsing text: String) {
        var rest = text[...]
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest[number.endIndex...]
            guard let value = Self.decimal(number), let unit = Self.units.first(where: { rest.hasPrefix($0.suffix) })
            else { return nil }
            rest = rest.dropFirst(unit.suffix.count)
            total += value * unit.seconds
        }
        guard total <= Self.secondsMax else { return nil }
        nanoseconds = Int64((total * 1e9).rounded())
    }

    private static func decimal(_ text: Substring) -> Double? {
        guard let first = text.first, let last = text.last, first != ".", last != ".",
            text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") })
        else { return nil }
        return Double(text)
    }
}
