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
    /// The last so many are kept, and the last that worked, unless the stack says otherwise.
    private static let revisionsMax = 10

    // MARK: Keeping

    /// Saves a record, as a new revision when it differs from the one before.
    ///
    /// - Parameter cause: see `StoredRevision`.
    func saveRevision(
        _ record: inout StackRecord, cause: String, isRollback: Bool = false
    ) throws(EngineError) {
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
        (record.isPaused, record.promoted, record.releasedAt, record.unhealthy) = (nil, nil, nil, nil)
        record.isRollback = isRollback ? true : nil
        let stable = kept.last { $0.isStable }?.number
        let gone = kept.dropLast(record.stack.gantry?.revisions ?? Self.revisionsMax).filter { $0.number != stable }
        let numbers = Set(gone.map(\.number))
        do throws(DatabaseError) { try store.save([record, revision], deleting: gone) } catch { throw .database(error) }
        revisions[name] = kept.filter { !numbers.contains($0.number) }
    }

    func isStable(_ record: StackRecord) -> Bool {
        revisions[record.stack.name]?.first { $0.number == record.revision }?.isStable == true
    }

    /// The present revision has done what it was to do, and what was said to its rollout has been followed.
    func noteStable(_ name: String) {
        guard var record = stacks[name]?.record, let number = record.revision,
            let index = revisions[name]?.firstIndex(where: { $0.number == number && !$0.isStable })
        else { return }
        revisions[name]?[index].isStable = true
        guard let revision = revisions[name]?[index] else { return }
        (record.isPaused, record.promoted, record.releasedAt) = (nil, nil, nil)
        stacks[name]?.record = record
        do throws(DatabaseError) { try store.save([record, revision]) } catch {
            log.warning("revision not saved", metadata: ["stack": "\(name)", "error": "\(error)"])
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

    func history(of name: String) -> RevisionHistory {
        RevisionHistory(
            (revisions[name] ?? []).map {
                RevisionHistory.Revision(number: $0.number, isStable: $0.isStable, resolved: $0.resolved)
            }, present: stacks[name]?.record.revision)
    }

    func rollbackTarget(_ name: String, to number: Int?) throws(EngineError) -> Int {
        guard stacks[name]?.record.active == true else { throw .stackNotFound(name) }
        do throws(RevisionHistory.Refusal) { return try history(of: name).rollbackTarget(number) } catch {
            switch error {
            case .unknown(let number, let known):
                let list = known.map { "\($0)" }.joined(separator: ", ")
                throw .badRequest("stack \(name) has no revision \(number); it has \(list)")
            case .isPresent(let number): throw .conflict("stack \(name) is at revision \(number) already")
            case .noneWorked:
                throw .conflict("stack \(name) has no earlier revision that worked and differs from this one")
            }
        }
    }

    /// Makes an earlier revision the desired state. The caller holds the stack's lock.
    func returnTo(_ number: Int, _ name: String) throws(EngineError) {
        guard var record = stacks[name]?.record, let revision = revisions[name]?.first(where: { $0.number == number })
        else { throw .stackNotFound(name) }
        for (service, id) in revision.imageIDs.sorted(by: { $0.key < $1.key }) {
            do throws(EngineError) { _ = try image(id) } catch {
                throw .conflict("the image of service \(service) in revision \(revision.number) is gone: \(id)")
            }
        }
        (record.stack, record.scale, record.imageIDs) = (revision.stack, revision.scale, revision.imageIDs)
        record.selection = revision.selection
        record.stopped.formIntersection(revision.stack.services.keys)
        record.updatedAt = Clock.now()
        try reservePorts(record)
        try saveRevision(&record, cause: "rollback to \(revision.number)", isRollback: true)
        stacks[name]?.record = record
        noteChange(in: name)
    }

    /// `gantry rollback`. As the background loop does it: jobs that have ended are not run again.
    public func rollback(_ name: String, _ request: RollbackRequest, progress: @escaping ProgressSink) async {
        await reporting(progress, of: name) { () async throws(EngineError) in
            guard self.stacks[name] != nil else { throw .stackNotFound(name) }
            return try await self.goOn(
                name, wait: request.wait, atMost: request.waitTimeout, progress: progress
            ) { () throws(EngineError) in
                try self.returnTo(try self.rollbackTarget(name, to: request.to), name)
            }
        }
    }

    /// Goes where the stack's record leads once `turn` has been done, and with `wait` until all is where it should be.
    func goOn(
        _ name: String, wait: Bool, atMost patience: Nanoseconds?, progress: @escaping ProgressSink,
        _ turn: () throws(EngineError) -> Void
    ) async throws(EngineError) -> Int {
        let deadline = patience.map { Clock.now() + $0 }
        let changes = try await withLock(name) { () async throws(EngineError) in
            try turn()
            guard let record = self.stacks[name]?.record else { throw .stackNotFound(name) }
            let desired = self.desiredState(record, mode: .maintain)
            return try await self.converge(.reach(desired), name, deadline: deadline, progress: progress)
        }
        if wait, let record = stacks[name]?.record {
            try await waitUntilReady(name, record, deadline: deadline, jobsMayHaveFailed: true, progress: progress)
        }
        return changes
    }
}
