import EngineWire
import StackModel

extension Engine {
    /// Makes a one-off container of a service, as `run` does: its dependencies first, then the container. It is started
    /// by the client once it has attached.
    public func createOneOff(_ name: String, _ request: RunRequest) async throws(EngineError) -> RunReply {
        try validateStackName(name)
        guard let service = request.stack.services[request.service] else {
            throw .badRequest("no such service: \(request.service)")
        }
        try await bringUpFor(name, service, request)
        let stack = stackForOneOff(name, request)
        var options = CreateOptions(oneOff: true)
        options.removeOnExit = request.remove
        options.name = request.name
        options.labels = request.labels
        options.publishPorts = request.servicePorts
        let stored = try await createContainer(stack: stack, service: request.service, number: 1, options: options) {
            Self.apply(request, to: &$0)
        }
        return RunReply(id: stored.id, name: stored.name)
    }

    private func stackForOneOff(_ name: String, _ request: RunRequest) -> Stack {
        var stack = request.stack
        stack.name = name
        return bindingPorts(stack)
    }

    private static func apply(_ request: RunRequest, to service: inout Service) {
        if let entrypoint = request.entrypoint {
            service.entrypoint = entrypoint
            service.command = nil
        }
        if let command = request.command { service.command = command }
        service.environment.merge(request.environment) { _, new in new }
        service.user = request.user ?? service.user
        service.workingDirectory = request.workingDirectory ?? service.workingDirectory
        service.tty = request.tty
        service.stdinOpen = request.stdinOpen
        service.restart = RestartPolicy(mode: .no)
        if !request.servicePorts { service.ports = [] }
        service.containerName = nil
    }

    /// Networks and volumes of the service, and the services it depends on (unless it is told not to).
    private func bringUpFor(_ name: String, _ service: Service, _ request: RunRequest) async throws(EngineError) {
        let failure = FailureBox()
        var apply = ApplyRequest(stack: request.stack)
        let dependencies = request.noDependencies ? [] : service.dependsOn.keys.sorted()
        if !dependencies.isEmpty {
            apply.services = dependencies
            await self.apply(name, apply) { event in
                if case .failed(let diagnostics) = event { failure.set(diagnostics) }
            }
            if let diagnostics = failure.diagnostics { throw .diagnostics(diagnostics) }
            if !request.noDependencies { try await waitForDependencies(name, service) }
        }
        let stack = stackForOneOff(name, request)
        if stacks[name] == nil {
            // Nothing is to be kept up; the entry only holds the lock and the name.
            stacks[name] = StackEntry(
                record: StackRecord(
                    stack: stack, scale: [:], stopped: [], selection: [], active: false, updatedAt: Clock.now()))
            if let record = stacks[name]?.record { try save(record) }
        }
        try await withLock(name) { () async throws(EngineError) in
            for key in service.networks.keys.sorted() where self.networks[stack.networkName(key)] == nil {
                try await self.createNetwork(key, stack: stack)
            }
            for mount in service.mounts where mount.kind == .volume {
                if let key = mount.source { try await self.createVolume(key, stack: stack) }
            }
        }
    }

    private func waitForDependencies(_ name: String, _ service: Service) async throws(EngineError) {
        guard var record = stacks[name]?.record else { return }
        record.stack.services = record.stack.services.filter { service.dependsOn[$0.key]?.condition == .healthy }
        guard !record.stack.services.isEmpty else { return }
        try await waitUntilReady(name, record, deadline: nil, progress: { _ in })
    }
}
