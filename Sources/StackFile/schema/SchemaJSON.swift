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

    /// The tree that `JSONWriter` writes.
    var node: Node {
        switch self {
        case .text(let text): return .made(text)
        case .integer(let number): return .integer(number, at: Node.madeMark)
        case .flag(let flag): return .boolean(flag, at: Node.madeMark)
        case .list(let items): return .made(items.map(\.node))
        case .object(let members):
            var mapping = Mapping()
            for member in members { mapping.set(member.key, at: Node.madeMark, to: member.value.node) }
            return Node(.mapping(mapping), at: Node.madeMark)
        }
    }
}
