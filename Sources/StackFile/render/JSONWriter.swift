import StackModel

/// Writes trees as JSON (RFC 8259) indented by two blanks.
struct JSONWriter {
    private var output: [UInt8] = []
    private let escapesDollars: Bool

    private init(escapesDollars: Bool) { self.escapesDollars = escapesDollars }

    /// `escapesDollars` doubles `$` in keys and values, for a document that is to be loaded again.
    static func write(_ node: Node, escapesDollars: Bool = false) -> String {
        var writer = JSONWriter(escapesDollars: escapesDollars)
        writer.value(node, indent: 0)
        writer.put("\n")
        return String(decoding: writer.output, as: UTF8.self)
    }

    private mutating func value(_ node: Node, indent: Int) {
        switch node.content {
        case .scalar(let scalar): put(text(of: scalar))
        case .sequence(let items):
            block("[", "]", count: items.count, indent) { (self: inout Self, index) in
                self.value(items[index], indent: indent + 2)
            }
        case .mapping(let mapping):
            let entries = mapping.entries
            block("{", "}", count: entries.count, indent) { (self: inout Self, index) in
                let key = self.quoted(entries[index].key)
                self.put("\"" + key + "\": ")
                self.value(entries[index].value, indent: indent + 2)
            }
        }
    }

    private func quoted(_ text: String) -> String { escaped(escapesDollars ? doublingDollars(text) : text) }

    private mutating func put(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func blanks(_ count: Int) {
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: count))
    }

    private mutating func block(
        _ open: String, _ close: String, count: Int, _ indent: Int, _ item: (inout Self, Int) -> Void
    ) {
        put(open)
        for index in 0..<count {
            put(index == 0 ? "\n" : ",\n")
            blanks(indent + 2)
            item(&self, index)
        }
        if count > 0 {
            put("\n")
            blanks(indent)
        }
        put(close)
    }

    private func text(of scalar: Scalar) -> String {
        switch scalar.value {
        case .null: "null"
        case .boolean, .integer: scalar.canonicalText
        case .float(let number): number.isFinite ? scalar.canonicalText : "null"
        case .string: "\"" + quoted(scalar.text) + "\""
        }
    }
}
