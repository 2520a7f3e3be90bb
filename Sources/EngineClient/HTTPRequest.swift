/// A request as this client sends it: one a connection.
public struct HTTPRequest: Equatable, Sendable {
    public enum Body: Equatable, Sendable {
        case none
        case json([UInt8])
        /// A tar of `length` bytes, or of unknown length (then chunked), sent after the head.
        case tar(length: UInt64?)
    }
    public var method: String
    /// What the engine is called there.
    public var host = "gantry"
    /// Path segments without slashes; each is percent-encoded.
    public var path: [String]
    public var query: [(name: String, value: String)]
    public var body: Body
    /// Ask for the connection itself: `Connection: Upgrade`, `Upgrade: tcp`.
    public var takesOver: Bool
    /// `X-Registry-Auth` of Docker's API: base64url.
    public var registryAuth: String?
    /// `Gantry-Command`: who changes a stack, as percent-encoded JSON of `CommandOwner`.
    public var command: String?
    /// `Gantry-Lock-Timeout`: nanoseconds.
    public var lockTimeout: Int64?

    public init(
        _ method: String, _ path: [String], query: [(name: String, value: String)] = [], body: Body = .none,
        takesOver: Bool = false
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.takesOver = takesOver
    }

    public static func == (left: HTTPRequest, right: HTTPRequest) -> Bool {
        left.method == right.method && left.target == right.target && left.body == right.body
            && left.takesOver == right.takesOver && left.registryAuth == right.registryAuth
            && left.command == right.command && left.lockTimeout == right.lockTimeout
    }

    /// Path and query as they stand in the request line.
    public var target: String {
        let path = path.map { "/" + percentEncoded($0) }.joined()
        if query.isEmpty { return path }
        return path + "?"
            + query.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&")
    }

    /// The head and, when it is JSON, the body.
    public var bytes: [UInt8] {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: gantry\r\n"
        text += takesOver ? "Connection: Upgrade\r\nUpgrade: tcp\r\n" : "Connection: close\r\n"
        if let registryAuth { text += "X-Registry-Auth: \(registryAuth)\r\n" }
        if let command { text += "Gantry-Command: \(command)\r\n" }
        if let lockTimeout { text += "Gantry-Lock-Timeout: \(lockTimeout)\r\n" }
        switch body {
        case .none: if method != "GET", method != "HEAD" { text += "Content-Length: 0\r\n" }
        case .json(let bytes): text += "Content-Type: application/json\r\nContent-Length: \(bytes.count)\r\n"
        case .tar(let length?): text += "Content-Type: application/x-tar\r\nContent-Length: \(length)\r\n"
        case .tar(nil): text += "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"
        }
        text += "\r\n"
        if case .json(let bytes) = body { return Array(text.utf8) + bytes }
        return Array(text.utf8)
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            bytes.append(byte)
        default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
