/// Why a plan could not be read. A supervisor that meets one of these starts nothing.
public enum PlanError: Error, Equatable, Sendable {
    case truncated
    case trailingBytes
    case badMagic
    case badValue(field: String)
    case tooLarge(field: String)
}

/// A value with a compact binary form: little-endian integers, strings and arrays with a 32-bit count before them.
public protocol PlanCodable: Sendable {
    func encode(into encoder: inout PlanEncoder)
    init(from decoder: inout PlanDecoder) throws(PlanError)
}

public struct PlanEncoder: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(capacity: Int = 4096) { bytes.reserveCapacity(capacity) }

    public mutating func put(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

    public mutating func put(_ value: String) {
        put(UInt32(truncatingIfNeeded: value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    public mutating func put(_ value: [UInt8]) {
        put(UInt32(truncatingIfNeeded: value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func put(_ value: some PlanCodable) { value.encode(into: &self) }

    public mutating func put(_ values: [String]) {
        put(UInt32(truncatingIfNeeded: values.count))
        for value in values { put(value) }
    }

    public mutating func put(_ values: [some PlanCodable]) {
        put(UInt32(truncatingIfNeeded: values.count))
        for value in values { value.encode(into: &self) }
    }

    public mutating func put(_ value: (some PlanCodable)?) {
        put(value != nil)
        if let value { value.encode(into: &self) }
    }

    public mutating func put(_ value: String?) {
        put(value != nil)
        if let value { put(value) }
    }
}

/// Reads what `PlanEncoder` wrote; every count is checked against the bytes that are left.
public struct PlanDecoder: Sendable {
    private let bytes: [UInt8]
    /// How many bytes have been read.
    public private(set) var offset = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var isAtEnd: Bool { offset == bytes.count }

    public mutating func integer<Value: FixedWidthInteger>() throws(PlanError) -> Value {
        let size = Value.bitWidth / 8
        guard bytes.count - offset >= size else { throw .truncated }
        var value: Value = 0
        for index in 0..<size { value |= Value(truncatingIfNeeded: bytes[offset + index]) << Value(index * 8) }
        offset += size
        return value
    }

    public mutating func bool() throws(PlanError) -> Bool {
        let value: UInt8 = try integer()
        guard value <= 1 else { throw .badValue(field: "bool") }
        return value == 1
    }

    /// A count of elements that each take at least `bytesEach` bytes.
    public mutating func count(bytesEach: Int) throws(PlanError) -> Int {
        let count: UInt32 = try integer()
        guard Int(count) <= (bytes.count - offset) / max(bytesEach, 1) else { throw .truncated }
        return Int(count)
    }

    public mutating func byteArray() throws(PlanError) -> [UInt8] {
        let count = try count(bytesEach: 1)
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    /// A string for the kernel: valid UTF-8 without NUL.
    public mutating func string() throws(PlanError) -> String {
        let count = try count(bytesEach: 1)
        let slice = bytes[offset..<offset + count]
        guard !slice.contains(0), let value = String(validating: slice, as: UTF8.self) else {
            throw .badValue(field: "string")
        }
        offset += count
        return value
    }

    public mutating func strings() throws(PlanError) -> [String] {
        let count = try count(bytesEach: 4)
        var values: [String] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try string()) }
        return values
    }

    public mutating func values<Value: PlanCodable>() throws(PlanError) -> [Value] {
        let count = try count(bytesEach: 1)
        var values: [Value] = []
        for _ in 0..<count { values.append(try Value(from: &self)) }
        return values
    }

    public mutating func optional<Value: PlanCodable>() throws(PlanError) -> Value? {
        try bool() ? try Value(from: &self) : nil
    }

    public mutating func optionalString() throws(PlanError) -> String? { try bool() ? try string() : nil }

    public mutating func choice<Value: RawRepresentable<UInt8>>(_ field: String) throws(PlanError) -> Value {
        guard let value = Value(rawValue: try integer()) else { throw .badValue(field: field) }
        return value
    }
}

/// A whole plan in a file: magic, then the value, then nothing.
public enum PlanFile {
    /// Plans beyond this are refused: the largest parts are the seccomp filter and injected files.
    public static let byteCountMax = 8 << 20
    /// Changes with the layout; engine and supervisor must be of one build.
    private static let magic: UInt64 = 0x0001_4e41_4c50_5447

    public static func encode(_ plan: some PlanCodable) -> [UInt8] {
        var encoder = PlanEncoder()
        encoder.put(magic)
        encoder.put(plan)
        return encoder.bytes
    }

    public static func decode<Plan: PlanCodable>(_ type: Plan.Type, from bytes: [UInt8]) throws(PlanError) -> Plan {
        guard bytes.count <= byteCountMax else { throw .tooLarge(field: "plan") }
        var decoder = PlanDecoder(bytes)
        guard try decoder.integer() == magic else { throw .badMagic }
        let plan = try Plan(from: &decoder)
        guard decoder.isAtEnd else { throw .trailingBytes }
        return plan
    }
}
