import EngineWire
import StackFile
import StackModel

/// Workflow commands for diagnostics, which become annotations; files as seen from the repository. What was annotated
/// before is left out.
func annotations(_ diagnostics: [Diagnostic], _ places: FilePlaces) -> String {
    let placed = diagnostics.filter(ProgramFacts.isNewAnnotation).map { diagnostic in
        var diagnostic = diagnostic
        if let source = diagnostic.source {
            let file = places.name(source.file)
            diagnostic.source = SourceMark(file: file, line: source.line, column: source.column)
        }
        return diagnostic
    }
    return renderDiagnostics(placed, .github, color: false)
}

/// `NAME=VALUE` lines for `$GITHUB_OUTPUT`; a value with several lines gets a delimiter that does not occur in it.
func githubOutputs(_ report: RunReport) -> String {
    outputs(report).map { name, value in
        guard value.contains(where: \.isNewline) else { return "\(name)=\(value)\n" }
        var delimiter = "GANTRY_EOF"
        while value.contains(delimiter) { delimiter += "_" }
        return "\(name)<<\(delimiter)\n\(value)\n\(delimiter)\n"
    }.joined()
}

/// What later steps and jobs may ask for.
func outputs(_ report: RunReport) -> [(name: String, value: String)] {
    [
        ("changed", report.isChanged ? "true" : "false"), ("result", report.result.rawValue),
        ("revision", report.revision.map(String.init) ?? ""), ("plan_path", report.planPath ?? ""),
    ]
}

/// The run for a job's page. `$GITHUB_STEP_SUMMARY` takes 1 MiB a step (GitHub, "Workflow commands", step isolation and
/// limits); what is longer is cut.
struct MarkdownSummary {
    static let byteCountMax = 900 << 10
    private static let changesMax = 200

    let report: RunReport
    let places: FilePlaces

    var text: String {
        let stack = report.stack.map { " of stack \(escaped($0))" } ?? ""
        var text = "### \(escaped(report.command))\(stack): \(title)\n\n"
        var facts = [
            "\(report.changes) change\(report.changes == 1 ? "" : "s")", "\(secondsText(report.milliseconds)) s",
        ]
        if let revision = report.revision { facts.insert("revision \(revision)", at: 0) }
        text += facts.joined(separator: " · ") + "\n\n"
        text += plan + services + errors
        for failure in report.failures {
            let part = details(failure)
            guard text.utf8.count + part.utf8.count < Self.byteCountMax else {
                text += "Further failures are left out.\n"
                break
            }
            text += part
        }
        return text
    }

    private var title: String {
        switch report.result {
        case .converged: "converged ✅"
        case .noop: "nothing to do ✅"
        case .rolledBack: "failed, and was rolled back ↩️"
        case .paused where report.held.values.contains(.canary): "waits for its canaries to be promoted ⏸️"
        case .paused where !report.held.isEmpty: "is paused ⏸️"
        case .paused: "failed, and is paused ⏸️"
        case .failed: "failed ❌"
        }
    }

    private var plan: String {
        guard let changes = report.plan?.effective, !changes.isEmpty else { return "" }
        var text = "| | What | Why | Where |\n| --- | --- | --- | --- |\n"
        for change in changes.prefix(Self.changesMax) {
            let place = change.source.map { "\(places.name($0.file)):\($0.line)" } ?? ""
            let why = change.reason + (change.order.map { ", \($0)" } ?? "")
            text += "| \(change.action.rawValue) | \(escaped("\(change.kind.rawValue) \(change.name)")) "
            text += "| \(escaped(why)) | \(escaped(place)) |\n"
        }
        if changes.count > Self.changesMax { text += "\n… and \(changes.count - Self.changesMax) more\n" }
        return text + "\n"
    }

    private var services: String {
        guard !report.services.isEmpty else { return "" }
        var text = "| Service | Result | Time |\n| --- | --- | --- |\n"
        for service in report.services {
            let word =
                switch service.outcome {
                case .unchanged: "unchanged"
                case .converged: "✅ converged"
                case .failed: "❌ failed"
                case .notReached: "not reached"
                }
            let time = service.outcome == .unchanged ? "" : "\(secondsText(service.milliseconds)) s"
            text += "| \(escaped(service.name)) | \(word) | \(time) |\n"
        }
        return text + "\n"
    }

    private var errors: String {
        report.errors.map { error in
            let place = error.source.map { " (\(places.name($0.file)):\($0.line):\($0.column))" } ?? ""
            return "- ❌ \(escaped(error.message + place))\n"
        }.joined() + (report.errors.isEmpty ? "" : "\n")
    }

    private func details(_ failure: FailureReport) -> String {
        let lines = failureLines(failure, places, margin: "")
        let fence = String(repeating: "`", count: max(3, longestRun(of: "`", in: lines) + 1))
        let title = "container \(failure.container) \(failureSummary(failure))"
        return "<details><summary>\(escaped(title))</summary>\n\n\(fence)text\n"
            + lines.map { $0 + "\n" }.joined() + "\(fence)\n\n</details>\n\n"
    }

    private func longestRun(of character: Character, in lines: [String]) -> Int {
        var longest = 0
        for line in lines {
            var run = 0
            for each in line {
                run = each == character ? run + 1 : 0
                longest = max(longest, run)
            }
        }
        return longest
    }

    /// For a cell or a line: nothing of it is markup.
    private func escaped(_ text: String) -> String {
        var result = ""
        for character in harmless(text) {
            switch character {
            case "|", "\\", "`", "*", "_", "[", "]", "#", "~": result += "\\\(character)"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            default: result.append(character)
            }
        }
        return result
    }
}
