import StackModel

/// What libyaml says about a text that it cannot read.
struct YAMLProblem: Equatable {
    var problem: String
    var context: String = ""
    var mark: SourceMark
    /// Where the thing started that `context` names.
    var contextMark: SourceMark?
}

/// Says what is wrong with a YAML text and what to do about it. libyaml names the token it did not expect; what the
/// writer got wrong stands often lines before.
func explain(_ problem: YAMLProblem, lines: YAMLLines) -> Diagnostic {
    YAMLExplanation(problem: problem, lines: lines).diagnostic()
}

struct YAMLExplanation {
    let problem: YAMLProblem
    let lines: YAMLLines

    var lineNumber: Int { problem.mark.line }
    var offset: Int { problem.mark.column - 1 }
    var line: YAMLLine? { lines[lineNumber] }
    /// The character at the problem.
    var character: Unicode.Scalar? {
        guard let line, line.scalars.indices.contains(offset) else { return nil }
        return line.scalars[offset]
    }

    func diagnostic() -> Diagnostic {
        conflictMarker() ?? strangeIndent() ?? lostQuote() ?? byProblem() ?? unexplained()
    }

    func report(
        _ message: String, line: Int? = nil, offset: Int? = nil, hint: String, notes: [Diagnostic.Note] = []
    ) -> Diagnostic {
        Diagnostic(
            code: "stack.syntax", message, source: mark(line ?? lineNumber, offset ?? self.offset), hint: hint,
            notes: notes)
    }

    func mark(_ line: Int, _ offset: Int) -> SourceMark {
        SourceMark(file: problem.mark.file, line: line, column: offset + 1)
    }

    private func byProblem() -> Diagnostic? {
        switch problem.problem {
        case "mapping values are not allowed in this context": return unexpectedColon()
        case "could not find expected ':'": return missingColon(in: problem.contextMark?.line ?? lineNumber)
        case "did not find expected key", "did not find expected '-' indicator": return unexpectedToken()
        case "did not find expected ',' or ']'", "did not find expected ',' or '}'": return brokenBrackets()
        case "found character that cannot start any token": return reservedCharacter()
        case "did not find expected alphabetic or numeric character": return lonelyIndicator()
        case "found unexpected end of stream", "found unexpected document indicator": return openQuote()
        case "did not find expected <document start>": return secondStart()
        case "did not find expected node content": return missingValue()
        case "did not find expected comment or line break": return textAfterBlockIndicator()
        case "block sequence entries are not allowed in this context": return listBesideKey()
        case "mapping keys are not allowed in this context":
            return quoteValue("a value must not start with '? '")
        case "found unexpected ':'": return colonInBrackets()
        case "did not find expected whitespace or line break" where problem.context == "while scanning a tag":
            return quoteValue(
                "a value that starts with '!' is a tag", line: problem.contextMark?.line,
                offset: problem.contextMark.map { $0.column - 1 })
        case "found undefined tag handle": return quoteValue("'!' starts a tag, and no such tag is declared")
        case "found unknown escape character", "did not find expected hexdecimal number",
            "found invalid Unicode character escape code":
            return badEscape()
        default:
            guard problem.context == "while scanning a directive" else { return nil }
            return quoteValue("a line must not start with '%'", line: problem.contextMark?.line, offset: 0)
        }
    }

    private func unexplained() -> Diagnostic {
        let context = problem.context.isEmpty ? "" : " \(problem.context)"
        return report(
            "this is not valid YAML: \(problem.problem)\(context)",
            hint: "compare the indentation, quotes and brackets of this line with those of the lines above")
    }

    // MARK: - Whatever libyaml says

    private func conflictMarker() -> Diagnostic? {
        guard let number = (1...max(1, lines.count)).first(where: { lines.hasPrefix("<<<<<<< ", number: $0) }) else {
            return nil
        }
        return report(
            "a merge conflict is not resolved", line: number, offset: 0,
            hint: "keep one of the two sides and remove the lines '<<<<<<<', '=======' and '>>>>>>>'")
    }

    /// Tabs and other characters in front of a line that only look like spaces.
    private func strangeIndent() -> Diagnostic? {
        let above = lines.above(lineNumber).first { _ in true }?.number
        let numbers = [problem.contextMark?.line, above, lineNumber].compactMap { $0 }
        for number in numbers {
            guard let found = lines[number]?.strangeIndentOffset, let scalar = lines[number]?.scalars[found] else {
                continue
            }
            return explainStrangeBlank(scalar, at: mark(number, found))
        }
        return character == "\t" ? explainStrangeBlank("\t", at: problem.mark) : nil
    }

    private func lostQuote() -> Diagnostic? {
        guard let place = unclosedQuote(in: lines, upTo: lineNumber) else { return nil }
        return quoteNotClosed(at: place)
    }

    // MARK: - Quotes and characters

    private func openQuote() -> Diagnostic? {
        guard problem.context == "while scanning a quoted scalar", let start = problem.contextMark else { return nil }
        return quoteNotClosed(at: TextPlace(line: start.line, offset: start.column - 1))
    }

    private func quoteNotClosed(at place: TextPlace) -> Diagnostic? {
        guard let line = lines[place.line], line.scalars.indices.contains(place.offset) else { return nil }
        let quote = line.scalars[place.offset]
        return report(
            "the quote is never closed", line: place.line, offset: place.offset,
            hint: "add \(quote) at the end of the value")
    }

    private func reservedCharacter() -> Diagnostic? {
        guard let character else { return nil }
        return quoteValue("a value must not start with '\(character)'")
    }

    /// `*.example.com`, `&& true`.
    private func lonelyIndicator() -> Diagnostic? {
        guard let start = problem.contextMark else { return nil }
        let message =
            problem.context == "while scanning an alias"
            ? "a value that starts with '*' is an alias, and this is no alias's name"
            : "a value that starts with '&' is an anchor, and this is no anchor's name"
        return quoteValue(message, line: start.line, offset: start.column - 1)
    }

    /// `{image:nginx, …}` is text in brackets; `{image:, …}` is neither.
    private func colonInBrackets() -> Diagnostic? {
        if let start = line?.valueOffset, line?.value?.hasPrefix("{{") == true {
            return quoteValue("a value that starts with '{{' needs quotes", offset: start)
        }
        return report(
            "this ':' in brackets is neither part of a text nor the end of a key",
            hint: "write a space after it, or put the text in quotes")
    }

    private func badEscape() -> Diagnostic? {
        guard let line, let start = line.scalars.prefix(offset + 1).lastIndex(of: "\\") else { return nil }
        let escape = line.text(start, min(start + 2, line.scalars.count))
        return report(
            "'\(escape)' is no escape in double quotes", offset: start,
            hint: "write '\\\(escape)' for a backslash, or use single quotes around the value")
    }

    /// `>=1.0`, `| text`.
    private func textAfterBlockIndicator() -> Diagnostic? {
        guard let start = problem.contextMark, let line = lines[start.line],
            line.scalars.indices.contains(start.column - 1)
        else { return nil }
        let indicator = line.scalars[start.column - 1]
        return quoteValue(
            "a value that starts with '\(indicator)' is a text block, whose text starts in the next line",
            line: start.line, offset: start.column - 1)
    }

    /// A value from `offset` on that has to be in quotes.
    func quoteValue(_ message: String, line number: Int? = nil, offset: Int? = nil) -> Diagnostic? {
        let number = number ?? lineNumber
        let offset = offset ?? self.offset
        guard let line = lines[number] else { return nil }
        let value = line.text(offset, endOfValue(line, from: offset))
        return report(message, line: number, offset: offset, hint: "put the value in quotes: \(quoted(value))")
    }

    /// The end of the line's value; before a closing bracket when brackets are open in front of it.
    private func endOfValue(_ line: YAMLLine, from offset: Int) -> Int {
        let isFlow = line.scalars.prefix(offset).contains { $0 == "[" || $0 == "{" }
        guard isFlow, offset < line.endOffset else { return line.endOffset }
        return line.scalars[offset..<line.endOffset].firstIndex { [",", "]", "}"].contains($0) } ?? line.endOffset
    }
}

/// A tab in front of a line, or a character that only looks like a space.
func explainStrangeBlank(_ scalar: Unicode.Scalar, at mark: SourceMark) -> Diagnostic {
    if scalar == "\t" {
        return Diagnostic(
            code: "stack.syntax", "a tab is used for indentation", source: mark,
            hint: "indent with spaces; YAML allows no tabs there")
    }
    let digits = String(scalar.value, radix: 16, uppercase: true)
    let name = "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    return Diagnostic(
        code: "stack.syntax", "the character \(name) looks like a space but is none", source: mark,
        hint: "replace it with spaces")
}

/// A value in quotes, cut to what fits a hint.
func quoted(_ value: String) -> String {
    let lengthMax = 60
    let shown = value.count > lengthMax ? value.prefix(lengthMax) + "…" : value[...]
    if !shown.contains("\""), !shown.contains("\\") { return "\"\(shown)\"" }
    return "'" + shown.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
}

/// What the reader of libyaml says about bytes that are no text. `value` is the byte or the character; `offset` counts
/// bytes from 0.
func explainBytes(_ problem: String, value: Int, offset: Int, at mark: SourceMark) -> Diagnostic {
    let digits = String(max(0, value), radix: 16, uppercase: true)
    func padded(_ width: Int) -> String { String(repeating: "0", count: max(0, width - digits.count)) + digits }
    if problem == "control characters are not allowed" {
        let name = value == 0 ? "a NUL character" : "the control character U+\(padded(4))"
        return Diagnostic(
            code: "stack.syntax", "the file has \(name) at offset \(offset)", source: mark,
            hint: value == 0
                ? "remove it; stack files are UTF-8 text"
                : "remove it; in double quotes it can be written \\x\(padded(2))")
    }
    return Diagnostic(
        code: "stack.syntax", "the byte 0x\(padded(2)) at offset \(offset) is not UTF-8 text", source: mark,
        hint: "save the file as UTF-8")
}
