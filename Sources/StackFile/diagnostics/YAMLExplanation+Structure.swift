import StackModel

/// Wrong indentation, missing colons and what stands where it must not.
extension YAMLExplanation {
    // MARK: - A colon too many

    func unexpectedColon() -> Diagnostic? {
        guard let line else { return nil }
        if let colon = line.colonOffset, colon < offset { return colonInValue(line) }
        guard let (number, above) = lines.above(lineNumber).first(where: { _ in true }) else { return nil }
        guard let key = above.key else {
            if above.isItem, !looksLikeKey(above.content) { return belowItem(line, above, number) }
            return missingColon(in: number)
        }
        guard above.value != nil, line.contentOffset > above.contentOffset else { return nil }
        let note = Diagnostic.Note("'\(key)' has its value here", at: mark(number, above.contentOffset))
        guard line.key != nil, !line.isItem else {
            return report(
                "this line is indented below '\(key)', which has a value already",
                offset: line.isItem ? line.indent : line.contentOffset,
                hint: "remove the value beside '\(key)', or put it into the list below", notes: [note])
        }
        return report(
            "'\(line.key ?? "")' is indented deeper than '\(key)', which has a value already",
            offset: line.contentOffset,
            hint: "indent it by \(spaces(above.contentOffset)) to stand beside '\(key)'",
            notes: [note])
    }

    /// `image: a: b`
    private func colonInValue(_ line: YAMLLine) -> Diagnostic? {
        guard let start = line.valueOffset, let key = line.key, let value = line.value else { return nil }
        let isQuoted = value.first == "\"" || value.first == "'"
        let inner = value.prefix { $0 != ":" }
        if !isQuoted, looksLikeKey(inner + ":x") {
            return report(
                "'\(key)' and '\(inner)' are two keys in one line", offset: start,
                hint: "put '\(inner):' in the next line, or the whole value in quotes")
        }
        return report(
            isQuoted
                ? "text follows the closing quote of '\(key)'"
                : "the value of '\(key)' has ': ' in it, so it needs quotes",
            offset: start, hint: "put the whole value in quotes: \(key): \(quoted(value))")
    }

    private func belowItem(_ line: YAMLLine, _ item: YAMLLine, _ number: Int) -> Diagnostic {
        let isItem = line.isItem
        let name = isItem ? "this list item" : "'\(line.key ?? "")'"
        return report(
            "\(name) is indented as if it belonged to the list item above",
            offset: isItem ? line.indent : line.contentOffset,
            hint: isItem ? "indent it by \(spaces(item.indent)), as the item above" : levelsHint(line.contentOffset),
            notes: [.init("the item above", at: mark(number, item.contentOffset))])
    }

    // MARK: - A colon too few

    /// A ':' of another script, or one that a blank of another kind follows.
    func strangeColon(_ line: YAMLLine, _ number: Int) -> Diagnostic? {
        let content = line.scalars[min(line.contentOffset, line.endOffset)..<line.endOffset]
        if let offset = content.firstIndex(of: "\u{FF1A}") {
            return report(
                "the character U+FF1A looks like ':' but is none", line: number, offset: offset,
                hint: "replace it with ':' and a space")
        }
        guard let colon = content.firstIndex(of: ":"), colon + 1 < content.endIndex,
            YAMLLine.isStrangeBlank(content[colon + 1]), content[colon + 1] != "\t"
        else { return nil }
        let mark = SourceMark(file: problem.mark.file, line: number, column: colon + 2)
        return explainStrangeBlank(content[colon + 1], at: mark)
    }

    /// `image:nginx`, `image nginx`, `KEY=value` between keys.
    func missingColon(in number: Int) -> Diagnostic? {
        guard let line = lines[number], !line.isBlank else { return nil }
        let content = line.content
        if let found = badlyIndentedValue(line, number) { return found }
        if content.hasPrefix("-") {
            return report(
                "a space is missing after '-'", line: number, offset: line.contentOffset,
                hint: "write '- \(content.dropFirst().prefix(60))'")
        }
        if let found = strangeColon(line, number) { return found }
        if looksLikeKey(content), let colon = content.firstIndex(of: ":") {
            let key = content[..<colon]
            return report(
                "a space is missing after '\(key):'", line: number, offset: line.contentOffset,
                hint: "write '\(key): \(content[content.index(after: colon)...].prefix(60))'")
        }
        if let equals = content.firstIndex(of: "="), !content[..<equals].contains(" ") {
            let value = content[content.index(after: equals)...].prefix(60)
            return report(
                "'\(content.prefix(60))' stands where 'KEY: value' is expected", line: number,
                offset: line.contentOffset,
                hint:
                    "write '\(content[..<equals]): \(value)', or make all entries list items: '- \(content.prefix(60))'"
            )
        }
        let words = content.split(separator: " ", maxSplits: 1)
        guard let first = words.first else { return nil }
        let rest = words.count > 1 ? ": \(words[1].prefix(60))" : ":"
        return report(
            "a ':' is missing after '\(first.prefix(60))'", line: number, offset: line.contentOffset,
            hint: "write '\(first.prefix(60))\(rest)'")
    }

    /// A value in the line below its key, but not deeper than it.
    private func badlyIndentedValue(_ line: YAMLLine, _ number: Int) -> Diagnostic? {
        guard let (above, keyLine) = lines.above(number).first(where: { _ in true }), let key = keyLine.key,
            keyLine.value == nil, line.contentOffset <= keyLine.contentOffset, !looksLikeKey(line.content)
        else { return nil }
        return report(
            "this line has no ':' and is not indented deep enough to be the value of '\(key)'", line: number,
            offset: line.contentOffset, hint: "indent it by more than \(spaces(keyLine.contentOffset))",
            notes: [.init("the key without a value", at: mark(above, keyLine.contentOffset))])
    }

    // MARK: - Something else than a key or an item

    func unexpectedToken() -> Diagnostic? {
        guard let line else { return nil }
        if offset > line.contentOffset, let found = afterValue(line) { return found }
        switch character {
        case ":": return report("a key is missing before ':'", hint: "write the key in front, or remove the line")
        case "]", "}", ",":
            return report("'\(character ?? ",")' has no opening bracket", hint: "remove it, or open the bracket before")
        default: break
        }
        if line.isItem {
            guard let above = lines.above(lineNumber).first(where: { $0.line.isItem }) else {
                return report(
                    "a list item stands where a key is expected", offset: line.indent,
                    hint: "put it below the key that the list belongs to")
            }
            return report(
                "the indentation of this list item fits no line above", offset: line.indent,
                hint: "indent it by \(spaces(above.line.indent)), as the item in line \(above.number)")
        }
        let name = line.key.map { "'\($0)'" } ?? "this line"
        let isInList = problem.problem.contains("'-'")
        return report(
            isInList ? "\(name) stands among the items of a list" : "the indentation of \(name) fits no line above",
            offset: line.contentOffset, hint: levelsHint(line.contentOffset))
    }

    /// `"a" b`, `[a] b`, `{{ a }}/b`, `*a b`: text after the end of a value.
    private func afterValue(_ line: YAMLLine) -> Diagnostic? {
        let before = line.scalars[..<min(offset, line.scalars.count)].lastIndex { !isSpace($0) }
        guard let before else { return nil }
        let start = line.valueOffset.flatMap { $0 < offset ? $0 : nil } ?? line.contentOffset
        let value = line.text(start, line.endOffset)
        if value.hasPrefix("{{") { return quoteValue("a value that starts with '{{' needs quotes", offset: start) }
        switch line.scalars[before] {
        case "'" where line.scalars[start] == "'":
            return report(
                "the single quote ends the value here, and text follows", offset: before,
                hint: "double a quote inside single quotes: ''")
        case "\"", "'":
            return report(
                "text follows the closing quote",
                hint: "put the quotes around the whole value; inside double quotes write \\\" for a quote")
        case "]" where character == "]", "}" where character == "}":
            return report("'\(line.scalars[before])' is closed twice", hint: "remove one of the two")
        case "]", "}":
            return report(
                "text follows the closing '\(line.scalars[before])'",
                hint: "a value that starts with a bracket needs quotes: \(quoted(value))")
        default:
            guard value.hasPrefix("*") || value.hasPrefix("&") else { return nil }
            return quoteValue("a value that starts with '\(value.prefix(1))' needs quotes", offset: start)
        }
    }

    func listBesideKey() -> Diagnostic? {
        guard let line else { return nil }
        let item = line.text(offset, line.endOffset)
        let content = item.drop { $0 == "-" || $0 == " " }
        return report(
            "a list cannot start in the line of its key",
            hint: "put '\(item.prefix(60))' in a line of its own, or write [\(content.prefix(60))]")
    }

    /// The file's first line is indented, and a later one is not.
    func secondStart() -> Diagnostic? {
        guard let line else { return nil }
        let first = (1...max(1, lineNumber)).lazy.compactMap { number in
            self.lines[number].flatMap { $0.isBlank || $0.content == "---" ? nil : (number: number, line: $0) }
        }.first
        guard let first, first.number < lineNumber else { return nil }
        let name = line.key.map { "'\($0)'" } ?? "this line"
        guard let key = first.line.key, line.indent < first.line.indent else {
            return report(
                "\(name) stands after the end of the file's value",
                hint: "a stack file is one mapping; its first line is usually 'services:'")
        }
        return report(
            "\(name) is indented less than the first key '\(key)'", offset: line.contentOffset,
            hint: "start all top-level keys in the first column",
            notes: [.init("the first key", at: mark(first.number, first.line.contentOffset))])
    }

    func missingValue() -> Diagnostic? {
        guard let character else { return openBracket() }
        return report(
            "a value is expected before '\(character)'",
            hint: "remove '\(character)', or put a value that has it in quotes")
    }

    /// Double quotes that do not come in pairs.
    private func oddQuotes(_ line: YAMLLine) -> Diagnostic? {
        var count = 0
        var previous: Unicode.Scalar = " "
        for scalar in line.scalars.prefix(line.endOffset) {
            if scalar == "\"", previous != "\\" { count += 1 }
            previous = scalar
        }
        guard count % 2 == 1 else { return nil }
        return report(
            "a double quote of this line has no counterpart", hint: "add the one that is missing, or remove this one")
    }

    // MARK: - Brackets

    func brokenBrackets() -> Diagnostic? {
        guard let start = problem.contextMark, let opening = lines[start.line],
            opening.scalars.indices.contains(start.column - 1)
        else { return nil }
        let open = opening.scalars[start.column - 1]
        if !isClosed(start) { return notClosed(open, at: TextPlace(line: start.line, offset: start.column - 1)) }
        guard let line else { return nil }
        let isNewLine = start.line != lineNumber
        if let odd = oddQuotes(line) { return odd }
        let place = isNewLine ? line.contentOffset : offset
        if character == ":", !isNewLine, isSpaceOrEnd(line.scalars, offset + 1) {
            return report(
                "a value in brackets has ': ' in it, so it needs quotes", hint: "put the whole value in quotes")
        }
        return report(
            "a ',' is missing before '\(line.text(place, line.endOffset).prefix(20))'", offset: place,
            hint: "separate the entries of '\(open)' with ','; put values with special characters in quotes")
    }

    private func notClosed(_ bracket: Unicode.Scalar, at place: TextPlace) -> Diagnostic {
        report(
            "'\(bracket)' is never closed", line: place.line, offset: place.offset,
            hint: "add '\(bracket == "[" ? "]" : "}")' after the last entry")
    }

    /// The last bracket of the file that is open at its end.
    private func openBracket() -> Diagnostic? {
        var open: [(bracket: Unicode.Scalar, place: TextPlace)] = []
        for number in stride(from: 1, through: lines.count, by: 1) {
            guard let line = lines[number] else { break }
            for offset in brackets(line, from: 0) {
                if ["[", "{"].contains(line.scalars[offset]) {
                    open.append((line.scalars[offset], TextPlace(line: number, offset: offset)))
                } else if !open.isEmpty {
                    open.removeLast()
                }
            }
        }
        return open.last.map { notClosed($0.bracket, at: $0.place) }
    }

    /// The brackets of a line outside quotes and comments.
    private func brackets(_ line: YAMLLine, from start: Int) -> [Int] {
        var found: [Int] = []
        var index = start
        while index < line.endOffset {
            switch line.scalars[index] {
            case "[", "{", "]", "}": found.append(index)
            case "\"", "'": index = closingQuote(line.scalars, from: index) ?? index
            default: break
            }
            index += 1
        }
        return found
    }

    /// Whether the bracket at a mark has its counterpart somewhere below.
    private func isClosed(_ start: SourceMark) -> Bool {
        var depth = 0
        var number = start.line
        while let line = lines[number] {
            for offset in brackets(line, from: number == start.line ? start.column - 1 : 0) {
                depth += ["[", "{"].contains(line.scalars[offset]) ? 1 : -1
                if depth == 0 { return true }
            }
            number += 1
        }
        return false
    }

    // MARK: - Indentation

    /// Which blocks a line of this indentation could belong to.
    private func levelsHint(_ column: Int) -> String {
        var deeper: (offset: Int, key: String)?
        var shallower: (offset: Int, key: String)?
        var lowest = Int.max
        for (_, line) in lines.above(lineNumber) {
            guard let key = line.key, line.contentOffset < lowest else { continue }
            lowest = line.contentOffset
            if lowest > column {
                deeper = (lowest, key)
            } else if lowest < column {
                shallower = (lowest, key)
                break
            } else if shallower == nil {
                shallower = (lowest, key)
            }
            if line.isItem { lowest = line.indent + 1 }
            if lowest == 0 { break }
        }
        let choices = [deeper, shallower].compactMap { level in
            level.map { "\($0.offset == 0 ? "not at all" : "by \(spaces($0.offset))") to stand beside '\($0.key)'" }
        }
        if choices.isEmpty { return "indent it as the lines that it belongs to" }
        return "indent it " + choices.joined(separator: ", or ")
    }

    private func spaces(_ count: Int) -> String { count == 1 ? "1 space" : "\(count) spaces" }
}
