import EngineWire
import LinuxSystem
import TLSTransport

/// Why a request to the engine gave no answer.
public enum EngineClientError: Error, Equatable, Sendable {
    /// Nothing listens on the socket (ENOENT, ECONNREFUSED).
    case notRunning(socket: String)
    /// The socket is not ours to open (EACCES, EPERM).
    case denied(socket: String)
    case system(SystemError)
    /// What answered does not speak the engine's protocol.
    case malformed(HTTPFault)
    /// The engine closed the connection before its answer was complete.
    case cut
    /// What leads to an engine on another machine ended before it answered; it has said why on standard error.
    case unreachable
    /// ssh(1) is not installed.
    case noSSH
    /// No connection to a `tcp://` host, or none that is safe.
    case noLink(host: String, TLSError)
    /// A `tcp://` host of another machine, and no TLS.
    case notSecured(host: String)
    /// The engine answered with 4xx or 5xx.
    case refused(status: Int, ErrorReply)
    /// An answer's JSON is not what this client expects; the text says which answer.
    case unexpectedAnswer(String)
}

/// A violation of HTTP/1.1 (RFC 9112), or of a limit of this client, by what answers on the socket.
public enum HTTPFault: Error, Equatable, Sendable {
    case badStatusLine, badHeader, headTooLong, tooManyHeaders
    case badContentLength, badTransferEncoding, lengthAndChunked
    case badChunkSize, badChunkEnd, chunkLineTooLong
    case bodyTooLong, lineTooLong
    case badFrame, frameTooLong
    case endedEarly
}
