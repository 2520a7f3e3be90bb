/// A network: one bridge of the host.
public struct BridgeSpec: Codable, Equatable, Sendable {
    /// Engine name of the network.
    public var name: String
    /// Interface name: `gn-` and eight hexadecimal digits.
    public var bridge: String
    public var subnet4: CIDR4
    /// The bridge's own address.
    public var gateway4: IPv4Address
    public var subnet6: CIDR6?
    public var gateway6: IPv6Address?
    /// No way to the outside, and none in from published ports.
    public var isInternal: Bool
    /// Bytes; `nil` takes the uplink's.
    public var mtu: Int?
    /// Containers of this network reach each other.
    public var interContainer: Bool

    public init(
        name: String, bridge: String, subnet4: CIDR4, gateway4: IPv4Address, subnet6: CIDR6? = nil,
        gateway6: IPv6Address? = nil, isInternal: Bool = false, mtu: Int? = nil, interContainer: Bool = true
    ) {
        self.name = name
        self.bridge = bridge
        self.subnet4 = subnet4
        self.gateway4 = gateway4
        self.subnet6 = subnet6
        self.gateway6 = gateway6
        self.isInternal = isInternal
        self.mtu = mtu
        self.interContainer = interContainer
    }
}

/// One interface of a container: a veth pair between its namespace and a bridge.
public struct InterfaceSpec: Codable, Equatable, Sendable {
    public var bridge: String
    /// The host's end: `gv` and up to twelve hexadecimal digits of container and network.
    public var hostInterface: String
    /// The container's end: `eth0`, …
    public var containerInterface: String
    public var address4: IPv4Address
    public var prefixLength4: Int
    public var address6: IPv6Address?
    public var prefixLength6: Int?
    /// `nil` derives one from the address.
    public var mac: MACAddress?
    /// Set = the default route goes here.
    public var gateway4: IPv4Address?
    public var gateway6: IPv6Address?
    /// Bytes; `nil` takes the bridge's.
    public var mtu: Int?
    /// No frames from or to other isolated ports of the bridge: for networks without `interContainer`.
    public var isIsolated: Bool

    public init(
        bridge: String, hostInterface: String, containerInterface: String, address4: IPv4Address, prefixLength4: Int,
        mac: MACAddress? = nil, gateway4: IPv4Address? = nil, mtu: Int? = nil, isIsolated: Bool = false
    ) {
        self.bridge = bridge
        self.hostInterface = hostInterface
        self.containerInterface = containerInterface
        self.address4 = address4
        self.prefixLength4 = prefixLength4
        self.mac = mac
        self.gateway4 = gateway4
        self.mtu = mtu
        self.isIsolated = isIsolated
    }
}

/// Transport protocols that can be published.
public enum Transport: String, Codable, Hashable, Sendable, CaseIterable {
    case tcp, udp, sctp

    /// IANA protocol number.
    public var number: UInt8 {
        switch self {
        case .tcp: 6
        case .udp: 17
        case .sctp: 132
        }
    }
}

/// Where connections to a published port go.
public struct Backend: Codable, Hashable, Comparable, Sendable {
    public var address: IPv4Address
    public var port: UInt16

    public init(address: IPv4Address, port: UInt16) {
        self.address = address
        self.port = port
    }

    public static func < (one: Backend, other: Backend) -> Bool {
        (one.address, one.port) < (other.address, other.port)
    }
}

/// A port of the host, shared evenly by its backends.
public struct PublishedPort: Codable, Hashable, Sendable {
    /// `nil` = every address of the host.
    public var hostIP: IPv4Address?
    public var port: UInt16
    public var transport: Transport
    /// Sorted, each once. With none, the port is not published.
    public var backends: [Backend]

    /// 0.0.0.0 is taken as "every address".
    public init(hostIP: IPv4Address? = nil, port: UInt16, transport: Transport = .tcp, backends: [Backend]) {
        self.hostIP = hostIP == .any ? nil : hostIP
        self.port = port
        self.transport = transport
        self.backends = Set(backends).sorted()
    }
}

/// Everything the firewall has to know.
public struct FirewallState: Equatable, Sendable {
    public var bridges: [BridgeSpec]
    public var ports: [PublishedPort]

    public init(bridges: [BridgeSpec] = [], ports: [PublishedPort] = []) {
        self.bridges = bridges
        self.ports = ports
    }
}
