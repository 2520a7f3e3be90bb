import CLibCrypto
import FoundationEssentials
import Synchronization

/// Why a client's WebSocket cannot go on.
enum WebSocketError: Error, Equatable {
    /// Not as RFC 6455 has it.
    case protocolBroken(String)
    case frameTooLong
}

/// The handshake of RFC 6455, section 4.2.
enum WebSocketHandshake {
    private static let version = "13"
    private static let keyByteCount = 16

    /// The client's key.
    static func key(_ request: HTTPRequest) throws(HTTPError) -> String {
        guard request.headers.contains("Upgrade", token: "websocket"),
            request.headers.contains("Connection", token: "upgrade")
        else {
            throw HTTPError(
                400, "this is for WebSockets: the headers 'Upgrade: websocket' and 'Connection: Upgrade' are missing")
        }
        guard request.headers["Sec-WebSocket-Version"] == version else {
            throw HTTPError(400, "WebSockets have version \(version) here")
        }
        guard let key = request.headers["Sec-WebSocket-Key"], Data(base64Encoded: key)?.count == keyByteCount else {
            throw HTTPError(400, "Sec-WebSocket-Key is no key")
        }
        return key
    }

    /// What shows the client that its key was read by who speaks the protocol.
    static func accept(_ key: String) -> String {
        var context = SHA_CTX()
        SHA1_Init(&context)
        let bytes = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        SHA1_Update(&context, bytes, bytes.count)
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        SHA1_Final(&digest, &context)
        return Data(digest).base64EncodedString()
    }
}

/// One frame, and how it is written by a server: never masked.
struct WebSocketFrame: Equatable {
    enum Kind: UInt8 {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10

        var isControl: Bool { rawValue >= 8 }
    }

    var kind: Kind
    var payload: [UInt8]

    var bytes: [UInt8] {
        var bytes: [UInt8] = [0x80 | kind.rawValue]
        switch payload.count {
        case ..<126: bytes.append(UInt8(payload.count))
        case ..<(1 << 16): bytes += [126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
        default: bytes += [127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        return bytes + payload
    }
}

/// Takes a client's bytes apart into frames.
struct WebSocketDecoder {
    static let payloadByteCountMax = 1 << 20
    private static let controlByteCountMax = 125

    private var bytes: [UInt8] = []

    mutating func append(_ more: [UInt8]) { bytes += more }

    /// `nil` until a frame is whole.
    mutating func next() throws(WebSocketError) -> WebSocketFrame? {
        guard bytes.count >= 2 else { return nil }
        guard bytes[0] & 0x70 == 0, let kind = WebSocketFrame.Kind(rawValue: bytes[0] & 0x0f) else {
            throw .protocolBroken("a frame of an unknown kind")
        }
        guard bytes[1] & 0x80 != 0 else { throw .protocolBroken("a client's frame without mask") }
        var count = Int(bytes[1] & 0x7f)
        var start = 2
        if count >= 126 {
            let width = count == 126 ? 2 : 8
            guard bytes.count >= start + width else { return nil }
            guard width == 2 || bytes[2] == 0 else { throw .frameTooLong }
            count = bytes[start..<(start + width)].reduce(0) { $0 << 8 | Int($1) }
            start += width
        }
        guard count <= Self.payloadByteCountMax else { throw .frameTooLong }
        if kind.isControl, count > Self.controlByteCountMax || bytes[0] & 0x80 == 0 {
            throw .protocolBroken("a control frame that is long or in pieces")
        }
        guard bytes.count >= start + 4 + count else { return nil }
        let mask = Array(bytes[start..<(start + 4)])
        let payload = bytes[(start + 4)..<(start + 4 + count)].enumerated().map { $1 ^ mask[$0 % 4] }
        bytes.removeFirst(start + 4 + count)
        return WebSocketFrame(kind: kind, payload: payload)
    }
}

/// A WebSocket over a connection, as a connection of the bytes in its messages.
final class WebSocketConnection: Sendable {
    private let connection: HijackedConnection
    private let decoder = Mutex(WebSocketDecoder())
    /// What is written comes in Docker's stream frames, which a WebSocket has no place for: both streams are one.
    private let isFramed: Bool
    /// Ends when the client takes its leave.
    private let leave: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    init(_ connection: HijackedConnection, isFramed: Bool) {
        self.connection = connection
        self.isFramed = isFramed
        leave = AsyncStream.makeStream()
    }

    /// Until the handler returns or the client takes its leave.
    func run(_ handler: @escaping @Sendable (HijackedConnection) async -> Void) async {
        let content = HijackedConnection(read: { try await self.read() }, write: { try await self.write($0) })
        await withTaskGroup { group in
            group.addTask { await handler(content) }
            group.addTask { for await _ in self.leave.stream {} }
            await group.next()
            group.cancelAll()
        }
        // The client may have gone.
        try? await connection.write(WebSocketFrame(kind: .close, payload: []).bytes)
    }

    private func read() async throws -> [UInt8]? {
        while true {
            // Thrown out of the lock's typed closure as a value.
            let result = decoder.withLock { decoder in Result { () throws(WebSocketError) in try decoder.next() } }
            if let frame = try result.get() {
                switch frame.kind {
                case .continuation, .text, .binary: if !frame.payload.isEmpty { return frame.payload }
                case .ping: try await connection.write(WebSocketFrame(kind: .pong, payload: frame.payload).bytes)
                case .pong: break
                case .close:
                    leave.continuation.finish()
                    return nil
                }
                continue
            }
            guard let bytes = try await connection.read() else { return nil }
            decoder.withLock { $0.append(bytes) }
        }
    }

    private func write(_ bytes: [UInt8]) async throws {
        let payload = isFramed ? Self.unframed(bytes) : bytes
        guard !payload.isEmpty else { return }
        try await connection.write(WebSocketFrame(kind: .binary, payload: payload).bytes)
    }

    /// The payloads of whole stream frames.
    static func unframed(_ bytes: [UInt8]) -> [UInt8] {
        let headerByteCount = 8
        var payload: [UInt8] = []
        var rest = bytes[...]
        while rest.count >= headerByteCount {
            let count = rest.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
            payload += rest.dropFirst(headerByteCount).prefix(count)
            rest = rest.dropFirst(headerByteCount + count)
        }
        return payload
    }
}
