import EngineWire
import StackModel

/// Output of `gantry plan --format markdown`: for a comment of a pull request, or a step's summary.
func renderPlanMarkdown(_ plan: PlanReply, folder: String) -> String {
    guard !plan.isQuiet else { return "### Stack \(code(plan.stack)): no changes\n" + diagnostics(plan) }
    var text = "### Stack \(code(plan.stack)): \(plan.summaryText)\n\n"
    let found = plan.disruptions.map { escaped($0.text) }
    let disruption = found.isEmpty ? "none expected" : "**" + found.joined(separator: "; ") + "**"
    text += "\(capitalised(plan.revisionText)). Disruption: \(disruption).\n\n"
    let rows = planRows(plan.effective)
    text += table(rows, plan, folder)
    text += fields(rows)
    return text + diagnostics(plan)
}

private func diagnostics(_ plan: PlanReply) -> String {
    plan.diagnostics.map { "\n> **\($0.severity.rawValue)**: \(escaped($0.message))\n" }.joined()
}

private func table(_ rows: [PlanRow], _ plan: PlanReply, _ folder: String) -> String {
    var lines: [String] = rows.map { row in
        let order = row.change.order.map { " · \($0)" } ?? ""
        let place = row.change.source.map { code("\(relativePath($0.file, to: folder)):\($0.line)") } ?? ""
        return "| \(code(symbol(row.change.action).text)) | \(code(row.address)) "
            + "| \(escaped(row.change.headline + order)) | \(place) |"
    }
    lines += plan.drift.map { "| `!` | \(code($0.address)) | drift: \(escaped("\($0.class): \($0.detail)")) | |" }
    lines += plan.orphans.map { "| `?` | \(code($0.address)) | orphan: not in the stack file | |" }
    guard !lines.isEmpty else { return "" }
    return "| | object | change | source |\n| --- | --- | --- | --- |\n" + lines.joined(separator: "\n") + "\n"
}

/// As a diff, which is shown in colours.
private func fields(_ rows: [PlanRow]) -> String {
    let lines = rows.filter { !$0.change.fields.isEmpty }.flatMap { row in
        ["@@ \(harmless(row.address)) @@"] + row.change.fields.flatMap(diffLines)
    }
    guard !lines.isEmpty else { return "" }
    let body = lines.joined(separator: "\n")
    // Longer than any that is in it (CommonMark, section 4.5).
    var fence = "```"
    while body.contains(fence) { fence += "`" }
    return "\n\(fence)diff\n\(body)\n\(fence)\n"
}

/// `-image: a` and `+image: b`.
func diffLines(_ field: PlanReply.Field) -> [String] {
    let path = harmless(field.path)
    switch (field.before, field.after) {
    case (let before?, let after?):
        let (old, new) = excerpts(before, after, width: 100)
        return ["- \(path): \(old)", "+ \(path): \(new)"]
    case (nil, let after?): return ["+ \(path): \(excerpt(after, width: 100))"]
    case (let before?, nil): return ["- \(path): \(excerpt(before, width: 100))"]
    case (nil, nil): return ["! \(path): changed"]
    }
}

/// Text that is no markup in a table's cell.
private func escaped(_ text: String) -> String {
    harmless(text).reduce(into: "") { result, character in
        if "\\`*_[]<>|#".contains(character) { result.append("\\") }
        result.append(character)
    }
}

private func code(_ text: String) -> String {
    "`" + harmless(text).replacing("`", with: "'").replacing("|", with: "\\|") + "`"
}

private func capitalised(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
