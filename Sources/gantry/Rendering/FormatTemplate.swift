/// Go's text/template as far as `--format` needs it: fields, pipelines, `json`, `join`, `index`, `len`, `lower`,
/// `upper`, and `if` and `range` with `else` and `end`.
struct FormatTemplate {
    indirect enum Node {
        case text(String)
        case value([Call])
        case condition([Call], then: [Node], otherwise: [Node])
        case loop([Call], body: [Node], otherwise: [Node])
    }

    /// One part of a pipeline: a function with its operands, or one operand alone.
    struct Call {
        var function: String?
        var operands: [Operand]
    }

    enum Operand {
        /// Empty is the dot itself.
        case path([String])
        case literal(JSONText)
    }

    static let functions: Set<String> = ["json", "join", "index", "len", "lower", "upper", "println"]
    private static let depthMax = 32

    let nodes: [Node]

    /// - Throws: what is wrong with it, for the user.
    init(_ text: String) throws(CommandFailure) {
        var parser = TemplateParser(text)
        nodes = try parser.nodes(depth: Self.depthMax)
    }

    /// - Parameter strict: a field that an object has not is an error, as in lists; else it is `<no value>`.
    func render(_ value: JSONText, strict: Bool) throws(CommandFailure) -> String {
        try Self.render(nodes, value, strict)
    }

    private static func render(_ nodes: [Node], _ dot: JSONText, _ strict: Bool) throws(CommandFailure) -> String {
        var result = ""
        for node in nodes {
            switch node {
            case .text(let text): result += text
            case .value(let pipeline): result += try evaluate(pipeline, dot, strict).shown
            case .condition(let pipeline, let then, let otherwise):
                let isTrue = try evaluate(pipeline, dot, strict).isTrue
                result += try render(isTrue ? then : otherwise, dot, strict)
            case .loop(let pipeline, let body, let otherwise):
                let items = try evaluate(pipeline, dot, strict).items
                if items.isEmpty { result += try render(otherwise, dot, strict) }
                for item in items { result += try render(body, item, strict) }
            }
        }
        return result
    }

    private static func evaluate(
        _ pipeline: [Call], _ dot: JSONText, _ strict: Bool
    ) throws(CommandFailure) -> JSONText {
        var value: JSONText?
        for call in pipeline {
            var operands: [JSONText] = []
            for operand in call.operands { operands.append(try resolve(operand, dot, strict)) }
            if let last = value { operands.append(last) }
            value = try call.function.map { name throws(CommandFailure) in try apply(name, operands) } ?? operands.first
        }
        return value ?? .null
    }

    private static func resolve(
        _ operand: Operand, _ dot: JSONText, _ strict: Bool
    ) throws(CommandFailure) -> JSONText {
        switch operand {
        case .literal(let value): return value
        case .path(let names):
            var value = dot
            for name in names {
                if case .object(let members) = value, let found = members.first(where: { $0.0 == name }) {
                    value = found.1
                } else if strict, case .object(let members) = value {
                    let known = members.map { ".\($0.0)" }.joined(separator: " ")
                    throw .usage("there is no field .\(name)", hint: "the fields are \(known)")
                } else {
                    return .null
                }
            }
            return value
        }
    }

    private static func apply(_ function: String, _ operands: [JSONText]) throws(CommandFailure) -> JSONText {
        func operand(_ index: Int) throws(CommandFailure) -> JSONText {
            guard index < operands.count else { throw .usage("'\(function)' in the format lacks an operand") }
            return operands[index]
        }
        let first = try operand(0)
        switch function {
        case "json": return .string(first.text)
        case "lower": return .string(first.shown.lowercased())
        case "upper": return .string(first.shown.uppercased())
        case "println": return .string(first.shown + "\n")
        case "len":
            if case .string(let text) = first { return .number(text.utf8.count) }
            return .number(first.items.count)
        case "join":
            let separator = try operand(1)
            return .string(first.items.map(\.shown).joined(separator: separator.shown))
        default:
            var value = first
            for key in operands.dropFirst() { value = try item(value, key) }
            return value
        }
    }

    private static func item(_ value: JSONText, _ key: JSONText) throws(CommandFailure) -> JSONText {
        switch (value, key) {
        case (.array(let items), .number(let number)):
            guard number >= 0, number < items.count else {
                throw .usage("'index' in the format: there is no item \(number)")
            }
            return items[Int(number)]
        case (.object(let members), _): return members.first { $0.0 == key.shown }?.1 ?? .string("")
        default: throw .usage("'index' in the format is for lists and maps")
        }
    }
}

extension JSONText {
    /// As Go prints a value.
    var shown: String {
        switch self {
        case .null: "<no value>"
        case .bool, .number: text
        case .string(let text): text
        case .array(let items): "[" + items.map(\.shown).joined(separator: " ") + "]"
        case .object(let members): "map[" + members.map { "\($0.0):\($0.1.shown)" }.joined(separator: " ") + "]"
        }
    }

    /// Go's truth: not empty, not zero.
    fileprivate var isTrue: Bool {
        switch self {
        case .null: false
        case .bool(let value): value
        case .number(let value): value != 0
        case .string(let text): !text.isEmpty
        case .array(let items): !items.isEmpty
        case .object(let members): !members.isEmpty
        }
    }

    fileprivate var items: [JSONText] {
        switch self {
        case .array(let items): items
        case .object(let members): members.map(\.1)
        default: []
        }
    }
}
