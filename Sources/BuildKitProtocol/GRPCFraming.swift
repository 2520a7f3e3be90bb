/// gRPC's length-prefixed messages (grpc/doc/PROTOCOL-HTTP2.md): one byte that says whether it is compressed, four of
/// length, the message.
public enum GRPCFramingError: Error, Equatable, Sendable {
    /// Nobody was told that it may be compressed.
    case compressed
    case tooLong(byteCount: Int)
}

/// Takes messages out of a stream's bytes.
public struct GRPCMessageParser: Sendable {
    /// As BuildKit's own limit.
    public static let messageByteCountMax = 16 << 20
    private static let prefixByteCount = 5

    private var buffer: [UInt8] = []
    private var start = 0

    public init() {}

    public mutating func append(_ bytes: some Sequence<UInt8>) {
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer += bytes
    }

    /// The next whole message; `nil` until more comes.
    public mutating func next() throws(GRPCFramingError) -> [UInt8]? {
        let rest = buffer[start...]
        guard rest.count >= Self.prefixByteCount else { return nil }
        guard rest[start] == 0 else { throw .compressed }
        let count = rest[(start + 1)..<(start + Self.prefixByteCount)].reduce(0) { $0 << 8 | Int($1) }
        guard count <= Self.messageByteCountMax else { throw .tooLong(byteCount: count) }
        guard rest.count >= Self.prefixByteCount + count else { return nil }
        start += Self.prefixByteCount + count
        return Array(buffer[(start - count)..<start])
    }
}

/// A message with its prefix.
public func grpcFramed(_ message: [UInt8]) -> [UInt8] {
    let count = UInt32(message.count)
    return [0, UInt8(count >> 24), UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)] + message
}

/// Why a call failed (grpc/doc/statuscodes.md).
public struct GRPCStatus: Error, Equatable, Sendable {
    public enum Code: Int, Sendable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case notFound = 5
        case unimplemented = 12
        case unavailable = 14
    }

    public var code: Int
    public var message: String

    public init(_ code: Code, _ message: String = "") {
        (self.code, self.message) = (code.rawValue, message)
    }

    /// - Parameter code: as the peer sent it.
    public init(rawCode code: Int, _ message: String) { (self.code, self.message) = (code, message) }

    /// As the header `grpc-message` has it: all but printable ASCII, and `%`, as `%XX`.
    public var encodedMessage: String {
        let hex = Array("0123456789ABCDEF".unicodeScalars)
        var result = ""
        for byte in message.utf8 {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += "%"
                result.unicodeScalars.append(hex[Int(byte >> 4)])
                result.unicodeScalars.append(hex[Int(byte & 15)])
            }
        }
        return result
    }
}
