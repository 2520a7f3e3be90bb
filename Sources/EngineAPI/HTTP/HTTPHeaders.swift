/// Header fields in the order they came; names compare without case (RFC 9110 section 5.1).
public struct HTTPHeaders: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    public struct Field: Equatable, Sendable {
        public var name: String
        public var value: String
    }

    public private(set) var fields: [Field] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { Field(name: $0.0, value: $0.1) }
    }

    /// Value of the first field of this name.
    public subscript(name: String) -> String? { fields.first { sameName($0.name, name) }?.value }

    /// Values of all fields of this name.
    public func all(_ name: String) -> [String] { fields.filter { sameName($0.name, name) }.map(\.value) }

    public mutating func add(_ name: String, _ value: String) { fields.append(Field(name: name, value: value)) }

    /// Replaces every field of this name.
    public mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    public mutating func remove(_ name: String) { fields.removeAll { sameName($0.name, name) } }

    /// Whether a comma-separated field such as `Connection` holds this token, in any case.
    public func contains(_ name: String, token: String) -> Bool {
        all(name).contains { value in
            value.split(separator: ",").contains { sameName(trimmed($0), token) }
        }
    }
}

private func sameName(_ left: some StringProtocol, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { lowercase($0) == lowercase($1) }
}

private func lowercase(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

private func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
}
