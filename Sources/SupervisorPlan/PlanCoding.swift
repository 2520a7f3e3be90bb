/// Why a plan could not be read. A supervisor that meets one of these starts nothing.
public enum PlanError: Error, Equatable, Sendable {
    case truncated
    case trailingBytes
    /// Of an engine, or command, of another build than the supervisor.
    case otherBuild
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
    /// Set where nothing is read: what is asked for is noted, and the answers are made up.
    private var survey: Survey?

    struct Survey: Sendable {
        /// One byte for each value that was asked for, by its kind and size.
        var layout: [UInt8] = []
        /// What every integer is, so that one of several cases is chosen by it.
        let integer: UInt8
        /// What every string is: names must not have a slash, and paths must begin with one.
        let text: String
        /// Values within values; some hold others of their own kind.
        var depth = 0

        static let depthMax = 8
    }

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// What `type` asks for, in its order.
    static func layout(of type: (some PlanCodable).Type, integer: UInt8, text: String) -> [UInt8] {
        var decoder = PlanDecoder([])
        decoder.survey = Survey(integer: integer, text: text)
        // A value that it cannot be made of ends what it asks for.
        _ = try? type.init(from: &decoder)
        return decoder.survey?.layout ?? []
    }

    private mutating func note(_ kind: Unicode.Scalar) -> Survey? {
        survey?.layout.append(UInt8(ascii: kind))
        return survey
    }

    public var isAtEnd: Bool { offset == bytes.count }

    public mutating func integer<Value: FixedWidthInteger>() throws(PlanError) -> Value {
        if let survey = note(Value.isSigned ? "i" : "u") {
            self.survey?.layout.append(UInt8(truncatingIfNeeded: Value.bitWidth))
            return Value(truncatingIfNeeded: survey.integer)
        }
        let size = Value.bitWidth / 8
        guard bytes.count - offset >= size else { throw .truncated }
        var value: Value = 0
        for index in 0..<size { value |= Value(truncatingIfNeeded: bytes[offset + index]) << Value(index * 8) }
        offset += size
        return value
    }

    public mutating func bool() throws(PlanError) -> Bool {
        if let survey = note("b") { return survey.depth < Survey.depthMax }
        let value: UInt8 = try integer()
        guard value <= 1 else { throw .badValue(field: "bool") }
        return value == 1
    }

    /// A count of elements that each take at least `bytesEach` bytes.
    public mutating func count(bytesEach: Int) throws(PlanError) -> Int {
        if let survey = note("n") { return survey.depth < Survey.depthMax ? 1 : 0 }
        let count: UInt32 = try integer()
        guard Int(count) <= (bytes.count - offset) / max(bytesEach, 1) else { throw .truncated }
        return Int(count)
    }

    public mutating func byteArray() throws(PlanError) -> [UInt8] {
        if note("d") != nil { return [] }
        let count = try count(bytesEach: 1)
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    /// A string for the kernel: valid UTF-8 without NUL.
    public mutating func string() throws(PlanError) -> String {
        if let survey = note("s") { return survey.text }
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
        if survey != nil { return count > 0 ? within() : [] }
        var values: [Value] = []
        for _ in 0..<count { values.append(try Value(from: &self)) }
        return values
    }

    public mutating func optional<Value: PlanCodable>() throws(PlanError) -> Value? {
        let isThere = try bool()
        guard survey == nil else {
            let values: [Value] = isThere ? within() : []
            return values.first
        }
        return isThere ? try Value(from: &self) : nil
    }

    /// One that cannot be made of the answers does not end what is around it.
    private mutating func within<Value: PlanCodable>() -> [Value] {
        survey?.depth += 1
        defer { survey?.depth -= 1 }
        do throws(PlanError) { return [try Value(from: &self)] } catch { return [] }
    }

    public mutating func optionalString() throws(PlanError) -> String? { try bool() ? try string() : nil }

    public mutating func choice<Value: RawRepresentable<UInt8>>(_ field: String) throws(PlanError) -> Value {
        if note("c") != nil {
            let all = (UInt8.min...UInt8.max).filter { Value(rawValue: $0) != nil }
            survey?.layout += all
            if let first = all.first, let value = Value(rawValue: first) { return value }
        }
        guard let value = Value(rawValue: try integer()) else { throw .badValue(field: field) }
        return value
    }
}

/// A whole plan in a file: magic, then the value, then nothing.
public enum PlanFile {
    /// Plans beyond this are refused: the largest parts are the seccomp filter and injected files.
    public static let byteCountMax = 8 << 20
    /// Raised where a value comes to mean something else and is still of the same kind.
    private static let meaning: UInt64 = 1

    /// Tells plans of one build from those of another: what is read, in which order, and what it means.
    public static let layout: UInt64 = {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
        func add(_ bytes: [UInt8]) { for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 } }
        // Of values with several cases, each of the first so many.
        for integer in UInt8(0)..<8 {
            for text in ["", "/"] {
                add(PlanDecoder.layout(of: ContainerPlan.self, integer: integer, text: text))
                add(PlanDecoder.layout(of: ExecPlan.self, integer: integer, text: text))
                add(PlanDecoder.layout(of: StartReport.self, integer: integer, text: text))
            }
        }
        return hash ^ meaning
    }()

    /// What `gantry-supervisor version` prints.
    public static var layoutText: String { "plans \(String(layout, radix: 16))\n" }

    public static func encode(_ plan: some PlanCodable) -> [UInt8] {
        var encoder = PlanEncoder()
        encoder.put(layout)
        encoder.put(plan)
        return encoder.bytes
    }

    public static func decode<Plan: PlanCodable>(_ type: Plan.Type, from bytes: [UInt8]) throws(PlanError) -> Plan {
        guard bytes.count <= byteCountMax else { throw .tooLarge(field: "plan") }
        var decoder = PlanDecoder(bytes)
        guard try decoder.integer() == layout else { throw .otherBuild }
        let plan = try Plan(from: &decoder)
        guard decoder.isAtEnd else { throw .trailingBytes }
        return plan
    }
}
