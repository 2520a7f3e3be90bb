import NIOCore

/// The bytes of an answer's head (RFC 9112 section 4). Framing fields are written here and nowhere else: what a handler
/// sets of them is dropped.
enum HTTPReplyHead {
    enum Framing {
        case length(Int)
        case chunked
        /// Ended by the close of the connection.
        case close
        /// 1xx and 204: no body, and no field that speaks of one.
        case bodiless
    }

    static func bytes(
        status: Int, headers: HTTPHeaders, common: HTTPHeaders, framing: Framing, keepsAlive: Bool
    ) -> ByteBuffer {
        var text = "HTTP/1.1 \(status) \(reason(status))\r\n"
        for field in headers.fields where !isFraming(field.name) { text += line(field) }
        for field in common.fields where headers[field.name] == nil && !isFraming(field.name) { text += line(field) }
        switch framing {
        case .length(let byteCount): text += "Content-Length: \(byteCount)\r\n"
        case .chunked: text += "Transfer-Encoding: chunked\r\n"
        case .close, .bodiless: break
        }
        if headers["Date"] == nil { text += "Date: \(HTTPDate.now())\r\n" }
        if !keepsAlive { text += "Connection: close\r\n" }
        return ByteBuffer(string: text + "\r\n")
    }

    /// Docker's two forms: 101 for a client that asked for `Upgrade: tcp`, else a 200 without length or encoding.
    static func hijack(contentType: String, upgrade: Bool) -> ByteBuffer {
        let type = line(HTTPHeaders.Field(name: "Content-Type", value: contentType))
        guard upgrade else { return ByteBuffer(string: "HTTP/1.1 200 OK\r\n\(type)\r\n") }
        return ByteBuffer(string: "HTTP/1.1 101 UPGRADED\r\n\(type)Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    }

    static func webSocket(key: String) -> ByteBuffer {
        let accept = line(HTTPHeaders.Field(name: "Sec-WebSocket-Accept", value: WebSocketHandshake.accept(key)))
        return ByteBuffer(
            string: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\(accept)\r\n")
    }

    static let upgrade = ByteBuffer(string: "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")

    private static func isFraming(_ name: String) -> Bool {
        ["content-length", "transfer-encoding", "connection"].contains(name.lowercased())
    }

    /// Control characters would let a value end the line: they become spaces.
    private static func line(_ field: HTTPHeaders.Field) -> String {
        let clean = { (text: String) in
            String(decoding: text.utf8.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
        }
        return "\(clean(field.name)): \(clean(field.value))\r\n"
    }

    static func reason(_ status: Int) -> String { reasons[status] ?? "Status" }

    /// RFC 9110 section 15.
    private static let reasons: [Int: String] = [
        100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
        301: "Moved Permanently", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
        404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict",
        413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type", 422: "Unprocessable Content",
        429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
        501: "Not Implemented", 503: "Service Unavailable", 505: "HTTP Version Not Supported",
    ]
}
