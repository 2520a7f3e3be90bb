/// What of a stack is nobody's business but its services': passwords, tokens, keys. Such values are printed as
/// `(sensitive)` and stored in no file.
///
/// A value counts as sensitive by the name it stands under, by its form, or because it contains a value that does.
public struct Sensitivity: Sendable {
    /// What is printed instead.
    public static let placeholder = "(sensitive)"
    /// Shorter values are looked for nowhere else: they are parts of everything.
    private static let valueByteCountMin = 4
    /// Of a secret's content, longer ones are no words that somebody writes elsewhere.
    private static let valueByteCountMax = 4096

    /// Values that are sensitive wherever they occur.
    private var values: [[UInt8]] = []

    public init() {}

    /// - Parameter stacks: whose secrets and variables are looked for in what is printed.
    public init(_ stacks: [Stack]) {
        var found: Set<String> = []
        var publicText = ""
        for stack in stacks {
            Self.collect(stack, into: &found)
            publicText += "\(stack.name)\n" + stack.services.map { "\($0.key) \($0.value.image)\n" }.joined()
            publicText += (Array(stack.volumes.keys) + Array(stack.networks.keys)).joined(separator: "\n")
        }
        // What everybody sees anyway is no secret, and hiding it would hide everything.
        let shown = Array(publicText.utf8)
        values = found.map { Array($0.utf8) }.filter { !contains(shown, $0) }.sorted {
            $0.lexicographicallyPrecedes($1)
        }
    }

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
        if Self.isSecretName(name), !Self.isPlace(name, text) { return true }
        return covers(text)
    }

    /// By its form, or by what is in it.
    public func covers(_ text: String) -> Bool {
        if Self.isSecretText(text) { return true }
        guard !values.isEmpty else { return false }
        let bytes = Array(text.utf8)
        return values.contains { contains(bytes, $0) }
    }

    /// Values of variables with a secret's name that occur in a text, which they were put into.
    public static func values(of variables: [String: String], in text: String) -> [String] {
        let bytes = Array(text.utf8)
        return Set(variables.filter { isSecretName($0.key) && !$0.value.hasPrefix("/") }.values).filter {
            $0.utf8.count >= valueByteCountMin && contains(bytes, Array($0.utf8))
        }.sorted()
    }

    // MARK: Collecting

    private static func collect(_ stack: Stack, into found: inout Set<String>) {
        for value in stack.secretValues { add(value, to: &found) }
        for service in stack.services.values {
            for (name, value) in service.environment {
                guard let value, isSecretName(name), !isPlace(name, value) else { continue }
                add(value, to: &found)
            }
            for hook in service.preStart + service.postStart + service.preStop {
                for (name, value) in hook.environment {
                    if let value, isSecretName(name), !isPlace(name, value) { add(value, to: &found) }
                }
            }
        }
        for secret in stack.secrets.values {
            guard let content = secret.content, content.count <= valueByteCountMax else { continue }
            for line in String(decoding: content, as: UTF8.self).split(whereSeparator: \.isNewline) {
                add(String(line), to: &found)
            }
        }
    }

    private static func add(_ value: String, to found: inout Set<String>) {
        let text = trimmed(value)
        guard text.utf8.count >= valueByteCountMin, !["true", "false", "none", "null"].contains(text.lowercased())
        else {
            return
        }
        found.insert(text)
    }

    // MARK: Names

    private static let words: Set<String> = [
        "password", "passwords", "passwd", "pass", "pwd", "passphrase", "secret", "secrets", "token", "tokens", "key",
        "keys", "apikey", "credential", "credentials", "creds", "auth", "authorization", "cookie", "salt", "dsn", "jwt",
        "bearer", "private", "otp", "webhook",
    ]

    private static let parts = [
        "password", "passwd", "passphrase", "secret", "token", "apikey", "credential", "privatekey",
    ]

    /// `DB_PASSWORD`, `apiKey`, `client-secret`; not `KEYBOARD`.
    public static func isSecretName(_ name: String) -> Bool {
        // Folders, in every shell.
        if name == "PWD" || name == "OLDPWD" { return false }
        let folded = name.lowercased()
        if parts.contains(where: { contains(Array(folded.utf8), Array($0.utf8)) }) { return true }
        return splitWords(name).contains { words.contains($0) }
    }

    /// `DB_PASSWORD_FILE: /run/secrets/db`: a path says where a secret is, and is none.
    private static func isPlace(_ name: String, _ value: String) -> Bool {
        guard let last = splitWords(name).last, ["file", "path", "dir", "files"].contains(last) else { return false }
        return value.hasPrefix("/") || value.hasPrefix("./")
    }

    /// At everything that is no letter or digit, and where a capital letter follows a small one.
    private static func splitWords(_ name: String) -> [String] {
        var result: [String] = []
        var word = ""
        var previous: Character = " "
        for character in name {
            if !character.isLetter, !character.isNumber {
                if !word.isEmpty { result.append(word.lowercased()) }
                word = ""
            } else {
                if previous.isLowercase, character.isUppercase, !word.isEmpty {
                    result.append(word.lowercased())
                    word = ""
                }
                word.append(character)
            }
            previous = character
        }
        if !word.isEmpty { result.append(word.lowercased()) }
        return result
    }

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
                if !value.isEmpty, !value.hasPrefix("$"), isSecretName(String(name)),
                    !isPlace(String(name), String(value))
                {
                    return true
                }
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

    private static func trimmed(_ text: String) -> String {
        var rest = text[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}

private func contains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
    guard let first = part.first, part.count <= text.count else { return false }
    var index = 0
    while index + part.count <= text.count {
        if text[index] == first, text[index..<(index + part.count)].elementsEqual(part) { return true }
        index += 1
    }
    return false
}
