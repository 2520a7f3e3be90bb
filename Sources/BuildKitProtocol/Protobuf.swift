/// Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding): the three kinds of values that BuildKit's
/// messages are made of. Our own: the messages read and written here are two dozen, with a few fields each, and the
/// code that a generator makes of BuildKit's definitions is longer than the rest of this room by two orders.
public enum ProtobufError: Error, Equatable, Sendable {
    /// It ends within a field.
    case truncated
    /// A number of more than ten bytes, a group, or a field without a number.
    case malformed
}

public struct ProtobufField: Equatable, Sendable {
    public enum Value: Equatable, Sendable {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    public var number: Int
    public var value: Value

    /// Empty for a number.
    public var bytes: [UInt8] {
        guard case .bytes(let bytes) = value else { return [] }
        return Array(bytes)
    }

    /// Ill-formed UTF-8 is repaired.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Zero for bytes.
    public var integer: Int64 {
        guard case .number(let number) = value else { return 0 }
        return Int64(bitPattern: number)
    }

    public var flag: Bool { integer != 0 }

    public func fields() throws(ProtobufError) -> [ProtobufField] {
        guard case .bytes(let bytes) = value else { throw .malformed }
        return try protobufFields(bytes)
    }

    /// An entry of a map: field 1 is the key, field 2 the value.
    public func entry() throws(ProtobufError) -> (key: String, value: [UInt8]) {
        var entry: (key: String, value: [UInt8]) = ("", [])
        for field in try fields() {
            if field.number == 1 { entry.key = field.text }
            if field.number == 2 { entry.value = field.bytes }
        }
        return entry
    }
}

/// The fields of a message in their order; values are slices of `bytes`.
public func protobufFields(_ bytes: ArraySlice<UInt8>) throws(ProtobufError) -> [ProtobufField] {
    var fields: [ProtobufField] = []
    var rest = bytes
    while !rest.isEmpty {
        let key = try takeNumber(&rest)
        guard key >> 3 > 0, let number = Int(exactly: key >> 3) else { throw .malformed }
        switch key & 7 {
        case 0: fields.append(ProtobufField(number: number, value: .number(try takeNumber(&rest))))
        case 1: fields.append(ProtobufField(number: number, value: .number(try takeFixed(&rest, 8))))
        case 2:
            let count = try takeNumber(&rest)
            guard count <= UInt64(rest.count) else { throw .truncated }
            fields.append(ProtobufField(number: number, value: .bytes(rest.prefix(Int(count)))))
            rest = rest.dropFirst(Int(count))
        case 5: fields.append(ProtobufField(number: number, value: .number(try takeFixed(&rest, 4))))
        default: throw .malformed
        }
    }
    return fields
}

private func takeNumber(_ rest: inout ArraySlice<UInt8>) throws(ProtobufError) -> UInt64 {
    var result: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
        guard let byte = rest.popFirst() else { throw .truncated }
        result |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return result }
    }
    throw .malformed
}

private func takeFixed(_ rest: inout ArraySlice<UInt8>, _ count: Int) throws(ProtobufError) -> UInt64 {
    guard rest.count >= count else { throw .truncated }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

/// A message in the making. Values that are zero or empty are left out, as proto3 has it, but in `message`.
public struct ProtobufWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// - Parameter body: writes the fields.
    public static func bytes(_ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
        var writer = ProtobufWriter()
        body(&writer)
        return writer.bytes
    }

    public mutating func number(_ field: Int, _ value: Int64) {
        guard value != 0 else { return }
        put(UInt64(field) << 3)
        put(UInt64(bitPattern: value))
    }

    public mutating func flag(_ field: Int, _ value: Bool) { number(field, value ? 1 : 0) }

    public mutating func data(_ field: Int, _ value: [UInt8]) { if !value.isEmpty { lengthDelimited(field, value) } }

    public mutating func text(_ field: Int, _ value: String) { data(field, Array(value.utf8)) }

    public mutating func message(_ field: Int, _ body: (inout ProtobufWriter) -> Void) {
        lengthDelimited(field, Self.bytes(body))
    }

    public mutating func map(_ field: Int, _ values: [String: [UInt8]]) {
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            message(field) { entry in
                entry.text(1, key)
                entry.data(2, value)
            }
        }
    }

    public mutating func map(_ field: Int, _ values: [String: String]) {
        map(field, values.mapValues { Array($0.utf8) })
    }

    private mutating func lengthDelimited(_ field: Int, _ value: [UInt8]) {
        put(UInt64(field) << 3 | 2)
        put(UInt64(value.count))
        bytes += value
    }

    private mutating func put(_ number: UInt64) {
        var left = number
        while left >= 0x80 {
            bytes.append(UInt8(left & 0x7F) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(left))
    }
}
