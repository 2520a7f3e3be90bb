/// Why a word cannot be expanded. One sentence without a final full stop.
public struct ExpansionError: Error, Equatable, Sendable {
    public var message: String
}

/// Expands variables and takes quotes away, as the frontend's shell lexer does: `$x`, `${x}`, `${x:-word}`,
/// `${x:+word}`, `${x:?word}` (also without the colon), `${x#pattern}`, `##`, `%`, `%%`, `${x/pattern/word}`, `//`.
public struct WordExpander: Sendable {
    public struct Expansion: Equatable, Sendable {
        public var text: String
        /// `text` divided at white space that no quotes protect.
        public var words: [String]
        /// Variables that were looked up and are set.
        public var matched: Set<String>
        /// Variables that were looked up and are not set.
        public var unmatched: Set<String>
        /// Characters of `text`.
        var length = 0
        /// What patterns took.
        var steps = 0
    }

    /// From the `escape` directive.
    public var escape: Unicode.Scalar
    /// Quotes stay in the text.
    public var keepsQuotes = false
    /// Escape characters stay in the text.
    public var keepsEscapes = false
    /// Quotes have no meaning, as in heredocs.
    public var ignoresQuotes = false
    /// White space behind `<<` and `<<-` belongs to the word: `<< EOF` is one.
    var joinsHeredocs = false
    /// `$x` stays as it is where `x` is not set.
    public var keepsUnset = false

    /// Comparisons that the patterns of one word may take.
    var stepsMax = ShellPattern.stepsMax

    /// Characters a word may have once it is expanded.
    public static let lengthMax = 1024 * 1024
    /// How deep `${a:-${b:-…}}` may be nested.
    static let depthMax = 64

    public init(escape: Unicode.Scalar) { self.escape = escape }

    public func expand(_ word: String, in variables: Variables) throws(ExpansionError) -> Expansion {
        var run = ExpansionRun(options: self, variables: variables, input: Array(word.unicodeScalars))
        let result = try run.process(stop: nil, keepsEscapes: keepsEscapes)
        return Expansion(
            text: String(scalars: result.text), words: result.words.map { String(scalars: $0) }, matched: run.matched,
            unmatched: run.unmatched, length: result.text.count, steps: stepsMax - run.patternSteps)
    }

    /// The words of a text without variables; none where quotes are not closed.
    func words(of text: String) -> [String] {
        do throws(ExpansionError) {
            return try expand(text, in: Variables()).words
        } catch {
            return []
        }
    }
}

/// One word on its way.
struct ExpansionRun {
    let options: WordExpander
    let variables: Variables
    let input: [Unicode.Scalar]
    var index = 0
    var depth = 0
    var matched: Set<String> = []
    var unmatched: Set<String> = []
    /// What patterns may still take.
    var patternSteps: Int

    init(options: WordExpander, variables: Variables, input: [Unicode.Scalar]) {
        self.options = options
        self.variables = variables
        self.input = input
        patternSteps = options.stepsMax
    }

    struct Result {
        var text: [Unicode.Scalar] = []
        var words: [[Unicode.Scalar]] = []
        private var word: [Unicode.Scalar] = []
        private var isInWord = false

        mutating func addPlain(_ scalar: Unicode.Scalar) {
            text.append(scalar)
            if !scalar.isSpace {
                word.append(scalar)
                isInWord = true
            } else if isInWord, !word.isEmpty {
                words.append(word)
                word = []
                isInWord = false
            }
        }

        mutating func addQuoted(_ scalars: [Unicode.Scalar]) {
            text += scalars
            word += scalars
            isInWord = true
        }

        mutating func finish() {
            if !word.isEmpty { words.append(word) }
            word = []
        }
    }

    var peek: Unicode.Scalar? { index < input.count ? input[index] : nil }

    /// Up to the character `stop`, which is taken, or to the end of the word.
    mutating func process(stop: Unicode.Scalar?, keepsEscapes: Bool) throws(ExpansionError) -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth < WordExpander.depthMax else { throw ExpansionError(message: "substitutions are nested too deep") }
        var result = Result()
        while let scalar = peek {
            if scalar == stop {
                index += 1
                result.finish()
                return result
            }
            try step(scalar, keepsEscapes, &result)
            guard result.text.count <= WordExpander.lengthMax else {
                throw ExpansionError(message: "the expanded word has more than \(WordExpander.lengthMax) characters")
            }
        }
        if let stop {
            let message = "unexpected end of statement while looking for matching \(stop)"
            throw ExpansionError(message: message)
        }
        result.finish()
        return result
    }

    private mutating func step(_ scalar: Unicode.Scalar, _ keepsEscapes: Bool, _ result: inout Result)
        throws(ExpansionError)
    {
        switch scalar {
        case "$":
            for part in try dollar(keepsEscapes) { result.addPlain(part) }
        case "'" where !options.ignoresQuotes: result.addQuoted(try singleQuoted())
        case "\"" where !options.ignoresQuotes: result.addQuoted(try doubleQuoted(keepsEscapes))
        case "<" where options.joinsHeredocs && index + 1 < input.count && input[index + 1] == "<":
            result.addQuoted(heredocStart())
        case options.escape:
            index += 1
            if keepsEscapes { result.addQuoted([scalar]) }
            guard let escaped = peek else { return }
            index += 1
            result.addQuoted([escaped])
        default:
            index += 1
            result.addPlain(scalar)
        }
    }

    /// `<<` or `<<-` and the blanks behind.
    private mutating func heredocStart() -> [Unicode.Scalar] {
        let start = index
        index += 2
        if peek == "-" { index += 1 }
        while peek == " " || peek == "\t" { index += 1 }
        return Array(input[start..<index])
    }

    private mutating func singleQuoted() throws(ExpansionError) -> [Unicode.Scalar] {
        guard let end = input[(index + 1)...].firstIndex(of: "'") else {
            throw ExpansionError(message: "unexpected end of statement while looking for matching single-quote")
        }
        let content = options.keepsQuotes ? input[index...end] : input[(index + 1)..<end]
        index = end + 1
        return Array(content)
    }

    private mutating func doubleQuoted(_ keepsEscapes: Bool) throws(ExpansionError) -> [Unicode.Scalar] {
        var content: [Unicode.Scalar] = options.keepsQuotes ? ["\""] : []
        index += 1
        while let scalar = peek {
            if scalar == "$" {
                content += try dollar(keepsEscapes)
                continue
            }
            index += 1
            if scalar == "\"" {
                if options.keepsQuotes { content.append(scalar) }
                return content
            }
            guard scalar == options.escape else {
                content.append(scalar)
                continue
            }
            if keepsEscapes { content.append(scalar) }
            guard let next = peek else { continue }
            if next == "\"" || next == "$" || next == options.escape {
                content.append(next)
                index += 1
            } else {
                content.append(scalar)
            }
        }
        throw ExpansionError(message: "unexpected end of statement while looking for matching double-quote")
    }
}
