import CLinux
import Glibc

/// A regular expression that is looked for anywhere in a text, as the `name` filters of Docker's clients are (POSIX
/// extended, regex(3)).
struct SearchExpression {
    /// Names are shorter; more could only keep the engine busy.
    private static let byteCountMax = 1024
    private let text: String

    init(_ text: String) { self.text = text }

    func matches(_ name: String) -> Bool {
        if text.isEmpty || name.contains(text) { return true }
        // The C library writes counted repetitions out, those of those too, until there is no memory left.
        guard text.utf8.count <= Self.byteCountMax, !text.utf8.contains(UInt8(ascii: "{")) else { return false }
        var expression = regex_t()
        guard regcomp(&expression, text, REG_EXTENDED | REG_NOSUB) == 0 else { return false }
        defer { regfree(&expression) }
        return regexec(&expression, name, 0, nil, 0) == 0
    }
}
