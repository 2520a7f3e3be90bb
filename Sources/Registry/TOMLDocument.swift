/// The part of TOML 1.0 that `hosts.toml` needs: tables with dotted and quoted names; strings, booleans, integers and
/// arrays of those. Order is kept, which decides among mirrors. Everything else is refused with its line.
struct TOMLDocument: Equatable, Sendable {
    indirect enum Value: Equatable, Sendable {
        case string(String)
        case bool(Bool)
        case integer(Int64)
        case array([Value])
    }

    struct Entry: Equatable, Sendable {
        /// Names from the root on, the key's own last.
        var path: [String]
        var value: Value
        var line: Int
    }

    struct Table: Equatable, Sendable {
        var path: [String]
        var line: Int
    }

    private(set) var entries: [Entry] = []
    private(set) var tables: [Table] = []

    init(parsing bytes: [UInt8], path: String) throws(RegistryError) {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw .configuration(path: path, line: 0, why: "it is not UTF-8")
        }
        var parser = TOMLParser(bytes: bytes, file: path)
        (entries, tables) = try parser.parse()
    }
}

private struct TOMLParser {
    private static let depthMax = 8
    let bytes: [UInt8]
    let file: String
    private var position = 0
    private var line = 1

    init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func fail(_ why: String) -> RegistryError { .configuration(path: file, line: line, why: why) }

    mutating func parse() throws(RegistryError) -> ([TOMLDocument.Entry], [TOMLDocument.Table]) {
        var entries: [TOMLDocument.Entry] = []
        var tables: [TOMLDocument.Table] = []
        var seen: Set<[String]> = []
        var table: [String] = []
        while true {
            try skipBlank(newlines: true)
            guard let byte = current else { return (entries, tables) }
            if byte == UInt8(ascii: "[") {
                position += 1
                guard current != UInt8(ascii: "[") else { throw fail("arrays of tables are not known here") }
                table = try readPath()
                try expect("]")
                guard !tables.contains(where: { $0.path == table }) else { throw fail("this table was there before") }
                tables.append(TOMLDocument.Table(path: table, line: line))
            } else {
                let path = table + (try readPath())
                try expect("=")
                try skipBlank(newlines: false)
                let startLine = line
                let value = try readValue(depth: 0)
                guard seen.insert(path).inserted else { throw fail("\(path.joined(separator: ".")) was set before") }
                entries.append(TOMLDocument.Entry(path: path, value: value, line: startLine))
            }
            try skipBlank(newlines: false)
            guard current == nil || current == 0x0a || current == 0x0d else {
                throw fail("the line goes on unexpectedly")
            }
        }
    }

    /// Spaces and comments, and line ends if asked.
    private mutating func skipBlank(newlines: Bool) throws(RegistryError) {
        while let byte = current {
            switch byte {
            case 0x20, 0x09: position += 1
            case UInt8(ascii: "#"):
                while let byte = current, byte != 0x0a { position += 1 }
            case 0x0d where position + 1 < bytes.count && bytes[position + 1] == 0x0a:
                guard newlines else { return }
                position += 1
            case 0x0a:
                guard newlines else { return }
                position += 1
                line += 1
            default: return
            }
        }
    }

    private mutating func expect(_ character: Character) throws(RegistryError) {
        try skipBlank(newlines: false)
        guard let byte = current, byte == character.asciiValue else { throw fail("'\(character)' is missing") }
        position += 1
    }

    private mutating func readPath() throws(RegistryError) -> [String] {
        var path: [String] = []
        while true {
            try skipBlank(newlines: false)
            path.append(try readName())
            guard path.count <= Self.depthMax else { throw fail("more than \(Self.depthMax) names in one") }
            try skipBlank(newlines: false)
            guard current == UInt8(ascii: ".") else { return path }
            position += 1
        }
    }

    private mutating func readName() throws(RegistryError) -> String {
        if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") { return try readString() }
        let start = position
        while let byte = current,
            (0x61...0x7a).contains(byte | 0x20) && byte >= 0x41 || (0x30...0x39).contains(byte) || byte == 0x2d
                || byte == 0x5f
        {
            position += 1
        }
        guard position > start else { throw fail("a name is missing") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func readValue(depth: Int) throws(RegistryError) -> TOMLDocument.Value {
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try readString())
        case UInt8(ascii: "["): return try readArray(depth: depth)
        default: break
        }
        let start = position
        while let byte = current, !",]# \t\r\n".utf8.contains(byte) { position += 1 }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        switch word {
        case "true": return .bool(true)
        case "false": return .bool(false)
        default:
            guard let number = Int64(word.filter { $0 != "_" }), !word.hasPrefix("_") else {
                throw fail("\(harmless(word).debugDescription) is no string, true, false, integer or array")
            }
            return .integer(number)
        }
    }

    private mutating func readArray(depth: Int) throws(RegistryError) -> TOMLDocument.Value {
        guard depth < Self.depthMax else { throw fail("arrays are nested too deep") }
        position += 1
        var values: [TOMLDocument.Value] = []
        while true {
            try skipBlank(newlines: true)
            if current == UInt8(ascii: "]") { break }
            values.append(try readValue(depth: depth + 1))
            try skipBlank(newlines: true)
            if current == UInt8(ascii: ",") {
                position += 1
            } else if current != UInt8(ascii: "]") {
                throw fail("',' or ']' is missing")
            }
        }
        position += 1
        return .array(values)
    }

    private mutating func readString() throws(RegistryError) -> String {
        let quote = bytes[position]
        let isMultiline = bytes[position...].starts(with: [quote, quote, quote])
        guard !isMultiline else { throw fail("strings of several lines are not known here") }
        position += 1
        var text: [UInt8] = []
        while let byte = current {
            position += 1
            if byte == quote { return String(decoding: text, as: UTF8.self) }
            guard byte >= 0x20 && byte != 0x7f || byte == 0x09 else { break }
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                text += try readEscape()
            } else {
                text.append(byte)
            }
        }
        throw fail("a string has no end")
    }

    private mutating func readEscape() throws(RegistryError) -> [UInt8] {
        guard let byte = current else { throw fail("a string has no end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [byte]
        case UInt8(ascii: "n"): return [0x0a]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0d]
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let digits = bytes[position...].prefix(byte == UInt8(ascii: "u") ? 4 : 8)
            guard digits.count >= 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let number = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
                let scalar = Unicode.Scalar(number)
            else { throw fail("bad escape in a string") }
            position += digits.count
            return Array(String(Character(scalar)).utf8)
        default: throw fail("bad escape in a string")
        }
    }
}
