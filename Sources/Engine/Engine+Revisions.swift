import EngineWire
import Logging
import Reconciler
import StackModel

/// A stack as it was applied at one time, with everything resolved. Nothing of it changes but the mark that it worked.
struct StoredRevision: StoredRecord {
    static let kind = "revision"

    /// From 1.
    var number: Int
    var stack: Stack
    var scale: [String: Int]
    /// Service to image id.
    var imageIDs: [String: String]
    /// See `StackRecord`.
    var selection: [String]
    var createdAt: Nanoseconds
    /// Every service reached its goal with it.
    var isStable: Bool
    /// What made it, in a few words: `apply`, `rollback to 3`.
    var cause: String

    var recordID: String { "\(stack.name)/\(number)" }
    var stackName: String { stack.name }

    var resolved: ResolvedStack { ResolvedStack(stack: stack, imageIDs: imageIDs, scale: scale) }
}

extension Engine {
    /// The last so many are kept, and the last that worked.
    private static let revisionsMax = 10

    // MARK: Keeping

    /// Saves a record, as a new revision when it differs from the one before.
    ///
    /// - Parameter cause: see `StoredRevision`.
    func saveRevision(_ record: inout StackRecord, cause: String) throws(EngineError) {
        let name = record.stack.name
        var kept = revisions[name] ?? []
        let resolved = ResolvedStack(stack: record.stack, imageIDs: record.imageIDs ?? [:], scale: record.scale)
        if let last = kept.last, last.number == record.revision, last.resolved.isSame(as: resolved) {
            return try save(record)
        }
        let revision = StoredRevision(
            number: (kept.last?.number ?? 0) + 1, stack: record.stack, scale: record.scale,
            imageIDs: resolved.imageIDs, selection: record.selection, createdAt: Clock.now(), isStable: false,
            cause: cause)
        kept.append(revision)
        record.revision = revision.number
        record.changedAt = revision.createdAt
        let stable = kept.last { $0.isStable }?.number
        let gone = kept.dropLast(Self.revisionsMax).filter { $0.number != stable }
        let numbers = Set(gone.map(\.number))
        do throws(DatabaseError) { try store.save([record, revision], deleting: gone) } catch { throw .database(error) }
        revisions[name] = kept.filter { !numbers.contains($0.number) }
    }

    func isStable(_ record: StackRecord) -> Bool {
        revisions[record.stack.name]?.first { $0.number == record.revision }?.isStable == true
    }

    /// The present revision has done what it was to do.
    func noteStable(_ name: String) {
        guard let number = stacks[name]?.record.revision,
            let index = revisions[name]?.firstIndex(where: { $0.number == number && !$0.isStable })
        else { return }
        revisions[name]?[index].isStable = true
        guard let revision = revisions[name]?[index] else { return }
        do throws(DatabaseError) { try store.save(revision) } catch {
            log.warning("revision not saved", metadata: ["stack": "\(name)", "error": "\(error)"])
        }
    }

    func forgetRevisions(_ name: String) {
        let gone = revisions.removeValue(forKey: name) ?? []
        do throws(DatabaseError) { try store.save([], deleting: gone) } catch {
            log.error("revisions not deleted", metadata: ["stack": "\(name)", "error": "\(error)"])
        }
    }

    // MARK: Asking

    /// Oldest first.
    public func history(_ name: String) throws(EngineError) -> [RevisionSummary] {
        guard let record = stacks[name]?.record else { throw .stackNotFound(name) }
        return (revisions[name] ?? []).map { revision in
            RevisionSummary(
                number: revision.number, createdAt: rfc3339(revision.createdAt), cause: revision.cause,
                isStable: revision.isStable, isCurrent: revision.number == record.revision,
                images: revision.stack.services.mapValues(\.image), imageIDs: revision.imageIDs)
        }
    }

    // MARK: Going back

    /// What a rollback goes to: the revision that is named, or the last before the present one that worked.
    func rollbackTarget(_ name: String, to number: Int?) throws(EngineError) -> StoredRevision {
        guard let record = stacks[name]?.record, record.active else { throw .stackNotFound(name) }
        let kept = revisions[name] ?? []
        let present = kept.first { $0.number == record.revision }
        func isOther(_ revision: StoredRevision) -> Bool {
            present.map { !revision.resolved.isSame(as: $0.resolved) } ?? true
        }
        if let number {
            guard let revision = kept.first(where: { $0.number == number }) else {
                let known = kept.map { "\($0.number)" }.joined(separator: ", ")
                throw .badRequest("stack \(name) has no revision \(number); it has \(known)")
            }
            guard isOther(revision) else { throw .conflict("stack \(name) is at revision \(number) already") }
            return revision
        }
        let earlier = kept.filter { $0.number < record.revision ?? 0 }
        guard let revision = earlier.last(where: { $0.isStable && isOther($0) }) else {
            throw .conflict("stack \(name) has no earlier revision that worked")
        }
        return revision
    }

    /// Makes an earlier revision the desired state. The caller holds the stack's lock.
    func returnTo(_ revision: StoredRevision) throws(EngineError) {
        let name = revision.stack.name
        guard var record = stacks[name]?.record else { throw .stackNotFound(name) }
        for (service, id) in revision.imageIDs.sorted(by: { $0.key < $1.key }) {
            do throws(EngineError) { _ = try image(id) } catch {
                throw .conflict("the image of service \(service) in revision \(revision.number) is gone: \(id)")
            }
        }
        (record.stack, record.scale, record.imageIDs) = (revision.stack, revision.scale, revision.imageIDs)
        record.selection = revision.selection
        record.stopped.formIntersection(revision.stack.services.keys)
        (record.isRollback, record.updatedAt) = (true, Clock.now())
        try reservePorts(record)
        try saveRevision(&record, cause: "rollback to \(revision.number)")
        stacks[name]?.record = record
        noteChange(in: name)
    }

    /// A rollout whose policy says so is undone: what failed is replaced by what last worked, the rest stays as it is.
    ///
    /// - Returns: the revision that is returned to; `nil` when the policy says something else, or there is none.
    func undo(_ failed: [FailedRollout], _ name: String) -> StoredRevision? {
        // A rollback is not rolled back.
        guard failed.contains(where: { $0.action == .rollback }), stacks[name]?.record.isRollback != true else {
            return nil
        }
        do throws(EngineError) {
            let target = try rollbackTarget(name, to: nil)
            try returnTo(target)
            return target
        } catch {
            log.warning("update not rolled back", metadata: ["stack": "\(name)", "error": "\(error)"])
            return nil
        }
    }

    /// `gantry rollback`.
    public func rollback(_ name: String, _ request: RollbackRequest, progress: @escaping ProgressSink) async {
        await reporting(progress) { () async throws(EngineError) in
            guard self.stacks[name] != nil else { throw .stackNotFound(name) }
            let deadline = request.waitTimeout.map { Clock.now() + $0 }
            let changes = try await self.withLock(name) { () async throws(EngineError) in
                try self.returnTo(try self.rollbackTarget(name, to: request.to))
                return try await self.rollingBack(name, deadline: deadline, progress: progress) {
                    () async throws(EngineError) in
                    try await self.carryOutRollback(name, deadline: deadline, progress: progress)
                }
            }
            if request.wait, let record = self.stacks[name]?.record {
                try await self.waitUntilReady(
                    name, record, deadline: deadline, jobsMayHaveFailed: true, progress: progress)
            }
            return changes
        }
    }

    /// Converges, and where a rollout fails whose policy says so, to what was there before.
    func rollingBack(
        _ name: String, deadline: Nanoseconds?, progress: @escaping ProgressSink,
        _ body: () async throws(EngineError) -> Int
    ) async throws(EngineError) -> Int {
        do throws(EngineError) { return try await body() } catch {
            guard case .rolloutFailed(let failed) = error else { throw error }
            guard let target = undo(failed, name) else {
                let isRollback = stacks[name]?.record.isRollback == true
                throw .rollout(failed, undoneTo: nil, isRollback: isRollback)
            }
            for diagnostic in failed.flatMap(\.failures) {
                var warning = diagnostic
                warning.severity = .warning
                progress(.warning(warning))
            }
            do throws(EngineError) {
                _ = try await carryOutRollback(name, deadline: deadline, progress: progress)
            } catch {
                guard case .rolloutFailed(let again) = error else { throw error }
                throw .rollout(again, undoneTo: nil, isRollback: true)
            }
            throw .rollout(failed, undoneTo: target.number, isRollback: false)
        }
    }

    /// As the background loop does it: jobs that have ended are not run again.
    func carryOutRollback(
        _ name: String, deadline: Nanoseconds?, progress: @escaping ProgressSink
    ) async throws(EngineError) -> Int {
        guard let record = stacks[name]?.record else { throw .stackNotFound(name) }
        let desired = desiredState(record, mode: .maintain)
        return try await converge(name, deadline: deadline, progress: progress) { observed, now in
            Reconciler.plan(desired: desired, observed: observed, now: now)
        }
    }
}

extension EngineError {
    /// Why a rollout did not come to its end, for users and by its code for scripts.
    static func rollout(_ failed: [FailedRollout], undoneTo revision: Int?, isRollback: Bool) -> EngineError {
        let names = failed.map(\.service).joined(separator: ", ")
        let last: Diagnostic
        if isRollback {
            last = Diagnostic(
                code: "rollback.failed", "the rollback of \(names) failed too",
                hint: "see `gantry ps` and `gantry logs`; apply what works, or `gantry rollback --to NUMBER`")
        } else if let revision {
            last = Diagnostic(
                code: "rollout.rolled-back", "the update of \(names) failed and was rolled back to revision \(revision)"
            )
        } else {
            last = Diagnostic(
                code: "rollout.paused", "the update of \(names) failed, and what is not replaced yet stays as it is",
                hint: "apply a stack file that works, or `gantry rollback`")
        }
        return .diagnostics(failed.flatMap(\.failures) + [last])
    }
}
