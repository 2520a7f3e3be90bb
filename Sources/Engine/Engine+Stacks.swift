import EngineWire
import Images
import Reconciler
import StackModel

/// `gantry start|stop|restart|kill`.
public enum ServiceVerb: String, Sendable, CaseIterable {
    case start, stop, restart, kill
}

extension Engine {
    /// What `apply` with the same request would do, without doing any of it.
    public func plan(_ name: String, _ request: ApplyRequest) async throws(EngineError) -> PlanReply {
        let record = try requestedRecord(name, request)
        let applied = record.stack.applied(request.services, noDependencies: request.noDependencies)
        let unbuilt = unbuiltServices(record).filter(applied.contains)
        let imageIDs = try resolveImages(record, needed: applied.subtracting(unbuilt))
        let desired = desiredState(record, mode: .apply, request: request, imageIDs: imageIDs)
        let plan = Reconciler.plan(desired: desired, observed: await observe(name), now: Clock.now())
        return PlanReply(
            stack: name,
            changes: unbuilt.map { buildChange($0, record) } + plan.displayChanges.map { PlanReply.Change($0) },
            repaired: stacks[name]?.recentRepairs(now: Clock.now()) ?? [], warnings: plan.warnings)
    }

    /// Services whose images a client builds before it applies.
    private func unbuiltServices(_ record: StackRecord) -> [String] {
        record.stack.services.filter { _, service in
            // Damaged ones are as good as missing.
            service.build != nil && (try? images.image(service.image)) == nil
        }.keys.sorted()
    }

    private func buildChange(_ service: String, _ record: StackRecord) -> PlanReply.Change {
        PlanReply.Change(
            action: .build, kind: .image, name: record.stack.services[service]?.image ?? service,
            reason: "image is missing", source: record.stack.source(of: "services.\(service).build"))
    }

    /// Makes the request the desired state and converges to it. Ends the progress with `.done` or `.failed`.
    public func apply(_ name: String, _ request: ApplyRequest, progress: @escaping ProgressSink) async {
        await reporting(progress) { () async throws(EngineError) in
            try self.validateStackName(name)
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
            if request.wait {
                try await self.waitUntilReady(name, applied.record, deadline: applied.deadline, progress: progress)
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
            // What the command does not act on needs no image, and may have none yet.
            let applied = record.stack.applied(request.services, noDependencies: request.noDependencies)
            try await pullImages(of: record, services: applied, progress: progress)
            imageIDs = try resolveImages(record, needed: applied).merging(record.imageIDs ?? [:]) { _, kept in kept }
            record.imageIDs = imageIDs
            try reservePorts(record)
            try saveRevision(&record, cause: "apply")
        } catch {
            dropIfEmpty(name)
            throw error
        }
        stacks[name]?.record = record
        for warning in hostWarnings(record) { progress(.warning(warning)) }
        if isNew { startMaintaining(name) }
        let deadline = request.waitTimeout.map { Clock.now() + $0 }
        var desired = desiredState(record, mode: .apply, request: request, imageIDs: imageIDs)
        // What this command has made is not made again when it plans once more.
        desired.since = Clock.now()
        let target = desired
        let changes = try await rollingBack(name, deadline: deadline, progress: progress) {
            () async throws(EngineError) in
            try await self.converge(name, deadline: deadline, progress: progress) { observed, now in
                Reconciler.plan(desired: target, observed: observed, now: now)
            }
        }
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
        stacks[name]?.record = record
        try save(record)
        let stack = record.stack
        let changes = try await converge(name, progress: progress) { observed, _ in
            Reconciler.planDown(
                observed: observed, stack: stack, removeVolumes: request.volumes,
                removeOrphans: request.removeOrphans, timeout: request.timeout)
        }
        ports.release(stack: name)
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
        stacks[name]?.record = record
        try save(record)
        let plan = try servicePlan(verb, named.sorted(), request, observed: await observe(name))
        let changes = plan.steps.count
        // One pass where gates allow, then as `apply` does: a start waits for the health of what it depends on.
        if verb == .start {
            return try await converge(name, progress: progress) { observed, _ in
                Reconciler.planStart(observed: observed, services: named.sorted())
            }
        }
        let outcome = await execute(plan, stack: name, progress: progress)
        guard outcome.failures.isEmpty else { throw .diagnostics(outcome.failures) }
        return changes
    }

    private func servicePlan(
        _ verb: ServiceVerb, _ services: [String], _ request: ServicesRequest, observed: ObservedState
    ) throws(EngineError) -> Plan {
        switch verb {
        case .start: return Reconciler.planStart(observed: observed, services: services)
        case .stop: return Reconciler.planStop(observed: observed, services: services, timeout: request.timeout)
        case .restart: return Reconciler.planRestart(observed: observed, services: services, timeout: request.timeout)
        case .kill:
            let signal = request.signal ?? "SIGKILL"
            _ = try signalNumber(signal)
            return Reconciler.planKill(observed: observed, services: services, signal: signal)
        }
    }

    func withLock<Value: Sendable>(
        _ name: String, _ body: () async throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        guard let lock = stacks[name]?.lock else { throw .stackNotFound(name) }
        await lock.acquire()
        defer { lock.release() }
        return try await body()
    }

    func reporting(_ progress: ProgressSink, _ body: () async throws(EngineError) -> Int) async {
        do throws(EngineError) {
            progress(.done(changes: try await body()))
        } catch {
            progress(.failed(error.diagnostics))
        }
    }
}

extension PlanReply.Change {
    init(_ change: PlanChange) {
        let action: Action =
            switch change.action {
            case .create: .create
            case .recreate: .recreate
            case .start: .start
            case .stop: .stop
            case .restart: .restart
            case .remove: .remove
            case .repair: .repair
            case .update, .signal: .update
            }
        let kind: Kind =
            switch change.kind {
            case .container: .container
            case .network: .network
            case .volume: .volume
            case .firewall: .firewall
            }
        self.init(
            action: action, kind: kind, name: change.name, reason: change.reason, source: change.source,
            order: change.order)
    }
}
