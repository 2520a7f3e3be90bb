import CLinux
import Glibc
import StackModel

/// Wall-clock time as nanoseconds since 1970, the form that records and events carry.
public typealias Nanoseconds = Int64

enum Clock {
    static func now() -> Nanoseconds { read(CLOCK_REALTIME) }

    /// Does not jump when the wall clock is set.
    static func monotonic() -> Nanoseconds { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> Nanoseconds {
        var time = timespec()
        clock_gettime(clock, &time)
        return Nanoseconds(time.tv_sec) * 1_000_000_000 + Nanoseconds(time.tv_nsec)
    }
}

extension Moment {
    public static func now() -> Moment { Moment(nanoseconds: Clock.now()) }
}

extension Duration {
    static func nanoseconds(clamping value: Nanoseconds) -> Duration { .nanoseconds(max(0, value)) }
}

/// RFC 3339 with nanoseconds in UTC, e.g. `2026-11-21T04:04:04.000000001Z`.
public func rfc3339(_ time: Nanoseconds) -> String {
    let (seconds, fraction) = floorDivide(time, 1_000_000_000)
    var parts = tm()
    var value = time_t(seconds)
    gmtime_r(&value, &parts)
    func padded(_ number: some BinaryInteger, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
    let clock = "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
    return "\(date)T\(clock).\(padded(fraction, 9))Z"
}

/// RFC 3339 of whole seconds since 1970.
func rfc3339Seconds(_ seconds: Int64) -> String {
    rfc3339(seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue)
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}
