import StackModel

/// What is wrong with one thing in a Dockerfile.
struct Fault: Error {
    var code: Code
    /// One sentence without a final full stop.
    var message: String
    var range: SourceRange
    var hint: String?

    init(_ code: Code, _ message: String, at range: SourceRange, hint: String? = nil) {
        self.code = code
        self.message = message
        self.range = range
        self.hint = hint
    }

    /// The second half of a diagnostic's code: `dockerfile.syntax`.
    enum Code: String, CaseIterable {
        case syntax, instruction, flag, value, variable, reference, cycle, limit, check
    }
}

/// Why a Dockerfile cannot be built: at least one diagnostic, in the order of their places.
public struct DockerfileError: Error, Equatable, Sendable {
    public var diagnostics: [Diagnostic]

    public init(_ diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }
}

/// The file's name and lines, for diagnostics.
struct SourceFile: Equatable, Sendable {
    var name: String
    /// Without line ends.
    var lines: [String]

    func error(_ faults: [Fault]) -> DockerfileError {
        DockerfileError(faults.sorted { $0.range.start < $1.range.start }.map(diagnostic))
    }

    func diagnostic(_ fault: Fault) -> Diagnostic {
        diagnostic(
            .error, code: "dockerfile." + fault.code.rawValue, fault.message, at: fault.range.start, hint: fault.hint)
    }

    func diagnostic(
        _ severity: Diagnostic.Severity, code: String, _ message: String, at position: SourcePosition, hint: String?
    ) -> Diagnostic {
        let line = position.line >= 1 && position.line <= lines.count ? lines[position.line - 1] : nil
        return Diagnostic(
            severity, code: code, message,
            source: SourceMark(file: name, line: position.line, column: position.column), sourceLine: line, hint: hint)
    }
}

/// Of the first candidates: with thousands of them a guess is not worth its time.
func nearestName(_ word: String, _ candidates: [String]) -> String? {
    let candidatesMax = 200
    return nearest(word, in: Array(candidates.prefix(candidatesMax)))
}

func didYouMean(_ word: String, _ candidates: [String]) -> String? {
    nearestName(word, candidates).map { "did you mean '\($0)'?" }
}
