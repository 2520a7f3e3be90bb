/// A version in a path's prefix: `/v1.43/…`.
public struct APIVersion: Comparable, Sendable {
    public var major: Int
    public var minor: Int

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// `v1.43`; `nil` for anything else.
    init?(segment: String) {
        guard segment.utf8.first == UInt8(ascii: "v") else { return nil }
        let parts = segment.dropFirst().split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 4 && $0.utf8.allSatisfy(isDigit) }),
            let major = Int(parts[0]), let minor = Int(parts[1])
        else { return nil }
        self.init(major, minor)
    }

    public static func < (left: APIVersion, right: APIVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}

/// A request target (RFC 9112 section 3.2) taken apart: decoded path segments without version prefix, and the query.
struct HTTPTarget: Equatable {
    var version: APIVersion?
    var path: [String]
    var query: [String: [String]]

    init(_ target: String) throws(HTTPError) {
        let (path, query) = Self.split(Self.originForm(target))
        guard path.utf8.first == UInt8(ascii: "/") else { throw HTTPError(400, "malformed request target") }
        var segments: [String] = []
        if path.utf8.count > 1 {
            for segment in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
                guard segments.count < HTTPLimits.pathSegmentCountMax else { throw HTTPError(414, "path is too long") }
                segments.append(try decodePercent(segment, plusIsSpace: false))
            }
        }
        if let first = segments.first, let version = APIVersion(segment: first) {
            self.version = version
            segments.removeFirst()
        }
        self.path = segments
        self.query = try query.map(Self.parseQuery) ?? [:]
    }

    /// The absolute form `http://host/path` is accepted as RFC 9112 asks; the host says nothing on a Unix socket.
    private static func originForm(_ target: String) -> Substring {
        guard target.hasPrefix("http://") else { return target[...] }
        let rest = target.dropFirst("http://".count)
        guard let slash = rest.firstIndex(of: "/") else { return "/" }
        return rest[slash...]
    }

    private static func split(_ target: Substring) -> (path: Substring, query: Substring?) {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (target, nil) }
        return (target[..<mark], target[target.utf8.index(after: mark)...])
    }

    private static func parseQuery(_ text: Substring) throws(HTTPError) -> [String: [String]] {
        var query: [String: [String]] = [:]
        var count = 0
        for pair in text.split(separator: "&") {
            count += 1
            guard count <= HTTPLimits.queryPairCountMax else { throw HTTPError(414, "query has too many parameters") }
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try decodePercent(parts[0], plusIsSpace: true)
            let value = parts.count > 1 ? try decodePercent(parts[1], plusIsSpace: true) : ""
            query[name, default: []].append(value)
        }
        return query
    }
}

/// Percent-decoding (RFC 3986 section 2.1) into valid UTF-8 without NUL. `plusIsSpace` is the form encoding of queries.
func decodePercent(_ text: Substring, plusIsSpace: Bool) throws(HTTPError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "%"):
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                throw HTTPError(400, "malformed percent-encoding in the request target")
            }
            bytes.append(high << 4 | low)
        case UInt8(ascii: "+") where plusIsSpace:
            bytes.append(UInt8(ascii: " "))
        default:
            bytes.append(byte)
        }
    }
    guard !bytes.contains(0), let decoded = String(validating: bytes, as: UTF8.self) else {
        throw HTTPError(400, "request target is not valid UTF-8")
    }
    return decoded
}

func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}

func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
