/// The codes of diagnostics about stacks; docs/diagnostics.md has an example of each.
public struct DiagnosticCode: Sendable {
    /// As in `Diagnostic.code`.
    public let code: String
    /// What it means: one sentence without a final full stop.
    public let summary: String

    init(_ code: String, _ summary: String) {
        self.code = code
        self.summary = summary
    }

    /// Sorted by code.
    public static let all: [DiagnosticCode] = [
        DiagnosticCode("stack.boolean", "A word such as 'yes' stands for a boolean, which YAML 1.2 does not know"),
        DiagnosticCode("stack.conflict", "Two settings contradict each other or claim the same thing"),
        DiagnosticCode("stack.cycle", "Services, files or aliases refer to each other in a circle"),
        DiagnosticCode("stack.duplicate-key", "A key is given twice in one mapping"),
        DiagnosticCode("stack.empty", "The stack files have no content"),
        DiagnosticCode("stack.env-file", "A line of an environment file cannot be read"),
        DiagnosticCode("stack.file", "A file is missing or cannot be read"),
        DiagnosticCode("stack.ignored-key", "A key or an option has no effect"),
        DiagnosticCode("stack.interpolation", "A '${…}' cannot be substituted"),
        DiagnosticCode("stack.limit", "A file is larger or nested deeper than is allowed"),
        DiagnosticCode("stack.missing-key", "A required key is missing"),
        DiagnosticCode("stack.name", "A name has characters that are not allowed"),
        DiagnosticCode("stack.not-found", "No stack has this name"),
        DiagnosticCode("stack.obsolete", "A key of older versions of the format is used"),
        DiagnosticCode("stack.orphans", "There are containers of services that are no longer in the stack file"),
        DiagnosticCode("stack.project-name", "The name of the project is not valid"),
        DiagnosticCode("stack.reference", "Something refers to a resource that is not there"),
        DiagnosticCode("stack.repeated", "A list has an item twice"),
        DiagnosticCode("stack.shell", "A command line has characters that only a shell understands"),
        DiagnosticCode("stack.syntax", "A file is not valid YAML"),
        DiagnosticCode("stack.timeout", "The stack did not come up in time"),
        DiagnosticCode("stack.type", "A value is of the wrong kind, such as a list where a mapping is expected"),
        DiagnosticCode("stack.unknown-key", "A key is not part of the Compose Specification"),
        DiagnosticCode("stack.unset-variable", "A variable without a value and without a default is used"),
        DiagnosticCode("stack.unsupported", "Something valid is not supported"),
        DiagnosticCode("stack.value", "A value is of the right kind but not one of those allowed"),
    ]

    static let table: [String: DiagnosticCode] = Dictionary(all.map { ($0.code, $0) }) { first, _ in first }
}
