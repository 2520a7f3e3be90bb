import InternetAddress
import StackModel

/// Where names, published ports and the services' own addresses lead. The engine gives it to DNS and to the firewall's
/// maps.
public struct Endpoints: Equatable, Sendable {
    /// Engine network name, then DNS name in lower case, to addresses of both families in ascending order. A name that
    /// stands for a service without a serving replica has no addresses: it exists, and answers nothing.
    public var names: [String: [String: [IPAddress]]]
    /// Published ports, each with the replicas that serve it.
    public var ports: [PublishedPort: [Backend]]
    /// Those of `ports` of which a client gets the same replica each time.
    public var portsByClient: Set<PublishedPort>
    /// The services' own addresses, sorted.
    public var virtualAddresses: [VirtualEndpoint]

    public init() {
        names = [:]
        ports = [:]
        portsByClient = []
        virtualAddresses = []
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
public struct Backend: Hashable, Comparable, Sendable {
    /// On the container's gateway network of the address's family.
    public var address: IPAddress
    public var port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    public static func < (left: Backend, right: Backend) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }
}

/// An address of a service (`endpoint_mode: vip`) and the replicas behind it, of the same family and network.
public struct VirtualEndpoint: Equatable, Sendable {
    /// Engine name.
    public var network: String
    public var address: IPAddress
    public var backends: [IPAddress]
    /// A client gets the same replica each time.
    public var isByClient: Bool
}

/// Names and published ports of what serves now. A replica takes part while it is running, not being stopped, and
/// healthy or without a healthcheck; without one, it shares a port with others only once it listens there. A
/// container's own name and short id lead to it as long as it runs.
///
/// A service's name and aliases lead to all its serving replicas, or with `endpoint_mode: vip` to its own address;
/// `tasks.<service>` always leads to the replicas.
public func endpoints(of observed: ObservedState) -> Endpoints {
    var result = Endpoints()
    var silent: [PublishedPort: Set<Backend>] = [:]
    let networks = Dictionary(observed.networks.map { ($0.name, $0.definition) }) { first, _ in first }
    let own = Dictionary(observed.serviceAddresses.map { ($0.place, $0) }) { first, _ in first }
    var serving: [ServiceAddresses.Place: Serving] = [:]
    var byClient: Set<String> = []
    for container in observed.containers where container.isAlive {
        addNames(of: container, own: own, to: &result)
        addPorts(of: container, networks: networks, to: &result, silent: &silent)
        guard !container.oneOff else { continue }
        if container.keepsClients { byClient.insert(container.service) }
        guard container.isServing else { continue }
        for (network, addresses) in container.addresses {
            let place = ServiceAddresses.Place(service: container.service, network: network)
            serving[place, default: Serving()].add(addresses, isSilent: !container.silentPorts.isEmpty)
        }
    }
    // Where nobody listens yet, all the same who refuses.
    for (port, backends) in silent {
        let listening = Set(result.ports[port] ?? []).subtracting(backends)
        if !listening.isEmpty { result.ports[port] = Array(listening) }
    }
    for entry in observed.serviceAddresses {
        result.names[entry.network, default: [:]][entry.service.inLowerCase, default: []] += entry.addresses
        for address in entry.addresses {
            let backends = (serving[entry.place]?.backends ?? []).filter { $0.isV6 == address.isV6 }
            result.virtualAddresses.append(
                VirtualEndpoint(
                    network: entry.network, address: address, backends: Set(backends).sorted(),
                    isByClient: byClient.contains(entry.service)))
        }
    }
    result.names = result.names.mapValues { $0.mapValues { $0.count < 2 ? $0 : Set($0).sorted() } }
    result.ports = result.ports.mapValues { $0.count < 2 ? $0 : Set($0).sorted() }
    result.virtualAddresses.sort { ($0.network, $0.address) < ($1.network, $1.address) }
    return result
}

/// Addresses of a service's serving replicas on a network; those that do not listen yet count while no other does.
private struct Serving {
    private var listening: [IPAddress] = []
    private var silent: [IPAddress] = []

    var backends: [IPAddress] { listening.isEmpty ? silent : listening }

    mutating func add(_ addresses: [IPAddress], isSilent: Bool) {
        if isSilent { silent += addresses } else { listening += addresses }
    }
}

/// The engine name of the network that gives a container its default route, and whose address takes what comes for its
/// published ports: the highest `gw_priority`, then the first by name; networks without a way out do not count.
///
/// - Parameter usable: the networks that count, such as those with an address of the family; `nil`: all.
public func gatewayNetwork(
    of attachments: [String: NetworkAttachment], networks: [String: Network], usable: Set<String>? = nil
) -> String? {
    let candidates = attachments.filter { name, _ in
        usable?.contains(name) != false && networks[name]?.isInternal != true
    }
    return candidates.min { left, right in
        let (first, second) = (left.value.gatewayPriority, right.value.gatewayPriority)
        return first == second ? left.key < right.key : first > second
    }?.key
}

extension ContainerDefinition {
    /// By engine name of the network.
    public var attachments: [String: NetworkAttachment] {
        var result: [String: NetworkAttachment] = [:]
        for (key, name) in networkNames { result[name] = service.networks[key] }
        return result
    }
}

extension ObservedContainer {
    fileprivate var keepsClients: Bool { definition.service.gantry?.sessionAffinity == .clientIP }

    /// By engine name, with those that were made by hand.
    fileprivate var attachments: [String: NetworkAttachment] {
        connections.isEmpty ? definition.attachments : definition.attachments.merging(connections) { $1 }
    }
}

extension String {
    /// Most names are so already.
    fileprivate var inLowerCase: String {
        utf8.contains { $0 > 0x7F || (0x41...0x5A).contains($0) } ? lowercased() : self
    }
}

private func addNames(
    of container: ObservedContainer, own: [ServiceAddresses.Place: ServiceAddresses], to result: inout Endpoints
) {
    let attachments = container.attachments
    for (network, addresses) in container.addresses {
        // Taken out, so that it is changed in place.
        var names = result.names.removeValue(forKey: network) ?? [:]
        for name in [container.name, String(container.id.prefix(12))] {
            names[name.inLowerCase, default: []] += addresses
        }
        let aliases = attachments[network]?.aliases ?? []
        if container.oneOff {
            // Names of its own, given by hand, are not the service's.
            for alias in container.connections[network]?.aliases ?? [] {
                names[alias.inLowerCase, default: []] += addresses
            }
        } else {
            let serving = container.isServing ? addresses : []
            names["tasks.\(container.service)".inLowerCase, default: []] += serving
            let place = ServiceAddresses.Place(service: container.service, network: network)
            let shared = own[place]?.addresses ?? serving
            for name in Set([container.service] + aliases) { names[name.inLowerCase, default: []] += shared }
        }
        result.names[network] = names
    }
}

private func addPorts(
    of container: ObservedContainer, networks: [String: Network], to result: inout Endpoints,
    silent: inout [PublishedPort: Set<Backend>]
) {
    let ports = container.definition.service.ports
    guard !ports.isEmpty else { return }
    let attachments = container.attachments
    var addresses: [IPAddress] = []
    for isV6 in [false, true] {
        let usable = Set(container.addresses.filter { $0.value.contains { $0.isV6 == isV6 } }.keys)
        guard let network = gatewayNetwork(of: attachments, networks: networks, usable: usable) else { continue }
        addresses += (container.addresses[network] ?? []).filter { $0.isV6 == isV6 }.prefix(1)
    }
    guard !addresses.isEmpty else { return }
    for port in ports {
        guard let published = container.chosenPorts[port] ?? port.shared else { continue }
        let key = PublishedPort(hostIP: port.hostIP, port: published, transport: port.transport)
        // A port on one address of the host is of that address's family.
        let family = port.hostIP.flatMap { IPAddress($0)?.isV6 }
        let backends = addresses.filter { family == nil || $0.isV6 == family }
            .map { Backend(address: $0, port: port.target) }
        result.ports[key, default: []] += container.isServing ? backends : []
        if container.keepsClients { result.portsByClient.insert(key) }
        if port.transport == .tcp, container.silentPorts.contains(port.target) {
            silent[key, default: []].formUnion(backends)
        }
    }
}
