import EngineWire
import StackModel

extension DriftEntry {
    /// What is or would be done, in the words of the policy.
    fileprivate var outlook: String {
        switch (policy, repair) {
        case (.repair, let repair?): "is \(repair) by the engine"
        case (_, let repair?) where repair.hasPrefix("gantry "): "`\(repair)`"
        case (_, let repair?): repair
        case (_, nil): ""
        }
    }
}

/// Output of `gantry drift`.
func renderDrift(_ report: DriftReport, now: Moment, folder: String, color: Bool) -> String {
    let entries = report.entries
    let addresses = entries.map { harmless($0.address) }
    let kinds = entries.map { $0.class.rawValue }
    let addressWidth = addresses.map(\.displayWidth).max() ?? 0
    let kindWidth = kinds.map(\.displayWidth).max() ?? 0
    var text = ""
    for (index, entry) in entries.enumerated() {
        let mark = entry.policy == .repair ? coloured("!", .magenta, color) : coloured("~", .yellow, color)
        text += "\(mark) \(addresses[index].padded(to: addressWidth))  \(kinds[index].padded(to: kindWidth))  "
        text += harmless(entry.detail)
        var notes: [String] = []
        // What nobody had looked for before was first seen by this very question.
        let isOld = Moment(rfc3339: entry.since).map { now.nanoseconds - $0.nanoseconds >= 1_000_000_000 } ?? false
        if isOld, let age = humanAge(of: entry.since, now: now) { notes.append("for \(lowercasedStart(age))") }
        if !entry.outlook.isEmpty { notes.append(harmless(entry.outlook)) }
        if let source = entry.source { notes.append(harmless(place(source, folder))) }
        if !notes.isEmpty { text += coloured("  (\(notes.joined(separator: "; ")))", .faint, color) }
        text += "\n"
    }
    if !entries.isEmpty { text += "\n" }
    text += driftSummary(report) + "\n"
    if !report.repaired.isEmpty {
        text += "\nRepaired by the engine in the last minutes:\n"
        text += report.repaired.map { "\(coloured("!", .magenta, color))   \(harmless($0))\n" }.joined()
    }
    return text
}

private func place(_ source: SourceMark, _ folder: String) -> String {
    "\(relativePath(source.file, to: folder)):\(source.line)"
}

private func driftSummary(_ report: DriftReport) -> String {
    let count = report.entries.count
    if count == 0 { return "Stack \(harmless(report.stack)) is as it was applied." }
    let repaired = report.entries.count { $0.policy == .repair }
    let repairs = repaired == 0 ? "" : ", \(repaired) being repaired"
    return "Drift: \(count) difference\(count == 1 ? "" : "s")\(repairs)."
}

/// Output of `gantry drift --format json`.
func driftJSON(_ report: DriftReport) -> JSONText {
    .object([
        ("stack", .string(report.stack)),
        (
            "entries",
            .array(
                report.entries.map { entry in
                    .object([
                        ("address", .string(entry.address)), ("class", .string(entry.class.rawValue)),
                        ("detail", .string(entry.detail)), ("policy", .string(entry.policy.rawValue)),
                        ("repair", .optional(entry.repair)), ("since", .string(entry.since)),
                        ("source", sourceJSON(entry.source)),
                    ])
                })
        ), ("repaired", .array(report.repaired.map { .string($0) })),
    ])
}

/// Output of `gantry drift --format markdown`: for the summary of a CI job.
func driftMarkdown(_ report: DriftReport, folder: String) -> String {
    var text = "### Drift of stack `\(code(report.stack))`\n\n"
    guard !report.entries.isEmpty else { return text + "It is as it was applied.\n" }
    text += "| address | class | what | policy | since | repair |\n| --- | --- | --- | --- | --- | --- |\n"
    for entry in report.entries {
        let cells = [
            "`\(code(entry.address))`", entry.class.rawValue, markdown(entry.detail), entry.policy.rawValue,
            entry.since,
            markdown(entry.repair ?? ""),
        ]
        text += "| \(cells.joined(separator: " | ")) |\n"
    }
    return text + "\n" + driftSummary(report) + "\n"
}

/// Nothing of it ends a cell or begins markup.
private func markdown(_ text: String) -> String {
    let special: Set<Character> = ["|", "*", "_", "`", "<", ">", "[", "]", "\\", "#"]
    return harmless(text).reduce(into: "") { result, character in
        if special.contains(character) { result.append("\\") }
        result.append(character)
    }
}

private func code(_ text: String) -> String { String(harmless(text).map { "`|".contains($0) ? " " : $0 }) }
