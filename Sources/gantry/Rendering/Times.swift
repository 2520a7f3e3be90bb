import ArgumentParser
import Glibc
import StackModel

extension TimeSpan: ExpressibleByArgument {}

/// "3 minutes", as Docker's command line says it. `seconds` below zero count as zero.
func humanDuration(seconds: Int64) -> String {
    let minutes = seconds / 60
    let hours = (seconds + 1800) / 3600
    switch seconds {
    case ..<1: return "Less than a second"
    case 1: return "1 second"
    case ..<60: return "\(seconds) seconds"
    default: break
    }
    if minutes == 1 { return "About a minute" }
    if minutes < 60 { return "\(minutes) minutes" }
    if hours == 1 { return "About an hour" }
    if hours < 48 { return "\(hours) hours" }
    if hours < 24 * 7 * 2 { return "\(hours / 24) days" }
    if hours < 24 * 30 * 2 { return "\(hours / 24 / 7) weeks" }
    if hours < 24 * 365 * 2 { return "\(hours / 24 / 30) months" }
    return "\(hours / 24 / 365) years"
}

/// How long ago an RFC 3339 time was; `nil` when it is no time, or Docker's zero time.
func humanAge(of text: String?, now: Moment) -> String? {
    guard let text, !text.hasPrefix("0001-"), let moment = Moment(rfc3339: text) else { return nil }
    return humanDuration(seconds: (now.nanoseconds - moment.nanoseconds) / 1_000_000_000)
}

/// "7.05MB": three significant digits, powers of 1000, as `docker images` prints sizes.
func humanSize(bytes: Int64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    var value = Double(max(0, bytes))
    var unit = 0
    while value >= 1000, unit + 1 < units.count {
        value /= 1000
        unit += 1
    }
    let decimals = value < 10 ? 2 : value < 100 ? 1 : 0
    let scale = decimals == 2 ? 100.0 : decimals == 1 ? 10.0 : 1.0
    let rounded = Int64((value * scale).rounded())
    let whole = rounded / Int64(scale)
    var fraction = decimals == 0 ? "" : String(rounded % Int64(scale))
    fraction = String(repeating: "0", count: max(0, decimals - fraction.count)) + fraction
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return "\(whole)\(fraction.isEmpty ? "" : ".\(fraction)")\(units[unit])"
}

/// `2026-01-31T10:00:00Z`.
func rfc3339Seconds(_ seconds: Int64) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func digits(_ value: Int32, _ count: Int = 2) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    let date = "\(digits(parts.tm_year + 1900, 4))-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
    return "\(date)T\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))Z"
}
