import ContainerNetwork
import InternetAddress
import Reconciler
import StackModel

/// Host ports of stacks.
extension Engine {
    /// Takes hold of every fixed host port before anything is made, so that a conflict leaves nothing behind.
    func reservePorts(_ record: StackRecord) throws(EngineError) {
        var problems: [Diagnostic] = []
        var wanted: Set<PortRegistry.Key> = []
        for (name, service) in record.stack.services.sorted(by: { $0.key < $1.key }) where service.networkMode != "host"
        {
            let listeners = service.hasManyPorts ? HostListeners.now() : nil
            for (index, port) in service.ports.enumerated() {
                guard let published = port.shared else { continue }
                do throws(NetworkError) {
                    let key = try PortRegistry.Key(hostIP: port.hostIP, port: published, transport: port.transport)
                    try ports.reserve(key, stack: record.stackName, with: network, listeners: listeners)
                    wanted.insert(key)
                } catch {
                    let advice = portAdvice(error)
                    problems.append(
                        Diagnostic(
                            code: advice.code,
                            "service '\(name)' cannot publish \(port.hostIP ?? "0.0.0.0"):\(published)/"
                                + "\(port.transport.rawValue): \(error)",
                            source: record.stack.source(of: "services.\(name).ports[\(index)]"),
                            hint: advice.hint))
                }
            }
        }
        guard problems.isEmpty else {
            ports.keep(usedPorts(record.stackName), stack: record.stackName)
            throw .diagnostics(problems)
        }
        ports.keep(wanted.union(usedPorts(record.stackName)), stack: record.stackName)
    }

    /// Fixed host ports of containers that exist.
    private func usedPorts(_ stack: String) -> Set<PortRegistry.Key> {
        var keys: Set<PortRegistry.Key> = []
        for container in containers.values where container.stored.stackName == stack {
            for port in container.stored.definition.service.ports {
                guard let published = port.shared else { continue }
                // An address that did not parse was refused when the container was made.
                if let key = try? PortRegistry.Key(
                    hostIP: port.hostIP, port: published, transport: port.transport)
                {
                    keys.insert(key)
                }
            }
        }
        return keys
    }

    /// The stack with ports that name no address of the host on the one that their network is bound to
    /// (`com.docker.network.bridge.host_binding_ipv4`).
    func bindingPorts(_ stack: Stack) -> Stack {
        var definitions: [String: Network] = [:]
        for (key, network) in stack.networks {
            let name = stack.networkName(key)
            definitions[name] = network.external ? networks[name]?.definition : network
        }
        guard definitions.values.contains(where: { NetworkOptions($0).hostBinding4 != nil }) else { return stack }
        var stack = stack
        for (name, service) in stack.services {
            guard let definition = ContainerDefinition(stack: stack, service: name, imageID: "") else { continue }
            guard let network = gatewayNetwork(of: definition.attachments, networks: definitions),
                let binding = definitions[network].flatMap({ NetworkOptions($0).hostBinding4 })
            else { continue }
            stack.services[name]?.ports = service.ports.map { port in
                var port = port
                port.hostIP = port.hostIP ?? binding
                return port
            }
        }
        return stack
    }
}

extension Service {
    /// More fixed ports than get a socket each to hold them.
    var hasManyPorts: Bool { ports.count > 256 }
}
