import ContainerNetwork
import ContainerRuntime
import EngineWire
import Images
import InternetAddress
import Reconciler
import StackModel

/// What `ps`, `ls` and `up --wait` look at.
extension Engine {
    public func stackSummaries() -> [StackSummary] {
        stacks.sorted { $0.key < $1.key }.map { name, entry in
            var states: [String: Int] = [:]
            for container in containers.values where container.stored.stackName == name && !container.stored.oneOff {
                states[state(of: container).rawValue, default: 0] += 1
            }
            return StackSummary(name: name, configFiles: entry.record.stack.configFiles, states: states)
        }
    }

    /// One-off containers last.
    public func containerStatuses(stack name: String) -> [ContainerStatus] {
        containers.values.filter { $0.stored.stackName == name }.map(status)
            .sorted {
                ($0.oneOff ? 1 : 0, $0.service, $0.number, $0.id) < ($1.oneOff ? 1 : 0, $1.service, $1.number, $1.id)
            }
    }

    public func status(of reference: String) throws(EngineError) -> ContainerStatus {
        status(try container(reference))
    }

    private func state(of container: Container) -> ContainerStatus.State {
        if container.process != nil { return .running }
        return container.stored.startedAt == nil ? .created : .exited
    }

    private func status(_ container: Container) -> ContainerStatus {
        let stored = container.stored
        var status = ContainerStatus(
            id: stored.id, name: stored.name, stack: stored.stackName, service: stored.service, number: stored.number,
            oneOff: stored.oneOff, image: stored.definition.service.image, command: commandLine(of: stored),
            state: state(of: container), createdAt: rfc3339(stored.createdAt))
        status.health = container.health.flatMap { ContainerStatus.Health(rawValue: $0.health.rawValue) }
        if container.process == nil, let exit = stored.exit {
            status.exitCode = exit.code
            status.finishedAt = rfc3339(exit.finishedAt)
            status.note = exit.note ?? (exit.outOfMemory ? "out of memory" : nil)
        }
        status.pid = container.process.map { Int($0.pid) }
        status.startedAt = stored.startedAt.map(rfc3339)
        status.restarts = stored.restarts
        status.ports = publishedPorts(of: container)
        status.addresses = Dictionary(
            stored.attachments.map { ($0.network, $0.interface.addresses.first?.address.description ?? "") },
            uniquingKeysWith: { first, _ in first })
        status.tty = stored.definition.service.tty
        status.labels = stored.labels
        return status
    }

    func publishedPorts(of container: Container) -> [ContainerStatus.PublishedPort] {
        guard container.process != nil else { return [] }
        let stored = container.stored
        let chosen = Dictionary(
            stored.chosenPorts.map { ($0.port, $0.published) }, uniquingKeysWith: { first, _ in first })
        let hasIPv6 = stored.attachments.contains { $0.interface.gateways.contains(where: \.isV6) }
        let hasIPv4 = !hasIPv6 || stored.attachments.contains { $0.interface.address4 != nil }
        let everywhere = (hasIPv4 ? ["0.0.0.0"] : []) + (hasIPv6 ? ["::"] : [])
        return stored.definition.service.ports.flatMap { port -> [ContainerStatus.PublishedPort] in
            guard let number = chosen[port] ?? port.shared else { return [] }
            return (port.hostIP.map { [$0] } ?? everywhere).map {
                ContainerStatus.PublishedPort(
                    hostIP: $0, published: number, target: port.target, transport: port.transport)
            }
        }
    }

    private func commandLine(of stored: StoredContainer) -> String {
        // An image that is gone only costs its part of the line.
        let defaults = (try? images.image(stored.definition.imageID))?.config.config
        let words = processArguments(stored.definition.service, defaults: defaults)
        return words.map { word in
            word.contains(" ") || word.isEmpty ? "'\(word)'" : word
        }.joined(separator: " ")
    }

    /// For `--wait`: every service runs and, with a healthcheck, is healthy; one-shot services have completed. Services
    /// that a command stopped, and those that the stack does not have, are none of it.
    ///
    /// - Parameter jobsMayHaveFailed: what has ended and is not started again by its policy is not waited for either.
    func waitUntilReady(
        _ name: String, _ record: StackRecord, deadline: Nanoseconds?, jobsMayHaveFailed: Bool = false,
        progress: ProgressSink
    ) async throws(EngineError) {
        var reported: Set<String> = []
        while true {
            let seen = stacks[name]?.changes ?? 0
            let mine = containers.values.filter { container in
                let stored = container.stored
                let hasEnded = container.process == nil && stored.exit != nil
                return stored.stackName == name && !stored.oneOff && record.stack.services[stored.service] != nil
                    && !record.stopped.contains(stored.service)
                    && !(jobsMayHaveFailed && hasEnded && stored.definition.service.restart.mode == .no)
            }
            var waiting: [String] = []
            for container in mine.sorted(by: { $0.stored.name < $1.stored.name }) {
                switch try readiness(of: container) {
                case .ready(let word):
                    guard reported.insert(container.stored.name).inserted else { continue }
                    progress(.object(kind: .container, name: container.stored.name, state: .done, status: word))
                case .waiting:
                    waiting.append(container.stored.name)
                }
            }
            if waiting.isEmpty { return }
            if let deadline {
                guard Clock.now() < deadline else {
                    throw .diagnostics([
                        Diagnostic(
                            code: "stack.timeout", "timed out waiting for \(waiting.joined(separator: ", "))",
                            hint: "see `gantry ps` and `gantry logs`")
                    ])
                }
                wake(name, at: deadline)
            }
            await waitForChange(in: name, since: seen)
        }
    }

    private enum Readiness {
        case ready(String)
        case waiting
    }

    private func readiness(of container: Container) throws(EngineError) -> Readiness {
        let stored = container.stored
        guard container.process != nil else {
            guard let exit = stored.exit else { return .waiting }
            if exit.code == 0, stored.definition.service.restart.mode != .always { return .ready("Exited") }
            if stored.definition.service.restart.mode != .no { return .waiting }
            throw .diagnostics([
                Diagnostic(
                    code: "container.exited", "container \(stored.name) exited (\(exit.code))",
                    hint: "see `gantry logs \(stored.service)`")
            ])
        }
        guard let health = container.health else {
            return healthCommand(of: stored) == nil ? .ready("Running") : .waiting
        }
        switch health.health {
        case .healthy: return .ready("Healthy")
        case .unhealthy:
            throw .diagnostics([
                Diagnostic(
                    code: "container.unhealthy", "container \(stored.name) is unhealthy",
                    hint: "see `gantry logs \(stored.service)`")
            ])
        case .none, .starting: return .waiting
        }
    }
}
