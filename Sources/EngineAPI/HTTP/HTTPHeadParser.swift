import NIOCore

/// A request's line and header fields, checked, with the framing of the body that follows.
struct HTTPRequestHead: Equatable {
    enum Framing: Equatable {
        case none
        case fixed(Int64)
        case chunked
    }

    var method: String
    var target: String
    /// HTTP/1.`minor`: 0 or 1.
    var minorVersion: Int
    var headers: HTTPHeaders
    var framing: Framing

    /// RFC 9112 section 9.3. Version 1.0 connections are never kept.
    var keepsAlive: Bool { minorVersion == 1 && !headers.contains("Connection", token: "close") }
    var expectsContinue: Bool { minorVersion == 1 && headers.contains("Expect", token: "100-continue") }
    var asksForTCPUpgrade: Bool {
        headers.contains("Upgrade", token: "tcp") && headers.contains("Connection", token: "upgrade")
    }
}

/// A strict parser of HTTP/1.x request heads (RFC 9112). It takes the bytes of one head from the buffer, none beyond,
/// so that what follows can be a body, a next request, or the raw bytes of a hijacked connection. What two parsers
/// could read differently (bare LF or CR, folded lines, white space before a colon, Content-Length with
/// Transfer-Encoding or twice) is refused.
struct HTTPHeadParser {
    /// Bytes after the reader index that hold no end of the head.
    private var scanned = 0
    private var lineStart = 0

    /// The head when all of it is in the buffer, `nil` when more bytes are needed.
    mutating func parse(_ buffer: inout ByteBuffer) throws(HTTPError) -> HTTPRequestHead? {
        if scanned == 0 { try skipEmptyLines(&buffer) }
        guard let length = try endOfHead(buffer) else { return nil }
        let bytes = buffer.readBytes(length: length) ?? []
        self = HTTPHeadParser()
        return try Self.parseHead(bytes)
    }

    /// Empty lines before a request line are ignored (RFC 9112 section 2.2).
    private func skipEmptyLines(_ buffer: inout ByteBuffer) throws(HTTPError) {
        while let first: UInt8 = buffer.getInteger(at: buffer.readerIndex), first == 0x0D,
            let second: UInt8 = buffer.getInteger(at: buffer.readerIndex + 1)
        {
            guard second == 0x0A else { throw HTTPError(400, "malformed request line") }
            buffer.moveReaderIndex(forwardBy: 2)
        }
    }

    /// Number of bytes up to and with the empty line.
    private mutating func endOfHead(_ buffer: ByteBuffer) throws(HTTPError) -> Int? {
        let view = buffer.readableBytesView
        let limit = min(view.count, HTTPLimits.headByteCountMax)
        while scanned < limit {
            let byte = view[view.startIndex + scanned]
            if byte == 0x0A {
                guard scanned > 0, view[view.startIndex + scanned - 1] == 0x0D else {
                    throw HTTPError(400, "request head has a line feed without carriage return")
                }
                if scanned - lineStart == 1 { return scanned + 1 }
                lineStart = scanned + 1
            }
            scanned += 1
        }
        if view.count >= HTTPLimits.headByteCountMax { throw HTTPError(431, "request head is too large") }
        return nil
    }

    private static func parseHead(_ bytes: [UInt8]) throws(HTTPError) -> HTTPRequestHead {
        // The last two lines are the empty line and what follows its line feed: nothing.
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast(2).map { $0.dropLast() }
        guard let first = lines.first else { throw HTTPError(400, "malformed request line") }
        let (method, target, minorVersion) = try parseRequestLine(first)
        guard lines.count - 1 <= HTTPLimits.headerCountMax else { throw HTTPError(431, "too many header fields") }
        var headers = HTTPHeaders()
        for line in lines.dropFirst() {
            let (name, value) = try parseField(line)
            headers.add(name, value)
        }
        return HTTPRequestHead(
            method: method, target: target, minorVersion: minorVersion, headers: headers,
            framing: try framing(headers, minorVersion: minorVersion))
    }

    private static func parseRequestLine(_ line: ArraySlice<UInt8>) throws(HTTPError) -> (String, String, Int) {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        let methodByteCountMax = 32
        guard parts.count == 3, !parts[0].isEmpty, parts[0].count <= methodByteCountMax, parts[0].allSatisfy(isToken),
            !parts[1].isEmpty, parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw HTTPError(400, "malformed request line") }
        let version = String(decoding: parts[2], as: UTF8.self)
        let minorVersion: Int
        switch version {
        case "HTTP/1.1": minorVersion = 1
        case "HTTP/1.0": minorVersion = 0
        default:
            throw version.hasPrefix("HTTP/")
                ? HTTPError(505, "only HTTP/1.1 is spoken here") : HTTPError(400, "malformed request line")
        }
        return (
            String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self), minorVersion
        )
    }

    private static func parseField(_ line: ArraySlice<UInt8>) throws(HTTPError) -> (String, String) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw HTTPError(400, "malformed header field") }
        let name = line[..<colon]
        var value = line[(colon + 1)...]
        while let byte = value.first, byte == 0x20 || byte == 0x09 { value.removeFirst() }
        while let byte = value.last, byte == 0x20 || byte == 0x09 { value.removeLast() }
        let isFieldByte = { (byte: UInt8) in byte == 0x09 || (byte >= 0x20 && byte != 0x7F) }
        guard !name.isEmpty, name.allSatisfy(isToken), value.allSatisfy(isFieldByte) else {
            throw HTTPError(400, "malformed header field")
        }
        return (String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }

    /// RFC 9112 section 6.3, with every ambiguous combination refused.
    private static func framing(
        _ headers: HTTPHeaders, minorVersion: Int
    ) throws(HTTPError) -> HTTPRequestHead.Framing {
        let lengths = headers.all("Content-Length")
        let encodings = headers.all("Transfer-Encoding")
        if !encodings.isEmpty {
            guard lengths.isEmpty else { throw HTTPError(400, "Content-Length and Transfer-Encoding together") }
            guard minorVersion == 1 else { throw HTTPError(400, "Transfer-Encoding in HTTP/1.0") }
            guard encodings.count == 1, encodings[0].lowercased() == "chunked" else {
                throw HTTPError(501, "unsupported Transfer-Encoding")
            }
            return .chunked
        }
        guard let length = lengths.first else { return .none }
        let digitCountMax = 18
        guard lengths.count == 1, !length.isEmpty, length.utf8.count <= digitCountMax, length.utf8.allSatisfy(isDigit),
            let byteCount = Int64(length)
        else { throw HTTPError(400, "malformed Content-Length") }
        return byteCount == 0 ? .none : .fixed(byteCount)
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
private func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"):
        true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
