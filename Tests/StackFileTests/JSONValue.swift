/// A JSON document as data, for comparisons.
enum JSONValue: Equatable, Sendable {
    case null
    case boolean(Bool)
    /// The text as written.
    case number(String)
    case string(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(parsing text: String) throws {
        var reader = JSONReader(bytes: Array(text.utf8))
        self = try reader.document()
    }

    subscript(key: String) -> JSONValue? {
        if case .object(let entries) = self { entries[key] } else { nil }
    }

    var text: String? { if case .string(let text) = self { text } else { nil } }

    var items: [JSONValue] { if case .list(let items) = self { items } else { [] } }

    /// The same with other strings; keys stay.
    func mapStrings(_ transform: (String) -> String) -> JSONValue {
        switch self {
        case .string(let text): .string(transform(text))
        case .list(let items): .list(items.map { $0.mapStrings(transform) })
        case .object(let entries): .object(entries.mapValues { $0.mapStrings(transform) })
        default: self
        }
    }

    /// The texts of this object's strings.
    var strings: [String: String] {
        guard case .object(let entries) = self else { return [:] }
        return entries.compactMapValues(\.text)
    }
}

extension JSONValue: CustomStringConvertible {
    /// Compact, with sorted keys.
    var description: String {
        switch self {
        case .null: "null"
        case .boolean(let flag): flag ? "true" : "false"
        case .number(let text): text
        case .string(let text): "\"" + text + "\""
        case .list(let items): "[" + items.map(\.description).joined(separator: ",") + "]"
        case .object(let entries):
            "{" + entries.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
        }
    }
}

/// A place where two documents differ.
struct JSONDifference: Equatable, Sendable, CustomStringConvertible {
    /// `.services.web.ports[0].target`.
    var path: String
    /// `nil`: nothing there.
    var found: JSONValue?
    var expected: JSONValue?

    private static let shownCharactersMax = 300

    var description: String { "\(path): found \(Self.shown(found)), expected \(Self.shown(expected))" }

    private static func shown(_ value: JSONValue?) -> String {
        guard let value else { return "nothing" }
        return String(value.description.prefix(shownCharactersMax))
    }

    static func all(found: JSONValue?, expected: JSONValue?, path: String = "") -> [JSONDifference] {
        switch (found, expected) {
        case (.object(let left), .object(let right)):
            return Set(left.keys).union(right.keys).sorted().flatMap { key in
                all(found: left[key], expected: right[key], path: path + "." + key)
            }
        case (.list(let left), .list(let right)):
            return (0..<max(left.count, right.count)).flatMap { index in
                all(
                    found: index < left.count ? left[index] : nil,
                    expected: index < right.count ? right[index] : nil, path: path + "[\(index)]")
            }
        case (.number(let left), .number(let right)) where left == right || Double(left) == Double(right): return []
        default: return found == expected ? [] : [JSONDifference(path: path, found: found, expected: expected)]
        }
    }
}

/// Why a text is not JSON.
struct JSONError: Error {
    var offset: Int
}

/// Reads JSON (RFC 8259).
private struct JSONReader {
    let bytes: [UInt8]
    private var position = 0
    private static let depthMax = 200

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value(depth: 0)
        skipBlanks()
        guard position == bytes.count else { throw JSONError(offset: position) }
        return value
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || (0x09...0x0D).contains(byte) { position += 1 }
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let word = Array(text.description.utf8)
        guard bytes[position...].starts(with: word) else { return false }
        position += word.count
        return true
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth < Self.depthMax else { throw JSONError(offset: position) }
        skipBlanks()
        if take("null") { return .null }
        if take("true") { return .boolean(true) }
        if take("false") { return .boolean(false) }
        if take("\"") { return .string(try string()) }
        if take("[") { return .list(try list(depth: depth)) }
        if take("{") { return .object(try object(depth: depth)) }
        let start = position
        while let byte = next, "+-.0123456789Ee".utf8.contains(byte) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard Double(text) != nil else { throw JSONError(offset: start) }
        return .number(text)
    }

    private mutating func list(depth: Int) throws(JSONError) -> [JSONValue] {
        var items: [JSONValue] = []
        skipBlanks()
        if take("]") { return items }
        while true {
            items.append(try value(depth: depth + 1))
            skipBlanks()
            if take("]") { return items }
            guard take(",") else { throw JSONError(offset: position) }
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> [String: JSONValue] {
        var entries: [String: JSONValue] = [:]
        skipBlanks()
        if take("}") { return entries }
        while true {
            skipBlanks()
            guard take("\"") else { throw JSONError(offset: position) }
            let key = try string()
            skipBlanks()
            guard take(":"), entries[key] == nil else { throw JSONError(offset: position) }
            entries[key] = try value(depth: depth + 1)
            skipBlanks()
            if take("}") { return entries }
            guard take(",") else { throw JSONError(offset: position) }
        }
    }

    /// What follows the opening quote.
    private mutating func string() throws(JSONError) -> String {
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case 0x22: return String(decoding: text, as: UTF8.self)
            case 0x5C: text += try escape()
            default: text.append(byte)
            }
        }
        throw JSONError(offset: position)
    }

    private mutating func escape() throws(JSONError) -> [UInt8] {
        guard let byte = next else { throw JSONError(offset: position) }
        position += 1
        switch byte {
        case 0x6E: return [0x0A]
        case 0x74: return [0x09]
        case 0x72: return [0x0D]
        case 0x62: return [0x08]
        case 0x66: return [0x0C]
        case 0x22, 0x2F, 0x5C: return [byte]
        case 0x75: return try escapedCharacter()
        default: throw JSONError(offset: position)
        }
    }

    /// A character of four hexadecimal digits, or of two such halves of a surrogate pair.
    private mutating func escapedCharacter() throws(JSONError) -> [UInt8] {
        var units = [try codeUnit()]
        if UTF16.isLeadSurrogate(units[0]), take("\\u") { units.append(try codeUnit()) }
        return Array(String(decoding: units, as: UTF16.self).utf8)
    }

    private mutating func codeUnit() throws(JSONError) -> UInt16 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw JSONError(offset: position)
        }
        position += 4
        return unit
    }
}
