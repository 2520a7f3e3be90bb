/// What is wrong with an environment file.
struct DotenvError: Error, Equatable {
    /// Counted from 1.
    var line: Int
    var message: String
    var hint = "write NAME=value, one a line"
}

/// The environment file grammar of Compose (Compose Specification, chapter env_file; a superset of the shell's
/// `NAME=value`): comments, `export`, `KEY: value`, quotes over several lines, escapes, and interpolation.
struct Dotenv {
    typealias Lookup = (String) -> String?

    private var text: ArraySlice<UInt8>
    private var line = 1
    private var values: [String: String] = [:]
    private var valueBytes = 0
    private let lookup: Lookup
    private let fallback: Lookup
    private let unset: (String, Int) -> Void
    private let defined: ((String, Int) -> Void)?

    /// `lookup` wins over earlier lines of the file, and those over `fallback`; `unset` is told the name and line of
    /// variables without a value, `defined` the name and line of every one that is set.
    static func parse(
        _ bytes: [UInt8], lookup: @escaping Lookup, fallback: @escaping Lookup = { _ in nil },
        unset: @escaping (String, Int) -> Void = { _, _ in }, defined: ((String, Int) -> Void)? = nil
    ) throws(DotenvError) -> [String: String] {
        var parser = Dotenv(bytes, lookup: lookup, fallback: fallback, unset: unset, defined: defined)
        while parser.skipToStatement() { try parser.statement() }
        return parser.values
    }

    /// `format: raw`: `KEY=value` lines taken as they are; `KEY` alone inherits.
    static func parseRaw(
        _ bytes: [UInt8], lookup: Lookup, defined: ((String, Int) -> Void)? = nil
    ) throws(DotenvError) -> [String: String] {
        var values: [String: String] = [:]
        let lines = String(decoding: withoutByteOrderMark(bytes), as: UTF8.self)
            .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, raw) in lines.enumerated() {
            let line = raw.drop(while: \.isWhitespace)
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(parts.first ?? "")
            guard !key.isEmpty, !key.contains(where: \.isWhitespace) else {
                throw DotenvError(
                    line: index + 1, message: "variable name '\(key)' must not be empty or contain spaces")
            }
            defined?(key, index + 1)
            if parts.count > 1 {
                values[key] = String(parts[1])
            } else if let inherited = lookup(key) {
                values[key] = inherited
            }
        }
        return values
    }

    private init(
        _ bytes: [UInt8], lookup: @escaping Lookup, fallback: @escaping Lookup,
        unset: @escaping (String, Int) -> Void, defined: ((String, Int) -> Void)?
    ) {
        text = Self.withoutByteOrderMark(bytes)
        self.fallback = fallback
        self.lookup = lookup
        self.defined = defined
        self.unset = unset
    }

    private static func withoutByteOrderMark(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    }

    /// Skips white space and comments; false at the end.
    private mutating func skipToStatement() -> Bool {
        while let byte = text.first {
            if byte == Self.newline {
                line += 1
                text = text.dropFirst()
            } else if Self.isSpace(byte) {
                text = text.dropFirst()
            } else if byte == UInt8(ascii: "#") {
                text = text.drop { $0 != Self.newline }
            } else {
                return true
            }
        }
        return false
    }

    private mutating func statement() throws(DotenvError) {
        skipExport()
        let start = text
        while let byte = text.first, Self.isKeyByte(byte) || Self.isSpace(byte) { text = text.dropFirst() }
        let key = String(decoding: trimmed(start[..<text.startIndex]), as: UTF8.self)
        let separator = text.first
        guard
            separator == nil || separator == Self.newline || separator == UInt8(ascii: "=")
                || separator == UInt8(ascii: ":")
        else {
            let character = String(decoding: text.prefix(4), as: UTF8.self).prefix(1)
            throw DotenvError(line: line, message: "unexpected character '\(character)' in variable name")
        }
        guard !key.utf8.contains(where: Self.isSpace) else {
            throw DotenvError(line: line, message: "variable name '\(key)' must not contain a space")
        }
        defined?(key, line)
        if separator == nil || separator == Self.newline {
            if let inherited = lookup(key) ?? fallback(key) { values[key] = inherited }
            return
        }
        text = text.dropFirst().drop(while: Self.isSpace)
        let value = try value()
        valueBytes += value.utf8.count
        guard valueBytes <= LoadLimits.environmentFileBytesMax else {
            throw DotenvError(
                line: line, message: "the file defines more than \(LoadLimits.environmentFileBytesMax) bytes",
                hint: "see what its variables stand for")
        }
        values[key] = value
    }

    private mutating func skipExport() {
        let word = Array("export".utf8)
        guard text.starts(with: word), let next = text.dropFirst(word.count).first, Self.isSpace(next) else { return }
        text = text.dropFirst(word.count).drop(while: Self.isSpace)
    }

    private mutating func value() throws(DotenvError) -> String {
        guard let quote = text.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            return try unquoted()
        }
        return try quoted(quote)
    }

    private mutating func unquoted() throws(DotenvError) -> String {
        var value = text.prefix { $0 != Self.newline }
        text = text.dropFirst(value.count)
        var previous: UInt8 = 0
        if let comment = value.firstIndex(where: { byte in
            defer { previous = byte }
            return byte == UInt8(ascii: "#") && previous == UInt8(ascii: " ")
        }) {
            value = value[..<comment]
        }
        return try expand(trimmed(value), line: line)
    }

    private mutating func quoted(_ quote: UInt8) throws(DotenvError) -> String {
        let firstLine = line
        var content: [UInt8] = []
        var isEscaped = false
        text = text.dropFirst()
        while let byte = text.first {
            text = text.dropFirst()
            if byte == Self.newline { line += 1 }
            if byte == quote {
                if !isEscaped {
                    guard quote == UInt8(ascii: "\"") else { return String(decoding: content, as: UTF8.self) }
                    return try expand(Self.unescape(content)[...], line: firstLine)
                }
                isEscaped = false
                content.append(byte)
            } else if byte == UInt8(ascii: "\\"), !isEscaped {
                isEscaped = true
            } else {
                if isEscaped { content.append(UInt8(ascii: "\\")) }
                isEscaped = false
                content.append(byte)
            }
        }
        throw DotenvError(
            line: firstLine, message: "unterminated quoted value",
            hint: "close it with another \(Unicode.Scalar(quote))")
    }

    private func expand(_ bytes: ArraySlice<UInt8>, line: Int) throws(DotenvError) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        let template = Template(
            lookup: { [lookup, values, fallback] in lookup($0) ?? values[$0] ?? fallback($0) },
            unset: { [unset] in unset($0, line) })
        do throws(TemplateError) {
            return try template.substitute(text)
        } catch .required(let name, let message) {
            throw DotenvError(
                line: line, message: "required variable \(name) is missing a value: \(message)",
                hint: "set \(name) in the environment or above this line")
        } catch .tooLong {
            throw DotenvError(
                line: line, message: "variables make the value longer than \(Template.bytesMax) bytes",
                hint: "see what its variables stand for")
        } catch {
            let wrong = explainTemplate(text)
            throw DotenvError(line: line, message: wrong.message, hint: wrong.hint)
        }
    }

    /// Shell escapes of double-quoted values; `\$` becomes the template's `$$`, unknown escapes stay.
    private static func unescape(_ bytes: [UInt8]) -> [UInt8] {
        let simple: [UInt8: UInt8] = [
            UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10,
            UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11, UInt8(ascii: "\\"): UInt8(ascii: "\\"),
            UInt8(ascii: "\""): UInt8(ascii: "\""),
        ]
        var output: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let next = rest.first else {
                output.append(byte)
                continue
            }
            if let replacement = simple[next] {
                output.append(replacement)
                rest = rest.dropFirst()
            } else if next == UInt8(ascii: "$") {
                output += [next, next]
                rest = rest.dropFirst()
            } else if next == UInt8(ascii: "0"), let code = octal(rest.dropFirst().prefix(3)) {
                output.append(code)
                rest = rest.dropFirst(4)
            } else {
                output.append(byte)
            }
        }
        return output
    }

    /// Three octal digits that give an ASCII character.
    private static func octal(_ digits: ArraySlice<UInt8>) -> UInt8? {
        guard digits.count == 3, let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8), code > 0,
            code < 128
        else { return nil }
        return code
    }

    private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var bytes = bytes
        while let last = bytes.last, Self.isSpace(last) || last == Self.newline { bytes = bytes.dropLast() }
        return bytes
    }

    private static let newline = UInt8(ascii: "\n")

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0B || byte == 0x0C || byte == 0x0D
    }

    /// Letters, digits and `_ . - [ ]`; bytes of letters beyond ASCII are let through.
    private static func isKeyByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5B).contains(byte) || (0x61...0x7A).contains(byte) || byte >= 0x80
            || byte == 0x5F || byte == 0x2E || byte == 0x2D || byte == 0x5D
    }
}
