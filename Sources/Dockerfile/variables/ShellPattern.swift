/// A pattern of `${x#pattern}` and `${x/pattern/word}`: `*`, `?` and escapes, no brackets.
struct ShellPattern {
    private enum Item {
        case scalar(Unicode.Scalar)
        case any
        case many
    }

    private var items: [Item] = []
    /// Comparisons that the patterns of one word may take.
    static let stepsMax = 8_000_000

    init(_ pattern: [Unicode.Scalar]) throws(ExpansionError) {
        var index = 0
        while index < pattern.count {
            let scalar = pattern[index]
            index += 1
            switch scalar {
            case "*": items.append(.many)
            case "?": items.append(.any)
            case "\\":
                // `\}` and `\/` are escaped for `${…}`, not for the pattern.
                let next = index < pattern.count ? pattern[index] : nil
                if next == "}" || next == "/" { continue }
                guard let next, next == "*" || next == "?" || next == "\\" else {
                    let escape = "\\" + (next.map { String($0) } ?? "")
                    throw ExpansionError(
                        message:
                            "invalid pattern (\(String(scalars: pattern))) in substitution: invalid escape '\(escape)'")
                }
                items.append(.scalar(next))
                index += 1
            default: items.append(.scalar(scalar))
            }
        }
    }

    var reversed: ShellPattern {
        var result = self
        result.items.reverse()
        return result
    }

    /// Where a match that starts at `start` ends; `nil` where there is none.
    func end(
        in text: [Unicode.Scalar], from start: Int, longest: Bool, _ steps: inout Int
    ) throws(ExpansionError) -> Int? {
        var states = [Bool](repeating: false, count: items.count + 1)
        states[0] = true
        skipMany(&states)
        var found: Int? = states[items.count] ? start : nil
        var index = start
        while index < text.count, longest || found == nil {
            steps -= items.count + 1
            guard steps > 0 else { throw ExpansionError(message: "a pattern takes too long on a value this long") }
            guard advance(&states, text[index]) else { break }
            index += 1
            if states[items.count] { found = index }
        }
        return found
    }

    private func skipMany(_ states: inout [Bool]) {
        for (index, item) in items.enumerated() where states[index] {
            if case .many = item { states[index + 1] = true }
        }
    }

    /// One character further; false where nothing can match any more.
    private func advance(_ states: inout [Bool], _ scalar: Unicode.Scalar) -> Bool {
        var isAlive = false
        for index in stride(from: items.count, through: 0, by: -1) {
            var state = false
            if index < items.count, case .many = items[index] { state = states[index] }
            if index > 0, states[index - 1] {
                switch items[index - 1] {
                case .scalar(let wanted): state = state || wanted == scalar
                case .any: state = true
                case .many: break
                }
            }
            states[index] = state
            isAlive = isAlive || state
        }
        skipMany(&states)
        return isAlive
    }

    /// The first match, or every one, replaced; the longest at each place.
    func replacing(
        in text: [Unicode.Scalar], with replacement: [Unicode.Scalar], everywhere: Bool, _ steps: inout Int
    ) throws(ExpansionError) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        var index = 0
        var lastEnd = -1
        while index <= text.count {
            let end = try end(in: text, from: index, longest: true, &steps)
            if let end, end > index || index != lastEnd {
                result += replacement
                lastEnd = end
                if !everywhere { return result + text[end...] }
                guard result.count <= WordExpander.lengthMax else {
                    throw ExpansionError(
                        message: "the expanded word has more than \(WordExpander.lengthMax) characters")
                }
                if end > index {
                    index = end
                    continue
                }
            } else if end == nil, case .many? = items.first {
                // What `*` starts would have matched from here if it did anywhere later.
                break
            }
            if index < text.count { result.append(text[index]) }
            index += 1
        }
        if index < text.count { result += text[index...] }
        return result
    }
}
