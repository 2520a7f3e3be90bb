import ContainerRuntime
import Logging
import NetworkService
import Reconciler
import StackModel

/// Repairs in running containers, and pauses.
extension Engine {
    func isFrozen(_ id: String) -> Bool { drift.containers[id]?.isFrozen == true }

    /// What the looks have found, as the reconciler wants it.
    func addDrift(of container: Container, to observed: inout ObservedContainer) {
        let id = container.stored.id
        guard container.process != nil else {
            if drift.lostFolders.contains(id) { observed.state = .dead }
            return
        }
        guard let found = drift.containers[id] else { return }
        observed.limits = found.limits
        guard found.isFrozen else { return }
        observed.state = .paused
        observed.pausedSince = drift.pausedSince[id]
        observed.pausedByUser = container.stored.isPausedByUser == true
    }

    /// One problem for each network, and the resolver's.
    func insideProblems(
        of id: String, except seen: [ObservedContainer.Problem]
    ) -> [ObservedContainer.Problem] {
        guard let container = containers[id], container.process != nil else { return [] }
        let stored = container.stored
        let own = Set(stored.attachments.map(\.network)).subtracting(seen.compactMap(\.network))
        var problems = (drift.containers[id]?.problems ?? []).filter { $0.network.map(own.contains) ?? false }
        if usesOwnNamespace(stored), !stored.attachments.isEmpty, !container.stopping, !dns.serves(scope: id) {
            problems.append(.resolverMissing)
        }
        return problems
    }

    /// What the kernel makes of a value that was just written is as good as the value.
    func restoreLimits(_ id: String) async throws(EngineError) {
        let stored = try container(id).stored
        let (folder, resources) = (options.containerRun(id), try LaunchBuilder(limitsOf: stored).comparedResources())
        let left = try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
            try runtime.restoreControls(directory: folder, resources)
            return try runtime.lookAtControls(directory: folder, resources).changed
        }
        drift.accepted[id] = Dictionary(left.map { ($0.file, $0.present) }, uniquingKeysWith: { first, _ in first })
        await look(at: [id])
    }

    func resumeContainer(_ id: String) async throws(EngineError) {
        let stored = try container(id).stored
        let folder = options.containerRun(id)
        try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in try runtime.resume(directory: folder) }
        if containers[id]?.stored.isPausedByUser == true {
            containers[id]?.stored.isPausedByUser = nil
            if let updated = containers[id]?.stored { try save(updated) }
        }
        await look(at: [id])
        announce(stored, "unpause")
    }

    /// `POST /containers/{id}/pause`: a person's wish, which nothing undoes but `unpause`, a stop or a restart.
    public func pause(_ reference: String) async throws(EngineError) {
        let container = try container(reference)
        let id = container.stored.id
        guard container.process != nil else { throw .containerNotRunning(container.stored.name) }
        guard container.stored.isPausedByUser != true else {
            throw .conflict("container \(container.stored.name) is already paused")
        }
        // Before it stands still, so that nobody takes it for somebody else's doing.
        containers[id]?.stored.isPausedByUser = true
        let folder = options.containerRun(id)
        do throws(EngineError) {
            try await onRuntime(of: container.stored.name) { runtime throws(RuntimeError) in
                try runtime.pause(directory: folder)
            }
        } catch {
            containers[id]?.stored.isPausedByUser = nil
            throw error
        }
        if let updated = containers[id]?.stored { try save(updated) }
        await look(at: [id])
        announce(container.stored, "pause")
    }

    /// `POST /containers/{id}/unpause`.
    public func unpause(_ reference: String) async throws(EngineError) {
        let container = try container(reference)
        guard container.process != nil else { throw .containerNotRunning(container.stored.name) }
        guard isFrozen(container.stored.id) else {
            throw .conflict("container \(container.stored.name) is not paused")
        }
        try await resumeContainer(container.stored.id)
    }
}
