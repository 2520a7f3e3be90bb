/// Replaces what must not be seen: secrets of a stack, and values whose variables' names say that they are secret.
///
/// A value is found as it is and as JSON, XML and workflow commands of GitHub Actions write it; of a value with several
/// lines each long enough one too.
public struct SecretMask: Equatable, Sendable {
    /// What stands in a value's place.
    public static let replacement = "***"
    /// Bytes; shorter values would be found everywhere.
    static let valueByteCountMin = 4
    /// Bytes of one line of a value with several, such as a key in PEM.
    private static let lineByteCountMin = 8
    /// Values beyond these are not looked for; a stack's secrets are far from it.
    private static let valueCountMax = 10_000
    private static let valueByteCountMax = 1 << 20
    /// Words that are no secrets wherever they stand.
    private static let harmless: Set<String> = [
        "true", "false", "null", "none", "auto", "default", "required", "disabled", "enabled", "write", "read",
    ]

    /// The values themselves, in the order in which they came.
    public private(set) var values: [[UInt8]] = []
    /// All forms by their first byte, longest first.
    private var forms: [UInt8: [[UInt8]]] = [:]

    public init() {}

    public var isEmpty: Bool { values.isEmpty }

    /// Values that may be told to whoever masks the rest of a log; never empty.
    public var texts: [String] { values.map { String(decoding: $0, as: UTF8.self) } }

    // MARK: - Collecting

    public mutating func add(_ text: String) { add(Array(text.utf8)) }

    /// Blanks and newlines around it are none of it. Too short ones are not taken.
    public mutating func add(_ bytes: [UInt8]) {
        let value = trimmed(bytes[...])
        insert(value, minimum: Self.valueByteCountMin)
        let lines = value.split(separator: 0x0a)
        if lines.count > 1 { for line in lines { insert(trimmed(line), minimum: Self.lineByteCountMin) } }
    }

    public mutating func add(_ other: SecretMask) { for value in other.values { add(value) } }

    private mutating func insert(_ value: [UInt8], minimum: Int) {
        guard value.count >= minimum, value.count <= Self.valueByteCountMax, values.count < Self.valueCountMax,
            !values.contains(value), !Self.harmless.contains(String(decoding: value, as: UTF8.self).lowercased())
        else { return }
        values.append(value)
        for form in Set([value, jsonForm(value), xmlForm(value), commandForm(value)]) {
            guard let first = form.first else { continue }
            forms[first, default: []].append(form)
            forms[first]?.sort { $0.count > $1.count }
        }
    }

    // MARK: - Masking

    public func mask(_ text: String) -> String {
        if isEmpty { return text }
        return String(decoding: mask(Array(text.utf8)), as: UTF8.self)
    }

    public func mask(_ bytes: [UInt8]) -> [UInt8] {
        if isEmpty { return bytes }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let rest = bytes[index...]
            if let form = forms[bytes[index]]?.first(where: { rest.starts(with: $0) }) {
                result += Self.replacement.utf8
                index += form.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }
}

extension SecretMask {
    /// The contents of its secrets, and the values of services' and builds' variables with a secret name; not those
    /// that are names in the stack too (`POSTGRES_PASSWORD: postgres`), which everybody sees.
    ///
    /// - Parameter variables: others, such as those that were substituted.
    public init(of stack: Stack, variables: [String: String] = [:]) {
        self.init()
        for (_, secret) in stack.secrets.sorted(by: { $0.key < $1.key }) {
            if let content = secret.content { add(content) }
        }
        let names = stack.publicNames
        let services = stack.services.merging(stack.jobs.mapValues(\.service)) { service, _ in service }
        for (_, service) in services.sorted(by: { $0.key < $1.key }) {
            add(secretsAmong: service.environment, except: names)
            if let build = service.build { add(secretsAmong: build.arguments, except: names) }
        }
        add(secretsAmong: variables.mapValues { Optional($0) }, except: names)
    }

    public mutating func add(secretsAmong variables: [String: String?], except names: [String] = []) {
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) where isSecretName(name) {
            guard let value, !names.contains(where: { $0.contains(value) }) else { continue }
            add(value)
        }
    }
}

extension Stack {
    fileprivate var publicNames: [String] {
        [name] + services.keys + services.values.map(\.image) + networks.keys + volumes.keys + configs.keys
            + secrets.keys
    }
}

private let secretWords: Set<String> = [
    "PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "PWD", "SECRET", "SECRETS", "TOKEN", "CREDENTIAL", "CREDENTIALS",
    "APIKEY",
    "PRIVATEKEY", "ACCESSKEY", "SECRETKEY",
]
/// `KEY` after one of these is a secret, after others (`SORT_KEY`) it is not.
private let keyWords: Set<String> = [
    "API", "ACCESS", "PRIVATE", "SECRET", "ENCRYPTION", "SIGNING", "AUTH", "MASTER", "SESSION", "DEPLOY", "SSH",
]
/// Last words of names that say something about a secret, and not the secret.
private let describingWords: Set<String> = ["FILE", "PATH", "DIR", "NAME", "TYPE", "LENGTH", "TTL", "EXPIRY", "URL"]

/// Whether a variable's name says that its value is secret: `DB_PASSWORD`, `PGPASSWORD`, `GITHUB_TOKEN`, `API_KEY`;
/// not `DB_PASSWORD_FILE`, `SORT_KEY` or `PWD`.
public func isSecretName(_ name: String) -> Bool {
    let words = name.uppercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    guard let last = words.last, words != ["PWD"], words != ["OLDPWD"], !describingWords.contains(last) else {
        return false
    }
    if words.contains(where: { secretWords.contains($0) || $0.hasSuffix("PASSWORD") || $0.hasSuffix("SECRET") }) {
        return true
    }
    return zip(words, words.dropFirst()).contains { keyWords.contains($0) && $1 == "KEY" }
}

private func trimmed(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
    guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
    else { return [] }
    return Array(bytes[first...last])
}

/// RFC 8259, section 7, with the short escapes.
private func jsonForm(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { byte -> [UInt8] in
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): [UInt8(ascii: "\\"), byte]
        case 0x0a: Array("\\n".utf8)
        case 0x0d: Array("\\r".utf8)
        case 0x09: Array("\\t".utf8)
        case 0..<0x20: Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        default: [byte]
        }
    }
}

private func xmlForm(_ bytes: [UInt8]) -> [UInt8] {
    bytes.flatMap { byte -> [UInt8] in
        switch byte {
        case UInt8(ascii: "&"): Array("&amp;".utf8)
        case UInt8(ascii: "<"): Array("&lt;".utf8)
        case UInt8(ascii: ">"): Array("&gt;".utf8)
        case UInt8(ascii: "\""): Array("&quot;".utf8)
        default: [byte]
        }
    }
}

/// As workflow commands of GitHub Actions escape data.
private func commandForm(_ bytes: [UInt8]) -> [UInt8] {
    bytes.flatMap { byte -> [UInt8] in
        switch byte {
        case UInt8(ascii: "%"): Array("%25".utf8)
        case 0x0a: Array("%0A".utf8)
        case 0x0d: Array("%0D".utf8)
        default: [byte]
        }
    }
}
