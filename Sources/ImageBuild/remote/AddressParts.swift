/// Parts of URLs (RFC 3986).
enum AddressParts {
    /// `%XX` as the byte it stands for; nil where it is no such thing. In queries `+` is a space.
    static func decoded(_ text: some StringProtocol, isQuery: Bool = false) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(isQuery && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Before and behind the first `separator`; nothing behind where there is none.
    static func cut(_ text: Substring, _ separator: Unicode.Scalar) -> (before: Substring, after: Substring?) {
        guard let place = text.unicodeScalars.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<place], text[text.unicodeScalars.index(after: place)...])
    }

    /// A URL without user and password, for messages and what is kept.
    static func withoutUser(_ address: String) -> String { cutUser(address).rest }

    /// User and password of a URL as they are written, and the URL without them.
    static func cutUser(_ address: String) -> (user: Substring?, rest: String) {
        guard let scheme = address.range(of: "://") else { return (nil, address) }
        let rest = address[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let at = authority.lastIndex(of: "@") else { return (nil, address) }
        return (rest[..<at], String(address[..<scheme.upperBound] + rest[rest.index(after: at)...]))
    }

    /// `HOST` or `HOST:PORT` of an http or https URL without user, and `https://HOST:PORT/`; nil for any other.
    static func origin(_ address: String) -> (authority: String, prefix: String)? {
        guard let scheme = address.range(of: "://") else { return nil }
        guard ["http", "https"].contains(address[..<scheme.lowerBound].lowercased()) else { return nil }
        let authority = address[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty else { return nil }
        return (String(authority), "\(address[..<scheme.upperBound])\(authority)/")
    }
}

extension String {
    /// Where `text` stands first.
    fileprivate func range(of text: String) -> Range<Index>? {
        for start in indices where self[start...].hasPrefix(text) {
            return start..<index(start, offsetBy: text.count)
        }
        return nil
    }
}
