import EngineWire
import StackModel

extension PlanReply {
    /// Changes without the steps that only wait.
    var effective: [Change] { changes.filter { $0.action != .wait } }
}

private func symbol(_ action: PlanReply.Change.Action) -> (text: String, colour: Colour) {
    switch action {
    case .create, .build: ("+", .green)
    case .recreate: ("-/+", .yellow)
    case .remove: ("-", .red)
    case .repair: ("!", .magenta)
    case .start, .stop, .restart, .update, .wait: ("~", .yellow)
    }
}

/// Output of `gantry plan`. `folder`: the working directory, from which files below it are named.
func renderPlan(_ plan: PlanReply, folder: String, color: Bool) -> String {
    let changes = plan.effective
    var text = ""
    let names = changes.map { harmless("\($0.kind.rawValue) \($0.name)") }
    let reasons = changes.map { change in
        harmless("\(change.action.rawValue): \(change.reason)" + (change.order.map { ", \($0)" } ?? ""))
    }
    let nameWidth = names.map(\.displayWidth).max() ?? 0
    let reasonWidth = reasons.map(\.displayWidth).max() ?? 0
    for (index, change) in changes.enumerated() {
        let (mark, colour) = symbol(change.action)
        var line = coloured(mark.padded(to: 3), colour, color) + " " + names[index].padded(to: nameWidth) + "  "
        if let source = change.source {
            let place = harmless("\(relativePath(source.file, to: folder)):\(source.line):\(source.column)")
            line += reasons[index].padded(to: reasonWidth) + "  " + coloured(place, .faint, color)
        } else {
            line += reasons[index]
        }
        text += line + "\n"
    }
    if !changes.isEmpty { text += "\n" }
    text += planSummary(changes) + "\n"
    if !plan.repaired.isEmpty {
        text += "\nRepaired by the engine in the last minutes:\n"
        text += plan.repaired.map { "\(coloured("!", .magenta, color))   \(harmless($0))\n" }.joined()
    }
    return text
}

/// `Plan: 2 to create, 1 to recreate.`
func planSummary(_ changes: [PlanReply.Change]) -> String {
    if changes.isEmpty { return "No changes." }
    let order: [PlanReply.Change.Action] = [
        .build, .create, .recreate, .start, .stop, .restart, .update, .repair, .remove,
    ]
    let parts = order.compactMap { action -> String? in
        let count = changes.count { $0.action == action }
        return count == 0 ? nil : "\(count) to \(action.rawValue)"
    }
    return "Plan: \(parts.joined(separator: ", "))."
}

/// Output of `gantry plan --format json`.
func renderPlanJSON(_ plan: PlanReply) -> String { planJSON(plan).text + "\n" }

func planJSON(_ plan: PlanReply) -> JSONText {
    .object([
        ("stack", .string(plan.stack)), ("changes", .array(plan.changes.map(changeJSON))),
        ("repaired", .array(plan.repaired.map { .string($0) })),
        ("warnings", .array(plan.warnings.map(diagnosticJSON))),
    ])
}

private func changeJSON(_ change: PlanReply.Change) -> JSONText {
    .object([
        ("action", .string(change.action.rawValue)), ("kind", .string(change.kind.rawValue)),
        ("name", .string(change.name)), ("reason", .string(change.reason)), ("order", .optional(change.order)),
        ("source", sourceJSON(change.source)),
    ])
}

func diagnosticJSON(_ diagnostic: Diagnostic) -> JSONText {
    .object([
        ("severity", .string(diagnostic.severity.rawValue)), ("code", .string(diagnostic.code)),
        ("message", .string(diagnostic.message)), ("source", sourceJSON(diagnostic.source)),
        ("hint", .optional(diagnostic.hint)),
    ])
}

private func sourceJSON(_ source: SourceMark?) -> JSONText {
    guard let source else { return .null }
    return .object([
        ("file", .string(source.file)), ("line", .number(source.line)), ("column", .number(source.column)),
    ])
}

/// `path` as seen from `folder`, when it is below it.
func relativePath(_ path: String, to folder: String) -> String {
    let prefix = folder.hasSuffix("/") ? folder : folder + "/"
    return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : path
}
