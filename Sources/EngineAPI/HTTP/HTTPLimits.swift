/// What the server accepts at most; anything beyond is refused with a 4xx answer, never held.
public enum HTTPLimits {
    /// Request line and header fields together. `X-Registry-Config` and build arguments make heads of some kilobytes.
    public static let headByteCountMax = 64 << 10
    public static let headerCountMax = 128
    public static let pathSegmentCountMax = 64
    public static let queryPairCountMax = 1_024
    /// The default of a route; routes that take archives give their own.
    public static let bodyByteCountMax: Int64 = 16 << 20
    /// A chunk's size line with its extensions (RFC 9112 section 7.1.1).
    public static let chunkLineByteCountMax = 256
    /// All trailer fields of a chunked body together.
    public static let trailerByteCountMax = 8 << 10
    /// The largest piece of a body handed to its reader at once.
    public static let bodyPieceByteCountMax = 256 << 10
    /// What the server still reads of a body that the handler left unread, to keep the connection for a next request.
    public static let unreadBodyByteCountMax = 1 << 20
    /// How long the server waits, after its last byte, for the client to close. Closing a Unix socket with unread
    /// bytes gives the peer ECONNRESET in place of the end of the stream (unix(7), `unix_release_sock`).
    public static let lingerMillisecondsMax: Int64 = 2_000
    /// Clients built on Python's http.client lose the bytes that arrive in the same read as the head of a hijacked
    /// answer (docker-py issues 425, 2466, 3332): for them the first payload waits until they have read the head, for
    /// at most so many looks.
    static let hijackHeadLooksMax = 1_000
    static let hijackHeadLookMilliseconds = 2
    /// Value of `listen(2)`'s backlog.
    static let listenBacklog: Int32 = 1_024
}

/// How many connections there may be, and how long a client may take. A test has shorter ones.
public struct HTTPConnectionLimits: Sendable {
    /// At one time; the next one is answered 503.
    public var connectionsMax = 4_096
    /// Of one user, or of one address; the next one is answered 503.
    public var connectionsPerPeerMax = 2_048
    /// Answers that go on and connections that were taken over, of one user or one address; the next one is answered
    /// 503. Half as many as there are threads for them (`Engine.streamThreadsMax`).
    public var streamsPerPeerMax = 1_024
    /// From the first byte of a request's head to its last.
    public var headMilliseconds: Int64 = 30_000
    /// On a TCP port: until the first byte of the first request, with the handshake of TLS.
    public var firstByteMilliseconds: Int64 = 30_000
    /// On a TCP port: between an answer and the next request.
    public var idleMilliseconds: Int64 = 300_000
    /// Of a body that is a document: from its first byte to its last.
    public var documentMilliseconds: Int64 = 120_000
    /// Of a body that is an archive, which may take as long as it takes: without a byte.
    public var stallMilliseconds: Int64 = 600_000

    public init() {}
}
