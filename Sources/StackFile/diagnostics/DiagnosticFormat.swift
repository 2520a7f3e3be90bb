import StackModel

/// Forms in which diagnostics are written.
public enum DiagnosticFormat: String, CaseIterable, Sendable {
    /// For people at a terminal.
    case text
    /// One JSON array.
    case json
    /// Workflow commands of GitHub Actions, which become annotations of a pull request.
    case github
    /// SARIF 2.1.0, for code scanning.
    case sarif
}

/// All diagnostics as one text that ends in a newline. Without diagnostics it is empty, or the empty document of the
/// format. `color` counts for `text` only.
public func renderDiagnostics(_ diagnostics: [Diagnostic], _ format: DiagnosticFormat, color: Bool) -> String {
    switch format {
    case .text: diagnostics.map { renderDiagnostic($0, color: color) + "\n" }.joined(separator: "\n")
    case .json: renderJSON(diagnostics)
    case .github: diagnostics.map { renderGitHubAnnotation($0) + "\n" }.joined()
    case .sarif: renderSARIF(diagnostics)
    }
}

extension Diagnostic {
    /// The column after the token that the message points at.
    var endColumn: Int? {
        guard let source, let sourceLine else { return nil }
        return source.column + tokenLength(in: sourceLine, at: source.column)
    }
}

extension Node {
    /// A tree that was not written in a file: for output.
    static let madeMark = SourceMark(file: "", line: 1, column: 1)

    static func made(_ text: String) -> Node { .string(text, at: madeMark) }
    static func made(_ number: Int) -> Node { .integer(Int64(number), at: madeMark) }
    static func made(_ items: [Node]) -> Node { .list(items, at: madeMark) }
    static func made(_ pairs: KeyValuePairs<String, Node?>) -> Node { .map(pairs, at: madeMark) }
}
