import ContainerNetwork
import ContainerRuntime
import EngineWire
import Images
import InternetAddress
import Reconciler
import StackModel

/// What `ps` and `ls` look at.
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

    func state(of container: Container) -> ContainerStatus.State {
        if container.process != nil { return isFrozen(container.stored.id) ? .paused : .running }
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
}
