/// One way to authenticate that a server offers in `WWW-Authenticate` (RFC 9110 section 11.6.1).
struct Challenge: Equatable, Sendable {
    /// Lower case.
    var scheme: String
    /// Names in lower case.
    var parameters: [String: String] = [:]

    private static let byteCountMax = 8 << 10
    private static let parameterCountMax = 32

    /// Every challenge of every field, in order; nil when one of them is malformed.
    static func parse(_ fields: [String]) -> [Challenge]? {
        var challenges: [Challenge] = []
        for field in fields {
            guard field.utf8.count <= byteCountMax else { return nil }
            var scanner = ChallengeScanner(Array(field.utf8))
            guard scanner.readAll(into: &challenges) else { return nil }
        }
        return challenges.allSatisfy { $0.parameters.count <= parameterCountMax } ? challenges : nil
    }
}

private struct ChallengeScanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func readAll(into challenges: inout [Challenge]) -> Bool {
        skip(commasToo: true)
        while current != nil {
            guard let scheme = readToken() else { return false }
            guard let challenge = readParameters(of: scheme) else { return false }
            challenges.append(challenge)
        }
        return true
    }

    private mutating func readParameters(of scheme: String) -> Challenge? {
        var challenge = Challenge(scheme: scheme.lowercased())
        guard current == 0x20 || current == 0x09 else {
            guard atEndOfElement() else { return nil }
            skip(commasToo: true)
            return challenge
        }
        skip(commasToo: false)
        if skipToken68() { return challenge }
        while true {
            skip(commasToo: true)
            let start = position
            guard current != nil else { return challenge }
            guard let name = readToken() else { return nil }
            skip(commasToo: false)
            guard current == UInt8(ascii: "=") else {
                // No parameter: the scheme of the next challenge.
                position = start
                return challenge
            }
            position += 1
            skip(commasToo: false)
            guard let value = current == UInt8(ascii: "\"") ? readQuoted() : readToken(),
                challenge.parameters.updateValue(value, forKey: name.lowercased()) == nil, atEndOfElement()
            else { return nil }
        }
    }

    private mutating func skip(commasToo: Bool) {
        while let byte = current, byte == 0x20 || byte == 0x09 || commasToo && byte == UInt8(ascii: ",") {
            position += 1
        }
    }

    /// Whether nothing, or a comma, comes next.
    private mutating func atEndOfElement() -> Bool {
        skip(commasToo: false)
        return current == nil || current == UInt8(ascii: ",")
    }

    private mutating func readToken() -> String? {
        let start = position
        while let byte = current, Self.isTokenByte(byte) { position += 1 }
        return start == position ? nil : String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// Base64 and the like instead of parameters: of no scheme that we speak.
    private mutating func skipToken68() -> Bool {
        let start = position
        while let byte = current, Self.isTokenByte(byte) || byte == UInt8(ascii: "/") { position += 1 }
        let end = position
        while current == UInt8(ascii: "=") { position += 1 }
        if end > start, atEndOfElement() {
            skip(commasToo: true)
            return true
        }
        position = start
        return false
    }

    private mutating func readQuoted() -> String? {
        position += 1
        var text: [UInt8] = []
        while let byte = current {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = current, escaped >= 0x20, escaped != 0x7f else { return nil }
                position += 1
                text.append(escaped)
            case 0x20...0x7e, 0x80...0xff, 0x09: text.append(byte)
            default: return nil
            }
        }
        return nil
    }

    /// RFC 9110 section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        let isLetter = (0x61...0x7a).contains(byte | 0x20) && byte >= 0x41
        return isLetter || (0x30...0x39).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
