/// A document that stands in the Dockerfile itself: `<<NAME`, `<<-NAME`, `<<"NAME"`, `<< NAME`.
public struct Heredoc: Hashable, Sendable {
    public var name: String
    /// Digits before `<<`, for a shell.
    public var fileDescriptor: Int
    /// False where a part of the name is quoted.
    public var expands: Bool
    /// `<<-`: tabs at the start of lines are taken away.
    public var stripsTabs: Bool
    /// With line ends, as written.
    public var content: String = ""
    /// `<< NAME`: also what a shift looks like, `$((1 << 2))`.
    var isSpaced: Bool

    /// `content` without leading tabs where they are to go.
    public var document: String { stripsTabs ? Self.withoutLeadingTabs(content) : content }

    static func withoutLeadingTabs(_ content: String) -> String {
        var result = String.UnicodeScalarView()
        var isLineStart = true
        for scalar in content.unicodeScalars {
            if isLineStart, scalar == "\t" { continue }
            isLineStart = scalar == "\n"
            result.append(scalar)
        }
        return String(result)
    }

    /// The heredoc that a word starts; `nil` for any other word.
    init?(word: String) {
        let scalars = Array(word.unicodeScalars)
        let digits = scalars.prefix { $0.isASCII && $0.isDigit }
        var rest = scalars.dropFirst(digits.count)
        guard rest.prefix(2).elementsEqual("<<".unicodeScalars) else { return nil }
        rest = rest.dropFirst(2)
        let stripsTabs = rest.first == "-"
        if stripsTabs { rest = rest.dropFirst() }
        isSpaced = rest.first?.isSpace ?? false
        rest = rest.drop { $0.isSpace }
        guard !rest.isEmpty, !rest.contains("<") else { return nil }
        let text = String(scalars: rest)
        guard let plain = Self.single(text, keepsQuotes: false), let raw = Self.single(text, keepsQuotes: true) else {
            return nil
        }
        func quotes(_ text: String) -> Int { text.unicodeScalars.count { $0 == "'" || $0 == "\"" } }
        name = plain
        expands = quotes(plain) == quotes(raw)
        self.stripsTabs = stripsTabs
        fileDescriptor = Int(String(scalars: digits)) ?? 0
    }

    private static func single(_ text: String, keepsQuotes: Bool) -> String? {
        var expander = WordExpander(escape: "\\")
        expander.keepsUnset = true
        expander.keepsQuotes = keepsQuotes
        let words = expander.words(of: text)
        return words.count == 1 ? words.first : nil
    }

    /// The heredocs that a line starts, in their order.
    static func started(by line: String) -> [Heredoc] {
        guard line.contains("<<") else { return [] }
        var expander = WordExpander(escape: "\\")
        expander.keepsUnset = true
        expander.keepsQuotes = true
        expander.keepsEscapes = true
        expander.joinsHeredocs = true
        return expander.words(of: line).compactMap(Heredoc.init(word:))
    }
}

/// A file whose content stands in the Dockerfile.
public struct InlineFile: Hashable, Sendable {
    public var name: String
    public var content: String
    /// Whether variables in `content` are expanded.
    public var expands: Bool

    public init(name: String, content: String, expands: Bool) {
        self.name = name
        self.content = content
        self.expands = expands
    }
}
