import StackModel

/// Terminal text of a diagnostic, without a final newline:
///
///     compose.yaml:12:7: error: message
///        12 |       prots:
///           |       ^
///     help: did you mean 'ports'?
///
/// `color` adds the terminal's colours (ECMA-48 SGR). Control characters of the source are shown as `�`.
public func renderDiagnostic(_ diagnostic: Diagnostic, color: Bool) -> String {
    let isError = diagnostic.severity == .error
    func paint(_ text: String, _ code: String) -> String { color ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
    let label = paint(isError ? "error:" : "warning:", isError ? "1;31" : "1;33")
    let place = diagnostic.source.map { paint("\($0):", "1") + " " } ?? ""
    var lines = ["\(place)\(label) \(printable(diagnostic.message))"]
    if let mark = diagnostic.source, let source = diagnostic.sourceLine {
        let (text, caret) = excerpt(source, column: mark.column)
        let number = String(mark.line)
        let gutter = String(repeating: " ", count: max(0, 5 - number.count)) + number
        let blank = String(repeating: " ", count: gutter.count)
        lines.append(paint("\(gutter) | ", "2") + text)
        lines.append(paint("\(blank) | ", "2") + caret.padding + paint("^", isError ? "1;31" : "1;33"))
    }
    if let hint = diagnostic.hint { lines.append(paint("help:", "1;36") + " " + printable(hint)) }
    return lines.joined(separator: "\n")
}

/// The part of a source line around `column` that fits a terminal, and the white space in front of the caret.
private func excerpt(_ line: String, column: Int) -> (text: String, caret: (padding: String, column: Int)) {
    let columnsMax = 160
    let scalars = Array(line.unicodeScalars)
    let position = min(max(column - 1, 0), scalars.count)
    let start = scalars.count > columnsMax ? max(0, min(position - columnsMax / 2, scalars.count - columnsMax)) : 0
    let end = min(scalars.count, start + columnsMax)
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars[start..<end])
    var padding = ""
    for scalar in scalars[start..<max(start, min(position, end))] { padding += scalar == "\t" ? "\t" : " " }
    return (printable(String(text)), (padding, position - start))
}

/// Keeps a file from sending control sequences to the terminal.
private func printable(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        let isControl = scalar.properties.generalCategory == .control && scalar != "\t" && scalar != "\n"
        result.append(isControl ? "\u{FFFD}" : scalar)
    }
    return String(result)
}
