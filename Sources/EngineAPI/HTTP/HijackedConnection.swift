import NIOCore

/// A connection after Docker's hijack: raw bytes in and out, each direction ending on its own.
public final class HijackedConnection: Sendable {
    private let reader: @Sendable () async throws -> [UInt8]?
    private let writer: @Sendable ([UInt8]) async throws -> Void
    private let outputCloser: @Sendable () async throws -> Void

    /// A connection made of functions, for driving a handler without a socket.
    public init(
        read: @escaping @Sendable () async throws -> [UInt8]?,
        write: @escaping @Sendable ([UInt8]) async throws -> Void,
        closeOutput: @escaping @Sendable () async throws -> Void = {}
    ) {
        reader = read
        writer = write
        outputCloser = closeOutput
    }

    convenience init(_ socket: SocketStream) {
        self.init(
            read: {
                guard try await socket.fill(beyond: 0) else { return nil }
                return socket.withBuffer {
                    $0.readBytes(length: min($0.readableBytes, HTTPLimits.bodyPieceByteCountMax))
                }
            },
            write: { try await socket.write(ByteBuffer(bytes: $0)) },
            closeOutput: { try await socket.closeOutput() })
    }

    /// What the client sent, at most 256 KiB; `nil` when it ended its direction (output may go on). Throws
    /// `CancellationError` when the client is gone or the server stops. One reader at a time.
    public func read() async throws -> [UInt8]? { try await reader() }

    /// Returns when the kernel has the bytes; throws `HTTPConnectionError.clientGone` when the client closed.
    public func write(_ bytes: [UInt8]) async throws { if !bytes.isEmpty { try await writer(bytes) } }

    /// Ends the output; input goes on.
    public func closeOutput() async throws { try await outputCloser() }
}
