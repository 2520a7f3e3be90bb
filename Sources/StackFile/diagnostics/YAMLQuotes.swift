/// A place in a file: line from 1, offset in characters from 0.
struct TextPlace: Equatable {
    var line: Int
    var offset: Int
}

/// The opening quote that was probably never closed: the quoted value which it starts goes on over lines that look like
/// keys or list items, and ends in `line` or nowhere. `nil` when there is none.
func unclosedQuote(in lines: YAMLLines, upTo line: Int) -> TextPlace? {
    var scanner = QuoteScanner(lines: lines)
    var number = 1
    while number <= min(line, lines.count) {
        guard let open = scanner.nextOpenQuote(from: number, to: line) else { return nil }
        let close = scanner.close(of: open)
        let last = close?.line ?? lines.count
        if close == nil || last == line, last > open.line,
            (open.line + 1...last).contains(where: scanner.looksLikeStructure)
        {
            return open
        }
        guard let close else { return nil }
        number = close.line
        scanner.startOffset = close.offset + 1
    }
    return nil
}

private struct QuoteScanner {
    let lines: YAMLLines
    /// Where the first line is taken up.
    var startOffset = 0

    init(lines: YAMLLines) { self.lines = lines }

    /// The next quote that starts a value and is not closed in its own line.
    func nextOpenQuote(from first: Int, to last: Int) -> TextPlace? {
        var blockIndent: Int?
        for number in first...max(first, min(last, lines.count)) {
            guard let line = lines[number] else { return nil }
            if let indent = blockIndent, line.indent > indent || line.indent == line.scalars.count { continue }
            blockIndent = nil
            let start = number == first ? startOffset : 0
            if let offset = openQuote(line.scalars, from: start) { return TextPlace(line: number, offset: offset) }
            if startsTextBlock(line) { blockIndent = line.indent }
        }
        return nil
    }

    private func openQuote(_ scalars: [Unicode.Scalar], from start: Int) -> Int? {
        var startsToken = start == 0
        var index = start
        while index < scalars.count {
            let scalar = scalars[index]
            if scalar == "#", index == 0 || isSpace(scalars[index - 1]) { return nil }
            if startsToken, scalar == "\"" || scalar == "'" {
                guard let close = closingQuote(scalars, from: index) else { return index }
                index = close
            }
            let isSeparator = [":", "-", "[", "{", ",", "?"].contains(scalar)
            startsToken = isSpace(scalar) ? startsToken : isSeparator
            index += 1
        }
        return nil
    }

    private func startsTextBlock(_ line: YAMLLine) -> Bool {
        let value = line.colonOffset == nil ? (line.isItem ? line.content : "") : line.value ?? ""
        guard let first = value.first, first == "|" || first == ">" else { return false }
        return value.dropFirst().allSatisfy { $0 == "+" || $0 == "-" || ("1"..."9").contains($0) }
    }

    /// The quote that ends the value.
    func close(of open: TextPlace) -> TextPlace? {
        guard let first = lines[open.line] else { return nil }
        let quote = first.scalars[open.offset]
        var number = open.line + 1
        while let line = lines[number] {
            // The quote in front stands for the opening one.
            if let offset = closingQuote([quote] + line.scalars, from: 0) {
                return TextPlace(line: number, offset: offset - 1)
            }
            number += 1
        }
        return nil
    }

    /// `key:`, `key: value` or `- item`.
    func looksLikeStructure(_ number: Int) -> Bool {
        guard let line = lines[number], !line.isBlank else { return false }
        if line.isItem { return true }
        guard let key = line.key, let first = key.first else { return false }
        return (first.isLetter || first == "_") && key.allSatisfy { $0.isLetter || $0.isNumber || "_.-".contains($0) }
    }
}
