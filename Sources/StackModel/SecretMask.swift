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
    private var known: Set<[UInt8]> = []
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
            !known.contains(value), !Self.harmless.contains(String(decoding: value, as: UTF8.self).lowercased())
        else { return }
        values.append(value)
        known.insert(value)
        for form in Set([value, jsonForm(value), xmlForm(value), commandForm(value)]) {
            guard let first = form.first else { continue }
            let others = forms[first] ?? []
            forms[first, default: []].insert(form, at: others.firstIndex { $0.count < form.count } ?? others.count)
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
            if let form = form(in: bytes, at: index) {
                result += Self.replacement.utf8
                index += form.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    /// Whether there is something to replace.
    public func occurs(in text: String) -> Bool {
        if isEmpty { return false }
        let bytes = Array(text.utf8)
        return bytes.indices.contains { form(in: bytes, at: $0) != nil }
    }

    private func form(in bytes: [UInt8], at index: Int) -> [UInt8]? {
        forms[bytes[index]]?.first { bytes[index...].starts(with: $0) }
    }
}

extension SecretMask {
    /// The contents of its secrets, the values of its services', hooks' and builds' variables with a secret name, and
    /// what its file was filled in with; not those that are names in the stack too (`POSTGRES_PASSWORD: postgres`),
    /// which everybody sees.
    public init(of stack: Stack) {
        self.init()
        add(of: stack)
    }

    /// The same, with others.
    public mutating func add(of stack: Stack) {
        for (_, secret) in stack.secrets.sorted(by: { $0.key < $1.key }) {
            if let content = secret.content { add(content) }
        }
        let names = stack.publicNames
        let services = stack.services.merging(stack.jobs.mapValues(\.service)) { service, _ in service }
        for (_, service) in services.sorted(by: { $0.key < $1.key }) {
            add(secretsAmong: service.environment, except: names)
            if let build = service.build { add(secretsAmong: build.arguments, except: names) }
            for hook in service.preStart + service.postStart + service.preStop {
                add(secretsAmong: hook.environment, except: names)
            }
        }
        for value in stack.secretValues where !isShown(value, names) { add(value) }
    }

    public mutating func add(secretsAmong variables: [String: String?], except names: [String] = []) {
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) where isSecretName(name) {
            guard let value, !isShown(value, names) else { continue }
            add(value)
        }
    }

    private func isShown(_ value: String, _ names: [String]) -> Bool { names.contains { $0.contains(value) } }
}

extension Stack {
    fileprivate var publicNames: [String] {
        [name] + services.keys + services.values.map(\.image) + networks.keys + volumes.keys + configs.keys
            + secrets.keys
    }
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
