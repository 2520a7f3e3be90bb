/// The value of a plain (unquoted, untagged) scalar: the YAML 1.2 core schema with the extensions of the parser that
/// Compose uses (`0755` octal, `0b101`, `1_000`). `yes`, `on`, dates and `22:22` stay text.
func resolvePlainScalar(_ text: String) -> Scalar.Value {
    // Most text starts with a character that none of the others can start with.
    guard let start = text.utf8.first else { return .null }
    guard otherStarts.contains(start) else { return .string }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .boolean(true)
    case "false", "False", "FALSE": return .boolean(false)
    case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .float(.infinity)
    case "-.inf", "-.Inf", "-.INF": return .float(-.infinity)
    case ".nan", ".NaN", ".NAN": return .float(.nan)
    default: break
    }
    guard let first = text.utf8.first, first == 0x2B || first == 0x2D || first == 0x2E || (0x30...0x39).contains(first)
    else { return .string }
    let digits = text.filter { $0 != "_" }
    if let integer = parseInteger(digits) { return .integer(integer) }
    // Go calls a number that does not fit no number.
    if isDecimal(digits), let number = Double(digits), number.isFinite { return .float(number) }
    return .string
}

private let otherStarts = Array("~nNtTfF.+-0123456789".utf8)

/// An integer in the notations `12`, `-12`, `0x1F`, `0o17`, `017`, `0b1`.
private func parseInteger(_ text: String) -> Int64? {
    var body = text[...]
    var sign = ""
    if let first = body.first, first == "-" || first == "+" {
        sign = first == "-" ? "-" : ""
        body = body.dropFirst()
    }
    guard let lead = body.utf8.first, (0x30...0x39).contains(lead) else { return nil }
    let lowered = body.lowercased()
    let radixes: [(String, Int)] = [("0x", 16), ("0o", 8), ("0b", 2)]
    for (prefix, radix) in radixes where lowered.hasPrefix(prefix) {
        return unsigned(lowered.dropFirst(2)).flatMap { Int64(sign + $0, radix: radix) }
    }
    if lowered.count > 1, lowered.hasPrefix("0") {
        return unsigned(lowered.dropFirst()).flatMap { Int64(sign + $0, radix: 8) }
    }
    return Int64(sign + lowered)
}

/// `nil` when a sign follows the radix prefix, which `Int64.init` would accept.
private func unsigned(_ digits: Substring) -> Substring? {
    digits.first == "+" || digits.first == "-" || digits.isEmpty ? nil : digits
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
func isDecimal(_ text: String) -> Bool {
    var rest = text.utf8[...]
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    if rest.first == 0x2E {
        rest = rest.dropFirst()
        let fraction = rest.prefix(while: isDigit)
        if whole.isEmpty, fraction.isEmpty { return false }
        rest = rest.dropFirst(fraction.count)
    } else if whole.isEmpty {
        return false
    }
    if rest.isEmpty { return true }
    guard rest.first == 0x65 || rest.first == 0x45 else { return false }
    rest = rest.dropFirst()
    if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
    return !rest.isEmpty && rest.allSatisfy(isDigit)
}

/// A floating-point number the way Go prints it (`%v`), which is what Compose puts into environments and labels:
/// shortest digits, an exponent below 1e-4 and from 1e6.
func goNumberText(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if value == 0 { return value.sign == .minus ? "-0" : "0" }
    var (digits, exponent) = decimalDigits(value.magnitude)
    while digits.count > 1, digits.last == "0" { digits.removeLast() }
    let sign = value < 0 ? "-" : ""
    if exponent < -4 || exponent >= 6 {
        let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
        let size = String(exponent.magnitude)
        return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+") + (size.count < 2 ? "0" : "")
            + size
    }
    if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
    if digits.count <= exponent + 1 {
        return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count)
    }
    return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
}

/// Shortest decimal digits and the exponent of the first one, for a finite value above zero.
private func decimalDigits(_ value: Double) -> (digits: String, exponent: Int) {
    let parts = value.description.split(separator: "e", maxSplits: 1)
    let mantissa = parts.first ?? "0"
    var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    let halves = mantissa.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let whole = halves.first ?? "0"
    let fraction = halves.count > 1 ? halves[1] : ""
    exponent += whole.count - 1
    var digits = String(whole + fraction)
    while digits.count > 1, digits.first == "0" {
        digits.removeFirst()
        exponent -= 1
    }
    return (digits, exponent)
}
