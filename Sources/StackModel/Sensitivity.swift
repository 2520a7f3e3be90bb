/// What of a stack is nobody's business but its services': passwords, tokens, keys. Such values are printed as
/// `(sensitive)` and stored in no file.
///
/// A value counts as sensitive by the name it stands under, by its form, or because it contains a value that does.
public struct Sensitivity: Sendable {
    /// What is printed instead.
    public static let placeholder = "(sensitive)"
    /// Values that are sensitive wherever they occur.
    private var mask = SecretMask()

    public init() {}

    /// - Parameter stacks: whose secrets and variables are looked for in what is printed.
    public init(_ stacks: [Stack]) { for stack in stacks { mask.add(SecretMask(of: stack)) } }

    /// Maps whose keys users choose: there a name says what the value is.
    private static let maps: Set<Substring> = [
        "environment", "labels", "annotations", "args", "options", "driver_opts", "driverOptions", "build", "logging",
        "storage_opt", "storageOptions",
    ]

    /// - Parameters:
    ///   - path: what the value stands under, e.g. `environment.DB_PASSWORD`.
    ///   - text: the value.
    public func covers(path: String, _ text: String) -> Bool {
        let parts = path.split(separator: ".")
        if let map = parts.firstIndex(where: Self.maps.contains), map + 1 < parts.count {
            return covers(parts[(map + 1)...].joined(separator: "."), text)
        }
        return covers(text)
    }

    /// - Parameters:
    ///   - name: what a user calls it.
    ///   - text: the value.
    public func covers(_ name: String, _ text: String) -> Bool {
        guard !text.isEmpty else { return false }
        return isSecretName(name) || covers(text)
    }

    /// By its form, or by what is in it.
    public func covers(_ text: String) -> Bool { Self.isSecretText(text) || mask.occurs(in: text) }

    // MARK: Forms

    /// Beginnings of tokens that their makers mark as such (GitHub, GitLab, AWS, Slack, Stripe).
    private static let tokenPrefixes = [
        "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "AKIA", "xoxb-", "xoxp-", "sk_live_", "eyJhbGci",
    ]

    private static func isSecretText(_ text: String) -> Bool {
        if hasPasswordInAddress(text) || text.contains("PRIVATE KEY-----") { return true }
        let words = text.split { $0 == " " || $0 == "\n" || $0 == "\t" || $0 == "\"" || $0 == "'" || $0 == ";" }
        for (index, word) in words.enumerated() {
            if tokenPrefixes.contains(where: { word.hasPrefix($0) && word.utf8.count >= $0.utf8.count + 8 }) {
                return true
            }
            if let equals = word.firstIndex(of: "=") {
                let (name, value) = (word[..<equals], word[word.index(after: equals)...])
                if !value.isEmpty, !value.hasPrefix("$"), isSecretName(String(name)) { return true }
            } else if word.hasPrefix("--"), isSecretName(String(word)), index + 1 < words.count,
                !words[index + 1].hasPrefix("-"), !words[index + 1].hasPrefix("$")
            {
                return true
            }
            if word.lowercased() == "bearer", index + 1 < words.count, !words[index + 1].hasPrefix("$") { return true }
        }
        return false
    }

    /// `scheme://user:password@host` (RFC 3986, section 3.2.1).
    private static func hasPasswordInAddress(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let mark = Array("://".utf8)
        var index = 0
        while index + mark.count <= bytes.count {
            guard bytes[index...].starts(with: mark) else {
                index += 1
                continue
            }
            index += mark.count
            let authority = bytes[index...].prefix { $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
            guard let at = authority.lastIndex(of: UInt8(ascii: "@")),
                let colon = authority[..<at].firstIndex(of: UInt8(ascii: ":"))
            else { continue }
            if colon + 1 < at, bytes[colon + 1] != UInt8(ascii: "$") { return true }
        }
        return false
    }
}
