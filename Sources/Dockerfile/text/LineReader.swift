/// An instruction before it is looked into: its joined line, and the comments right above it.
struct LogicalLine {
    var text: SourceText
    var comments: [String]
    /// The first and last line of the file, heredocs not counted.
    var lines: ClosedRange<Int>
    /// Where an empty line follows a continuation.
    var emptyContinuation: Int?
}

/// Joins lines to instructions: comments, continuations, heredocs, as the frontend's parser does.
struct LineReader {
    /// Without line ends.
    let lines: [[Unicode.Scalar]]
    /// The line ends: `\n`, `\r\n` or nothing at the end of the file.
    private let ends: [String]
    private var next = 0
    private(set) var directives = Directives()
    private var comments: [String] = []

    /// Bytes that are not UTF-8 become U+FFFD.
    init(_ bytes: [UInt8]) throws(Fault) {
        var lines: [[Unicode.Scalar]] = []
        var ends: [String] = []
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        var rest = bytes.starts(with: mark) ? bytes[3...] : bytes[...]
        while !rest.isEmpty {
            let newline = rest.firstIndex(of: 0x0A)
            var line = rest[..<(newline ?? rest.endIndex)]
            rest = newline.map { rest[($0 + 1)...] } ?? []
            var end = newline == nil ? "" : "\n"
            while line.last == 0x0D {
                line = line.dropLast()
                end = "\r" + end
            }
            lines.append(Array(String(decoding: line, as: UTF8.self).unicodeScalars))
            ends.append(end)
        }
        self.lines = lines
        self.ends = ends
        try readDirectives()
    }

    private mutating func readDirectives() throws(Fault) {
        var line = 0
        if let first = lines.first, first.starts(with: "#!".unicodeScalars) { line = 1 }
        while line < lines.count, let found = Directives.directive(lines[line]) {
            var text = SourceText()
            text.append(lines[line][found.value], line: line + 1)
            try directives.add(found.name, text.word(text.all))
            line += 1
            next = line
        }
    }

    /// `nil` at the end of the file.
    mutating func nextInstruction() -> LogicalLine? {
        while next < lines.count {
            let line = lines[next]
            let start = line.firstIndex { !$0.isSpace } ?? line.count
            next += 1
            if start == line.count {
                comments = []
            } else if line[start] == "#" {
                addComment(line[(start + 1)...])
            } else if let found = join(from: start) {
                comments = []
                return found
            }
        }
        return nil
    }

    private mutating func addComment(_ text: ArraySlice<Unicode.Scalar>) {
        let comment = String(scalars: text).trimmed
        if comment.isEmpty { comments = [] } else { comments.append(comment) }
    }

    /// The line that was just read, from `start` on, and those that continue it; `nil` where nothing is left.
    private mutating func join(from start: Int) -> LogicalLine? {
        let first = next
        var result = LogicalLine(text: SourceText(), comments: comments, lines: first...first)
        var (piece, continues) = withoutContinuation(lines[next - 1][start...])
        result.text.append(piece, line: next)
        while continues, next < lines.count {
            let line = lines[next]
            next += 1
            let content = line.firstIndex { !$0.isSpace }
            if let content, line[content] == "#" { continue }
            guard content != nil else {
                result.emptyContinuation = result.emptyContinuation ?? next
                continue
            }
            (piece, continues) = withoutContinuation(line[...])
            result.text.append(piece, line: next)
        }
        result.lines = first...next
        return result.text.scalars.allSatisfy(\.isSpace) ? nil : result
    }

    /// A continuation is one escape character at the end, blanks after it allowed, none before it.
    private func withoutContinuation(_ line: ArraySlice<Unicode.Scalar>) -> (ArraySlice<Unicode.Scalar>, Bool) {
        var end = line.endIndex
        while end > line.startIndex, line[end - 1] == " " || line[end - 1] == "\t" { end -= 1 }
        let escape = directives.escape
        guard end > line.startIndex, line[end - 1] == escape else { return (line, false) }
        if end - 1 > line.startIndex, line[end - 2] == escape { return (line, false) }
        return (line[..<(end - 1)], true)
    }

    /// The lines up to the one that is `terminator`, with their line ends; `nil` where none is, and nothing is taken.
    mutating func heredocContent(terminator: String, stripsTabs: Bool) -> String? {
        guard hasLine(terminator, stripsTabs) else { return nil }
        let wanted = Array(terminator.unicodeScalars)
        var content = ""
        while next < lines.count {
            let (line, end) = (lines[next], ends[next])
            next += 1
            let compared = stripsTabs ? line.drop { $0 == "\t" } : line[...]
            if compared.elementsEqual(wanted) { return content }
            content.unicodeScalars.append(contentsOf: line)
            content += end
        }
        return nil
    }

    /// Where each line stands last, with tabs at its start and without. Made when it is first needed: looking through
    /// the rest of the file for each heredoc would take the square of its length.
    private var lastPlaces: (plain: [String: Int], stripped: [String: Int])?

    private mutating func hasLine(_ text: String, _ stripsTabs: Bool) -> Bool {
        if lastPlaces == nil {
            var places: (plain: [String: Int], stripped: [String: Int]) = ([:], [:])
            for (index, line) in lines.enumerated() {
                places.plain[String(scalars: line)] = index
                places.stripped[String(scalars: line.drop { $0 == "\t" })] = index
            }
            lastPlaces = places
        }
        let last = stripsTabs ? lastPlaces?.stripped[text] : lastPlaces?.plain[text]
        return last.map { $0 >= next } ?? false
    }

    /// Takes the rest of the file.
    mutating func skipAll() { next = lines.count }

    /// The number of the line that was read last.
    var line: Int { next }
}
