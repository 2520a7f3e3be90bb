import CLinux

/// One message out of a datagram. Everything read from it is checked: bytes that lie about their length give an error,
/// never a trap.
public struct NetlinkMessage: Equatable, Sendable {
    public let type: UInt16
    public let flags: UInt16
    public let sequence: UInt32
    /// Port id of the socket that asked (or, for an event, that caused it); 0 for the kernel itself.
    public let portID: UInt32
    /// What follows the header: the family's fixed header and attributes.
    public let payload: ArraySlice<UInt8>

    public init(type: UInt16, flags: UInt16, sequence: UInt32, portID: UInt32, payload: ArraySlice<UInt8>) {
        self.type = type
        self.flags = flags
        self.sequence = sequence
        self.portID = portID
        self.payload = payload
    }

    /// Splits a datagram into its messages.
    public static func parse(_ datagram: [UInt8]) throws(NetlinkError) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram[...]
        while !rest.isEmpty {
            let whole = rest
            var cursor = ByteCursor(whole)
            let length = Int(try cursor.native(UInt32.self))
            guard length >= MessageBuilder.headerByteCount, length <= whole.count else {
                throw .malformed("message of \(length) bytes in \(whole.count)")
            }
            messages.append(
                NetlinkMessage(
                    type: try cursor.native(), flags: try cursor.native(), sequence: try cursor.native(),
                    portID: try cursor.native(), payload: cursor.rest.prefix(length - MessageBuilder.headerByteCount)))
            rest = whole.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    func has(_ flag: Int32) -> Bool { flags & UInt16(truncatingIfNeeded: flag) != 0 }
}

/// Reads fixed fields front to back.
public struct ByteCursor {
    public private(set) var rest: ArraySlice<UInt8>

    public init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next number, in the machine's byte order.
    public mutating func native<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(NetlinkError) -> Value {
        let count = MemoryLayout<Value>.size
        guard let value = Value(native: rest.prefix(count)) else {
            throw .malformed("\(rest.count) bytes where \(count) were expected")
        }
        rest = rest.dropFirst(count)
        return value
    }

    /// The next bytes.
    public mutating func bytes(_ count: Int) throws(NetlinkError) -> ArraySlice<UInt8> {
        let some = rest.prefix(max(0, count))
        try skip(count)
        return some
    }

    public mutating func skip(_ count: Int) throws(NetlinkError) {
        guard count >= 0, rest.count >= count else {
            throw .malformed("\(rest.count) bytes where \(count) were expected")
        }
        rest = rest.dropFirst(count)
    }
}

extension FixedWidthInteger {
    /// From exactly as many bytes as the type has, in the machine's byte order.
    init?(native bytes: ArraySlice<UInt8>) {
        guard bytes.count == MemoryLayout<Self>.size else { return nil }
        self = bytes.withUnsafeBytes { $0.loadUnaligned(as: Self.self) }
    }
}

/// One attribute: a type and a payload that is a number, a string, bytes or attributes.
public struct Attribute: Equatable, Sendable {
    /// Without the `NLA_F_NESTED` and byte-order flags.
    public let type: UInt16
    public let payload: ArraySlice<UInt8>

    /// Splits `bytes` into attributes.
    public static func parse(_ bytes: ArraySlice<UInt8>) throws(NetlinkError) -> [Attribute] {
        var attributes: [Attribute] = []
        var rest = bytes
        while !rest.isEmpty {
            var cursor = ByteCursor(rest)
            let length = Int(try cursor.native(UInt16.self))
            let type: UInt16 = try cursor.native()
            guard length >= MessageBuilder.attributeHeaderByteCount, length <= rest.count else {
                throw .malformed("attribute of \(length) bytes in \(rest.count)")
            }
            attributes.append(
                Attribute(
                    type: type & UInt16(truncatingIfNeeded: gantry_nla_type_mask),
                    payload: cursor.rest.prefix(length - MessageBuilder.attributeHeaderByteCount)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return attributes
    }

    public func nested() throws(NetlinkError) -> [Attribute] { try Attribute.parse(payload) }

    /// A number in the machine's byte order.
    public func native<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(NetlinkError) -> Value {
        guard let value = Value(native: payload) else { throw .malformed("attribute \(type): \(payload.count) bytes") }
        return value
    }

    /// A number in network byte order.
    public func big<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(NetlinkError) -> Value {
        Value(bigEndian: try native())
    }

    /// A string up to its NUL or the end; bytes that are no UTF-8 become U+FFFD.
    public var string: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
}

extension [Attribute] {
    /// The first attribute of a type.
    public subscript(of type: some KernelConstant) -> Attribute? { first { $0.type == type.type16 } }
}
