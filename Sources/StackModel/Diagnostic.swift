/// What a user is told: one message, where it applies, and what to do. Rendered in one place by the command line, and
/// sent as it is by the engine's API.
public struct Diagnostic: Error, Codable, Equatable, Sendable {
    public enum Severity: String, Codable, Sendable { case error, warning }
    public var severity: Severity
    /// Stable and dotted, e.g. `stack.unknown-key`, `image.not-found`, `port.in-use`.
    public var code: String
    /// One sentence without a final full stop, starting in lower case.
    public var message: String
    public var source: SourceMark?
    /// The text of the source line, when it is known.
    public var sourceLine: String?
    /// What to do about it.
    public var hint: String?

    public init(
        _ severity: Severity = .error, code: String, _ message: String, source: SourceMark? = nil,
        sourceLine: String? = nil, hint: String? = nil
    ) {
        self.severity = severity
        self.code = code
        self.message = message
        self.source = source
        self.sourceLine = sourceLine
        self.hint = hint
    }
}
