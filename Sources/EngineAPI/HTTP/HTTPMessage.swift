import Glibc

/// Who is at the other end of a Unix socket: `SO_PEERCRED` of unix(7), as it was at connect(2).
public struct PeerCredentials: Equatable, Sendable {
    public var processID: Int32
    public var userID: UInt32
    public var groupID: UInt32

    public init(processID: Int32, userID: UInt32, groupID: UInt32) {
        self.processID = processID
        self.userID = userID
        self.groupID = groupID
    }
}

/// A request, its head checked and taken apart; the body still comes.
public struct HTTPRequest: Sendable {
    /// As sent: `GET`, `POST`, …
    public var method: String
    /// Decoded segments, without the version prefix. A segment may hold any character but NUL, also `/`: never use one
    /// as a file name.
    public var path: [String]
    /// From the path's prefix `/v1.43`.
    public var version: APIVersion?
    /// Decoded; the values of a name in order.
    public var query: [String: [String]]
    public var headers: HTTPHeaders
    public var body: BodyReader
    /// `nil` when the kernel does not say.
    public var peer: PeerCredentials?

    init(_ head: HTTPRequestHead, body: BodyReader, peer: PeerCredentials?) throws(HTTPError) {
        try self.init(method: head.method, target: head.target, headers: head.headers, body: body, peer: peer)
    }

    /// `target` as on a request line: `/v1.43/containers/json?all=1`.
    public init(
        method: String, target: String, headers: HTTPHeaders = [:], body: BodyReader = BodyReader([]),
        peer: PeerCredentials? = nil
    ) throws(HTTPError) {
        let target = try HTTPTarget(target)
        self.method = method
        path = target.path
        version = target.version
        query = target.query
        self.headers = headers
        self.body = body
        self.peer = peer
    }

    /// First value of a query parameter; `nil` when it is absent.
    public func queryValue(_ name: String) -> String? { query[name]?.first }

    /// A boolean query parameter by Docker's rule: empty, `0`, `no`, `false` and `none` in any case are false, every
    /// other value is true.
    public func queryFlag(_ name: String, default absent: Bool = false) -> Bool {
        guard let value = queryValue(name) else { return absent }
        return !["", "0", "no", "false", "none"].contains(value.lowercased())
    }

    /// An integer query parameter; `nil` when absent or empty, 400 when it is no number.
    public func queryInteger(_ name: String) throws(HTTPError) -> Int? {
        guard let value = queryValue(name), !value.isEmpty else { return nil }
        guard let number = Int(value) else { throw HTTPError(400, "invalid \(name): '\(value)' is not a number") }
        return number
    }
}

/// An answer: all of it, a stream, or the connection itself.
public enum HTTPReply: Sendable {
    case full(status: Int, headers: HTTPHeaders, body: [UInt8])
    /// The head is sent before `producer` runs, and each write is a chunk of its own, sent at once. A producer that
    /// throws cuts the answer off, so that the client can tell. Its task is cancelled when the client goes away.
    case stream(status: Int, headers: HTTPHeaders, producer: @Sendable (BodyWriter) async throws -> Void)
    /// Docker's hijack: after the head, the connection carries raw bytes both ways. It ends when `handler` returns.
    case hijack(contentType: String, handler: @Sendable (HijackedConnection) async -> Void)
    /// The same after the handshake of a WebSocket, which answers the client's key.
    case webSocket(key: String, handler: @Sendable (HijackedConnection) async -> Void)
    /// The connection goes on in HTTP/2 without TLS, as `Upgrade: h2c` asks for. It ends when `handler` returns.
    case upgrade(HTTP2Channel.Side, handler: @Sendable (HTTP2Channel) async -> Void)

    /// As it is sent, where all goes well.
    var status: Int {
        switch self {
        case .full(let status, _, _), .stream(let status, _, _): status
        case .hijack, .webSocket, .upgrade: 101
        }
    }

    public static func text(_ text: String, status: Int = 200, headers: HTTPHeaders = [:]) -> HTTPReply {
        var headers = headers
        if headers["Content-Type"] == nil { headers.set("Content-Type", "text/plain; charset=utf-8") }
        return .full(status: status, headers: headers, body: Array(text.utf8))
    }

    public static func empty(status: Int = 204, headers: HTTPHeaders = [:]) -> HTTPReply {
        .full(status: status, headers: headers, body: [])
    }
}
