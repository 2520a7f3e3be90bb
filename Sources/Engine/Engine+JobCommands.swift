import EngineWire
import Reconciler
import StackModel
import Timetable

/// `gantry job`.
extension Engine {
    public func jobStatuses(_ name: String) throws(EngineError) -> [JobStatus] {
        guard let record = stacks[name]?.record else { throw .stackNotFound(name) }
        guard record.active else { return [] }
        return scheduledServices(record).sorted().map { service in
            let job = storedJob(name, service, record)
            let isSuspended = job.isSuspended ?? job.schedule.suspend
            var status = JobStatus(
                name: service, schedule: job.schedule.cron, timeZone: job.schedule.timeZone, isSuspended: isSuspended,
                isStopped: record.stopped.contains(service))
            if !status.isSuspended, !status.isStopped, let rules = jobRules(record, service) {
                let after = max(Clock.now(), job.record.consideredUpTo)
                status.nextAt = rules.expression.next(after: after, in: rules.zone).map(rfc3339)
            }
            status.runs = job.record.runs.map(JobRunStatus.init)
            return status
        }
    }

    /// Begins a run now.
    public func runJob(_ name: String, _ service: String) throws(EngineError) -> JobRunStatus {
        let record = try activeJob(name, service)
        guard let rules = jobRules(record, service) else {
            throw .conflict("the times of job \(service) are not known")
        }
        var job = storedJob(name, service, record)
        let situation = jobSituation(job, record, observeRecords(name))
        guard let decision = beginJob(rules, job.record, situation, now: Clock.now()),
            let run = decision.record.runs.last
        else {
            let active = job.record.runs.filter(\.isActive).map(\.id).joined(separator: ", ")
            throw .diagnostics([
                Diagnostic(
                    code: "job.active", "job \(service) is running already: \(active)",
                    hint: "wait for its end, or give it 'concurrency: allow' or 'replace'")
            ])
        }
        job.record = decision.record
        try saveJob(job)
        return JobRunStatus(run)
    }

    public func suspendJob(_ name: String, _ service: String, _ isSuspended: Bool) throws(EngineError) {
        var job = storedJob(name, service, try activeJob(name, service))
        job.isSuspended = isSuspended
        try saveJob(job)
    }

    private func saveJob(_ job: StoredJob) throws(EngineError) {
        try save(job)
        jobs[job.stackName, default: [:]][job.service] = job
        noteChange(in: job.stackName)
    }

    private func activeJob(_ name: String, _ service: String) throws(EngineError) -> StackRecord {
        guard let record = stacks[name]?.record, record.active else { throw .stackNotFound(name) }
        let known = scheduledServices(record).sorted()
        guard known.contains(service) else {
            let hint =
                known.isEmpty
                ? "no service of the stack has 'x-gantry.schedule'" : "its jobs are \(known.joined(separator: ", "))"
            throw .diagnostics([
                Diagnostic(code: "job.not-found", "there is no job '\(service)' in the stack \(name)", hint: hint)
            ])
        }
        return record
    }
}

extension JobRunStatus {
    init(_ run: JobRun) {
        self.init(id: run.id, begunAt: rfc3339(run.begunAt), result: run.outcome?.rawValue ?? "active")
        scheduledAt = run.scheduledAt.map(rfc3339)
        endedAt = run.endedAt.map(rfc3339)
        exitCode = run.exitCode
        note = run.note
        hasContainer = run.outcome?.hasRun ?? run.isMade
    }
}
