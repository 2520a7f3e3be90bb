import StackModel

/// Forms of explanations.
public enum ExplanationFormat: Sendable {
    case text, json
}

/// All explanations as one text that ends in a newline. `color` counts for `text` only.
public func renderExplanations(_ list: [Explanation], _ format: ExplanationFormat, color: Bool) -> String {
    switch format {
    case .text:
        list.map { ExplanationText(color: color).lines(of: $0).map { $0 + "\n" }.joined() }.joined(separator: "\n")
    case .json: JSONWriter.write(.made(list.map(explanationObject)))
    }
}

/// For people:
///
///     services.web.image: "nginx:2"
///       compose.override.yaml:3:12
///           3 |     image: nginx:${V:-2}
///             |            ^^^^^^^^^^^^^
///         V is not set: "2" stands in its place
///       overrides compose.yaml:3:12: "nginx:1"
private struct ExplanationText {
    let color: Bool

    func lines(of explanation: Explanation) -> [String] {
        var lines = ["\(paint(printable(explanation.path), "1")): \(valueText(explanation.value))"]
        for step in explanation.steps { lines += self.lines(of: step, in: explanation) }
        if let rule = explanation.rule { lines.append("  \(printable(rule))") }
        if !explanation.children.isEmpty { lines += childLines(explanation) }
        return lines
    }

    private func lines(of step: Explanation.Step, in explanation: Explanation) -> [String] {
        let place = paint(printable("\(step.mark)"), "1")
        // The value is shown where it differs from the result.
        let value = step.value == explanation.value || step.role == .merged ? "" : ": \(valueText(step.value))"
        var lines =
            switch step.role {
            case .value: ["  \(place)"]
            case .merged: ["  merged with \(place)"]
            case .overridden: ["  overrides \(place)\(value)"]
            }
        if let source = step.sourceLine { lines += quoted(source, step.mark) }
        lines += step.variables.map { "    \(text(of: $0))" }
        for note in step.notes {
            let isElsewhere = note.mark != step.mark
            lines.append(printable("    \(note.message)\(isElsewhere ? ": \(note.mark)" : "")"))
        }
        return lines
    }

    private func text(of variable: Explanation.Variable) -> String {
        var text = "\(variable.name) is not set"
        if let value = variable.value {
            let mark = variable.mark.map { " (\($0))" } ?? ""
            text = "\(variable.name) is \(quote(value)), from \(variable.origin ?? "the environment")\(mark)"
        }
        if let replacement = variable.replacement { text += ": \(quote(replacement)) stands in its place" }
        return printable(text)
    }

    private func childLines(_ explanation: Explanation) -> [String] {
        let rows = explanation.children.map { child in
            (
                String(child.path.dropFirst(explanation.path.count).drop { $0 == "." }),
                child.mark.map(String.init(describing:)) ?? "implied", valueText(child.value)
            )
        }
        let keyWidth = rows.map(\.0.count).max() ?? 0
        let markWidth = rows.map(\.1.count).max() ?? 0
        return rows.map { key, mark, value in
            let padded = key + String(repeating: " ", count: keyWidth - key.count)
            let place = mark + String(repeating: " ", count: markWidth - mark.count)
            return printable("    \(padded)  \(place)  ") + value
        }
    }

    private func quoted(_ source: String, _ mark: SourceMark) -> [String] {
        let scalars = Array(source.unicodeScalars)
        let columnsMax = 160
        guard scalars.count <= columnsMax, mark.column >= 1, mark.column <= scalars.count else {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars.prefix(columnsMax))
            return [printable("\(gutter("\(mark.line)"))\(String(view))")]
        }
        var padding = ""
        for scalar in scalars[..<(mark.column - 1)] { padding += scalar == "\t" ? "\t" : " " }
        let carets = String(repeating: "^", count: tokenLength(in: source, at: mark.column))
        return [printable("\(gutter("\(mark.line)"))\(source)"), "\(gutter(""))\(padding)\(paint(carets, "1;36"))"]
    }

    private func gutter(_ number: String) -> String {
        let width = 7
        return String(repeating: " ", count: max(0, width - number.count)) + number + " | "
    }

    private func paint(_ text: String, _ style: String) -> String {
        color ? "\u{1B}[\(style)m\(text)\u{1B}[0m" : text
    }
}

/// A value on one line, cut when it is long.
private func valueText(_ node: Node) -> String {
    let charactersMax = 100
    switch node.content {
    case .scalar(let scalar):
        let text = scalar.value == .string ? quote(scalar.text) : scalar.value == .null ? "null" : scalar.canonicalText
        return text.count <= charactersMax ? text : text.prefix(charactersMax) + "…"
    case .sequence(let items): return items.isEmpty ? "[]" : counted(items.count, "item")
    case .mapping(let mapping): return mapping.isEmpty ? "{}" : counted(mapping.entries.count, "key")
    }
}

private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

private func quote(_ text: String) -> String { "\"\(escaped(text))\"" }
