import EngineWire
import StackModel

/// Output of `gantry diff`: fields as lines of a unified diff.
func renderDiff(_ diff: DiffReply, folder: String, color: Bool) -> String {
    guard !diff.sections.isEmpty else { return "" }
    var text = coloured("--- \(harmless(diff.stack)), \(harmless(diff.from))\n", .bold, color)
    text += coloured("+++ \(harmless(diff.stack)), \(harmless(diff.to))\n", .bold, color)
    for section in diff.sections {
        let place = section.source.map { " \(relativePath($0.file, to: folder)):\($0.line)" } ?? ""
        let action = section.action == .changed ? "" : " \(section.action.rawValue)"
        text += coloured(harmless("@@ \(section.address)\(action) @@\(place)"), .cyan, color) + "\n"
        for line in section.fields.flatMap(diffLines) {
            text += coloured(line, line.hasPrefix("+") ? .green : line.hasPrefix("-") ? .red : .yellow, color) + "\n"
        }
    }
    return text
}
