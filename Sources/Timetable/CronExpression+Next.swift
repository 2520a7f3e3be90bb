// Times of day that the clocks of a place skip or show twice are dealt with as cron(8) of Debian and the BSDs does:
// what is to be done at fixed times is done once in any case, at the end of the gap or the first time round; what is to
// be done at intervals (a `*` in minute or hour) follows the clock, so it does not happen in the gap and happens twice.
extension CronExpression {
    /// The first time later than `time`, as nanoseconds since 1970; `nil`: not within the next fifty years.
    public func next(after time: Int64, in zone: TimeZoneRules) -> Int64? {
        switch form {
        case .every(let interval):
            let (quotient, overflow) = (floorDivide(time, interval).quotient + 1)
                .multipliedReportingOverflow(by: interval)
            return overflow ? nil : quotient
        case .fields(let fields):
            let seconds = floorDivide(time, 1_000_000_000).quotient
            guard let next = fields.next(after: seconds, in: zone) else { return nil }
            let (nanoseconds, overflow) = next.multipliedReportingOverflow(by: 1_000_000_000)
            return overflow ? nil : nanoseconds
        }
    }

    /// The last time up to `time` that is later than `start`, and how many lie between (counted up to `countMax`).
    public func last(
        after start: Int64, upTo time: Int64, in zone: TimeZoneRules, countMax: Int = 1000
    ) -> (time: Int64, earlier: Int)? {
        for span in Self.lookBacks {
            let (early, overflow) = time.subtractingReportingOverflow(span)
            guard var found = next(after: max(start, overflow ? start : early), in: zone), found <= time else {
                continue
            }
            while let later = next(after: found, in: zone), later <= time { found = later }
            return (found, count(after: start, before: found, in: zone, max: countMax))
        }
        return nil
    }

    /// Nanoseconds: an hour, a day, a month, a year, and all that `next` looks at. So that after a long time away not
    /// every minute of it is gone through.
    private static let lookBacks = [1, 24, 24 * 32, 24 * 367, 24 * 366 * 51].map { Int64($0) * 3_600_000_000_000 }

    private func count(after start: Int64, before end: Int64, in zone: TimeZoneRules, max: Int) -> Int {
        var (count, from) = (0, start)
        while count < max, let next = next(after: from, in: zone), next < end {
            count += 1
            from = next
        }
        return count
    }
}

extension CronFields {
    /// Days looked at: 29 February falls on a certain weekday once in forty years at most.
    private static let dayCountMax: Int64 = 50 * 366

    /// In seconds since 1970.
    func next(after time: Int64, in zone: TimeZoneRules) -> Int64? {
        var from = time + 1
        let limit = time + Self.dayCountMax * secondsPerDay
        // The one of `time` itself: a gap may begin with the very next second.
        var segment = zone.segment(at: time)
        while from <= limit {
            if let found = next(from: from, in: segment, limit: limit) { return found }
            guard let end = segment.end else { return nil }
            let later = zone.segment(at: end)
            let gap = later.offset - segment.offset
            if isAtFixedTimes, gap > 0,
                firstMatch(local: end + segment.offset, before: end + segment.offset + gap) != nil
            {
                return end
            }
            (from, segment) = (end, later)
        }
        return nil
    }

    private func next(from: Int64, in segment: TimeZoneRules.Segment, limit: Int64) -> Int64? {
        var local = from + segment.offset
        if let start = segment.start, isAtFixedTimes, segment.previousOffset > segment.offset {
            // The clock has shown what comes before that already.
            local = max(local, start + segment.previousOffset)
        }
        let end = min(segment.end ?? limit, limit) + segment.offset
        return firstMatch(local: local, before: end).map { $0 - segment.offset }
    }

    /// The first full minute from `local` on that the fields allow; seconds since 1970 as the clock shows them.
    private func firstMatch(local: Int64, before end: Int64) -> Int64? {
        var (day, rest) = floorDivide(local + 59, secondsPerDay)
        var minuteOfDay = Int(rest / 60)
        while day * secondsPerDay < end {
            if allows(day: day), let minute = firstMinute(from: minuteOfDay) {
                let found = day * secondsPerDay + Int64(minute) * 60
                return found < end ? found : nil
            }
            day += 1
            minuteOfDay = 0
        }
        return nil
    }

    private func allows(day: Int64) -> Bool {
        let date = CivilTime(days: day)
        guard months & 1 << UInt64(date.month) != 0 else { return false }
        let ofMonth = days & 1 << UInt64(date.day) != 0
        let ofWeek = weekdays & 1 << UInt64(weekday(days: day)) != 0
        return takesEitherDay ? ofMonth || ofWeek : ofMonth && ofWeek
    }

    private func firstMinute(from start: Int) -> Int? {
        for hour in (start / 60)..<24 where hours & 1 << UInt64(hour) != 0 {
            let later = hour == start / 60 ? minutes & ~0 << UInt64(start % 60) : minutes
            if later != 0 { return hour * 60 + later.trailingZeroBitCount }
        }
        return nil
    }
}
