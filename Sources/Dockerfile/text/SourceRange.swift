/// A place in a Dockerfile, both numbers counted from 1, columns in characters (Unicode scalars).
public struct SourcePosition: Hashable, Comparable, Sendable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (left: Self, right: Self) -> Bool { (left.line, left.column) < (right.line, right.column) }
}

/// From `start` up to the place behind the last character.
public struct SourceRange: Hashable, Sendable {
    public var start: SourcePosition
    public var end: SourcePosition

    public init(start: SourcePosition, end: SourcePosition) {
        self.start = start
        self.end = end
    }
}

/// A piece of an instruction and where it was written. After expansion the text is the value, the place stays.
public struct Word: Hashable, Sendable {
    public var text: String
    public var range: SourceRange

    public init(_ text: String, at range: SourceRange) {
        self.text = text
        self.range = range
    }
}

/// An instruction's line as the frontend sees it: continued lines joined, with the place of each character.
struct SourceText: Equatable, Sendable {
    private(set) var scalars: [Unicode.Scalar] = []
    /// Where a piece of one line of the file begins, by offset.
    private var pieces: [(offset: Int, position: SourcePosition)] = []

    static func == (left: Self, right: Self) -> Bool { left.scalars == right.scalars }

    mutating func append(_ more: ArraySlice<Unicode.Scalar>, line: Int) {
        pieces.append((scalars.count, SourcePosition(line: line, column: more.startIndex + 1)))
        scalars += more
    }

    var count: Int { scalars.count }

    /// The place of the character at `offset`, or behind the last one.
    func position(at offset: Int) -> SourcePosition {
        var (low, high) = (0, pieces.count)
        while low < high {
            let middle = (low + high) / 2
            if pieces[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return SourcePosition(line: 1, column: 1) }
        let piece = pieces[low - 1]
        return SourcePosition(line: piece.position.line, column: piece.position.column + offset - piece.offset)
    }

    /// The end is that of the last character, which may stand on an earlier line than what follows.
    func range(_ offsets: Range<Int>) -> SourceRange {
        let start = position(at: offsets.lowerBound)
        guard !offsets.isEmpty else { return SourceRange(start: start, end: start) }
        var end = position(at: offsets.upperBound - 1)
        end.column += 1
        return SourceRange(start: start, end: end)
    }

    func string(_ offsets: Range<Int>) -> String { String(scalars: scalars[offsets]) }

    func word(_ offsets: Range<Int>) -> Word { Word(string(offsets), at: range(offsets)) }

    /// `offsets` without white space at both ends.
    func trimmed(_ offsets: Range<Int>) -> Range<Int> {
        var (start, end) = (offsets.lowerBound, offsets.upperBound)
        while start < end, scalars[start].isSpace { start += 1 }
        while end > start, scalars[end - 1].isSpace { end -= 1 }
        return start..<end
    }

    var all: Range<Int> { 0..<scalars.count }

    /// A part as a text of its own, which keeps the places.
    func part(_ offsets: Range<Int>) -> SourceText {
        var result = SourceText()
        result.scalars = Array(scalars[offsets])
        result.pieces = pieces.filter { $0.offset > offsets.lowerBound && $0.offset < offsets.upperBound }
            .map { ($0.offset - offsets.lowerBound, $0.position) }
        result.pieces.insert((0, position(at: offsets.lowerBound)), at: 0)
        return result
    }
}

extension String {
    init(scalars: some Sequence<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self = String(view)
    }

    /// Without white space at both ends.
    var trimmed: String {
        let scalars = Array(unicodeScalars)
        let start = scalars.firstIndex { !$0.isSpace } ?? scalars.count
        let end = scalars.lastIndex { !$0.isSpace }.map { $0 + 1 } ?? start
        return String(scalars: scalars[start..<max(start, end)])
    }

    /// Before and after the first `separator`; `nil` where there is none.
    func cut(_ separator: Unicode.Scalar) -> (before: String, after: String)? {
        guard let index = unicodeScalars.firstIndex(of: separator) else { return nil }
        let after = unicodeScalars.index(after: index)
        return (String(unicodeScalars[..<index]), String(unicodeScalars[after...]))
    }

    func hasScalarPrefix(_ prefix: String) -> Bool { unicodeScalars.starts(with: prefix.unicodeScalars) }
}

extension Unicode.Scalar {
    var isSpace: Bool { properties.isWhitespace }

    /// What separates words: `[\t\v\f\r ]`, as the frontend has it.
    var isBlank: Bool { self == " " || self == "\t" || self == "\u{0B}" || self == "\u{0C}" || self == "\r" }

    var isDigit: Bool { properties.generalCategory == .decimalNumber }

    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }
}

extension UInt8 {
    var isHexDigit: Bool {
        (0x30...0x39).contains(self) || (0x61...0x66).contains(self) || (0x41...0x46).contains(self)
    }

    /// Of ASCII.
    var isLetterOrDigit: Bool {
        (0x61...0x7A).contains(self) || (0x41...0x5A).contains(self) || (0x30...0x39).contains(self)
    }
}
