import StackModel

/// Terminal text of a diagnostic, without a final newline:
///
///     compose.yaml:12:7: error[stack.unknown-key]: message
///        12 |       prots:
///           |       ^^^^^
///           = included from main.yaml:3:5
///     compose.yaml:4:7: note: what is to be seen there
///         4 |       ports:
///           |       ^^^^^
///     help: did you mean 'ports'?
///
/// The code is shown when `DiagnosticCode` knows it. `color` adds the terminal's colours (ECMA-48 SGR). Control
/// characters of the source are shown as `�`.
public func renderDiagnostic(_ diagnostic: Diagnostic, color: Bool) -> String {
    TerminalText(color: color).lines(of: diagnostic).joined(separator: "\n")
}

private struct TerminalText {
    let color: Bool

    private enum Style: String {
        case error = "1;31"
        case warning = "1;33"
        case note = "1;32"
        case help = "1;36"
        case place = "1"
        case gutter = "2"
    }

    func lines(of diagnostic: Diagnostic) -> [String] {
        let style: Style = diagnostic.severity == .error ? .error : .warning
        let code = DiagnosticCode.table[diagnostic.code] == nil ? "" : "[\(diagnostic.code)]"
        let label = paint("\(diagnostic.severity.rawValue)\(code):", style)
        var lines = ["\(place(diagnostic.source))\(label) \(printable(diagnostic.message))"]
        if let mark = diagnostic.source, let source = diagnostic.sourceLine { lines += quoted(source, mark, style) }
        let indent = String(repeating: " ", count: Self.gutterWidth)
        for origin in diagnostic.chain {
            lines.append(paint("\(indent) = ", .gutter) + printable("\(origin.role.phrase) \(origin.mark)"))
        }
        for note in diagnostic.notes {
            lines.append("\(place(note.mark))\(paint("note:", .note)) \(printable(note.message))")
            if let source = note.sourceLine { lines += quoted(source, note.mark, .note) }
        }
        if let hint = diagnostic.hint { lines.append(paint("help:", .help) + " " + printable(hint)) }
        return lines
    }

    private static let gutterWidth = 5

    private func place(_ mark: SourceMark?) -> String {
        mark.map { paint(printable("\($0):"), .place) + " " } ?? ""
    }

    private func paint(_ text: String, _ style: Style) -> String {
        color ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// The source line and the carets under the token.
    private func quoted(_ source: String, _ mark: SourceMark, _ style: Style) -> [String] {
        let (text, padding, length) = excerpt(source, column: mark.column)
        let number = String(mark.line)
        let gutter = String(repeating: " ", count: max(0, Self.gutterWidth - number.count)) + number
        let blank = String(repeating: " ", count: gutter.count)
        return [
            paint("\(gutter) | ", .gutter) + text,
            paint("\(blank) | ", .gutter) + padding + paint(String(repeating: "^", count: length), style),
        ]
    }

    /// The part of a source line around `column` that fits a terminal, the white space in front of the carets and how
    /// many carets there are.
    private func excerpt(_ line: String, column: Int) -> (text: String, padding: String, length: Int) {
        let columnsMax = 160
        let scalars = Array(line.unicodeScalars.prefix(max(0, column) + columnsMax))
        let position = min(max(column - 1, 0), scalars.count)
        let start = scalars.count > columnsMax ? max(0, min(position - columnsMax / 2, scalars.count - columnsMax)) : 0
        let end = min(scalars.count, start + columnsMax)
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars[start..<end])
        var padding = ""
        for scalar in scalars[start..<max(start, min(position, end))] { padding += scalar == "\t" ? "\t" : " " }
        let length = max(1, min(tokenLength(in: line, at: column), end - position))
        return (printable(String(text)), padding, length)
    }
}

extension Diagnostic.Origin.Role {
    /// "included from", to be followed by a place.
    var phrase: String {
        switch self {
        case .include: "included from"
        case .extends: "extended from"
        case .environmentFile: "read as env_file from"
        case .labelFile: "read as label_file from"
        }
    }
}

/// Keeps a file from sending control sequences to the terminal.
func printable(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        let isControl = scalar.properties.generalCategory == .control && scalar != "\t" && scalar != "\n"
        result.append(isControl ? "\u{FFFD}" : scalar)
    }
    return String(result)
}
