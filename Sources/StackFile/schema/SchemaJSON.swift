/// A JSON value whose objects keep the order they were written in.
indirect enum SchemaJSON: Equatable, Sendable {
    case text(String)
    case integer(Int64)
    case flag(Bool)
    case list([SchemaJSON])
    case object([Member])

    struct Member: Equatable, Sendable {
        let key: String
        let value: SchemaJSON

        init(_ key: String, _ value: SchemaJSON) {
            self.key = key
            self.value = value
        }
    }

    static func texts(_ texts: [String]) -> SchemaJSON { .list(texts.map(SchemaJSON.text)) }

    static func reference(_ name: String) -> SchemaJSON { .object([Member("$ref", .text("#/$defs/\(name)"))]) }

    var members: [Member] { if case .object(let members) = self { members } else { [] } }

    /// The same object with one more member in front.
    func described(_ text: String) -> SchemaJSON {
        text.isEmpty ? self : .object([Member("description", .text(text))] + members)
    }

    /// RFC 8259, indented by two blanks; what fits a line of `columns` stands on one.
    func pretty(columns: Int) -> String {
        var output = ""
        write(to: &output, indent: 0, used: 0, columns: columns)
        return output + "\n"
    }

    /// `used`: columns that the line holds already.
    private func write(to output: inout String, indent: Int, used: Int, columns: Int) {
        let line = oneLine
        if used + line.utf8.count <= columns {
            output += line
            return
        }
        let inner = String(repeating: " ", count: indent + 2)
        let end = "\n" + String(repeating: " ", count: indent)
        switch self {
        case .text, .integer, .flag: output += line
        case .list(let items):
            output += "["
            for (index, item) in items.enumerated() {
                output += (index == 0 ? "\n" : ",\n") + inner
                item.write(to: &output, indent: indent + 2, used: indent + 3, columns: columns)
            }
            output += end + "]"
        case .object(let members):
            output += "{"
            for (index, member) in members.enumerated() {
                let key = SchemaJSON.text(member.key).oneLine + ": "
                output += (index == 0 ? "\n" : ",\n") + inner + key
                member.value.write(
                    to: &output, indent: indent + 2, used: indent + 3 + key.utf8.count, columns: columns)
            }
            output += end + "}"
        }
    }

    private var oneLine: String {
        switch self {
        case .text(let text): "\"" + escaped(text) + "\""
        case .integer(let number): String(number)
        case .flag(let flag): flag ? "true" : "false"
        case .list(let items): "[" + items.map(\.oneLine).joined(separator: ", ") + "]"
        case .object(let members):
            members.isEmpty
                ? "{}"
                : "{ " + members.map { "\"\(escaped($0.key))\": \($0.value.oneLine)" }.joined(separator: ", ") + " }"
        }
    }
}
