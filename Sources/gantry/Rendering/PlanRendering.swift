import EngineWire
import FoundationEssentials
import JSONDocument
import StackModel

func symbol(_ action: PlanReply.Change.Action) -> (text: String, colour: Colour) {
    switch action {
    case .create, .build, .pull: ("+", .green)
    case .recreate: ("-/+", .yellow)
    case .remove: ("-", .red)
    case .repair: ("!", .magenta)
    case .start, .stop, .restart, .update, .wait: ("~", .yellow)
    }
}

/// Output of `gantry plan`. `folder`: the working directory, from which files below it are named.
func renderPlan(_ plan: PlanReply, folder: String, color: Bool) -> String {
    PlanText(plan: plan, folder: folder, color: color).text
}

/// A plan as it is read on a terminal.
private struct PlanText {
    let plan: PlanReply
    let folder: String
    let color: Bool

    /// One line: what is on the left, coloured and not, and where it was written.
    private struct Line {
        var plain: String
        var coloured: String
        var source: SourceMark?
    }

    /// Columns after which sources do not go further right.
    private static let sourceColumnMax = 76

    var text: String {
        guard !plan.isQuiet else { return "No changes.\n" + repaired }
        let head = "Stack \(harmless(plan.stack)) · \(plan.revisionText) · \(plan.summaryText)"
        var text = paint(head, .bold) + "\n\n"
        let body = lines
        if !body.isEmpty { text += laidOut(body) + "\n" }
        return text + disruption + repaired
    }

    private func paint(_ text: String, _ colour: Colour) -> String { coloured(text, colour, color) }

    // MARK: Changes

    private var lines: [Line] {
        let rows = planRows(plan.effective)
        let width = min(40, rows.map { harmless($0.address).displayWidth }.max() ?? 0)
        var lines = rows.flatMap { row in
            let paths = min(32, row.change.fields.map { harmless($0.path).displayWidth }.max() ?? 0)
            return [line(row, width)] + row.change.fields.map { line($0, paths) }
        }
        lines += plan.drift.map { drift in
            let repair = drift.repair.map { ", \($0)" } ?? ""
            return mark("!", .magenta, drift.address, width, "drift (\(drift.class)): \(drift.detail)\(repair)")
        }
        lines += plan.orphans.map { orphan in
            mark("?", .yellow, orphan.address, width, "orphan: not in the stack file, stays without --remove-orphans")
        }
        return lines
    }

    private func line(_ row: PlanRow, _ width: Int) -> Line {
        let change = row.change
        let (sign, colour) = symbol(change.action)
        let text = ([change.headline] + [change.order].compactMap { $0 }).joined(separator: " · ")
        // Where fields are shown, each has its own place.
        let source = change.fields.isEmpty ? change.source : nil
        return mark(sign, colour, row.address, width, text, source)
    }

    private func mark(
        _ sign: String, _ colour: Colour, _ address: String, _ width: Int, _ text: String, _ source: SourceMark? = nil
    ) -> Line {
        let name = harmless(address).padded(to: width)
        let rest = harmless(text)
        return Line(
            plain: "\(sign.padded(to: 3)) \(name)  \(rest)",
            coloured: "\(paint(sign.padded(to: 3), colour)) \(paint(name, .bold))  \(rest)", source: source)
    }

    private func line(_ field: PlanReply.Field, _ width: Int) -> Line {
        let path = harmless(field.path).padded(to: width)
        let (sign, colour, value, shown) = values(field)
        return Line(
            plain: "      \(sign) \(path)  \(value)",
            coloured: "      \(paint(sign, colour)) \(path)  \(shown)", source: field.source)
    }

    private func values(_ field: PlanReply.Field) -> (String, Colour, String, String) {
        switch (field.before, field.after) {
        case (let before?, let after?):
            let (old, new) = excerpts(before, after)
            return ("~", .yellow, "\(old) → \(new)", "\(paint(old, .red)) → \(paint(new, .green))")
        case (nil, let after?):
            let new = excerpt(after)
            return ("+", .green, new, paint(new, .green))
        case (let before?, nil):
            let old = excerpt(before)
            return ("-", .red, old, paint(old, .red))
        case (nil, nil): return ("~", .yellow, "changed", "changed")
        }
    }

    private func laidOut(_ lines: [Line]) -> String {
        let widths = lines.filter { $0.source != nil }.map(\.plain.displayWidth)
        let column = widths.filter { $0 <= Self.sourceColumnMax }.max() ?? 0
        return lines.map { line in
            guard let source = line.source else { return line.coloured + "\n" }
            let place = harmless("\(relativePath(source.file, to: folder)):\(source.line):\(source.column)")
            let gap = String(repeating: " ", count: max(0, column - line.plain.displayWidth) + 2)
            return line.coloured + gap + paint(place, .faint) + "\n"
        }.joined()
    }

    // MARK: The end

    private var disruption: String {
        let found = plan.disruptions
        guard !found.isEmpty else { return plan.effective.isEmpty ? "" : "Disruption: none expected.\n" }
        let texts = found.map { paint($0.text, $0.level == .reduced ? .yellow : .red) }
        return "Disruption: \(texts.joined(separator: "; ")).\n"
    }

    private var repaired: String {
        guard !plan.repaired.isEmpty else { return "" }
        return "\nRepaired by the engine in the last minutes:\n"
            + plan.repaired.map { "\(paint("!", .magenta))   \(harmless($0))\n" }.joined()
    }
}

// MARK: - JSON

/// The plan as a document; its bytes are the same for the same plan.
func planDocument(_ plan: PlanReply) throws -> [UInt8] {
    try encoded(plan, [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]) + [UInt8(ascii: "\n")]
}

/// The same within another document, on one line.
func planJSON(_ plan: PlanReply) throws -> JSONText {
    JSONText(try JSONDecoder().decode(JSONValue.self, from: Data(try encoded(plan, []))))
}

private func encoded(_ plan: PlanReply, _ formatting: JSONEncoder.OutputFormatting) throws -> [UInt8] {
    var plan = plan
    plan.gantry = gantryVersion
    let encoder = JSONEncoder()
    encoder.outputFormatting = formatting
    return Array(try encoder.encode(plan))
}

func diagnosticJSON(_ diagnostic: Diagnostic) -> JSONText {
    .object([
        ("severity", .string(diagnostic.severity.rawValue)), ("code", .string(diagnostic.code)),
        ("message", .string(diagnostic.message)), ("source", sourceJSON(diagnostic.source)),
        ("hint", .optional(diagnostic.hint)),
    ])
}

func sourceJSON(_ source: SourceMark?) -> JSONText {
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
