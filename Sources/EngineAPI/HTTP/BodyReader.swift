import NIOCore
import Synchronization

/// A request's body as a sequence of pieces, read from the client as they are asked for. One reader at a time.
public final class BodyReader: AsyncSequence, Sendable {
    /// From the head, when it says; a chunked body has none.
    public let declaredByteCount: Int64?
    private let pull: @Sendable () async throws -> [UInt8]?

    /// A body that is at hand.
    public convenience init(_ bytes: [UInt8]) {
        let rest = Mutex<[UInt8]?>(bytes.isEmpty ? nil : bytes)
        self.init(declaredByteCount: Int64(bytes.count)) { rest.withLock { $0.take() } }
    }

    init(declaredByteCount: Int64?, pull: @escaping @Sendable () async throws -> [UInt8]?) {
        self.declaredByteCount = declaredByteCount
        self.pull = pull
    }

    /// The next piece, at most 256 KiB from a client; `nil` at the end. Throws `HTTPError` for a malformed or too large
    /// body and `HTTPConnectionError` when the client went away before its end.
    public func next() async throws -> [UInt8]? { try await pull() }

    /// The whole body; 413 when it is larger than `byteCountMax`.
    public func collect(byteCountMax: Int) async throws -> [UInt8] {
        let tooLarge = HTTPError(413, "request body is larger than \(byteCountMax) bytes")
        if let declaredByteCount, declaredByteCount > byteCountMax { throw tooLarge }
        var bytes: [UInt8] = []
        while let piece = try await next() {
            guard piece.count <= byteCountMax - bytes.count else { throw tooLarge }
            bytes += piece
        }
        return bytes
    }

    public func makeAsyncIterator() -> Iterator { Iterator(reader: self) }

    public struct Iterator: AsyncIteratorProtocol {
        let reader: BodyReader
        public func next() async throws -> [UInt8]? { try await reader.next() }
    }
}

/// The body of a request on a connection: decoder, byte limit, and the `100 Continue` that some clients wait for.
final class ConnectionBody: Sendable {
    private struct State {
        var decoder: HTTPBodyDecoder
        var byteCount: Int64 = 0
        var byteCountMax = HTTPLimits.bodyByteCountMax
        var owesContinue: Bool
        /// A document has to be complete in time, an archive may not stop coming.
        var isDocument = true
        var deadline: NIODeadline?
    }

    private let socket: SocketStream
    private let limits: HTTPConnectionLimits
    private let state: Mutex<State>
    let declaredByteCount: Int64?

    init(_ head: HTTPRequestHead, socket: SocketStream, limits: HTTPConnectionLimits) {
        self.socket = socket
        self.limits = limits
        state = Mutex(State(decoder: HTTPBodyDecoder(head.framing), owesContinue: head.expectsContinue))
        declaredByteCount =
            switch head.framing {
            case .none: 0
            case .fixed(let byteCount): byteCount
            case .chunked: nil
            }
    }

    var reader: BodyReader {
        BodyReader(declaredByteCount: declaredByteCount) { try await self.next() }
    }

    /// The route's limit, once the route is known.
    func limit(byteCountMax: Int64) {
        state.withLock { state in
            state.byteCountMax = byteCountMax
            state.isDocument = byteCountMax < .max
        }
    }

    var isAtEnd: Bool { state.withLock { $0.decoder.isAtEnd } }

    /// Whether the client may still be waiting for a `100 Continue`: then nobody knows if a body follows.
    var owesContinue: Bool { state.withLock { $0.owesContinue && !$0.decoder.isAtEnd } }

    private func next() async throws -> [UInt8]? {
        if owesContinue {
            state.withLock { $0.owesContinue = false }
            try await socket.write(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"))
        }
        return try await nextPiece()
    }

    private func nextPiece() async throws -> [UInt8]? {
        while true {
            let (step, leftOver) = try socket.withBuffer { buffer in
                let step = try state.withLock { try $0.decoder.next(&buffer) }
                return (step, buffer.readableBytes)
            }
            switch step {
            case .end: return nil
            case .needsMore:
                try await waitForMore(than: leftOver)
            case .piece(let bytes):
                try state.withLock { state in
                    state.byteCount += Int64(bytes.count)
                    guard state.byteCount <= state.byteCountMax else {
                        throw HTTPError(413, "request body is larger than \(state.byteCountMax) bytes")
                    }
                }
                return bytes
            }
        }
    }

    private func waitForMore(than byteCount: Int) async throws {
        let deadline = state.withLock { state -> NIODeadline in
            guard state.isDocument else { return .now() + .milliseconds(limits.stallMilliseconds) }
            let deadline = state.deadline ?? .now() + .milliseconds(limits.documentMilliseconds)
            state.deadline = deadline
            return deadline
        }
        do {
            guard try await socket.fill(beyond: byteCount, until: deadline) else {
                throw HTTPConnectionError.clientGone
            }
        } catch HTTPConnectionError.late {
            throw HTTPError(408, "the request's body did not come in time")
        }
    }

    /// Reads what the handler left, so that the next request can be found; `false` when there is too much of it.
    func discardRest() async -> Bool {
        guard !owesContinue else { return false }
        var byteCount = 0
        do {
            while let piece = try await nextPiece() {
                byteCount += piece.count
                guard byteCount <= HTTPLimits.unreadBodyByteCountMax else { return false }
            }
            return true
        } catch {
            // Malformed, too large or cut: in each case no next request can be read from this connection.
            return false
        }
    }
}
