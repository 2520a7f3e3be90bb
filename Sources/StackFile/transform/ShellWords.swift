/// Splits a command line into words as Docker Compose does: like a POSIX shell (POSIX.1-2017, XCU 2.2 Quoting) without
/// expansions. White space separates, single quotes are literal, elsewhere a backslash takes the next
/// character as it is; back quotes and `$(…)` keep their text together.
struct ShellWords: Equatable {
    var words: [String] = []
    /// The unquoted `;`, `&`, `|`, `<` or `>` at which the line was cut: no shell reads it.
    var cut: Character?

    /// `nil` when a quote or a parenthesis is not closed or the line ends in a backslash.
    init?(_ line: String) {
        var scanner = ShellScanner(rest: line[...])
        guard scanner.scan() else { return nil }
        words = scanner.words
        cut = scanner.cut
    }
}

private struct ShellScanner {
    var rest: Substring
    var words: [String] = []
    var cut: Character?
    private var word: String?
    /// `'`, `"`, a back quote, or `(` inside `$(…)`.
    private var open: Character?

    init(rest: Substring) { self.rest = rest }

    mutating func scan() -> Bool {
        while let character = rest.popFirst() {
            guard take(character) else { return false }
            if cut != nil { break }
        }
        guard open == nil else { return false }
        finishWord()
        return true
    }

    private mutating func take(_ character: Character) -> Bool {
        switch (open, character) {
        case ("'", "'"), ("\"", "\""): open = nil
        case ("`", "`"), ("(", ")"):
            open = nil
            append(character)
        case (.some(let quote), "\\") where quote == "\"": return escape()
        case (.some, _): append(character)
        case (nil, "\\"): return escape()
        case (nil, "'"), (nil, "\""):
            open = character
            word = word ?? ""
        case (nil, "`"):
            open = character
            append(character)
        case (nil, "("):
            guard word?.hasSuffix("$") == true else { return false }
            open = character
            append(character)
        case (nil, ")"): return false
        case (nil, _) where character.isWhitespace: finishWord()
        case (nil, ";"), (nil, "&"), (nil, "|"), (nil, "<"), (nil, ">"):
            // The number of a descriptor belongs to the redirection.
            if character == ">", let first = word?.utf8.first, (0x30...0x39).contains(first) { word = nil }
            cut = character
        case (nil, _): append(character)
        }
        return true
    }

    private mutating func escape() -> Bool {
        guard let next = rest.popFirst() else { return false }
        if next != "\n" { append(next) } else { word = word ?? "" }
        return true
    }

    private mutating func append(_ character: Character) { word = (word ?? "") + String(character) }

    private mutating func finishWord() {
        if let word { words.append(word) }
        word = nil
    }
}
