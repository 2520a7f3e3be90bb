import EngineWire
import Glibc
import LinuxSystem
import StackModel

/// The version of the lines of `--progress json` and of the report `json`: schemas/progress.schema.json.
let progressFormatVersion = "1.0"

/// One line of `--progress json`: what kind it is, when it was, and its members.
func progressLine(_ type: String, _ value: JSONText) -> String {
    var members: [(String, JSONText)] = [
        ("type", .string(type)), ("time", .string(wallClockNow().secondsText)),
    ]
    if case .object(let own) = value { members += own }
    return JSONText.object(members).text + "\n"
}

/// A run as a whole. `isWhole`: with its plan, services, failures and diagnostics.
func runJSON(_ report: RunReport, isWhole: Bool = true) throws -> JSONText {
    var members: [(String, JSONText)] = [
        ("format_version", .string(progressFormatVersion)), ("command", .string(report.command)),
        ("stack", .optional(report.stack)), ("result", .string(report.result.rawValue)),
        ("changed", .bool(report.isChanged)), ("changes", .number(report.changes)),
        ("revision", report.revision.map { .number($0) } ?? .null), ("exit_code", .number(Int64(report.exitCode))),
        ("milliseconds", .number(report.milliseconds)),
    ]
    guard isWhole else { return .object(members) }
    members += [
        ("started_at", .string(report.startedAt.secondsText)), ("plan_path", .optional(report.planPath)),
        ("plan", try report.plan.map(planJSON) ?? .null),
        (
            "services",
            .array(
                report.services.map { service in
                    .object([
                        ("name", .string(service.name)), ("outcome", .string(word(service.outcome))),
                        ("milliseconds", .number(service.milliseconds)), ("source", sourceJSON(service.source)),
                    ])
                })
        ),
        ("failures", .array(report.failures.map(failureJSON))),
        ("diagnostics", .array(report.diagnostics.map(diagnosticJSON))),
    ]
    return .object(members)
}

private func word(_ outcome: RunReport.Service.Outcome) -> String {
    switch outcome {
    case .unchanged: "unchanged"
    case .converged: "converged"
    case .failed: "failed"
    case .notReached: "not_reached"
    }
}

func lockHolderJSON(_ holder: LockHolder) -> JSONText {
    .object([
        ("user", .optional(holder.owner?.user)), ("host", .optional(holder.owner?.host)),
        ("pid", holder.owner.map { .number($0.pid) } ?? .null), ("command", .optional(holder.owner?.command)),
        ("url", .optional(holder.owner?.url)), ("since", .string(holder.since)),
    ])
}

extension Moment {
    /// `2026-01-31T10:00:00Z`.
    var secondsText: String { rfc3339Seconds(nanoseconds / 1_000_000_000) }
}

/// To the end of a file that others may write to as well.
func appendToFile(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
    let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode: 0o644)
    try file.writeAll(bytes)
}
