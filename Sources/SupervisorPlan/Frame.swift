/// Streams over one socket: Docker's 8-byte header (type, three zero bytes, length big-endian), both ways.
public enum FrameKind: UInt8, Sendable {
    /// Client to supervisor: bytes for standard input.
    case stdin = 0
    /// Supervisor to client; with a terminal, everything.
    case stdout = 1
    case stderr = 2
    /// Client to supervisor: rows and columns, 16-bit big-endian each.
    case resize = 3
    /// Client to supervisor: end of standard input.
    case closeStdin = 4
    /// Supervisor to client, last frame: exit code, 32-bit big-endian.
    case exit = 5
}

public enum Frame {
    public static let headerByteCount = 8
    /// Largest payload either side may announce.
    public static let payloadByteCountMax = 64 << 10

    public static func header(_ kind: FrameKind, payloadByteCount count: Int) -> [UInt8] {
        let count = UInt32(truncatingIfNeeded: count)
        return [
            kind.rawValue, 0, 0, 0, UInt8(truncatingIfNeeded: count >> 24), UInt8(truncatingIfNeeded: count >> 16),
            UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count),
        ]
    }

    public static func encode(_ kind: FrameKind, _ payload: [UInt8]) -> [UInt8] {
        header(kind, payloadByteCount: payload.count) + payload
    }

    public static func exit(code: Int32) -> [UInt8] {
        let code = UInt32(bitPattern: code)
        return encode(
            .exit,
            [
                UInt8(truncatingIfNeeded: code >> 24), UInt8(truncatingIfNeeded: code >> 16),
                UInt8(truncatingIfNeeded: code >> 8), UInt8(truncatingIfNeeded: code),
            ])
    }

    public static func resize(rows: UInt16, columns: UInt16) -> [UInt8] {
        encode(
            .resize,
            [UInt8(rows >> 8), UInt8(rows & 0xff), UInt8(columns >> 8), UInt8(columns & 0xff)])
    }
}

/// Cuts a byte stream into frames; hostile lengths and unknown types end it with an error.
public struct FrameParser: Sendable {
    public enum Failure: Error, Sendable { case unknownKind(UInt8), tooLong(Int) }

    private var pending: [UInt8] = []

    public init() {}

    /// Bytes of an unfinished frame.
    public var pendingByteCount: Int { pending.count }

    public mutating func append(_ bytes: some Collection<UInt8>) { pending.append(contentsOf: bytes) }

    /// The next whole frame, `nil` when more bytes are needed.
    public mutating func next() throws(Failure) -> (kind: FrameKind, payload: [UInt8])? {
        guard pending.count >= Frame.headerByteCount else { return nil }
        guard let kind = FrameKind(rawValue: pending[0]) else { throw .unknownKind(pending[0]) }
        var length = 0
        for index in 4..<8 { length = length << 8 | Int(pending[index]) }
        guard length <= Frame.payloadByteCountMax else { throw .tooLong(length) }
        let end = Frame.headerByteCount + length
        guard pending.count >= end else { return nil }
        let payload = Array(pending[Frame.headerByteCount..<end])
        pending.removeFirst(end)
        return (kind, payload)
    }
}
