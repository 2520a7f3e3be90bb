/// What a user is told: one message, where it applies, and what to do. Rendered in one place by the command line, and
/// sent as it is by the engine's API.
public struct Diagnostic: Error, Equatable, Sendable {
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
    /// The place in the stack's tree, when it is known: `services.web.ports[0]`.
    public var path: String?
    /// How the source's file came in, innermost first; empty for a file the user named.
    public var chain: [Origin]
    /// Other places that belong to the message.
    public var notes: [Note]

    public init(
        _ severity: Severity = .error, code: String, _ message: String, source: SourceMark? = nil,
        sourceLine: String? = nil, hint: String? = nil, path: String? = nil, chain: [Origin] = [], notes: [Note] = []
    ) {
        self.severity = severity
        self.code = code
        self.message = message
        self.source = source
        self.sourceLine = sourceLine
        self.hint = hint
        self.path = path
        self.chain = chain
        self.notes = notes
    }
}

extension Diagnostic {
    /// The place that brought a file in.
    public struct Origin: Codable, Equatable, Sendable {
        /// The key of the Compose Specification that names the file.
        public enum Role: String, Codable, Sendable {
            case include, extends
            case environmentFile = "env_file"
            case labelFile = "label_file"
        }

        public var role: Role
        public var mark: SourceMark

        public init(_ role: Role, at mark: SourceMark) {
            self.role = role
            self.mark = mark
        }
    }

    /// A secondary place and what is to be seen there, e.g. "first given here".
    public struct Note: Codable, Equatable, Sendable {
        public var message: String
        public var mark: SourceMark
        /// The text of the line, when it is known.
        public var sourceLine: String?

        public init(_ message: String, at mark: SourceMark, sourceLine: String? = nil) {
            self.message = message
            self.mark = mark
            self.sourceLine = sourceLine
        }
    }
}

extension Diagnostic: Codable {
    private enum CodingKeys: String, CodingKey {
        case severity, code, message, source, sourceLine, hint, path, chain, notes
    }

    /// `chain` and `notes` may be absent: an older engine does not send them.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        severity = try values.decode(Severity.self, forKey: .severity)
        code = try values.decode(String.self, forKey: .code)
        message = try values.decode(String.self, forKey: .message)
        source = try values.decodeIfPresent(SourceMark.self, forKey: .source)
        sourceLine = try values.decodeIfPresent(String.self, forKey: .sourceLine)
        hint = try values.decodeIfPresent(String.self, forKey: .hint)
        path = try values.decodeIfPresent(String.self, forKey: .path)
        chain = try values.decodeIfPresent([Origin].self, forKey: .chain) ?? []
        notes = try values.decodeIfPresent([Note].self, forKey: .notes) ?? []
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(severity, forKey: .severity)
        try values.encode(code, forKey: .code)
        try values.encode(message, forKey: .message)
        try values.encodeIfPresent(source, forKey: .source)
        try values.encodeIfPresent(sourceLine, forKey: .sourceLine)
        try values.encodeIfPresent(hint, forKey: .hint)
        try values.encodeIfPresent(path, forKey: .path)
        if !chain.isEmpty { try values.encode(chain, forKey: .chain) }
        if !notes.isEmpty { try values.encode(notes, forKey: .notes) }
    }
}
