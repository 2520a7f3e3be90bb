import StackModel

/// Writes trees as YAML in the style of Go's yaml package: two blanks of indentation, lists indented below their key,
/// quotes where a plain scalar would be read as something else, literal blocks for text of several lines.
struct YAMLWriter {
    private var output: [UInt8] = []
    private let escapesDollars: Bool

    private init(escapesDollars: Bool) { self.escapesDollars = escapesDollars }

    /// `escapesDollars` doubles `$` in keys and values, for a document that is to be loaded again.
    static func write(_ node: Node, escapesDollars: Bool = false) -> String {
        var writer = YAMLWriter(escapesDollars: escapesDollars)
        switch node.content {
        case .scalar, .sequence: writer.value(node, indent: 0)
        case .mapping(let mapping): writer.mapping(mapping, indent: 0, isFirstInline: false)
        }
        return String(decoding: writer.output, as: UTF8.self)
    }

    private mutating func mapping(_ mapping: Mapping, indent: Int, isFirstInline: Bool) {
        var isInline = isFirstInline
        for entry in mapping.entries {
            if !isInline { blanks(indent) }
            isInline = false
            put(YAMLScalarText(indent: indent).written(escaped(entry.key)))
            put(":")
            value(entry.value, indent: indent)
        }
    }

    /// What follows a key on its line and below.
    private mutating func value(_ node: Node, indent: Int) {
        switch node.content {
        case .scalar(let scalar):
            put(" ")
            put(text(of: scalar, indent: indent))
            put("\n")
        case .mapping(let mapping) where mapping.isEmpty: put(" {}\n")
        case .mapping(let mapping):
            put("\n")
            self.mapping(mapping, indent: indent + 2, isFirstInline: false)
        case .sequence(let items) where items.isEmpty: put(" []\n")
        case .sequence(let items):
            put("\n")
            sequence(items, indent: indent + 2, isFirstInline: false)
        }
    }

    private mutating func sequence(_ items: [Node], indent: Int, isFirstInline: Bool) {
        var isInline = isFirstInline
        for item in items {
            if !isInline { blanks(indent) }
            isInline = false
            put("-")
            switch item.content {
            case .mapping(let mapping) where !mapping.isEmpty:
                put(" ")
                self.mapping(mapping, indent: indent + 2, isFirstInline: true)
            case .sequence(let inner) where !inner.isEmpty:
                put(" ")
                sequence(inner, indent: indent + 2, isFirstInline: true)
            default: value(item, indent: indent)
            }
        }
    }

    private func escaped(_ text: String) -> String { escapesDollars ? doublingDollars(text) : text }

    private mutating func put(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func blanks(_ count: Int) {
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: count))
    }

    private func text(of scalar: Scalar, indent: Int) -> String {
        switch scalar.value {
        case .null: "null"
        case .string: YAMLScalarText(indent: indent).written(escaped(scalar.text))
        case .boolean, .integer: scalar.canonicalText
        case .float(let number) where number.isNaN: ".nan"
        case .float(let number) where number.isInfinite: number < 0 ? "-.inf" : ".inf"
        case .float: scalar.canonicalText
        }
    }
}

/// `$` doubled, so that loading the document again gives the same text.
func doublingDollars(_ text: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
    return text.split(separator: "$", omittingEmptySubsequences: false).joined(separator: "$$")
}

/// The inside of a JSON string (RFC 8259, section 7).
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
