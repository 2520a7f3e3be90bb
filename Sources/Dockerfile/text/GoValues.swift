/// Values of flags in the forms that the frontend, a Go program, reads.
enum GoValue {
    /// strconv.ParseBool.
    static func bool(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// time.ParseDuration: `1h15m30.918s`, in nanoseconds. `nil` for what is not one or does not fit.
    static func duration(_ text: String) -> Int64? {
        var rest = Array(text.utf8)[...]
        var isNegative = false
        if let sign = rest.first, sign == 0x2B || sign == 0x2D {
            isNegative = sign == 0x2D
            rest = rest.dropFirst()
        }
        if rest.elementsEqual([0x30]) { return 0 }
        guard !rest.isEmpty else { return nil }
        var total: Int64 = 0
        while !rest.isEmpty {
            guard let part = durationPart(&rest) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            if overflow { return nil }
            total = sum
        }
        return isNegative ? -total : total
    }

    private static func durationPart(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        let isDigit: (UInt8) -> Bool = { $0 >= 0x30 && $0 <= 0x39 }
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction: ArraySlice<UInt8> = []
        if rest.first == 0x2E {
            rest = rest.dropFirst()
            fraction = rest.prefix(while: isDigit)
            rest = rest.dropFirst(fraction.count)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        let name = rest.prefix { !isDigit($0) && $0 != 0x2E }
        rest = rest.dropFirst(name.count)
        let units: [String: Int64] = [
            "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
            "h": 3_600_000_000_000,
        ]
        guard let unit = units[String(decoding: name, as: UTF8.self)] else { return nil }
        let seconds = whole.isEmpty ? 0 : Int64(String(decoding: whole, as: UTF8.self))
        guard let seconds else { return nil }
        let (product, overflow) = seconds.multipliedReportingOverflow(by: unit)
        if overflow { return nil }
        var (digit, extra) = (unit / 10, Int64(0))
        for byte in fraction where digit > 0 {
            extra += Int64(byte - 0x30) * digit
            digit /= 10
        }
        let (sum, tooLarge) = product.addingReportingOverflow(extra)
        return tooLarge ? nil : sum
    }

    /// time.Duration's text: `1m30s`, `1.5s`, `250ms`, `0s`.
    static func text(nanoseconds: Int64) -> String {
        guard nanoseconds != 0 else { return "0s" }
        let sign = nanoseconds < 0 ? "-" : ""
        let value = nanoseconds.magnitude
        for (unit, factor) in [("ns", UInt64(1)), ("µs", 1000), ("ms", 1_000_000)] where value < factor * 1000 {
            return sign + decimal(value, factor) + unit
        }
        let seconds = decimal(value % 60_000_000_000, 1_000_000_000) + "s"
        let minutes = value / 60_000_000_000
        if minutes == 0 { return sign + seconds }
        return sign + (minutes >= 60 ? "\(minutes / 60)h\(minutes % 60)m" : "\(minutes)m") + seconds
    }

    /// `value / factor` without zeros at the end; `factor` is a power of ten.
    private static func decimal(_ value: UInt64, _ factor: UInt64) -> String {
        var fraction = value % factor
        guard fraction > 0 else { return "\(value / factor)" }
        var width = String(factor).count - 1
        while fraction % 10 == 0 {
            fraction /= 10
            width -= 1
        }
        let digits = String(fraction)
        return "\(value / factor)." + String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// go-units RAMInBytes: `64m`, `1.5GiB`; a unit is 1024 of the smaller one.
    static func bytes(_ text: String) -> Int64? {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let value = Double(number), value >= 0, number.first != "." else { return nil }
        var unit = text.dropFirst(number.count).lowercased()
        if unit.hasPrefix(" ") { unit.removeFirst() }
        let shifts: [String: Double] = ["k": 10, "m": 20, "g": 30, "t": 40, "p": 50]
        var factor = 1.0
        if let first = unit.first, let shift = shifts[String(first)] {
            guard ["", "b", "ib"].contains(unit.dropFirst()) else { return nil }
            for _ in 0..<Int(shift) { factor *= 2 }
        } else if !["", "b"].contains(unit) {
            return nil
        }
        let bytes = value * factor
        return bytes < 9.2e18 ? Int64(bytes) : nil
    }

    /// strconv.Quote, near enough for messages.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\" + String(scalar)
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: result.unicodeScalars.append(scalar.value < 0x20 ? "\u{FFFD}" : scalar)
            }
        }
        return result + "\""
    }

    /// Fields of a record of comma-separated values (RFC 4180): `a,"b,c"`. `nil` where a quote is not closed.
    static func fields(_ text: String) -> [String]? {
        var fields: [String] = []
        var field: [Unicode.Scalar] = []
        let scalars = Array(text.unicodeScalars)
        var index = 0
        while true {
            if index < scalars.count, scalars[index] == "\"", field.isEmpty {
                guard let after = quotedField(scalars, index + 1, &field) else { return nil }
                index = after
            } else {
                while index < scalars.count, scalars[index] != "," {
                    field.append(scalars[index])
                    index += 1
                }
            }
            fields.append(String(scalars: field))
            field = []
            guard index < scalars.count else { return fields }
            guard scalars[index] == "," else { return nil }
            index += 1
        }
    }

    private static func quotedField(_ scalars: [Unicode.Scalar], _ start: Int, _ field: inout [Unicode.Scalar]) -> Int?
    {
        var index = start
        while index < scalars.count {
            if scalars[index] == "\"" {
                guard index + 1 < scalars.count, scalars[index + 1] == "\"" else { return index + 1 }
                index += 1
            }
            field.append(scalars[index])
            index += 1
        }
        return nil
    }
}
