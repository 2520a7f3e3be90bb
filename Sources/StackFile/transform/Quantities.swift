/// A size in bytes: a number with an optional unit `b k m g t p`, `kb`, `kib`, … in any case, all powers of 1024
/// (Docker's `RAMInBytes`, which also takes `+5m`, `1e3` and `1_000k`). `nil` when it is none or does not fit.
public func parseBytes(_ text: String) -> Int64? {
    let lowered = text.lowercased()
    guard let end = lowered.lastIndex(where: { ("0"..."9").contains($0) || $0 == "." || $0 == " " }) else { return nil }
    let unit = lowered[lowered.index(after: end)...]
    let written = lowered[end] == " " ? lowered[..<end] : lowered[...end]
    let number = written.hasPrefix("+") ? written.dropFirst() : written
    guard let shift = byteUnitShifts[String(unit)], number.first != "-" else { return nil }
    return bytes(number.filter { $0 != "_" }, shift: shift)
}

private func bytes(_ number: String, shift: Int64) -> Int64? {
    if let whole = Int64(number) {
        let (value, overflow) = whole.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : value
    }
    guard isDecimal(number), let fraction = Double(number) else { return nil }
    return Int64(exactly: (fraction * Double(Int64(1) << shift)).rounded(.towardZero))
}

private let byteUnitShifts: [String: Int64] = {
    var shifts: [String: Int64] = ["": 0, "b": 0]
    for (index, letter) in ["k", "m", "g", "t", "p"].enumerated() {
        for unit in [letter, letter + "b", letter + "ib"] { shifts[unit] = Int64(index + 1) * 10 }
    }
    return shifts
}()

/// A duration in nanoseconds: decimal numbers with units `ns us ms s m h d w`, as in `1h30m`. `nil` when it is none,
/// is negative or does not fit.
func parseDuration(_ text: String) -> Int64? {
    if text == "0" { return 0 }
    var rest = text.hasPrefix("+") ? text.dropFirst() : text[...]
    var total: Int64 = 0
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
        let number = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
        rest = rest.dropFirst(number.count)
        let unit = rest.prefix { !("0"..."9").contains($0) && $0 != "." }
        rest = rest.dropFirst(unit.count)
        guard let scale = durationUnits[String(unit)], let part = scaled(number, by: scale) else { return nil }
        let (sum, overflow) = total.addingReportingOverflow(part)
        if overflow { return nil }
        total = sum
    }
    return total
}

private func scaled(_ number: Substring, by scale: Int64) -> Int64? {
    if let whole = Int64(number) {
        let (value, overflow) = whole.multipliedReportingOverflow(by: scale)
        return overflow ? nil : value
    }
    guard let fraction = Double(number), fraction.isFinite else { return nil }
    return Int64(exactly: (fraction * Double(scale)).rounded())
}

private let durationUnits: [String: Int64] = [
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
    "h": 3_600_000_000_000, "d": 86_400_000_000_000, "w": 604_800_000_000_000,
]

/// A duration as Go prints it, which is what `docker compose config` shows: `1m30s`, `500ms`, `1h0m0s`.
func goDurationText(_ nanoseconds: Int64) -> String {
    if nanoseconds == 0 { return "0s" }
    let sign = nanoseconds < 0 ? "-" : ""
    let magnitude = nanoseconds.magnitude
    if magnitude < 1000 { return "\(sign)\(magnitude)ns" }
    if magnitude < 1_000_000 { return sign + decimal(magnitude, unit: 1000) + "µs" }
    if magnitude < 1_000_000_000 { return sign + decimal(magnitude, unit: 1_000_000) + "ms" }
    let seconds = magnitude / 1_000_000_000
    let remainder = decimal(magnitude % 60_000_000_000, unit: 1_000_000_000) + "s"
    if seconds < 60 { return sign + remainder }
    if seconds < 3600 { return "\(sign)\(seconds / 60)m\(remainder)" }
    return "\(sign)\(seconds / 3600)h\(seconds / 60 % 60)m\(remainder)"
}

private func decimal(_ value: UInt64, unit: UInt64) -> String {
    let digits = String(value % unit)
    var fraction = String(repeating: "0", count: String(unit).count - 1 - digits.count) + digits
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return String(value / unit) + (fraction.isEmpty ? "" : "." + fraction)
}
