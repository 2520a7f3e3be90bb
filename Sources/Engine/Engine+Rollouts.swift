import EngineWire
import Reconciler
import StackModel

/// What people say to a rollout that is under way.
extension Engine {
    /// `GET /stacks/{name}/rollout`.
    public func rolloutStatus(_ name: String) async throws(EngineError) -> RolloutReply {
        guard let record = stacks[name]?.record, record.active, let revision = record.revision else {
            throw .stackNotFound(name)
        }
        let isStable = isStable(record)
        let found = Reconciler.rollouts(
            desired: desiredState(record, mode: .maintain), observed: await observe(name), now: Clock.now())
        return RolloutReply(
            stack: name, revision: revision, isStable: isStable,
            services: found.map { rollout in
                RolloutReply.Service(
                    service: rollout.service, replicas: rollout.replicas, updated: rollout.updated,
                    ready: rollout.ready, state: Self.state(rollout, isStable: isStable), problems: rollout.failures)
            })
    }

    private static func state(_ rollout: ServiceRollout, isStable: Bool) -> RolloutReply.State {
        if !rollout.failures.isEmpty { return .failed }
        switch rollout.hold {
        case .canary: return .canary
        case .paused: return .paused
        case .failed: return .failed
        case nil: return isStable || rollout.updated >= rollout.replicas ? .complete : .progressing
        }
    }

    /// `POST /stacks/{name}/rollout/{verb}`.
    public func rollout(
        _ verb: RolloutVerb, _ name: String, _ request: RolloutRequest, progress: @escaping ProgressSink
    ) async {
        await reporting(progress) { () async throws(EngineError) in
            guard let record = self.stacks[name]?.record, record.active else { throw .stackNotFound(name) }
            guard !self.isStable(record) else {
                throw .conflict(
                    "stack \(name) has no rollout under way: revision \(record.revision ?? 0) is complete")
            }
            switch verb {
            case .pause:
                try self.tell(name) { $0.isPaused = true }
                return 0
            case .promote:
                let services = try await self.held(name, request.services)
                try self.tell(name) {
                    ($0.promoted, $0.releasedAt) = (($0.promoted ?? []).union(services), Clock.now())
                }
            case .resume: try self.tell(name) { ($0.isPaused, $0.releasedAt) = (nil, Clock.now()) }
            case .abort: try self.beginAbort(name)
            }
            return try await self.goOn(
                name, wait: request.wait, atMost: request.waitTimeout, progress: progress
            ) { () throws(EngineError) in
                if verb == .abort { try self.abort(record.revision, name) }
            }
        }
    }

    /// Without the stack's lock, which whoever works on the rollout holds: they see it with their next plan.
    private func tell(_ name: String, _ change: (inout StackRecord) -> Void) throws(EngineError) {
        guard var record = stacks[name]?.record else { throw .stackNotFound(name) }
        change(&record)
        try save(record)
        stacks[name]?.record = record
        noteChange(in: name)
    }

    /// The services whose canaries wait to be promoted, of those that are named.
    private func held(_ name: String, _ named: [String]) async throws(EngineError) -> Set<String> {
        guard let record = stacks[name]?.record else { throw .stackNotFound(name) }
        for service in named where record.stack.services[service] == nil {
            throw .badRequest("no such service: \(service)")
        }
        let plan = Reconciler.plan(
            desired: desiredState(record, mode: .maintain), observed: await observe(name), now: Clock.now())
        let waiting = Set(plan.heldRollouts.filter { $0.reason == .canary }.map(\.service))
        if let other = named.sorted().first(where: { !waiting.contains($0) }) {
            throw .conflict("service \(other) has no canaries that wait to be promoted")
        }
        guard !waiting.isEmpty else { throw .conflict("no service of stack \(name) has canaries that wait") }
        return named.isEmpty ? waiting : Set(named)
    }

    /// Refused before anybody is interrupted.
    private func beginAbort(_ name: String) throws(EngineError) {
        guard stacks[name]?.record.isRollback != true else {
            throw .conflict("the update of stack \(name) is being rolled back already")
        }
        _ = try rollbackTarget(name, to: nil)
        stacks[name]?.isAborted = true
        noteChange(in: name)
    }

    /// The caller holds the stack's lock.
    private func abort(_ revision: Int?, _ name: String) throws(EngineError) {
        stacks[name]?.isAborted = false
        guard stacks[name]?.record.revision == revision else {
            throw .conflict("revision \(revision ?? 0) of stack \(name) is not the present one any more")
        }
        try returnTo(try rollbackTarget(name, to: nil), name)
    }

    /// What was said to a rollout since whoever works on it last heard; `nil` is nothing new.
    func saidSince(_ work: Work, _ name: String) -> Convergence.Event? {
        guard let entry = stacks[name], let desired = work.desired else { return nil }
        if entry.isAborted { return .cancelled }
        var current = desired
        current.followedSince = max(desired.followedSince ?? 0, entry.record.releasedAt ?? 0)
        current.isPaused = entry.record.isPaused == true
        current.promoted = entry.record.promoted ?? []
        return current == desired ? nil : .wanted(current, history(of: name))
    }

    /// What a plan is for is not a revision yet.
    func isNewRevision(_ record: StackRecord, imageIDs: [String: String]) -> Bool {
        guard let last = revisions[record.stackName]?.last(where: { $0.number == record.revision }) else {
            return false
        }
        let resolved = ResolvedStack(
            stack: record.stack, imageIDs: imageIDs.merging(record.imageIDs ?? [:]) { new, _ in new },
            scale: record.scale)
        return !last.resolved.isSame(as: resolved)
    }
}

extension EngineError {
    /// Somebody else has the rollout undone.
    static let rolloutAborted = EngineError.diagnostics([
        Diagnostic(code: "rollout.aborted", "the rollout was aborted, and the revision before is returned to")
    ])
}
