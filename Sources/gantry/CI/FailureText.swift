import EngineWire
import StackModel

/// `exited with 137 (SIGKILL, out of memory), restarted 3 times`.
func failureSummary(_ failure: FailureReport) -> String {
    var text: String
    if failure.state == .running, let health = failure.health, health != .healthy {
        text = health == .unhealthy ? "is unhealthy" : "has not become healthy"
    } else if let code = failure.exitCode {
        let why = [failure.signal, failure.outOfMemory ? "out of memory" : nil].compactMap { $0 }
        let end = "exited with \(code)" + (why.isEmpty ? "" : " (\(why.joined(separator: ", ")))")
        text = failure.state == .running ? "runs again after it \(end)" : end
    } else {
        text = "is \(failure.state.rawValue)"
    }
    if failure.restarts > 0 { text += ", restarted \(failure.restarts) time\(failure.restarts == 1 ? "" : "s")" }
    return text
}

/// The lines below the first: where, after what, health outputs, log. Each begins with `margin`, which also keeps a log
/// from being taken for commands to a CI system.
func failureLines(_ failure: FailureReport, _ places: FilePlaces, margin: String = "  | ") -> [String] {
    var lines: [String] = []
    if let source = failure.source {
        lines.append(
            "service \(failure.service): \(places.name(source.file)):\(source.line):\(source.column)")
    }
    if let step = failure.step { lines.append("last step: \(step)") }
    if let note = failure.note { lines.append(note) }
    if !failure.probes.isEmpty {
        lines.append("last health checks:")
        for probe in failure.probes {
            let code = probe.exitCode.map { "exit \($0)" } ?? "timed out"
            let output = probe.output.split(separator: "\n").joined(separator: " / ")
            lines.append("  \(seconds(probe.at)) \(code)\(output.isEmpty ? "" : ": ")\(output)")
        }
    }
    if failure.log.isEmpty {
        lines.append("its log is empty")
    } else {
        lines.append("last \(failure.log.count) line\(failure.log.count == 1 ? "" : "s") of its log:")
        lines += failure.log.map { "  \(seconds($0.at)) \($0.text)" }
    }
    return lines.map { margin + harmless($0) }
}

/// The whole, for a terminal or a plain log. On GitHub the lines are folded.
func failureText(_ failure: FailureReport, _ places: FilePlaces, color: Bool, _ ci: CIEnvironment) -> String {
    let title = harmless("container \(failure.container) \(failureSummary(failure))")
    // `##[` anywhere in a line is a command to GitHub's runner.
    let lines = failureLines(failure, places).map { $0.replacing("##[", with: "# #[") }
    guard ci.system == .github else {
        return ([coloured(title, .red, color)] + lines).map { $0 + "\n" }.joined()
    }
    return (["::group::" + title.replacing("##[", with: "# #[")] + lines + ["::endgroup::"]).map { $0 + "\n" }.joined()
}

/// As a diagnostic, for annotations and reports of code quality.
func failureDiagnostic(_ failure: FailureReport) -> Diagnostic {
    Diagnostic(
        code: "container.failed", "container \(failure.container) \(failureSummary(failure))", source: failure.source,
        hint: failure.log.last.map { "the last line of its log: \($0.text)" })
}

func failureJSON(_ failure: FailureReport) -> JSONText {
    .object([
        ("stack", .string(failure.stack)), ("service", .string(failure.service)),
        ("container", .string(failure.container)), ("state", .string(failure.state.rawValue)),
        ("health", .optional(failure.health?.rawValue)), ("exit_code", failure.exitCode.map { .number($0) } ?? .null),
        ("signal", .optional(failure.signal)), ("out_of_memory", .bool(failure.outOfMemory)),
        ("restarts", .number(failure.restarts)), ("note", .optional(failure.note)), ("step", .optional(failure.step)),
        ("source", sourceJSON(failure.source)),
        (
            "health_log",
            .array(
                failure.probes.map { probe in
                    .object([
                        ("at", .string(probe.at)), ("exit_code", probe.exitCode.map { .number($0) } ?? .null),
                        ("output", .string(probe.output)),
                    ])
                })
        ),
        (
            "log",
            .array(
                failure.log.map { line in
                    .object([
                        ("at", .string(line.at)), ("stream", .string(line.stream.rawValue)),
                        ("text", .string(line.text)),
                    ])
                })
        ),
    ])
}

/// A time without its fraction.
private func seconds(_ time: String) -> String {
    guard let point = time.firstIndex(of: ".") else { return time }
    return time[..<point] + "Z"
}
