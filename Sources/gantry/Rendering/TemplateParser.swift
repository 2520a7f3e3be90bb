/// Reads a template: text, and actions between `{{` and `}}`.
struct TemplateParser {
    private var rest: Substring

    /// Outside of actions `\t` and `\n` may be written so, as shells hand them on.
    init(_ text: String) { rest = text[...] }

    mutating func nodes(depth: Int) throws(CommandFailure) -> [FormatTemplate.Node] {
        let (nodes, ending) = try block(depth: depth)
        if let ending { throw Self.invalid("'{{\(ending)}}' ends nothing") }
        return nodes
    }

    /// Up to `{{end}}`, `{{else}}` or the end.
    private mutating func block(depth: Int) throws(CommandFailure) -> ([FormatTemplate.Node], ending: String?) {
        guard depth > 0 else { throw Self.invalid("it is nested too deep") }
        var nodes: [FormatTemplate.Node] = []
        while !rest.isEmpty {
            guard let start = Self.find("{{", in: rest) else {
                nodes.append(.text(Self.unescaped(rest)))
                rest = ""
                break
            }
            if start != rest.startIndex { nodes.append(.text(Self.unescaped(rest[..<start]))) }
            rest = rest[start...].dropFirst(2)
            guard let end = Self.find("}}", in: rest) else { throw Self.invalid("'{{' is not closed by '}}'") }
            let words = try Self.words(rest[..<end])
            rest = rest[end...].dropFirst(2)
            switch words.first {
            case nil: throw Self.invalid("'{{}}' is empty")
            case "end" where words.count == 1, "else" where words.count == 1: return (nodes, words.first)
            case "if", "range":
                let pipeline = try Self.pipeline(words.dropFirst())
                var (body, ending) = try block(depth: depth - 1)
                var otherwise: [FormatTemplate.Node] = []
                if ending == "else" { (otherwise, ending) = try block(depth: depth - 1) }
                guard ending == "end" else { throw Self.invalid("'{{\(words[0])}}' has no '{{end}}'") }
                nodes.append(
                    words[0] == "if"
                        ? .condition(pipeline, then: body, otherwise: otherwise)
                        : .loop(pipeline, body: body, otherwise: otherwise))
            default: nodes.append(.value(try Self.pipeline(words[...])))
            }
        }
        return (nodes, nil)
    }

    private static func pipeline(_ words: ArraySlice<String>) throws(CommandFailure) -> [FormatTemplate.Call] {
        var calls: [FormatTemplate.Call] = []
        for part in words.split(separator: "|", omittingEmptySubsequences: false) {
            guard let first = part.first else { throw invalid("an action is empty") }
            if FormatTemplate.functions.contains(first) {
                var operands: [FormatTemplate.Operand] = []
                for word in part.dropFirst() { operands.append(try operand(word)) }
                calls.append(FormatTemplate.Call(function: first, operands: operands))
            } else {
                guard part.count == 1 else { throw invalid("'\(first)' is no function here") }
                calls.append(FormatTemplate.Call(function: nil, operands: [try operand(first)]))
            }
        }
        return calls
    }

    private static func operand(_ word: String) throws(CommandFailure) -> FormatTemplate.Operand {
        if word == "." { return .path([]) }
        if word.hasPrefix(".") {
            let names = word.dropFirst().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard names.allSatisfy({ !$0.isEmpty }) else { throw invalid("'\(word)' is no field") }
            return .path(names)
        }
        if word.hasPrefix("\"") || word.hasPrefix("`") {
            let inner = word.dropFirst().dropLast()
            return .literal(.string(word.hasPrefix("`") ? String(inner) : unescaped(inner)))
        }
        if let number = Int64(word) { return .literal(.number(number)) }
        if word == "true" || word == "false" { return .literal(.bool(word == "true")) }
        let known = FormatTemplate.functions.sorted().joined(separator: ", ")
        throw .usage(
            "the format has an unknown word '\(word)'", hint: "write {{.Field}}; the functions are \(known)")
    }

    /// Splits at blanks; quoted text and `|` are words of their own.
    private static func words(_ text: Substring) throws(CommandFailure) -> [String] {
        var words: [String] = []
        var rest = text
        while let first = rest.first {
            if first.isWhitespace {
                rest = rest.dropFirst()
            } else if first == "|" {
                words.append("|")
                rest = rest.dropFirst()
            } else if first == "\"" || first == "`" {
                let inner = rest.dropFirst()
                guard let end = inner.firstIndex(of: first) else { throw invalid("a quote is not closed") }
                words.append(String(rest[...end]))
                rest = rest[end...].dropFirst()
            } else {
                let word = rest.prefix { !$0.isWhitespace && $0 != "|" && $0 != "\"" && $0 != "`" }
                words.append(String(word))
                rest = rest[word.endIndex...]
            }
        }
        return words
    }

    private static func find(_ two: String, in text: Substring) -> Substring.Index? {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index...].hasPrefix(two) { return index }
            index = text.index(after: index)
        }
        return nil
    }

    private static func unescaped(_ text: Substring) -> String {
        var result = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                result += character == "t" ? "\t" : character == "n" ? "\n" : "\\\(character)"
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                result.append(character)
            }
        }
        return result + (isEscaped ? "\\" : "")
    }

    private static func invalid(_ why: String) -> CommandFailure {
        .usage("the format cannot be read: \(why)", hint: "write for example '{{.ID}} {{json .}}'")
    }
}
