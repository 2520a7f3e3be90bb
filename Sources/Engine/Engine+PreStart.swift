import ContainerRuntime
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// `pre_start`: containers that run to their end, one after the other, before a service's own starts (Compose
/// Specification, services; Docker Compose 5.3 runs them so).
///
/// They run for the first replica of a service that is made as the stack file says now, and with `per_replica` for
/// each; not when a container is started again.
extension Engine {
    private static let outputLinesShown = 5

    /// Runs what has to run before the container may start, if it has not.
    func runPreStart(_ id: String) async throws(EngineError) {
        guard let stored = containers[id]?.stored, hasHooks(stored), stored.preStartedAt == nil,
            !stored.definition.service.preStart.isEmpty
        else { return }
        let lock = hookLock(stored)
        let askedAt = Clock.now()
        await lock.acquire()
        defer { lock.release() }
        if let failure = stacks[stored.stackName]?.hookFailures[stored.service], failure.at >= askedAt {
            // A replica beside it has just found out.
            throw failure.error
        }
        do throws(EngineError) {
            let isDone = hasSiblingWithHooksDone(stored)
            for (index, hook) in stored.definition.service.preStart.enumerated() where hook.perReplica || !isDone {
                try await runPreStart(hook, index, of: stored)
            }
        } catch {
            stacks[stored.stackName]?.hookFailures[stored.service] = (Clock.now(), error)
            throw error
        }
        guard containers[id] != nil else { throw .containerNotFound(stored.name) }
        containers[id]?.stored.preStartedAt = Clock.now()
        if let stored = containers[id]?.stored { try save(stored) }
    }

    /// One at a time for each service, so that its first replica's hooks are the others' too.
    private func hookLock(_ stored: StoredContainer) -> AsyncLock {
        if let lock = stacks[stored.stackName]?.hookLocks[stored.service] { return lock }
        let lock = AsyncLock()
        stacks[stored.stackName]?.hookLocks[stored.service] = lock
        return lock
    }

    /// Another replica of the same definition has been through them, since all were last to be made anew.
    private func hasSiblingWithHooksDone(_ stored: StoredContainer) -> Bool {
        guard !stored.oneOff else { return false }
        let since = stacks[stored.stackName]?.record.recreatedAt ?? Nanoseconds.min
        return containers.values.contains { container in
            let other = container.stored
            return other.stackName == stored.stackName && other.service == stored.service && !other.oneOff
                && stored.definition.changes(from: other.definition).allSatisfy { $0.effect != .replace }
                && other.preStartedAt.map { $0 >= since } ?? false
        }
    }

    private func runPreStart(_ hook: Hook, _ index: Int, of stored: StoredContainer) async throws(EngineError) {
        let name =
            hook.perReplica || stored.oneOff
            ? "\(stored.name)-pre_start-\(index)" : "\(stored.stackName)-\(stored.service)-pre_start-\(index)"
        let id = try await preStartContainer(hook, name, index, of: stored)
        if containers[id]?.stored.startedAt == nil { try await startContainer(id) }
        let patience = Reconciler.progressDeadline(stored.definition.service)
        // An engine that takes it over counts from its start, too.
        let deadline = (containers[id]?.stored.startedAt ?? Clock.now()).addingReportingOverflow(patience).partialValue
        while containers[id]?.process != nil {
            if isShuttingDown { throw .cancelled }
            let seen = stacks[stored.stackName]?.changes ?? 0
            guard Clock.now() < deadline else { throw try await preStartLate(hook, name, id, patience, stored) }
            wake(stored.stackName, at: deadline)
            await waitForChange(in: stored.stackName, since: seen)
        }
        guard let exit = containers[id]?.stored.exit else {
            throw .conflict("container \(name) was removed before it had ended")
        }
        guard exit.code == 0 else { throw await preStartFailed(hook, name, id, exit.code, stored) }
        try await removePreStart(id)
    }

    /// Its container: the one that an engine before this one left, or a new one.
    private func preStartContainer(
        _ hook: Hook, _ name: String, _ index: Int, of stored: StoredContainer
    ) async throws(EngineError) -> String {
        if let id = containerIDs[name], let left = containers[id] {
            let isOurs = left.stored.labels[GantryLabel.hookOf] == stored.id
            // One that failed is kept to be looked at, until it is tried again.
            if isOurs, left.process != nil || left.stored.exit?.code == 0 { return id }
            guard left.stored.stackName == stored.stackName, left.stored.labels[ComposeLabel.hook] != nil else {
                throw .conflict("container name '\(name)' is already used by container \(left.stored.shortID)")
            }
            if left.process != nil { try await stopContainer(id, byUser: false) }
            try await removePreStart(id)
        }
        guard var stack = stacks[stored.stackName]?.record.stack else { throw .stackNotFound(stored.stackName) }
        // As this very container has it: the stack may be another by now.
        stack.services[stored.service] = stored.definition.service
        var options = CreateOptions(oneOff: true)
        options.name = name
        options.image = hook.ownImage(in: stored.definition.service) ?? stored.definition.imageID
        options.publishPorts = false
        options.labels = [
            ComposeLabel.hook: "pre_start", ComposeLabel.hookIndex: "\(index)", GantryLabel.hookOf: stored.id,
        ]
        let made = try await createContainer(
            stack: stack, service: stored.service, number: stored.number, options: options
        ) { Self.apply(hook, to: &$0) }
        // The service's own volumes, so that what is prepared in them is found.
        containers[made.id]?.stored.volumes.merge(stored.volumes) { _, shared in shared }
        if let made = containers[made.id]?.stored { try save(made) }
        return made.id
    }

    private static func apply(_ hook: Hook, to service: inout Service) {
        if let image = hook.ownImage(in: service) {
            (service.image, service.entrypoint, service.command) = (image, nil, nil)
            service.user = nil
        }
        if !hook.command.isEmpty { service.command = hook.command }
        service.environment.merge(hook.environment) { _, new in new }
        service.user = hook.user ?? service.user
        service.workingDirectory = hook.workingDirectory ?? service.workingDirectory
        service.privileged = hook.privileged || service.privileged
        (service.preStart, service.postStart, service.preStop) = ([], [], [])
        service.healthcheck = Healthcheck(test: ["NONE"])
        service.restart = RestartPolicy(mode: .no)
        (service.ports, service.containerName) = ([], nil)
        for key in service.networks.keys {
            // Addresses and names are the service's.
            service.networks[key] = NetworkAttachment()
        }
    }

    /// Removes it, and of its volumes those that are its own.
    private func removePreStart(_ id: String) async throws(EngineError) {
        guard let stored = containers[id]?.stored else { return }
        containers[id]?.stored.volumes = stored.volumes.filter { _, volume in
            volumes[volume]?.slot.hasPrefix("\(stored.name):") == true
        }
        try await removeContainer(id, anonymousVolumes: true)
    }

    private func preStartFailed(
        _ hook: Hook, _ name: String, _ id: String, _ code: Int, _ stored: StoredContainer
    ) async -> EngineError {
        let failure = "the pre_start hook '\(shown(hook, stored))' of service \(stored.service) ended with \(code)"
        return await preStartFailed(failure, name, id, stored)
    }

    /// Stops one that has had its time. What it did on the way out is no success.
    private func preStartLate(
        _ hook: Hook, _ name: String, _ id: String, _ patience: Nanoseconds, _ stored: StoredContainer
    ) async throws(EngineError) -> EngineError {
        let failure =
            "the pre_start hook '\(shown(hook, stored))' of service \(stored.service) took longer than "
            + "\(durationText(patience)), its progress_deadline"
        containers[id]?.startFailure = failure
        try await stopContainer(id, byUser: false)
        return await preStartFailed(failure, name, id, stored)
    }

    private func shown(_ hook: Hook, _ stored: StoredContainer) -> String {
        hook.shownCommand(secretMask(of: stored.stackName))
    }

    private func preStartFailed(
        _ failure: String, _ name: String, _ id: String, _ stored: StoredContainer
    ) async -> EngineError {
        let mask = secretMask(of: stored.stackName)
        let output = await lastLines(id, Self.outputLinesShown).map(mask.mask).joined(separator: "; ")
        return .diagnostics([
            Diagnostic(
                code: "hook.failed", output.isEmpty ? failure : "\(failure): \(output)",
                source: stacks[stored.stackName]?.record.stack.source(of: "services.\(stored.service).pre_start"),
                hint: "its container \(name) is kept: see `gantry logs \(stored.service)`")
        ])
    }

    /// Of a container's log; none when it has no log.
    func lastLines(_ id: String, _ count: Int) async -> [String] {
        let path = "\(options.containerData(id))/container.log"
        do throws(EngineError) {
            return try await onPool { () throws(SystemError) in
                var reader = try LogReader(path: path, tail: count)
                return try reader.read(byteCountMax: 64 << 10).suffix(count).map { record in
                    String(decoding: record.bytes, as: UTF8.self).trimmingLineEnd
                }
            }
        } catch {
            log.debug("log not read", metadata: ["container": "\(id)", "error": "\(error)"])
            return []
        }
    }
}

extension Hook {
    /// Its image, if that is another than its service's.
    fileprivate func ownImage(in service: Service) -> String? { image == service.image ? nil : image }
}

extension String {
    fileprivate var trimmingLineEnd: String { String(prefix { $0 != "\n" && $0 != "\r\n" }) }
}
