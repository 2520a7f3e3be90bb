import StackModel

/// A path that was found in a tree.
struct StackPath {
    enum Step {
        case key(String)
        /// The item is known by more than its number, which differs from file to file.
        case index(Int, item: Node)
    }

    var steps: [Step] = []
    /// The node at the path, and before it all it lies in, root first.
    var nodes: [Node]
    /// Of the last key.
    var keyMark: SourceMark?

    var node: Node { nodes[nodes.count - 1] }

    init(root: Node) { nodes = [root] }

    /// As it is written.
    var text: String {
        var text = ""
        for step in steps {
            switch step {
            case .key(let key):
                let isPlain = key.unicodeScalars.allSatisfy { ![".", "[", "]", "\""].contains($0) }
                text += isPlain ? (text.isEmpty ? key : ".\(key)") : "[\"\(key)\"]"
            case .index(let number, _): text += "[\(number)]"
            }
        }
        return text
    }

    /// The keys, with `*` for items: what tables are looked up with.
    var pattern: [String] {
        steps.map { step in if case .key(let key) = step { key } else { "*" } }
    }

    mutating func descend(_ key: String) -> Bool {
        guard let mapping = node.mapping, let next = mapping[key] else { return false }
        keyMark = mapping.keyMark(key)
        steps.append(.key(key))
        nodes.append(next)
        return true
    }

    mutating func descend(_ index: Int) -> Bool {
        guard let items = node.items, items.indices.contains(index) else { return false }
        keyMark = nil
        steps.append(.index(index, item: items[index]))
        nodes.append(items[index])
        return true
    }

    /// Resolves `a.b[0].c`. Keys with dots may stand in `["…"]`; without, the longest key that fits is taken.
    static func resolve(_ text: String, in root: Node) throws(Diagnostic) -> StackPath {
        var path = StackPath(root: root)
        var rest = text[...]
        let stepsMax = YAMLLimits.depthMax
        while !rest.isEmpty {
            guard path.steps.count < stepsMax else { throw path.unknown(text, rest) }
            if rest.first == "." { rest = rest.dropFirst() }
            if rest.first == "[" {
                guard let (token, after) = bracketed(rest) else { throw path.unknown(text, rest) }
                let isFound = Int(token).map { path.node.items != nil && path.descend($0) } ?? false
                guard isFound || path.descend(unquoted(token)) else { throw path.unknown(text, rest) }
                rest = after
            } else {
                let fitting = (path.node.mapping?.keys ?? []).filter { isStart($0, of: rest) }
                guard let key = fitting.max(by: { $0.utf8.count < $1.utf8.count }), path.descend(key) else {
                    throw path.unknown(text, rest)
                }
                rest = rest.dropFirst(key.count)
            }
        }
        guard !path.steps.isEmpty else { throw path.unknown(text, rest) }
        return path
    }

    private static func isStart(_ key: String, of rest: Substring) -> Bool {
        guard !key.isEmpty, rest.hasPrefix(key) else { return false }
        let next = rest.dropFirst(key.count).first
        return next == nil || next == "." || next == "["
    }

    private static func bracketed(_ text: Substring) -> (token: String, rest: Substring)? {
        let isQuoted = text.dropFirst().first == "\""
        guard let end = isQuoted ? quotedEnd(text) : text.firstIndex(of: "]") else { return nil }
        return (String(text[text.index(after: text.startIndex)..<end]), text[text.index(after: end)...])
    }

    /// The `]` after a closing quote.
    private static func quotedEnd(_ text: Substring) -> Substring.Index? {
        text.indices.dropFirst(3).first { text[$0] == "]" && text[text.index(before: $0)] == "\"" }
    }

    private static func unquoted(_ token: String) -> String {
        let isQuoted = token.count >= 2 && token.hasPrefix("\"") && token.hasSuffix("\"")
        return isQuoted ? String(token.dropFirst().dropLast()) : token
    }

    /// Says what there is where the path ends.
    private func unknown(_ text: String, _ rest: Substring) -> Diagnostic {
        let place = steps.isEmpty ? "the stack" : "'\(self.text)'"
        let wanted = String(rest.prefix { $0 != "." && $0 != "[" })
        var hint: String?
        switch node.content {
        case .mapping(let mapping):
            if let near = nearest(wanted, in: mapping.keys) {
                var path = self
                _ = path.descend(near)
                hint = "did you mean '\(path.text)'?"
            } else {
                let shownMax = 12
                let shown = mapping.keys.sorted().prefix(shownMax).joined(separator: ", ")
                hint = mapping.isEmpty ? nil : "\(place) has \(shown)\(mapping.keys.count > shownMax ? ", …" : "")"
            }
        case .sequence(let items):
            hint = items.isEmpty ? "\(place) is an empty list" : "\(place) is a list: [0] to [\(items.count - 1)]"
        case .scalar: hint = "\(place) is \(node.kindName) and has nothing below it"
        }
        return Diagnostic(code: "stack.reference", "there is no '\(text)' in the stack", hint: hint)
    }
}
