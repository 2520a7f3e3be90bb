import StackModel

/// Where names and published ports lead. The engine gives it to DNS and to the firewall's maps.
public struct Endpoints: Equatable, Sendable {
    /// Engine network name, then DNS name in lower case, to IPv4 addresses in ascending order. A name that stands for
    /// a service without a serving replica has no addresses: it exists, and answers nothing.
    public var names: [String: [String: [String]]]
    /// Published ports, each with the replicas that serve it.
    public var ports: [PublishedPort: [Backend]]

    public init() {
        names = [:]
        ports = [:]
    }
}

/// A port of the host.
public struct PublishedPort: Hashable, Sendable {
    /// `nil`: all addresses of the host.
    public var hostIP: String?
    public var port: UInt16
    public var transport: Port.Transport

    public init(hostIP: String? = nil, port: UInt16, transport: Port.Transport) {
        self.hostIP = hostIP
        self.port = port
        self.transport = transport
    }
}

/// A port of a container.
public struct Backend: Hashable, Sendable {
    /// IPv4, on the container's gateway network.
    public var address: String
    public var port: UInt16

    public init(address: String, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// Names and published ports of what serves now. A replica takes part while it is running, not being stopped, and
/// healthy or without a healthcheck; without one, it shares a port with others only once it listens there. A
/// container's own name and short id lead to it as long as it runs.
public func endpoints(of observed: ObservedState) -> Endpoints {
    var result = Endpoints()
    var silent: [PublishedPort: Set<Backend>] = [:]
    let networks = Dictionary(observed.networks.map { ($0.name, $0.definition) }) { first, _ in first }
    for container in observed.containers where container.isAlive {
        addNames(of: container, to: &result)
        addPorts(of: container, networks: networks, to: &result, silent: &silent)
    }
    // Where nobody listens yet, all the same who refuses.
    for (port, backends) in silent {
        let listening = Set(result.ports[port] ?? []).subtracting(backends)
        if !listening.isEmpty { result.ports[port] = Array(listening) }
    }
    result.names = result.names.mapValues { names in
        names.mapValues { Set($0).sorted(by: isLowerAddress) }
    }
    result.ports = result.ports.mapValues { backends in
        Set(backends).sorted { left, right in
            left.address == right.address ? left.port < right.port : isLowerAddress(left.address, right.address)
        }
    }
    return result
}

/// The engine name of the network that gives a container its default route, and whose address takes what comes for its
/// published ports: the highest `gw_priority`, then the first by name; networks without a way out do not count.
public func gatewayNetwork(of definition: ContainerDefinition, networks: [String: Network]) -> String? {
    let candidates = definition.networkNames.compactMap { key, name -> (priority: Int, name: String)? in
        guard let attachment = definition.service.networks[key], networks[name]?.isInternal != true else { return nil }
        return (attachment.gatewayPriority, name)
    }
    return candidates.min { ($1.priority, $0.name) < ($0.priority, $1.name) }?.name
}

private func addNames(of container: ObservedContainer, to result: inout Endpoints) {
    for (key, name) in container.definition.networkNames {
        guard let address = container.addresses[name] else { continue }
        for own in [container.name, String(container.id.prefix(12))] {
            result.names[name, default: [:]][own.lowercased(), default: []].append(address)
        }
        guard !container.oneOff else { continue }
        let aliases = container.definition.service.networks[key]?.aliases ?? []
        for shared in Set([container.service] + aliases) {
            result.names[name, default: [:]][shared.lowercased(), default: []] += container.isServing ? [address] : []
        }
    }
}

private func addPorts(
    of container: ObservedContainer, networks: [String: Network], to result: inout Endpoints,
    silent: inout [PublishedPort: Set<Backend>]
) {
    guard let network = gatewayNetwork(of: container.definition, networks: networks),
        let address = container.addresses[network]
    else { return }
    for port in container.definition.service.ports {
        guard let published = port.published ?? container.chosenPorts[port] else { continue }
        let key = PublishedPort(hostIP: port.hostIP, port: published, transport: port.transport)
        let backend = Backend(address: address, port: port.target)
        result.ports[key, default: []] += container.isServing ? [backend] : []
        if port.transport == .tcp, container.silentPorts.contains(port.target) {
            silent[key, default: []].insert(backend)
        }
    }
}

/// Numerically, so that 10.0.0.9 comes before 10.0.0.10; what is no address comes last.
private func isLowerAddress(_ left: String, _ right: String) -> Bool {
    func parts(_ text: String) -> [Int] { text.split(separator: ".").map { Int($0) ?? Int.max } }
    let (a, b) = (parts(left), parts(right))
    return a == b ? left < right : a.lexicographicallyPrecedes(b)
}
