import EngineWire
import Images
import Reconciler
import StackModel

/// `gantry start|stop|restart|kill`.
public enum ServiceVerb: String, Sendable, CaseIterable {
    case start, stop, restart, kill
}

extension Engine {
    /// Makes the request the desired state and converges to it. Ends the progress with `.done` or `.failed`.
    public func apply(_ name: String, _ request: ApplyRequest, progress: @escaping ProgressSink) async {
        await reporting(progress, of: name) { () async throws(EngineError) in
            try self.validateStackName(name)
            let request = try self.restored(name, request)
            if self.stacks[name] == nil {
                guard let stack = request.stack else { throw .stackNotFound(name) }
                self.stacks[name] = StackEntry(
                    record: StackRecord(
                        stack: stack, scale: [:], stopped: [], selection: [], active: false, updatedAt: Clock.now()))
            }
            let applied = try await self.withLock(name) { () async throws(EngineError) in
                try await self.applyLocked(name, request, progress: progress)
            }
            // Without the lock: what ends before it is ready is started again by its restart policy meanwhile.
            let touched = request.saved?.touchedServices
            if request.wait, touched?.isEmpty != true {
                try await self.waitUntilReady(
                    name, applied.record, services: touched ?? [], deadline: applied.deadline, progress: progress)
            }
            return applied.changes
        }
    }

    private struct Applied: Sendable {
        var changes: Int
        var record: StackRecord
        /// When `--wait-timeout` has passed.
        var deadline: Nanoseconds?
    }

    private func applyLocked(
        _ name: String, _ request: ApplyRequest, progress: @escaping ProgressSink
    ) async throws(EngineError) -> Applied {
        let isNew = stacks[name]?.record.active == false
        var record: StackRecord
        let imageIDs: [String: String]
        do throws(EngineError) {
            record = try requestedRecord(name, request)
            if let saved = request.saved { try refuseStale(name, saved, progress: progress) }
            try await refuseDestruction(record, request)
            // What the command does not act on needs no image, and may have none yet. A saved plan names its images.
            let planned = request.saved?.imageIDs ?? [:]
            let applied = record.stack.applied(request.services, noDependencies: request.noDependencies)
                .subtracting(planned.keys)
            try await pullImages(of: record, services: applied, progress: progress)
            imageIDs = try resolveImages(record, needed: applied).merging(planned) { _, planned in planned }
                .merging(record.imageIDs ?? [:]) { _, kept in kept }
            record.imageIDs = imageIDs
            try checkTimeZones(record)
            record.recreatedAt = request.forceRecreate ? Clock.now() : stacks[name]?.record.recreatedAt
            try reservePorts(record)
            if let present = stacks[name]?.record, present.active { record.keepSaid(of: present) }
            try saveRevision(&record, cause: "apply")
        } catch {
            dropIfEmpty(name)
            throw error
        }
        stacks[name]?.record = record
        // Where nothing has to be done, nothing else tells the loop that there is something new to prove.
        noteChange(in: name)
        for warning in hostWarnings(record) { progress(.warning(warning)) }
        if isNew { startMaintaining(name) }
        let deadline = request.waitTimeout.map { Clock.now() + $0 }
        var desired = desiredState(record, mode: .apply, request: request, imageIDs: imageIDs)
        // What this command has made is not made again when it plans once more.
        desired.since = Clock.now()
        await noteLeft(desired, name, progress: progress)
        let changes = try await converge(.reach(desired), name, deadline: deadline, progress: progress)
        for warning in forwardWarnings(name) { progress(.warning(warning)) }
        return Applied(changes: changes, record: record, deadline: deadline)
    }

    /// Takes a stack down, with its file or without one.
    public func down(_ name: String, _ request: DownRequest, progress: @escaping ProgressSink) async {
        await reporting(progress) { () async throws(EngineError) in
            guard self.stacks[name] != nil || self.ownsObjects(name) else { return 0 }
            if self.stacks[name] == nil {
                self.stacks[name] = StackEntry(
                    record: StackRecord(
                        stack: Stack(name: name), scale: [:], stopped: [], selection: [], active: false,
                        updatedAt: Clock.now()))
            }
            return try await self.withLock(name) { () async throws(EngineError) in
                try await self.downLocked(name, request, progress: progress)
            }
        }
    }

    private func downLocked(
        _ name: String, _ request: DownRequest, progress: @escaping ProgressSink
    ) async throws(EngineError) -> Int {
        guard var record = stacks[name]?.record else { return 0 }
        record.active = false
        // Saved first: what could not be written down is not so.
        try save(record)
        stacks[name]?.record = record
        await waitForJobWork(name)
        let work = Work.Down(
            stack: record.stack, removeVolumes: request.volumes, removeOrphans: request.removeOrphans,
            timeout: request.timeout)
        let changes = try await converge(.down(work), name, progress: progress)
        ports.release(stack: name)
        forgetJobs(name)
        dropIfEmpty(name)
        return changes
    }

    public func operate(
        _ verb: ServiceVerb, _ name: String, _ request: ServicesRequest, progress: @escaping ProgressSink
    ) async {
        await reporting(progress) { () async throws(EngineError) in
            guard self.stacks[name] != nil else { throw .stackNotFound(name) }
            return try await self.withLock(name) { () async throws(EngineError) in
                try await self.operateLocked(verb, name, request, progress: progress)
            }
        }
    }

    private func operateLocked(
        _ verb: ServiceVerb, _ name: String, _ request: ServicesRequest, progress: @escaping ProgressSink
    ) async throws(EngineError) -> Int {
        guard var record = stacks[name]?.record else { throw .stackNotFound(name) }
        for service in request.services where record.stack.services[service] == nil {
            throw .badRequest("no such service: \(service)")
        }
        let named = Set(request.services.isEmpty ? Array(record.stack.services.keys) : request.services)
        switch verb {
        case .stop: record.stopped.formUnion(named)
        case .start, .restart: record.stopped.subtract(named)
        case .kill: break
        }
        try save(record)
        stacks[name]?.record = record
        let scheduled = scheduledServices(record).intersection(named)
        if verb == .stop { await stopRuns(name, services: scheduled) }
        noteChange(in: name)
        // What runs by the clock has no containers to be started or stopped.
        let ordinary = named.subtracting(scheduled)
        guard !ordinary.isEmpty else { return 0 }
        return try await converge(try work(verb, ordinary.sorted(), request), name, progress: progress)
    }

    private func work(
        _ verb: ServiceVerb, _ services: [String], _ request: ServicesRequest
    ) throws(EngineError) -> Work {
        switch verb {
        case .start: return .start(services: services)
        case .stop: return .stop(services: services, timeout: request.timeout)
        case .restart: return .restart(services: services, timeout: request.timeout)
        case .kill:
            let signal = request.signal ?? "SIGKILL"
            _ = try signalNumber(signal)
            return .kill(services: services, signal: signal)
        }
    }

    /// - Parameter name: of the stack whose ailing replicas are told of when it fails; `nil`: of none.
    func reporting(
        _ progress: ProgressSink, of name: String? = nil, _ body: () async throws(EngineError) -> Int
    ) async {
        let beginning = Clock.now()
        do throws(EngineError) {
            progress(.done(changes: try await body()))
        } catch {
            if let name {
                let isLate = error.diagnostics.contains { $0.code == "stack.timeout" }
                await reportFailures(name, isLate: isLate, since: beginning, progress: progress)
            }
            progress(.failed(error.diagnostics))
        }
    }
}
