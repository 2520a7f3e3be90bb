/// An `http` or `https` address without user, fragment or surprises (RFC 3986, what registries need of it). Everything
/// but visible ASCII is refused, and `\` besides, so that no two parsers can disagree on its host.
public struct RegistryURL: Hashable, Sendable, CustomStringConvertible {
    public enum Scheme: String, Sendable { case http, https }

    public var scheme: Scheme
    /// Lower case; an IPv6 address is in brackets.
    public var host: String
    /// nil is the scheme's own.
    public var port: UInt16?
    /// Begins with `/`, or is empty.
    public var path: String
    /// Without `?`; nil without one.
    public var query: String?

    static let byteCountMax = 16 << 10

    /// An absolute URL.
    public init?(_ text: String) {
        guard let rest = RegistryURL.checked(text) else { return nil }
        let scheme: Scheme
        let lower = rest.prefix(8).lowercased()
        if lower.hasPrefix("https://") {
            scheme = .https
        } else if lower.hasPrefix("http://") {
            scheme = .http
        } else {
            return nil
        }
        self.init(scheme: scheme, rest.dropFirst(scheme == .https ? 8 : 7))
    }

    /// `authority` is a host with an optional port, as in an image's name.
    public init?(scheme: Scheme, authority: String, path: String = "") {
        guard RegistryURL.checked(authority) != nil, !authority.contains(where: { "/?".contains($0) }) else {
            return nil
        }
        self.init(scheme: scheme, authority[...])
        self.path = path
    }

    private init?(scheme: Scheme, _ rest: Substring) {
        self.scheme = scheme
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard let (host, port) = RegistryURL.parseAuthority(rest[..<end]) else { return nil }
        self.host = host
        self.port = port == (scheme == .https ? 443 : 80) ? nil : port
        (path, query) = RegistryURL.split(rest[end...])
    }

    private static func checked(_ text: String) -> Substring? {
        guard !text.isEmpty, text.utf8.count <= byteCountMax else { return nil }
        let forbidden = Set("\\\"<>^`{|}#".utf8)
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !forbidden.contains($0) }) else { return nil }
        return text[...]
    }

    private static func split(_ text: Substring) -> (path: String, query: String?) {
        guard let mark = text.firstIndex(of: "?") else { return (String(text), nil) }
        return (String(text[..<mark]), String(text[text.index(after: mark)...]))
    }

    private static func parseAuthority(_ text: Substring) -> (String, UInt16?)? {
        var host = text
        var port: UInt16?
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let address = text[text.index(after: text.startIndex)..<close]
            guard address.contains(":"), address.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else {
                return nil
            }
            host = text[...close]
        } else {
            host = text[..<(text.firstIndex(of: ":") ?? text.endIndex)]
            let isName = host.utf8.allSatisfy { byte in
                let letter = byte | 0x20
                return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter) && byte >= 0x41
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || [0x2d, 0x2e, 0x5f].contains(byte)
            }
            guard !host.isEmpty, isName else { return nil }
        }
        let tail = text[host.endIndex...]
        if !tail.isEmpty {
            let digits = tail.dropFirst()
            guard tail.hasPrefix(":"), digits.utf8.count <= 5, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = UInt16(digits), number > 0
            else { return nil }
            port = number
        }
        return (host.lowercased(), port)
    }

    /// `host:port`, the port left out when it is the scheme's own.
    public var authority: String { host + (port.map { ":\($0)" } ?? "") }
    public var description: String { "\(scheme.rawValue)://\(authority)\(path)" + (query.map { "?\($0)" } ?? "") }

    /// Whether credentials for one may be sent to the other.
    func isSameOrigin(as other: RegistryURL) -> Bool {
        scheme == other.scheme && host == other.host && port == other.port
    }

    var isLoopback: Bool {
        if host == "localhost" || host.hasSuffix(".localhost") || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// What a `Location` or `Link` header means here (RFC 3986 section 5.2); nil when it is none we may follow.
    func resolving(_ reference: String) -> RegistryURL? {
        let text = reference.prefix { $0 != "#" }
        guard let checked = RegistryURL.checked(String(text)) else { return nil }
        if checked.hasPrefix("//") { return RegistryURL("\(scheme.rawValue):\(checked)") }
        // A colon before the first slash begins another scheme.
        let head = checked.prefix { $0 != "/" && $0 != "?" }
        if head.contains(":") { return RegistryURL(String(checked)) }
        var result = self
        let (newPath, newQuery) = RegistryURL.split(checked)
        result.query = newQuery
        if newPath.hasPrefix("/") {
            result.path = RegistryURL.withoutDots(newPath)
        } else if !newPath.isEmpty {
            let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "/"
            result.path = RegistryURL.withoutDots(folder + newPath)
        }
        return result
    }

    private static func withoutDots(_ path: String) -> String {
        var kept: [Substring] = []
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for part in parts where part != "." {
            if part == ".." { kept = kept.dropLast() } else { kept.append(part) }
        }
        if let last = parts.last, last == "." || last == ".." { kept.append("") }
        return "/" + kept.joined(separator: "/")
    }

    mutating func appendQuery(_ name: String, _ value: String) {
        let pair = "\(name)=\(percentEncoded(value))"
        query = query.map { $0.isEmpty ? pair : "\($0)&\(pair)" } ?? pair
    }
}

/// Everything but unreserved characters as `%XX` (RFC 3986 section 2.3); good for queries and forms.
func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        let isLetter = (0x61...0x7a).contains(byte | 0x20) && byte >= 0x41
        if isLetter || (0x30...0x39).contains(byte) || Set("-._~".utf8).contains(byte) {
            bytes.append(byte)
        } else {
            bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
