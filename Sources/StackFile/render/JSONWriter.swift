import StackModel

/// Writes trees as JSON (RFC 8259) indented by two blanks.
struct JSONWriter {
    private var output = ""

    static func write(_ node: Node) -> String {
        var writer = JSONWriter()
        writer.value(node, indent: 0)
        return writer.output + "\n"
    }

    private mutating func value(_ node: Node, indent: Int) {
        switch node.content {
        case .scalar(let scalar): output += text(of: scalar)
        case .sequence(let items):
            block("[", "]", count: items.count, indent) { (self: inout Self, index) in
                self.value(items[index], indent: indent + 2)
            }
        case .mapping(let mapping):
            let entries = mapping.entries
            block("{", "}", count: entries.count, indent) { (self: inout Self, index) in
                self.output += "\"" + escaped(entries[index].key) + "\": "
                self.value(entries[index].value, indent: indent + 2)
            }
        }
    }

    private mutating func block(
        _ open: String, _ close: String, count: Int, _ indent: Int, _ item: (inout Self, Int) -> Void
    ) {
        output += open
        for index in 0..<count {
            output += (index == 0 ? "\n" : ",\n") + String(repeating: " ", count: indent + 2)
            item(&self, index)
        }
        if count > 0 { output += "\n" + String(repeating: " ", count: indent) }
        output += close
    }

    private func text(of scalar: Scalar) -> String {
        switch scalar.value {
        case .null: "null"
        case .boolean, .integer: scalar.canonicalText
        case .float(let number): number.isFinite ? scalar.canonicalText : "null"
        case .string: "\"" + escaped(scalar.text) + "\""
        }
    }
}
