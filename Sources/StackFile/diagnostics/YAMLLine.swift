/// One line of a YAML file in block style, read without its surroundings: good enough to say what a broken file was
/// meant to be. Offsets count characters from 0.
struct YAMLLine {
    let scalars: [Unicode.Scalar]
    /// Blanks in front.
    let indent: Int
    /// Where the content starts: after the indentation and after `- `.
    let contentOffset: Int
    let isItem: Bool
    /// The `:` of `key:`, followed by a blank or the end.
    let colonOffset: Int?
    /// Where the comment starts, or the end of the line, without blanks before.
    let endOffset: Int

    init(_ text: Substring) {
        let scalars = Array(text.unicodeScalars)
        self.scalars = scalars
        indent = scalars.firstIndex { $0 != " " } ?? scalars.count
        var start = indent
        while start < scalars.count, scalars[start] == "-", isSpaceOrEnd(scalars, start + 1) {
            start += 1
            while start < scalars.count, isSpace(scalars[start]) { start += 1 }
        }
        contentOffset = start
        isItem = start > indent
        (colonOffset, endOffset) = Self.scan(scalars, from: start)
    }

    /// The first `:` that ends a key, and where the line ends without its comment.
    private static func scan(_ scalars: [Unicode.Scalar], from start: Int) -> (colon: Int?, end: Int) {
        var colon: Int?
        var index = start
        var end = scalars.count
        var startsToken = true
        while index < scalars.count {
            let scalar = scalars[index]
            if startsToken, scalar == "\"" || scalar == "'", let close = closingQuote(scalars, from: index) {
                index = close
            } else if scalar == "#", index == 0 || isSpace(scalars[index - 1]) {
                end = index
                break
            } else if scalar == ":", colon == nil, isSpaceOrEnd(scalars, index + 1) {
                colon = index
            }
            startsToken = isSpace(scalar) ? startsToken : [":", "[", "{", ","].contains(scalar)
            index += 1
        }
        while end > start, isSpace(scalars[end - 1]) { end -= 1 }
        return (colon, end)
    }

    var isBlank: Bool { contentOffset >= endOffset && !isItem }
    var content: String { text(contentOffset, endOffset) }
    var key: String? { colonOffset.map { unquoted(text(contentOffset, $0)) } }
    var valueOffset: Int? {
        guard let colonOffset else { return nil }
        let start = scalars[(colonOffset + 1)...].firstIndex { !isSpace($0) }
        return start.flatMap { $0 < endOffset ? $0 : nil }
    }
    var value: String? { valueOffset.map { text($0, endOffset) } }
    /// The first character of the indentation that is no blank: a tab, or a space that only looks like one.
    var strangeIndentOffset: Int? {
        guard indent < scalars.count else { return nil }
        return Self.isStrangeBlank(scalars[indent]) ? indent : nil
    }

    static func isStrangeBlank(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar == "\t" }
        return invisible.contains(scalar) || scalar.properties.generalCategory == .spaceSeparator
    }

    /// ZERO WIDTH SPACE, ZERO WIDTH NON-JOINER, WORD JOINER, ZERO WIDTH NO-BREAK SPACE.
    private static let invisible: Set<Unicode.Scalar> = ["\u{200B}", "\u{200C}", "\u{2060}", "\u{FEFF}"]

    func text(_ start: Int, _ end: Int) -> String {
        guard start < end, end <= scalars.count else { return "" }
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars[start..<end])
        return String(view)
    }

    private func unquoted(_ text: String) -> String {
        guard text.count >= 2, let first = text.first, first == "\"" || first == "'", text.last == first else {
            return text
        }
        return String(text.dropFirst().dropLast())
    }
}

/// The lines of a file by number from 1.
struct YAMLLines {
    private let texts: [Substring]

    init(_ texts: [Substring]) { self.texts = texts }

    var count: Int { texts.count }

    subscript(number: Int) -> YAMLLine? {
        texts.indices.contains(number - 1) ? YAMLLine(texts[number - 1]) : nil
    }

    func hasPrefix(_ prefix: String, number: Int) -> Bool {
        texts.indices.contains(number - 1) && texts[number - 1].hasPrefix(prefix)
    }

    /// The numbers of the lines above, upwards, without blank lines and comments.
    func above(_ number: Int) -> some Sequence<(number: Int, line: YAMLLine)> {
        stride(from: min(number - 1, count), to: 0, by: -1).lazy.compactMap { index in
            self[index].flatMap { $0.isBlank ? nil : (index, $0) }
        }
    }

    /// The last line that is not blank.
    var last: (number: Int, line: YAMLLine)? { above(count + 1).first { _ in true } }
}
