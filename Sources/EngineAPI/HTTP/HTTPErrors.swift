import EngineWire

/// An error that knows its answer. Handlers throw it, the router renders it; any other error is a 500.
public protocol HTTPFailure: Error {
    /// HTTP status, 4xx or 5xx.
    var status: Int { get }
    /// Body of the answer.
    var reply: ErrorReply { get }
}

/// A failure with a status and a message.
public struct HTTPError: HTTPFailure, Equatable, CustomStringConvertible {
    public var status: Int
    public var reply: ErrorReply

    public init(_ status: Int, _ message: String) {
        self.status = status
        reply = ErrorReply(message: message)
    }

    public var description: String { "\(status) \(reply.message)" }
}

/// Why bytes could not be read from or written to a client.
public enum HTTPConnectionError: Error, Equatable {
    /// The client closed the connection, or the server did while stopping.
    case clientGone
    /// The answer was over before this write.
    case finished
    /// The client took too long.
    case late
}

/// Why the server could not start.
public enum HTTPServerError: Error, Equatable, CustomStringConvertible {
    /// A server answers at this path already.
    case addressInUse(path: String)
    /// There is something at the path that is no socket.
    case notASocket(path: String)
    /// `sun_path` holds 107 bytes and a NUL (unix(7)).
    case pathTooLong(path: String)
    /// The descriptor that systemd passed is not a listening stream socket.
    case unusableActivationSocket
    /// A TCP port that is taken, or an address that is not this machine's.
    case cannotListen(address: String, reason: String)
    case alreadyStarted

    public var description: String {
        switch self {
        case .addressInUse(let path): "an engine is listening on \(path) already"
        case .notASocket(let path): "\(path) exists and is not a socket"
        case .pathTooLong(let path): "the socket path \(path) is longer than 100 bytes"
        case .unusableActivationSocket: "the descriptor from systemd is not a listening Unix stream socket"
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .alreadyStarted: "the server was started before"
        }
    }
}
