import StackModel

/// A JSON array of objects: `severity`, `code`, `message`; `file`, `line`, `column` (from 1) and `endColumn` (after the
/// last character) when there is a place; `path` and `hint` when known; `chain` and `notes`, innermost and first first.
func renderJSON(_ diagnostics: [Diagnostic]) -> String {
    JSONWriter.write(.made(diagnostics.map(object)))
}

private func object(_ diagnostic: Diagnostic) -> Node {
    let mark = diagnostic.source
    return .made([
        "severity": .made(diagnostic.severity.rawValue),
        "code": .made(diagnostic.code),
        "message": .made(diagnostic.message),
        "file": mark.map { .made($0.file) },
        "line": mark.map { .made($0.line) },
        "column": mark.map { .made($0.column) },
        "endColumn": diagnostic.endColumn.map { .made($0) },
        "path": diagnostic.path.map { .made($0) },
        "hint": diagnostic.hint.map { .made($0) },
        "chain": .made(diagnostic.chain.map { place($0.mark, ["role": .made($0.role.rawValue)]) }),
        "notes": .made(diagnostic.notes.map { place($0.mark, ["message": .made($0.message)]) }),
    ])
}

private func place(_ mark: SourceMark, _ first: KeyValuePairs<String, Node?>) -> Node {
    Node.made(first).setting("file", to: .made(mark.file)).setting("line", to: .made(mark.line))
        .setting("column", to: .made(mark.column))
}
