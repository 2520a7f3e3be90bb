/// Status line and headers of an answer.
public struct ResponseHead: Equatable, Sendable {
    public var status: Int
    public var reason: String
    /// In order; names in lower case.
    public var headers: [(name: String, value: String)]

    public func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

    public static func == (left: ResponseHead, right: ResponseHead) -> Bool {
        left.status == right.status && left.reason == right.reason
            && left.headers.elementsEqual(right.headers) { $0 == $1 }
    }
}

/// How the end of a body is found (RFC 9112 section 6.3).
enum BodyFraming: Equatable {
    case none
    case length(UInt64)
    case chunked
    /// To the end of the connection: also a connection that was taken over.
    case untilClose
}

extension ResponseHead {
    static let byteCountMax = 32 << 10
    static let headerCountMax = 100

    /// Reads the lines between the start of the connection and the empty line.
    init(parsing lines: [ArraySlice<UInt8>]) throws(HTTPFault) {
        guard let first = lines.first else { throw .badStatusLine }
        (status, reason) = try Self.statusLine(first)
        guard lines.count - 1 <= Self.headerCountMax else { throw .tooManyHeaders }
        headers = []
        for line in lines.dropFirst() { headers.append(try Self.header(line)) }
    }

    static func checkStatusLine(_ line: ArraySlice<UInt8>) throws(HTTPFault) { _ = try statusLine(line) }

    private static func statusLine(_ line: ArraySlice<UInt8>) throws(HTTPFault) -> (Int, String) {
        let version = Array("HTTP/1.".utf8)
        guard line.starts(with: version) else { throw .badStatusLine }
        let rest = Array(line.dropFirst(version.count))
        // Minor version, space, three digits, and then either nothing or a space and the reason phrase.
        guard rest.count >= 5, rest[0] == UInt8(ascii: "0") || rest[0] == UInt8(ascii: "1"), rest[1] == 0x20,
            rest[2...4].allSatisfy(isDigit), rest.count == 5 || rest[5] == 0x20
        else { throw .badStatusLine }
        let status = rest[2...4].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        guard (100...599).contains(status) else { throw .badStatusLine }
        return (status, String(decoding: rest.dropFirst(6), as: UTF8.self))
    }

    private static func header(_ line: ArraySlice<UInt8>) throws(HTTPFault) -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { throw .badHeader }
        let name = line[..<colon]
        let value = line[line.index(after: colon)...]
        guard name.allSatisfy(isTokenByte), value.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
            throw .badHeader
        }
        let lowered = name.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }
        return (String(decoding: lowered, as: UTF8.self), String(decoding: trimmed(value), as: UTF8.self))
    }

    /// How this head's body ends. `takenOver`: the request asked for the connection itself (attach, exec).
    func framing(headRequest: Bool, takenOver: Bool) throws(HTTPFault) -> BodyFraming {
        let lengths = values("content-length")
        let encodings = values("transfer-encoding")
        if !encodings.isEmpty, !lengths.isEmpty { throw .lengthAndChunked }
        if headRequest || status == 204 || status == 304 { return .none }
        if status == 101 { return takenOver ? .untilClose : .none }
        if !encodings.isEmpty {
            guard encodings.count == 1, lowercased(encodings[0]) == "chunked" else { throw .badTransferEncoding }
            return .chunked
        }
        guard let text = lengths.first else { return .untilClose }
        guard lengths.count == 1, !text.isEmpty, text.utf8.allSatisfy(isDigit), let length = UInt64(text) else {
            throw .badContentLength
        }
        return length == 0 ? .none : .length(length)
    }
}

func lowercased(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
}

func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

/// `tchar` of RFC 9110 section 5.6.2.
private func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}

private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var slice = bytes
    while let first = slice.first, first == 0x20 || first == 0x09 { slice = slice.dropFirst() }
    while let last = slice.last, last == 0x20 || last == 0x09 { slice = slice.dropLast() }
    return slice
}
