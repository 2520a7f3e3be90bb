import Dockerfile
import Images
import LinuxSystem
import StackModel

/// Why an image could not be built.
public enum BuildFailure: Error, Sendable {
    /// What is wrong with a Dockerfile, its context or what it names; each with its place where there is one.
    case diagnostics([Diagnostic])
    /// A command of a RUN ended with another exit code than 0.
    case exited(RunFailure)
    case image(ImageError)
    case system(SystemError)
    case cancelled

    /// One diagnostic with code `build.CODE`.
    public static func failed(_ code: String, _ message: String, hint: String? = nil) -> BuildFailure {
        .diagnostics([Diagnostic(code: "build.\(code)", message, hint: hint)])
    }

    public var diagnostics: [Diagnostic] {
        switch self {
        case .diagnostics(let diagnostics): diagnostics
        case .exited(let failure): [failure.diagnostic]
        case .image(let error): [Diagnostic(code: "build.image", "\(error)")]
        case .system(let error): [Diagnostic(code: "build.system", "\(error)")]
        case .cancelled: [Diagnostic(code: "build.cancelled", "the build was cancelled")]
        }
    }

    /// The same, said of a place in the Dockerfile when it does not name one yet.
    func at(_ range: SourceRange, of dockerfile: Dockerfile) -> BuildFailure {
        if case .cancelled = self { return self }
        let mark = SourceMark(file: dockerfile.name, line: range.start.line, column: range.start.column)
        let placed = diagnostics.map { diagnostic in
            var diagnostic = diagnostic
            if diagnostic.source == nil {
                diagnostic.source = mark
                diagnostic.sourceLine = dockerfile.line(range.start.line)
            }
            return diagnostic
        }
        return .diagnostics(placed)
    }
}

/// A RUN whose command failed.
public struct RunFailure: Equatable, Sendable {
    public var arguments: [String]
    public var exitCode: Int
    public var isOutOfMemory: Bool

    public init(arguments: [String], exitCode: Int, isOutOfMemory: Bool = false) {
        self.arguments = arguments
        self.exitCode = exitCode
        self.isOutOfMemory = isOutOfMemory
    }

    var diagnostic: Diagnostic {
        let command = arguments.joined(separator: " ")
        let why = isOutOfMemory ? "exit code: \(exitCode): it ran out of memory" : "exit code: \(exitCode)"
        return Diagnostic(
            code: "build.run-failed", "process \"\(command)\" did not complete successfully: \(why)")
    }
}

/// Runs what fails with another room's error, as a build's.
func storing<Result>(_ body: () throws(ImageError) -> Result) throws(BuildFailure) -> Result {
    do { return try body() } catch { throw .image(error) }
}

func calling<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(BuildFailure) -> Result {
    do { return try body() } catch { throw .system(error) }
}

func reading<Result>(_ body: () throws(DockerfileError) -> Result) throws(BuildFailure) -> Result {
    do { return try body() } catch { throw .diagnostics(error.diagnostics) }
}

/// Runs what fails with an error about files, as a build's.
func copying<Result>(_ body: () throws(BuildError) -> Result) throws(BuildFailure) -> Result {
    do { return try body() } catch { throw BuildFailure(error) }
}

extension BuildFailure {
    public init(_ error: BuildError) {
        switch error {
        case .cancelled: self = .cancelled
        case .system(let error): self = .system(error)
        default: self = .failed(error.code, "\(error)")
        }
    }
}

extension BuildError {
    /// The second half of a diagnostic's code.
    fileprivate var code: String {
        switch self {
        case .notFound: "not-found"
        case .conflict: "conflict"
        case .refused: "refused"
        case .changed: "changed"
        case .invalid: "invalid"
        case .archive: "archive"
        case .limit: "limit"
        case .remote: "remote"
        case .noSpace: "no-space"
        case .cancelled: "cancelled"
        case .system: "system"
        }
    }
}
