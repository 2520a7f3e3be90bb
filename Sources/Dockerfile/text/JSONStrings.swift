/// JSON arrays of strings as instructions have them (RFC 8259). What is not JSON at all is the shell form; an array of
/// other things is a mistake.
struct JSONStrings {
    enum Result: Equatable {
        case strings([Word])
        case notStrings
        case notJSON
    }

    private let text: SourceText
    private var index: Int
    private let end: Int
    private var onlyStrings = true
    private static let depthMax = 200

    static func read(_ text: SourceText, _ range: Range<Int>) -> Result {
        var reader = JSONStrings(text: text, index: range.lowerBound, end: range.upperBound)
        return reader.array()
    }

    private struct NotJSON: Error {}

    private mutating func array() -> Result {
        do throws(NotJSON) {
            skipSpace()
            try expect("[")
            var words: [Word] = []
            try items("]") { reader throws(NotJSON) in
                if reader.peek == "\"" {
                    let start = reader.index
                    let string = try reader.string()
                    words.append(Word(string, at: reader.text.range(start..<reader.index)))
                } else {
                    reader.onlyStrings = false
                    try reader.value(depth: 1)
                }
            }
            skipSpace()
            guard index == end else { throw NotJSON() }
            return onlyStrings ? .strings(words) : .notStrings
        } catch {
            return .notJSON
        }
    }

    private var peek: Unicode.Scalar? { index < end ? text.scalars[index] : nil }

    private mutating func skipSpace() {
        while let scalar = peek, [" ", "\t", "\n", "\r"].contains(scalar) { index += 1 }
    }

    private mutating func expect(_ wanted: Unicode.Scalar) throws(NotJSON) {
        guard peek == wanted else { throw NotJSON() }
        index += 1
    }

    private mutating func items(
        _ close: Unicode.Scalar, _ item: (inout JSONStrings) throws(NotJSON) -> Void
    ) throws(NotJSON) {
        skipSpace()
        if peek == close {
            index += 1
            return
        }
        while true {
            skipSpace()
            try item(&self)
            skipSpace()
            if peek == close { break }
            try expect(",")
        }
        index += 1
    }

    private mutating func value(depth: Int) throws(NotJSON) {
        guard depth < Self.depthMax, let first = peek else { throw NotJSON() }
        switch first {
        case "\"": _ = try string()
        case "[":
            index += 1
            try items("]") { reader throws(NotJSON) in try reader.value(depth: depth + 1) }
        case "{":
            index += 1
            try items("}") { reader throws(NotJSON) in
                _ = try reader.string()
                reader.skipSpace()
                try reader.expect(":")
                reader.skipSpace()
                try reader.value(depth: depth + 1)
            }
        default: try literal()
        }
    }

    private mutating func literal() throws(NotJSON) {
        let start = index
        while let scalar = peek, scalar.isASCII,
            scalar.isLetter || scalar.isDigit || "+-.".unicodeScalars.contains(scalar)
        {
            index += 1
        }
        let word = text.string(start..<index)
        guard ["true", "false", "null"].contains(word) || Self.isNumber(word) else { throw NotJSON() }
    }

    private static func isNumber(_ word: String) -> Bool {
        var rest = Array(word.utf8)[...]
        func digits() -> Int {
            let count = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == 0x2D { rest = rest.dropFirst() }
        let leadingZero = rest.first == 0x30
        let whole = digits()
        guard whole > 0, !leadingZero || whole == 1 else { return false }
        if rest.first == 0x2E {
            rest = rest.dropFirst()
            guard digits() > 0 else { return false }
        }
        if rest.first == 0x65 || rest.first == 0x45 {
            rest = rest.dropFirst()
            if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    private mutating func string() throws(NotJSON) -> String {
        try expect("\"")
        var result: [Unicode.Scalar] = []
        while let scalar = peek {
            index += 1
            switch scalar {
            case "\"": return String(scalars: result)
            case "\\": result.append(try escaped())
            default:
                guard scalar.value >= 0x20 else { throw NotJSON() }
                result.append(scalar)
            }
        }
        throw NotJSON()
    }

    private mutating func escaped() throws(NotJSON) -> Unicode.Scalar {
        guard let scalar = peek else { throw NotJSON() }
        index += 1
        switch scalar {
        case "\"", "\\", "/": return scalar
        case "b": return "\u{08}"
        case "f": return "\u{0C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u": return try codeUnits()
        default: throw NotJSON()
        }
    }

    /// A lone surrogate is U+FFFD, as in Go.
    private mutating func codeUnits() throws(NotJSON) -> Unicode.Scalar {
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        let isPair = first < 0xDC00 && index + 1 < end && text.scalars[index] == "\\" && text.scalars[index + 1] == "u"
        guard isPair else { return "\u{FFFD}" }
        let before = index
        index += 2
        let second = try codeUnit()
        guard (0xDC00...0xDFFF).contains(second) else {
            index = before
            return "\u{FFFD}"
        }
        return Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) ?? "\u{FFFD}"
    }

    private mutating func codeUnit() throws(NotJSON) -> UInt32 {
        guard index + 4 <= end else { throw NotJSON() }
        var result: UInt32 = 0
        for scalar in text.scalars[index..<(index + 4)] {
            guard scalar.isASCII, let digit = Character(scalar).hexDigitValue else { throw NotJSON() }
            result = result * 16 + UInt32(digit)
        }
        index += 4
        return result
    }
}
