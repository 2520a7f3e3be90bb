import NIOCore
import Synchronization

/// Where a streamed answer is written. Each write reaches the client as it is; it returns when the kernel has the bytes
/// and throws when the client is gone.
public final class BodyWriter: Sendable {
    private let sink: @Sendable ([UInt8]) async throws -> Void
    private let isFinished = Atomic(false)

    /// A writer whose bytes go to `sink`, for driving a producer without a connection.
    public init(sink: @escaping @Sendable ([UInt8]) async throws -> Void) { self.sink = sink }

    /// An empty write does nothing.
    public func write(_ bytes: [UInt8]) async throws {
        guard !isFinished.load(ordering: .acquiring) else { throw HTTPConnectionError.finished }
        if !bytes.isEmpty { try await sink(bytes) }
    }

    public func write(_ text: String) async throws { try await write(Array(text.utf8)) }

    func finish() { isFinished.store(true, ordering: .releasing) }
}

extension BodyWriter {
    /// Onto a connection: chunked (RFC 9112 section 7.1), or bare for a client that ends the body by the close.
    convenience init(_ socket: SocketStream, chunked: Bool) {
        self.init { bytes in
            var buffer = ByteBuffer()
            buffer.reserveCapacity(bytes.count + 20)
            if chunked { buffer.writeString(String(bytes.count, radix: 16) + "\r\n") }
            buffer.writeBytes(bytes)
            if chunked { buffer.writeString("\r\n") }
            try await socket.write(buffer)
        }
    }
}
