import Glibc

/// A `name` filter: a regular expression that is looked for anywhere in a name (POSIX extended, regex(3), which is what
/// clients write of Go's).
struct NamePattern {
    /// Names are shorter; a long expression could only be meant to keep the engine busy.
    private static let byteCountMax = 1024
    private let text: String

    init(_ text: String) { self.text = text }

    func matches(_ name: String) -> Bool {
        if text.isEmpty || name.contains(text) { return true }
        guard text.utf8.count <= Self.byteCountMax else { return false }
        var expression = regex_t()
        guard regcomp(&expression, text, REG_EXTENDED | REG_NOSUB) == 0 else { return false }
        defer { regfree(&expression) }
        return regexec(&expression, name, 0, nil, 0) == 0
    }
}
