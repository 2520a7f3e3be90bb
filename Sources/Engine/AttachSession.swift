import CLinux
import Glibc
import LinuxSystem

/// One chunk of a container's or an exec's streams: Docker's eight-byte header and the bytes.
public struct StreamFrame: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        case standardInput = 0
        case standardOutput = 1
        case standardError = 2
        case resize = 3
        case closeInput = 4
        /// Four bytes: the exit status. The last frame of an exec.
        case exit = 5
    }

    static let headerBytes = 8
    /// Neither side sends more in one, and the supervisor drops who does.
    static let payloadBytesMax = 64 << 10

    public var kind: Kind
    public var payload: [UInt8]

    public init(kind: Kind, payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }

    /// As on the wire.
    public var bytes: [UInt8] {
        let count = UInt32(payload.count)
        return [kind.rawValue, 0, 0, 0] + Self.bigEndian(count) + payload
    }

    public var exitCode: Int? {
        guard kind == .exit, payload.count == 4 else { return nil }
        return Int(payload.reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
    }
}

/// The engine's end of a supervisor's framed socket. Reads and writes block threads of a pool of their own, so that
/// many idle sessions never hold up the engine's work.
public final class AttachSession: Sendable {
    /// Output is raw: standard error is not told apart.
    public let isTerminal: Bool
    private let socket: SharedDescriptor
    private let pool: BlockingPool

    init(socket: SharedDescriptor, isTerminal: Bool, pool: BlockingPool) {
        self.socket = socket
        self.isTerminal = isTerminal
        self.pool = pool
    }

    /// The next frame; `nil` when the other side has gone.
    public func read() async -> StreamFrame? {
        let socket = socket
        return await pool.run { () -> StreamFrame? in
            guard let header = Self.read(socket.raw, count: StreamFrame.headerBytes),
                let kind = StreamFrame.Kind(rawValue: header[0])
            else { return nil }
            let count = header[4...].reduce(0) { $0 << 8 | Int($1) }
            guard count <= StreamFrame.payloadBytesMax, let payload = Self.read(socket.raw, count: count) else {
                return nil
            }
            return StreamFrame(kind: kind, payload: payload)
        }
    }

    /// Sends input of any length. `false` when the other side has gone.
    public func sendInput(_ bytes: [UInt8]) async -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(StreamFrame.payloadBytesMax)
            guard await send(StreamFrame(kind: .standardInput, payload: Array(piece))) else { return false }
            rest = rest.dropFirst(piece.count)
        }
        return true
    }

    /// Sends a new window size or the end of the input. `false` when the other side has gone.
    @discardableResult
    public func send(_ frame: StreamFrame) async -> Bool {
        let socket = socket
        return await pool.run {
            var bytes = frame.bytes[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { Glibc.send(socket.raw, $0.baseAddress, $0.count, noSignal) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                bytes = bytes.dropFirst(count)
            }
            return true
        }
    }

    public func resize(rows: UInt16, columns: UInt16) async {
        let payload = [UInt8(rows >> 8), UInt8(rows & 0xff), UInt8(columns >> 8), UInt8(columns & 0xff)]
        await send(StreamFrame(kind: .resize, payload: payload))
    }

    /// Ends the session; a read that waits returns.
    public func close() { shutdown(socket.raw, Int32(SHUT_RDWR)) }

    private static func read(_ descriptor: Int32, count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        var chunk = [UInt8](repeating: 0, count: count)
        while bytes.count < count {
            let received = recv(descriptor, &chunk, count - bytes.count, 0)
            if received < 0, errno == EINTR { continue }
            guard received > 0 else { return nil }
            bytes += chunk.prefix(received)
        }
        return bytes
    }
}

private let noSignal = Int32(MSG_NOSIGNAL)
