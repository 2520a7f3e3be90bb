import EngineWire
import Images
import Logging
import Reconciler
import StackModel
import Timetable

/// Services that are started by the clock. `decideJob` says what is to be done; what it says is written down first.
///
/// Runs need no lock of the stack, so that a command that waits for something does not make them late. A stack that
/// goes down waits for the starts that are under way.
extension Engine {
    /// However far away the next time is, the clock is looked at so often: it may have been set.
    private static let clockInterval: Nanoseconds = 30 * 1_000_000_000

    /// One pass whenever there is news of the stack, until it is gone.
    func keepJobs(_ name: String) async {
        while !Task.isCancelled, !isShuttingDown, let entry = stacks[name] {
            let seen = entry.changes
            if entry.record.active { decideJobs(name) }
            await waitForChange(in: name, since: seen)
        }
        jobWakes[name] = nil
    }

    /// Decides about all jobs of a stack and begins what is to be done.
    private func decideJobs(_ name: String) {
        guard let record = stacks[name]?.record else { return }
        let scheduled = scheduledServices(record)
        let known = Set((jobs[name] ?? [:]).keys)
        guard !scheduled.isEmpty || !known.isEmpty else { return }
        let observed = observeRecords(name)
        var wakeAt: Nanoseconds?
        for service in known.union(scheduled).sorted() {
            var job = storedJob(name, service, record)
            let rules = scheduled.contains(service) ? jobRules(record, service) : nil
            if scheduled.contains(service), rules == nil { continue }
            let situation = jobSituation(job, record, observed)
            let decision = decideJob(rules, job.record, situation, now: Clock.now())
            if let time = decision.wakeAt { wakeAt = min(time, wakeAt ?? time) }
            if rules == nil, decision.record.runs.isEmpty {
                forgetJob(job)
                continue
            }
            job.record = decision.record
            guard keep(job) else { continue }
            for action in decision.actions { begin(action, job) }
        }
        jobWakes[name] = wakeAt
        armJobClock()
    }

    /// Writes it down if it is another than before. Without that nothing is done.
    private func keep(_ job: StoredJob) -> Bool {
        let old = jobs[job.stackName]?[job.service]
        if let old, old.record == job.record, old.schedule == job.schedule, old.isSuspended == job.isSuspended {
            return true
        }
        do throws(EngineError) { try save(job) } catch {
            log.error("job not saved", metadata: ["job": "\(job.recordID)", "error": "\(error)"])
            return false
        }
        jobs[job.stackName, default: [:]][job.service] = job
        return true
    }

    private func forgetJob(_ job: StoredJob) {
        do throws(DatabaseError) { try store.delete(job) } catch {
            log.error("job not deleted", metadata: ["job": "\(job.recordID)", "error": "\(error)"])
            return
        }
        jobs[job.stackName]?[job.service] = nil
    }

    /// Of a stack that is gone.
    func forgetJobs(_ name: String) {
        for job in (jobs[name] ?? [:]).values { forgetJob(job) }
        jobs[name] = nil
    }

    // MARK: What there is

    func scheduledServices(_ record: StackRecord) -> Set<String> {
        record.stack.applied(record.selection).filter { record.stack.services[$0]?.schedule != nil }
    }

    /// As it is known, or new; with the schedule that it has now.
    func storedJob(_ name: String, _ service: String, _ record: StackRecord) -> StoredJob {
        let schedule = record.stack.services[service]?.schedule
        guard var job = jobs[name]?[service] else {
            return StoredJob(
                stackName: name, service: service, record: JobRecord(consideredUpTo: Clock.now()),
                schedule: schedule ?? Schedule(cron: ""))
        }
        if let schedule, schedule != job.schedule {
            if (schedule.cron, schedule.timeZone) != (job.schedule.cron, job.schedule.timeZone) {
                job.record.consideredUpTo = Clock.now()
            }
            if schedule.suspend != job.schedule.suspend { job.isSuspended = nil }
            job.schedule = schedule
        }
        return job
    }

    /// `nil` when its time zone is not to be had, which is told once.
    func jobRules(_ record: StackRecord, _ service: String) -> JobRules? {
        guard let schedule = record.stack.services[service]?.schedule else { return nil }
        do {
            return try JobRules(schedule, zone: try timeZone(schedule.timeZone))
        } catch {
            if brokenJobs.insert("\(record.stackName)/\(service)").inserted {
                log.error("job cannot run", metadata: ["job": "\(service)", "error": "\(error)"])
            }
            return nil
        }
    }

    func jobSituation(_ job: StoredJob, _ record: StackRecord, _ observed: ObservedState) -> JobSituation {
        let ids = Set(job.record.runs.map(\.id))
        let own = observed.containers.filter { $0.oneOff && ids.contains($0.name) }
        let isStopped = record.stopped.contains(job.service)
        return JobSituation(
            stack: job.stackName, service: job.service,
            containers: Dictionary(own.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }),
            dependencies: dependencyStatus(ofJob: job.service, stack: record.stack, observed: observed),
            isHeld: isStopped || (job.isSuspended ?? job.schedule.suspend), isStopped: isStopped)
    }

    // MARK: What is done

    private func begin(_ action: JobDecision.Action, _ job: StoredJob) {
        let run = action.run
        let key = "\(job.stackName)/\(run.id)"
        guard jobWork.insert(key).inserted else { return }
        background.start { [self] in
            do throws(EngineError) {
                switch action {
                case .start(let run): try await startRun(run, job)
                case .restart(let run): try await startContainer(try container(run.id).stored.id, byPolicy: true)
                case .stop(let run): try await stopContainer(try container(run.id).stored.id, byUser: false)
                case .forget(let run):
                    try await removeContainer(try container(run.id).stored.id, anonymousVolumes: true)
                }
                await jobWorkEnded(key, job.stackName)
            } catch {
                await jobWorkFailed(action, job, error)
                await jobWorkEnded(key, job.stackName)
            }
        }
    }

    private func jobWorkEnded(_ key: String, _ stack: String) {
        jobWork.remove(key)
        noteChange(in: stack)
    }

    private func jobWorkFailed(_ action: JobDecision.Action, _ job: StoredJob, _ error: EngineError) {
        if case .cancelled = error { return }
        let mask = secretMask(of: job.stackName)
        let message = mask.mask(error.diagnostics.map(\.message).joined(separator: "; "))
        log.warning(
            "job", metadata: ["stack": "\(job.stackName)", "run": "\(action.run.id)", "error": "\(message)"])
        guard case .start = action, var job = jobs[job.stackName]?[job.service],
            let index = job.record.runs.firstIndex(where: { $0.id == action.run.id && $0.isActive })
        else { return }
        // The container, where there is one, knows how it ended; where there is none, nothing else will.
        if containerIDs[action.run.id] == nil {
            (job.record.runs[index].outcome, job.record.runs[index].endedAt) = (.failed, Clock.now())
        }
        job.record.runs[index].note = message
        _ = keep(job)
    }

    private func startRun(_ run: JobRun, _ job: StoredJob) async throws(EngineError) {
        guard let record = stacks[job.stackName]?.record, record.active else { throw .stackNotFound(job.stackName) }
        if containerIDs[run.id] == nil { try await makeRun(run, job, record) }
        let made = try container(run.id)
        guard made.stored.stackName == job.stackName, made.stored.labels[GantryLabel.job] == job.service else {
            throw .conflict("container name '\(run.id)' is already used by container \(made.stored.shortID)")
        }
        try await startContainer(made.stored.id)
        // Not a moment later, as others: a power cut must not make it run twice.
        if let stored = containers[made.stored.id]?.stored { saveOrLog(stored) }
    }

    private func makeRun(_ run: JobRun, _ job: StoredJob, _ record: StackRecord) async throws(EngineError) {
        try await makeResources(of: job.service, record.stack)
        var options = CreateOptions(oneOff: true)
        options.name = run.id
        options.image = try await imageOfRun(job.service, record)
        options.publishPorts = false
        options.labels[GantryLabel.job] = job.service
        options.labels[GantryLabel.scheduledAt] = run.scheduledAt.map(rfc3339)
        _ = try await createContainer(stack: record.stack, service: job.service, number: 1, options: options) {
            $0.containerName = nil
            $0.ports = []
        }
    }

    /// The one that the stack has; one that was removed meanwhile, as nothing used it, is pulled.
    private func imageOfRun(_ service: String, _ record: StackRecord) async throws(EngineError) -> String? {
        // Not there, or damaged: all the same.
        if let id = record.imageIDs?[service], (try? images.image(id)) != nil { return id }
        try await pullImages(of: record, services: [service], progress: { _ in })
        return nil
    }

    /// Networks and volumes, which `up` has made unless somebody removed them since.
    private func makeResources(of service: String, _ stack: Stack) async throws(EngineError) {
        guard let service = stack.services[service] else { throw .badRequest("no such service: \(service)") }
        let missing = service.networks.keys.sorted().filter { networks[stack.networkName($0)] == nil }
        let volumes = service.mounts.filter { $0.kind == .volume }.compactMap(\.source)
            .filter { self.volumes[stack.volumeName($0)] == nil }
        guard !missing.isEmpty || !volumes.isEmpty else { return }
        try await withLock(stack.name) { () async throws(EngineError) in
            for key in missing where self.networks[stack.networkName(key)] == nil {
                try await self.createNetwork(key, stack: stack)
            }
            for key in volumes { try await self.createVolume(key, stack: stack) }
        }
    }

    /// Returns when no run of the stack is about to be started, or none is being stopped.
    func waitForJobWork(_ name: String) async {
        while jobWork.contains(where: { $0.hasPrefix("\(name)/") }), !isShuttingDown {
            let seen = stacks[name]?.changes ?? 0
            guard jobWork.contains(where: { $0.hasPrefix("\(name)/") }) else { return }
            await waitForChange(in: name, since: seen)
        }
    }

    /// `gantry stop` of jobs: their times are passed over from here on, and what runs of them is stopped.
    func stopRuns(_ name: String, services: Set<String>) async {
        let running = (jobs[name] ?? [:]).values.filter { services.contains($0.service) }
            .flatMap { $0.record.runs.filter(\.isActive).map(\.id) }
        guard !running.isEmpty else { return }
        decideJobs(name)
        await waitForJobWork(name)
    }

    // MARK: The clock

    /// Sees to it that stacks are looked at when their jobs' times come. The newest call counts.
    private func armJobClock() {
        jobClock += 1
        guard let next = jobWakes.values.min() else { return }
        let armed = jobClock
        let delay = min(max(0, next - Clock.now()), Self.clockInterval)
        background.start { [self] in
            // Cancelled at the engine's end: the next one looks at its start.
            do { try await Task.sleep(for: .nanoseconds(delay)) } catch { return }
            await jobClockRings(armed)
        }
    }

    private func jobClockRings(_ armed: Int) {
        guard armed == jobClock else { return }
        let now = Clock.now()
        let due = jobWakes.filter { $0.value <= now }.keys
        for name in due {
            jobWakes[name] = nil
            noteChange(in: name)
        }
        armJobClock()
    }
}

extension JobDecision.Action {
    var run: JobRun {
        switch self {
        case .start(let run), .restart(let run), .stop(let run), .forget(let run): run
        }
    }
}
