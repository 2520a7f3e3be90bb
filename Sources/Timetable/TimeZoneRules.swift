/// When the clocks of a place were, are and will be set to what.
public struct TimeZoneRules: Equatable, Sendable {
    struct Transition: Equatable, Sendable {
        /// Seconds since 1970.
        var at: Int64
        /// Seconds east of Greenwich, from then on.
        var offset: Int64
    }

    /// A time in which clocks are not set.
    struct Segment: Equatable, Sendable {
        /// Seconds since 1970; `nil`: since ever.
        var start: Int64?
        /// Seconds since 1970, exclusive; `nil`: for ever.
        var end: Int64?
        var offset: Int64
        /// The offset before `start`.
        var previousOffset: Int64
    }

    /// By time.
    private(set) var transitions: [Transition]
    private(set) var firstOffset: Int64
    /// After the last transition.
    private(set) var rule: PosixTimeZone?

    public static let utc = TimeZoneRules(transitions: [], firstOffset: 0, rule: nil)

    init(transitions: [Transition], firstOffset: Int64, rule: PosixTimeZone?) {
        self.transitions = transitions
        self.firstOffset = firstOffset
        self.rule = rule
    }

    /// Seconds east of Greenwich.
    /// - Parameter time: seconds since 1970.
    public func offset(at time: Int64) -> Int64 { segment(at: time).offset }

    func segment(at time: Int64) -> Segment {
        // The first that is later.
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].at <= time { low = middle + 1 } else { high = middle }
        }
        if low == transitions.count, let rule { return segment(at: time, by: rule) }
        return Segment(
            start: low > 0 ? transitions[low - 1].at : nil, end: low < transitions.count ? transitions[low].at : nil,
            offset: tableOffset(low - 1), previousOffset: tableOffset(low - 2))
    }

    private func tableOffset(_ index: Int) -> Int64 { index >= 0 ? transitions[index].offset : firstOffset }

    private func segment(at time: Int64, by rule: PosixTimeZone) -> Segment {
        let year = CivilTime(seconds: time).year
        let changes = rule.transitions(years: year - 1, year + 1)
        let last = transitions.last
        let next = changes.first { $0.at > time }
        let past = changes.filter { $0.at <= time }
        let offset = past.last?.offset ?? rule.offset
        guard let present = past.last, present.at > last?.at ?? Int64.min else {
            return Segment(
                start: last?.at, end: next?.at, offset: offset, previousOffset: tableOffset(transitions.count - 2))
        }
        let before = past.dropLast().last.map { $0.at > last?.at ?? Int64.min ? $0.offset : nil } ?? nil
        return Segment(
            start: present.at, end: next?.at, offset: offset,
            previousOffset: before ?? last?.offset ?? past.dropLast().last?.offset ?? rule.offset)
    }
}

/// Whether it can be the name of a file in a time zone database, such as `Europe/Berlin`, and of none elsewhere.
public func isTimeZoneName(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    return text.utf8.count <= 64 && parts.count <= 4
        && parts.allSatisfy { part in
            guard let first = part.utf8.first, isLetter(first) else { return false }
            return part.utf8.allSatisfy { isLetter($0) || "0123456789_+-".utf8.contains($0) }
        }
}

private func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
