/// The flags of one instruction, read against those it knows.
struct Flags {
    enum Kind { case bool, single, several }

    private var values: [String: [Word]] = [:]

    init(_ words: [Word], of instruction: String, _ known: [String: Kind]) throws(Fault) {
        for word in words {
            let body = String(scalars: word.text.unicodeScalars.dropFirst(2))
            let (name, value) = body.cut("=") ?? (body, nil)
            guard let kind = known[name] else { throw Self.unknown(name, word.range, instruction, known) }
            if values[name] != nil, kind != .several {
                throw Fault(.flag, "duplicate flag specified: --\(name)", at: word.range)
            }
            var range = word.range
            if value != nil, range.start.line == range.end.line {
                range.start.column = min(range.start.column + name.unicodeScalars.count + 3, range.end.column)
            }
            values[name, default: []].append(Word(try Self.checked(value, name, kind, word.range), at: range))
        }
    }

    private static func unknown(
        _ name: String, _ range: SourceRange, _ instruction: String, _ known: [String: Kind]
    ) -> Fault {
        let names = known.keys.sorted()
        let all = names.map { "--" + $0 }.joined(separator: ", ")
        let list = names.isEmpty ? "\(instruction) has no flags" : "\(instruction) has \(all)"
        let near = didYouMean("--" + name, names.map { "--" + $0 })
        return Fault(.flag, "unknown flag: --\(name)", at: range, hint: near ?? list)
    }

    private static func checked(_ value: String?, _ name: String, _ kind: Kind, _ range: SourceRange) throws(Fault)
        -> String
    {
        guard kind == .bool else {
            guard let value else {
                throw Fault(.flag, "missing a value on flag: --\(name)", at: range, hint: "write --\(name)=VALUE")
            }
            return value
        }
        guard let value else { return "true" }
        if value.isEmpty {
            throw Fault(.flag, "missing a value on flag: --\(name)", at: range, hint: "write --\(name)")
        }
        let lower = value.lowercased()
        guard lower == "true" || lower == "false" else {
            throw Fault(.flag, "expecting boolean value for flag --\(name), not: \(value)", at: range)
        }
        return lower
    }

    subscript(_ name: String) -> Word? { values[name]?.last }

    func all(_ name: String) -> [Word] { values[name] ?? [] }

    func bool(_ name: String) -> Bool? { self[name].map { $0.text == "true" } }
}
