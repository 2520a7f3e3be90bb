import EngineWire
import StackModel

/// Output of `gantry job ls`.
func jobListing(_ jobs: [JobStatus], now: Moment) -> Listing {
    let rows = jobs.map { job in
        let last = job.runs.last { $0.result != "active" }
        let zone = job.timeZone.map { " \($0)" } ?? ""
        let state = job.isStopped ? "stopped" : job.isSuspended ? "suspended" : "scheduled"
        return JSONText.object([
            ("Name", .string(job.name)), ("Schedule", .string(job.schedule)),
            ("TimeZone", .string(job.timeZone ?? "")), ("ScheduleText", .string(job.schedule + zone)),
            ("State", .string(state)), ("Active", .number(job.runs.count { $0.result == "active" })),
            ("LastRun", .string(last.map { ago($0.begunAt, now) } ?? "")),
            ("LastRunAt", .string(last?.begunAt ?? "")), ("LastResult", .string(last.map(resultText) ?? "")),
            ("NextRunAt", .string(job.nextAt ?? "")), ("NextRun", .string(job.nextAt.map { seconds($0) } ?? "")),
        ])
    }
    return Listing(
        columns: [
            ("Name", "NAME"), ("ScheduleText", "SCHEDULE"), ("State", "STATE"), ("Active", "ACTIVE"),
            ("LastRun", "LAST RUN"), ("LastResult", "RESULT"), ("NextRun", "NEXT RUN"),
        ],
        headings: [
            ("Schedule", "SCHEDULE"), ("TimeZone", "TIME ZONE"), ("LastRunAt", "LAST RUN AT"),
            ("NextRunAt", "NEXT RUN AT"),
        ], rows: rows)
}

/// Output of `gantry job history`; newest first.
func jobRunListing(_ jobs: [JobStatus], now: Moment) -> Listing {
    let runs = jobs.flatMap { job in job.runs.map { (job.name, $0) } }
    let sorted = runs.sorted { ($0.1.begunAt, $0.1.id) > ($1.1.begunAt, $1.1.id) }
    let rows = sorted.map { name, run in
        JSONText.object([
            ("Job", .string(name)), ("Run", .string(run.hasContainer ? run.id : "")),
            ("ScheduledAt", .string(run.scheduledAt ?? "")),
            ("Scheduled", .string(run.scheduledAt.map { seconds($0) } ?? "by hand")),
            ("BegunAt", .string(run.begunAt)), ("Begun", .string(ago(run.begunAt, now))),
            ("EndedAt", .string(run.endedAt ?? "")),
            ("Took", .string(run.hasContainer ? duration(run, now) : "")),
            ("Result", .string(run.result)), ("ResultText", .string(resultText(run))),
            ("ExitCode", run.exitCode.map { .number($0) } ?? .string("")), ("Note", .string(run.note ?? "")),
        ])
    }
    return Listing(
        columns: [
            ("Job", "JOB"), ("Run", "RUN"), ("Scheduled", "SCHEDULED"), ("Begun", "BEGUN"), ("Took", "TOOK"),
            ("ResultText", "RESULT"), ("Note", "NOTE"),
        ],
        headings: [
            ("ScheduledAt", "SCHEDULED AT"), ("BegunAt", "BEGUN AT"), ("EndedAt", "ENDED AT"), ("Result", "RESULT"),
            ("ExitCode", "EXIT CODE"),
        ], rows: rows)
}

private func ago(_ text: String, _ now: Moment) -> String { humanAge(of: text, now: now).map { $0 + " ago" } ?? text }

private func resultText(_ run: JobRunStatus) -> String {
    guard let code = run.exitCode, code != 0 else { return run.result }
    return "\(run.result) (\(code))"
}

private func duration(_ run: JobRunStatus, _ now: Moment) -> String {
    guard let begun = Moment(rfc3339: run.begunAt) else { return "" }
    let end = run.endedAt.flatMap { Moment(rfc3339: $0) } ?? now
    return humanDuration(seconds: max(0, (end.nanoseconds - begun.nanoseconds) / 1_000_000_000))
}

/// Without the fraction.
private func seconds(_ text: String) -> String {
    guard let point = text.firstIndex(of: ".") else { return text }
    return text[..<point] + "Z"
}
