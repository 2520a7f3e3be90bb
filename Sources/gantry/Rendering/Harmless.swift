/// How much of a text may reach a terminal as it is.
enum TextRule {
    /// Names and cells of a table: one line.
    case oneLine
    /// Diagnostics: line ends and tabs stay.
    case paragraphs
    /// A line of a log: tabs and colours (SGR, ECMA-48 section 8.3.117) stay.
    case logLine
}

/// Makes text from outside safe to print on a terminal: control characters become visible (`^[`), so that nobody's
/// container name moves the cursor, sets the title or answers for the user. Direction overrides, which reorder what is
/// read, become visible too.
func harmless(_ text: String, _ rule: TextRule = .oneLine) -> String {
    if text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return text }
    var result = String.UnicodeScalarView()
    let scalars = Array(text.unicodeScalars)
    var index = 0
    while index < scalars.count {
        if rule == .logLine, let end = endOfColour(scalars, index) {
            result.append(contentsOf: scalars[index..<end])
            index = end
            continue
        }
        append(scalars[index], rule, to: &result)
        index += 1
    }
    return String(result)
}

private func append(_ scalar: Unicode.Scalar, _ rule: TextRule, to result: inout String.UnicodeScalarView) {
    switch scalar.value {
    case 0x09 where rule != .oneLine, 0x0a where rule == .paragraphs: result.append(scalar)
    case 0x00...0x1f:
        result.append(contentsOf: "^\(Character(Unicode.Scalar(UInt8(scalar.value) + 0x40)))".unicodeScalars)
    case 0x7f: result.append(contentsOf: "^?".unicodeScalars)
    case 0x80...0x9f, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069:
        result.append(contentsOf: "<\(String(scalar.value, radix: 16))>".unicodeScalars)
    default: result.append(scalar)
    }
}

/// The index after `ESC [ digits and separators m` that starts at `index`, else `nil`.
private func endOfColour(_ scalars: [Unicode.Scalar], _ index: Int) -> Int? {
    let lengthMax = 64
    guard scalars[index] == "\u{1b}", index + 1 < scalars.count, scalars[index + 1] == "[" else { return nil }
    var end = index + 2
    while end < scalars.count, end - index < lengthMax {
        switch scalars[end] {
        case "0"..."9", ";", ":": end += 1
        case "m": return end + 1
        default: return nil
        }
    }
    return nil
}
