/// One instruction of a stage, or of an image's ONBUILD triggers.
public struct Instruction: Equatable, Sendable {
    /// As written: `RUN`, `run`.
    public var keyword: Word
    public var command: Command
    /// From the instruction's name to the end of its line, continued lines and heredocs included.
    public var range: SourceRange
    /// The joined line, without heredocs. What BuildKit shows as the step's name.
    public var source: String
    public var heredocs: [Heredoc]
    /// The comments right above, without `#`.
    public var comments: [String]
    /// From an image's or an earlier stage's ONBUILD; its places are those in the trigger's text.
    public var isTrigger = false
}

/// What an instruction says. Words are as written until `StageScope` has expanded them.
public enum Command: Equatable, Sendable {
    case run(Run)
    case cmd(Invocation)
    case entrypoint(Invocation)
    case shell([Word])
    case copy(Copy)
    case add(Add)
    case env([KeyValue])
    case argument([ArgumentDefinition])
    case label([KeyValue])
    /// Expanded: `PORT/PROTOCOL` each.
    case expose([Word])
    case volume([Word])
    case user(Word)
    /// Expanded: an absolute path.
    case workdir(Word)
    case healthcheck(HealthCheck)
    case onbuild(Trigger)
    case stopSignal(Word)
    case maintainer(Word)
}

/// A command line in its shell form (one word, the whole line) or exec form (JSON array).
public struct Invocation: Equatable, Sendable {
    public enum Form: Sendable { case shell, exec }
    public var form: Form
    public var words: [Word]

    /// What is executed; `shell` is what SHELL or the base image says.
    public func arguments(shell: [String] = Invocation.defaultShell) -> [String] {
        let texts = words.map(\.text)
        return form == .exec ? texts : shell + [texts.joined(separator: " ")]
    }

    public static let defaultShell = ["/bin/sh", "-c"]
}

public struct Run: Equatable, Sendable {
    public enum Network: String, CaseIterable, Sendable { case `default`, none, host }
    public enum Security: String, CaseIterable, Sendable { case sandbox, insecure }

    public var invocation: Invocation
    public var heredocs: [Heredoc] = []
    public var mounts: [Mount] = []
    public var network: Network?
    public var security: Security?
    public var devices: [Device] = []

    /// A CDI device.
    public struct Device: Equatable, Sendable {
        public var name: String
        public var isRequired: Bool
    }
}

public struct Copy: Equatable, Sendable {
    /// A stage's name or number, a named context or an image.
    public var from: Word?
    public var sources: [Word]
    /// Heredocs among the sources.
    public var files: [InlineFile] = []
    public var destination: Word
    /// `USER[:GROUP]`.
    public var owner: Word?
    /// Octal or symbolic.
    public var mode: Word?
    /// The layer does not depend on those below it.
    public var isLinked = false
    /// Folders in the sources' paths are kept, those behind `/./`.
    public var keepsParents = false
    /// As in `.dockerignore`, relative to the sources.
    public var excludes: [Word] = []
}

public struct Add: Equatable, Sendable {
    /// Everything that ADD has in common with COPY; `from` and `keepsParents` are not set.
    public var copy: Copy
    /// `sha256:…` of a remote file, or a commit of a git repository.
    public var checksum: Word?
    /// `nil` when not said: commits keep no `.git`.
    public var keepsGitFolder: Bool?
    /// `nil` when not said: local archives are unpacked, remote ones are not.
    public var unpacks: Bool?

    /// Where a source of ADD comes from.
    public enum Source: Equatable, Sendable { case context, http, git }

    /// The kind of a source, by its (expanded) text. What http and https lead to is a file unless its path ends in
    /// `.git`; `USER@HOST:PATH` is a repository.
    public static func source(_ text: String) -> Source {
        if text.hasScalarPrefix("git://") || text.hasScalarPrefix("ssh://") { return .git }
        if text.hasScalarPrefix("http://") || text.hasScalarPrefix("https://") {
            let path = text.split(whereSeparator: { $0 == "#" || $0 == "?" }).first ?? ""
            return path.hasSuffix(".git") ? .git : .http
        }
        guard let (user, rest) = text.cut("@"), let (host, path) = rest.cut(":") else { return .context }
        let isName = user.utf8.allSatisfy { $0.isLetterOrDigit || $0 == 0x5F || $0 == 0x2D } && !user.isEmpty
        let isHost = host.utf8.allSatisfy { $0.isLetterOrDigit || $0 == 0x2D || $0 == 0x2E } && !host.isEmpty
        return isName && isHost && !path.isEmpty ? .git : .context
    }
}

public struct KeyValue: Equatable, Sendable {
    public var key: Word
    public var value: Word
    /// `KEY value` instead of `KEY=value`.
    public var isLegacy = false
}

public struct ArgumentDefinition: Equatable, Sendable {
    public var name: Word
    public var defaultValue: Word?
    /// What the comment above says of it.
    public var comment: String?
}

public enum HealthCheck: Equatable, Sendable {
    case none
    case command(Probe)

    /// Durations are in nanoseconds, 0 where not said.
    public struct Probe: Equatable, Sendable {
        public var invocation: Invocation
        public var interval: Int64 = 0
        public var timeout: Int64 = 0
        public var startPeriod: Int64 = 0
        public var startInterval: Int64 = 0
        public var retries: Int = 0
    }

    /// As an image's configuration has it: `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", …]`.
    public var test: [String] {
        switch self {
        case .none: ["NONE"]
        case .command(let probe):
            [probe.invocation.form == .exec ? "CMD" : "CMD-SHELL"] + probe.invocation.words.map(\.text)
        }
    }
}

/// What ONBUILD keeps for builds that start from the image.
public struct Trigger: Equatable, Sendable {
    /// As an image's configuration has it, heredocs included.
    public var expression: String
    /// The instruction's name in upper case.
    public var instruction: String
}
