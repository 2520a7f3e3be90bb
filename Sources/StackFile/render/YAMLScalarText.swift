/// How Go's yaml package writes a text: plain where it can be, in quotes where a plain scalar would be read as
/// something else, as a literal block when it has several lines.
struct YAMLScalarText {
    /// Blanks in front of the lines of a block.
    let indent: Int

    func written(_ text: String) -> String {
        if text.isEmpty { return "\"\"" }
        if isWord(text) { return text }
        let isASCII = text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
        if !isASCII, !text.unicodeScalars.allSatisfy({ isPrintable($0) || $0 == "\t" }) { return doubleQuoted(text) }
        if text.utf8.contains(0x0A) { return literalBlock(text) ?? doubleQuoted(text) }
        let isOther = resolvePlainScalar(text) != .string || isOldBoolean(text) || isBase60(text) || looksLikeDate(text)
        if isOther || text.utf8.contains(0x09) { return doubleQuoted(text) }
        if isPlainSafe(text) { return text }
        return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    /// Text that is plain at a glance: letters, digits and `_-./:@` after a letter or a slash, and no word that YAML
    /// reads as something else.
    private func isWord(_ text: String) -> Bool {
        let longestReserved = 5
        guard let first = text.utf8.first, first == 0x2F || isLetter(first), text.utf8.last != 0x3A else {
            return false
        }
        let isPlain = text.utf8.allSatisfy { byte in
            isLetter(byte) || (0x2D...0x3A).contains(byte) || byte == 0x5F || byte == 0x40
        }
        return isPlain && (text.utf8.count > longestReserved || !Self.reservedWords.contains(text.lowercased()))
    }

    private func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) && byte < 0x80 }

    private static let reservedWords: Set<String> = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]

    private func literalBlock(_ text: String) -> String? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard text.utf8.first != 0x09, !lines.contains(where: { $0.last == " " }) else { return nil }
        let first = text.utf8.first
        let indicator = first == 0x20 || first == 0x0A ? "2" : ""
        let endsInNewline = text.hasSuffix("\n")
        let keepsMore = endsInNewline && (text == "\n" || text.hasSuffix("\n\n"))
        let chomping = keepsMore ? "+" : endsInNewline ? "" : "-"
        let body = endsInNewline ? lines.dropLast() : lines[...]
        let pad = String(repeating: " ", count: indent + 2)
        let padded = body.map { $0.isEmpty ? "" : pad + $0 }
        return "|" + indicator + chomping + "\n" + padded.joined(separator: "\n")
    }

    /// YAML 1.2, section 7.3.3, for block and flow context alike.
    private func isPlainSafe(_ text: String) -> Bool {
        let (blank, colon, hash) = (UInt8(ascii: " "), UInt8(ascii: ":"), UInt8(ascii: "#"))
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        if first == blank || last == blank || last == colon || Self.indicators.contains(first) { return false }
        if text.hasPrefix("---") || text.hasPrefix("...") { return false }
        if first == UInt8(ascii: "-") || first == UInt8(ascii: "?") || first == colon {
            let second = text.utf8.dropFirst().first
            if second == nil || second == blank { return false }
        }
        var previous: UInt8 = 0
        for byte in text.utf8 {
            if previous == colon && byte == blank || previous == blank && byte == hash { return false }
            previous = byte
        }
        return true
    }

    /// Characters that give what follows a meaning of its own (YAML 1.2, section 5.3).
    private static let indicators = Array("!&*|>'\"%@`#,[]{}".utf8)

    /// YAML 1.1, section 5.1, without what lies beyond the basic plane.
    private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A, 0x20...0x7E, 0xA0...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD: true
        default: false
        }
    }

    /// Words that YAML 1.1 reads as booleans.
    private func isOldBoolean(_ text: String) -> Bool {
        guard ["y", "n", "yes", "no", "on", "off"].contains(text.lowercased()) else { return false }
        let capitalized = text.prefix(1).uppercased() + text.dropFirst().lowercased()
        return [text.lowercased(), text.uppercased(), capitalized].contains(text)
    }

    /// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`, numbers to the base 60 in YAML 1.1.
    private func isBase60(_ text: String) -> Bool {
        func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
        var body = text.utf8[...]
        if body.first == 0x2B || body.first == 0x2D { body = body.dropFirst() }
        let halves = body.split(separator: 0x2E, maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = halves.first, halves.dropFirst().allSatisfy({ $0.allSatisfy { isDigit($0) || $0 == 0x5F } })
        else { return false }
        let parts = whole.split(separator: 0x3A, omittingEmptySubsequences: false)
        guard parts.count > 1, let first = parts.first, let lead = first.first, isDigit(lead),
            first.allSatisfy({ isDigit($0) || $0 == 0x5F })
        else { return false }
        return parts.dropFirst().allSatisfy { part in
            (1...2).contains(part.count) && part.allSatisfy(isDigit) && (part.count == 1 || (part.first ?? 0) < 0x36)
        }
    }

    private func looksLikeDate(_ text: String) -> Bool {
        let parts = text.prefix(10).split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 3 && parts[0].count == 4 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isNumber) }
    }

    /// YAML 1.2, section 5.7.
    private func doubleQuoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if let short = Self.shortEscapes[scalar] {
                result += short
            } else if isPrintable(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                let (letter, width) = scalar.value <= 0xFF ? ("x", 2) : scalar.value <= 0xFFFF ? ("u", 4) : ("U", 8)
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result += "\\" + letter + String(repeating: "0", count: max(0, width - digits.count)) + digits
            }
        }
        return result + "\""
    }

    private static let shortEscapes: [Unicode.Scalar: String] = [
        "\0": "\\0", "\u{07}": "\\a", "\u{08}": "\\b", "\t": "\\t", "\n": "\\n", "\u{0B}": "\\v", "\u{0C}": "\\f",
        "\r": "\\r", "\u{1B}": "\\e", "\"": "\\\"", "\\": "\\\\", "\u{85}": "\\N", "\u{2028}": "\\L",
        "\u{2029}": "\\P",
    ]
}
