import StackModel

/// Writes trees as YAML in the style of Go's yaml package: two blanks of indentation, lists indented below their key,
/// quotes where a plain scalar would be read as something else, literal blocks for text of several lines.
struct YAMLWriter {
    private var output = ""

    static func write(_ node: Node) -> String {
        var writer = YAMLWriter()
        switch node.content {
        case .scalar, .sequence: writer.value(node, indent: 0)
        case .mapping(let mapping): writer.mapping(mapping, indent: 0, isFirstInline: false)
        }
        return writer.output
    }

    private mutating func mapping(_ mapping: Mapping, indent: Int, isFirstInline: Bool) {
        var isInline = isFirstInline
        for entry in mapping.entries {
            if !isInline { blanks(indent) }
            isInline = false
            output += Self.scalarText(entry.key, indent: indent) + ":"
            value(entry.value, indent: indent)
        }
    }

    /// What follows a key on its line and below.
    private mutating func value(_ node: Node, indent: Int) {
        switch node.content {
        case .scalar(let scalar): output += " " + Self.text(of: scalar, indent: indent) + "\n"
        case .mapping(let mapping) where mapping.isEmpty: output += " {}\n"
        case .mapping(let mapping):
            output += "\n"
            self.mapping(mapping, indent: indent + 2, isFirstInline: false)
        case .sequence(let items) where items.isEmpty: output += " []\n"
        case .sequence(let items):
            output += "\n"
            sequence(items, indent: indent + 2, isFirstInline: false)
        }
    }

    private mutating func sequence(_ items: [Node], indent: Int, isFirstInline: Bool) {
        var isInline = isFirstInline
        for item in items {
            if !isInline { blanks(indent) }
            isInline = false
            output += "-"
            switch item.content {
            case .mapping(let mapping) where !mapping.isEmpty:
                output += " "
                self.mapping(mapping, indent: indent + 2, isFirstInline: true)
            case .sequence(let inner) where !inner.isEmpty:
                output += " "
                sequence(inner, indent: indent + 2, isFirstInline: true)
            default: value(item, indent: indent)
            }
        }
    }

    private mutating func blanks(_ count: Int) { output += String(repeating: " ", count: count) }

    private static func text(of scalar: Scalar, indent: Int) -> String {
        switch scalar.value {
        case .null: "null"
        case .string: scalarText(scalar.text, indent: indent)
        case .boolean, .integer: scalar.canonicalText
        case .float(let number) where number.isNaN: ".nan"
        case .float(let number) where number.isInfinite: number < 0 ? "-.inf" : ".inf"
        case .float: scalar.canonicalText
        }
    }

    private static func scalarText(_ text: String, indent: Int) -> String {
        if text.isEmpty { return "\"\"" }
        let isPrintable = text.unicodeScalars.allSatisfy { isPlainCharacter($0) || $0 == "\n" }
        guard isPrintable else { return doubleQuoted(text) }
        if text.contains("\n") { return literalBlock(text, indent: indent) ?? doubleQuoted(text) }
        if resolvePlainScalar(text) != .string || isOldBoolean(text) || looksLikeDate(text) {
            return doubleQuoted(text)
        }
        if isPlainSafe(text) { return text }
        return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    private static func literalBlock(_ text: String, indent: Int) -> String? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, !first.isEmpty, first.first != " ", first.first != "\t",
            !text.hasSuffix("\n\n"), !lines.contains(where: { $0.last == " " || $0.last == "\t" })
        else { return nil }
        let endsInNewline = text.hasSuffix("\n")
        let body = endsInNewline ? lines.dropLast() : lines[...]
        let pad = String(repeating: " ", count: indent + 2)
        let padded = body.map { $0.isEmpty ? "" : pad + $0 }
        return (endsInNewline ? "|" : "|-") + "\n" + padded.joined(separator: "\n")
    }

    /// YAML 1.2, section 7.3.3, for block and flow context alike.
    private static func isPlainSafe(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return false }
        if first == " " || last == " " || last == ":" || text.hasPrefix("---") || text.hasPrefix("...") { return false }
        if "!&*|>'\"%@`#,[]{}".unicodeScalars.contains(first) { return false }
        if "-?:".unicodeScalars.contains(first) {
            let second = text.unicodeScalars.dropFirst().first
            if second == nil || second == " " { return false }
        }
        if text == "=" || text == "<<" { return false }
        return !text.contains(": ") && !text.contains(" #") && !text.contains("\t")
    }

    private static func isPlainCharacter(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == "\t" { return true }
        if scalar.value == 0xFEFF || scalar.value == 0x85 || scalar.value == 0x2028 || scalar.value == 0x2029 {
            return false
        }
        return scalar.properties.generalCategory != .control
    }

    /// Words that YAML 1.1 reads as booleans, and base-60 numbers.
    private static func isOldBoolean(_ text: String) -> Bool {
        if ["y", "n", "yes", "no", "on", "off"].contains(text.lowercased()),
            text.lowercased() == text
                || text.uppercased() == text || text.capitalized == text
        {
            return true
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count > 1 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isNumber) }
            && parts.dropFirst().allSatisfy { ($0.count == 1 || $0.count == 2) && (Int($0) ?? 60) < 60 }
    }

    private static func looksLikeDate(_ text: String) -> Bool {
        let parts = text.prefix(10).split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 3 && parts[0].count == 4 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isNumber) }
    }

    private static func doubleQuoted(_ text: String) -> String { "\"" + escaped(text) + "\"" }
}

extension String {
    /// First letter upper case, the others lower case.
    fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst().lowercased() }
}

extension Node {
    /// `$` doubled in keys and values, so that loading the document again gives the same text.
    var escapingDollars: Node {
        var result = self
        switch content {
        case .scalar(var scalar):
            guard scalar.value == .string, scalar.text.utf8.contains(UInt8(ascii: "$")) else { return self }
            scalar.text = Self.doublingDollars(scalar.text)
            result.content = .scalar(scalar)
        case .sequence(let items): result.content = .sequence(items.map(\.escapingDollars))
        case .mapping(let mapping):
            var escaped = Mapping()
            for entry in mapping.entries {
                let hasDollar = entry.key.utf8.contains(UInt8(ascii: "$"))
                let key = hasDollar ? Self.doublingDollars(entry.key) : entry.key
                escaped.set(key, at: entry.keyMark, to: entry.value.escapingDollars)
            }
            result.content = .mapping(escaped)
        }
        return result
    }

    private static func doublingDollars(_ text: String) -> String {
        text.split(separator: "$", omittingEmptySubsequences: false).joined(separator: "$$")
    }
}

/// The inside of a double-quoted scalar (YAML 1.2, section 5.7; RFC 8259, section 7).
func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        default:
            let mustEscape =
                scalar.properties.generalCategory == .control || scalar.value == 0xFEFF
                || scalar.value == 0x2028 || scalar.value == 0x2029
            if mustEscape {
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }
    return result
}
