import ContainerNetwork
import EngineWire
import Reconciler
import StackModel

/// Performs the steps of a plan. Each is idempotent: after a crash the same step finds what is done and does the rest.
extension Engine {
    /// Runs one step and tells the progress what Compose would print. `nil` is success.
    func perform(_ step: Step, stack: String, progress: ProgressSink) async -> EngineError? {
        let wording = step.action.wording
        progress(.object(kind: wording.kind, name: step.name, state: .working, status: wording.present))
        do throws(EngineError) {
            defer { noteStep(step, wording.past) }
            let warnings = try await perform(step.action, named: step.name, stack: stack)
            for warning in warnings {
                progress(
                    .warning(
                        Diagnostic(
                            .warning, code: "container.limited", "container \(step.name): \(warning)",
                            source: step.source)))
            }
            progress(.object(kind: wording.kind, name: step.name, state: .done, status: wording.past))
            counters.noteStep(wording.kind, wording.past, isDone: true)
            return nil
        } catch {
            counters.noteStep(wording.kind, wording.past, isDone: false)
            progress(.object(kind: wording.kind, name: step.name, state: .failed, status: "Error"))
            return withSource(error, step)
        }
    }

    private func noteStep(_ step: Step, _ word: String) {
        guard let id = containerIDs[step.name] else { return }
        containers[id]?.lastStep = step.reason.isEmpty ? word.lowercased() : "\(word.lowercased()) (\(step.reason))"
    }

    /// A failed step is shown with the line that asked for it.
    private func withSource(_ error: EngineError, _ step: Step) -> EngineError {
        .diagnostics(
            error.diagnostics.map { diagnostic in
                var diagnostic = diagnostic
                diagnostic.source = diagnostic.source ?? step.source
                return diagnostic
            })
    }

    /// Answers what could not be done as it was asked for.
    private func perform(
        _ action: Action, named name: String, stack: String
    ) async throws(EngineError) -> [String] {
        guard let record = stacks[stack]?.record else { throw .stackNotFound(stack) }
        switch action {
        case .createNetwork(let key): try await createNetwork(key, stack: record.stack)
        case .removeNetwork(let name): try await removeNetwork(name)
        case .repairNetwork(let name): try await repairNetwork(name)
        case .createVolume(let key): try await createVolume(key, stack: record.stack)
        case .removeVolume(let name): try await removeVolume(name)
        case .createContainer(let service, let number):
            // The very container may stand already: a crash came between making and noting it.
            guard try !isMade(name, stack, service, number) else { return [] }
            _ = try await createContainer(
                stack: record.stack, service: service, number: number,
                options: CreateOptions(name: name, image: record.imageIDs?[service]))
        case .startContainer(let reference, let byPolicy):
            return try await startContainer(try containerID(reference, named: name), byPolicy: byPolicy)
        case .stopContainer(let id, let timeout, let drain):
            return try await stopContainer(id, grace: timeout, byUser: stopIsUsers(id, record), drain: drain)
        case .renameContainer(let old):
            try renameContainer(old, to: name, stack: stack)
            await refreshEndpoints()
        case .awaitReplica: break
        case .removeContainer(let id, let anonymousVolumes):
            try await removeContainer(id, anonymousVolumes: anonymousVolumes)
        case .restartContainer(let id, let timeout):
            let warnings = try await stopContainer(id, grace: timeout, byUser: false)
            return warnings + (try await startContainer(id))
        case .updateContainer(let id):
            return try await updateContainer(id, record)
        case .repairAttachment(let id, _):
            let stored = try container(id).stored
            try await prepareNetwork(stored)
            let parameters = networkParameters(stored)
            if !parameters.isEmpty, usesOwnNamespace(stored) {
                try await onNetwork { network throws(NetworkError) in
                    try network.restoreParameters(id: id, parameters)
                }
            }
            await look(at: [id])
        case .repairFirewall: await refreshEndpoints(force: true)
        case .restoreLimits(let id): try await restoreLimits(id)
        case .resumeContainer(let id): try await resumeContainer(id)
        case .signalContainer(let id, let signal): try await send(try signalNumber(signal), to: id)
        }
        return []
    }

    /// Names are the whole machine's: what another has made under the same is not ours.
    private func isMade(
        _ name: String, _ stack: String, _ service: String, _ number: Int
    ) throws(EngineError) -> Bool {
        guard let id = containerIDs[name], let stored = containers[id]?.stored else { return false }
        guard stored.stackName == stack, stored.service == service, stored.number == number else {
            throw .conflict("container name '\(name)' is already used by container \(stored.shortID)")
        }
        return true
    }

    private func containerID(_ reference: ContainerReference, named name: String) throws(EngineError) -> String {
        switch reference {
        case .id(let id): try container(id).stored.id
        case .planned: try container(name).stored.id
        }
    }

    /// A service that was stopped by name stays stopped; one stopped to be replaced does not.
    private func stopIsUsers(_ id: String, _ record: StackRecord) -> Bool {
        guard let service = containers[id]?.stored.service else { return false }
        return record.stopped.contains(service)
    }
}

extension Action {
    /// How Compose words it.
    var wording: (kind: PlanReply.Change.Kind, present: String, past: String) {
        switch self {
        case .createNetwork: (.network, "Creating", "Created")
        case .removeNetwork: (.network, "Removing", "Removed")
        case .repairNetwork: (.network, "Repairing", "Repaired")
        case .createVolume: (.volume, "Creating", "Created")
        case .removeVolume: (.volume, "Removing", "Removed")
        case .createContainer: (.container, "Creating", "Created")
        case .startContainer: (.container, "Starting", "Started")
        case .stopContainer: (.container, "Stopping", "Stopped")
        case .removeContainer: (.container, "Removing", "Removed")
        case .restartContainer: (.container, "Restarting", "Restarted")
        case .renameContainer: (.container, "Renaming", "Renamed")
        case .awaitReplica: (.container, "Waiting", "Settled")
        case .updateContainer: (.container, "Updating", "Updated")
        case .repairAttachment: (.container, "Repairing", "Repaired")
        case .restoreLimits: (.container, "Repairing", "Repaired")
        case .resumeContainer: (.container, "Resuming", "Resumed")
        case .repairFirewall: (.firewall, "Repairing", "Repaired")
        case .signalContainer: (.container, "Killing", "Killed")
        }
    }
}
