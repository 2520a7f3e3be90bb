import InternetAddress

/// A network: one bridge of the host.
public struct BridgeSpec: Codable, Equatable, Sendable {
    /// One range of addresses of a network.
    public struct Subnet: Codable, Hashable, Sendable {
        public var range: CIDR
        /// The bridge's own address; `nil`: the bridge has none in this subnet.
        public var gateway: IPAddress?

        public init(_ range: CIDR, gateway: IPAddress?) {
            self.range = range
            self.gateway = gateway
        }
    }

    /// What the network does with packets between it and the outside.
    public enum Gateway: String, Codable, Sendable {
        /// Containers' addresses are hidden behind the host's; from outside only published ports are reached.
        case nat
        /// Containers are reached and seen by their own addresses, at their published ports only.
        case routed
        /// As `routed`, at every port.
        case unprotected
    }

    /// Engine name of the network.
    public var name: String
    /// Interface name: `gn-` and eight hexadecimal digits, or the one that a user chose.
    public var bridge: String
    /// At least one, each family's first is the one that containers get addresses from.
    public var subnets: [Subnet]
    /// No way to the outside, and none in from published ports.
    public var isInternal: Bool
    /// Bytes; `nil` takes the uplink's.
    public var mtu: Int?
    /// Containers of this network reach each other.
    public var interContainer: Bool
    public var gateway4: Gateway
    public var gateway6: Gateway

    public init(
        name: String, bridge: String, subnets: [Subnet], isInternal: Bool = false, mtu: Int? = nil,
        interContainer: Bool = true, gateway4: Gateway = .nat, gateway6: Gateway = .nat
    ) {
        self.name = name
        self.bridge = bridge
        self.subnets = subnets
        self.isInternal = isInternal
        self.mtu = mtu
        self.interContainer = interContainer
        self.gateway4 = gateway4
        self.gateway6 = gateway6
    }

    public var hasIPv6: Bool { subnets.contains { $0.range.isV6 } }

    /// What the bridge's Ethernet address is made from.
    var ownAddress: IPAddress { subnets.first.map { $0.gateway ?? $0.range.network } ?? .v4(.any) }
}

/// One interface of a container.
public struct InterfaceSpec: Codable, Equatable, Sendable {
    /// What the interface is.
    public enum Kind: Codable, Equatable, Sendable {
        /// A veth pair; the host's end is a port of the bridge.
        case bridge(String)
        /// On top of an interface of the host, with an Ethernet address of its own. `mode`: bridge, private, vepa or
        /// passthru.
        case macvlan(parent: String, mode: String)
        /// On top of an interface of the host, sharing its Ethernet address. `mode`: l2, l3 or l3s.
        case ipvlan(parent: String, mode: String)
    }

    public struct Address: Codable, Hashable, Sendable {
        public var address: IPAddress
        public var prefixLength: Int

        public init(_ address: IPAddress, prefixLength: Int) {
            self.address = address
            self.prefixLength = prefixLength
        }
    }

    public var kind: Kind
    /// The host's end: `gv` and up to twelve hexadecimal digits of container and network.
    public var hostInterface: String
    /// The container's end: `eth0`, …
    public var containerInterface: String
    /// The main one first, of each family.
    public var addresses: [Address]
    /// `nil` derives one from the address.
    public var mac: MACAddress?
    /// Default routes, at most one for each family.
    public var gateways: [IPAddress]
    /// Bytes; `nil` takes the bridge's or the parent's.
    public var mtu: Int?
    /// No frames from or to other isolated ports of the bridge: for networks without `interContainer`.
    public var isIsolated: Bool
    /// Kernel parameters of the interface in the container: `net.ipv4.conf.IFNAME.log_martians` to `1`.
    public var parameters: [String: String]

    public init(
        kind: Kind, hostInterface: String, containerInterface: String, addresses: [Address], mac: MACAddress? = nil,
        gateways: [IPAddress] = [], mtu: Int? = nil, isIsolated: Bool = false, parameters: [String: String] = [:]
    ) {
        self.kind = kind
        self.hostInterface = hostInterface
        self.containerInterface = containerInterface
        self.addresses = addresses
        self.mac = mac
        self.gateways = gateways
        self.mtu = mtu
        self.isIsolated = isIsolated
        self.parameters = parameters
    }

    /// What the container's Ethernet address is made from when none is given.
    var ownAddress: IPAddress { addresses.first?.address ?? .v4(.any) }

    /// The first address of the family; `nil` when it has none.
    public var address4: IPv4Address? { addresses.lazy.compactMap(\.address.v4).first }
    public var address6: IPv6Address? { addresses.lazy.compactMap(\.address.v6).first }
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
    public var address: IPAddress
    public var port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    public static func < (one: Backend, other: Backend) -> Bool {
        (one.address, one.port) < (other.address, other.port)
    }
}

/// Which backend a connection gets.
public enum Balance: String, Codable, Hashable, Sendable {
    /// Each in turn.
    case roundRobin
    /// The same one for all connections from one address, as long as the backends stay.
    case clientAddress
}

/// A port of the host, or a range of ports, shared by its backends.
public struct PublishedPort: Codable, Hashable, Sendable {
    /// `nil` = every address of the host, of the families that its backends have.
    public var hostIP: IPAddress?
    public var port: UInt16
    /// Last port of a range, which goes to one backend with the port kept: its `port` is then the range's first.
    public var lastPort: UInt16?
    public var transport: Transport
    /// Sorted, each once; of both families where containers have both. With none of a family, the port is not
    /// published in it.
    public var backends: [Backend]
    public var balance: Balance

    /// 0.0.0.0 is taken as "every IPv4 address", `::` as "every IPv6 address".
    public init(
        hostIP: IPAddress? = nil, port: UInt16, lastPort: UInt16? = nil, transport: Transport = .tcp,
        backends: [Backend], balance: Balance = .roundRobin
    ) {
        self.hostIP = hostIP
        self.port = port
        self.lastPort = lastPort == port ? nil : lastPort
        self.transport = transport
        self.backends = Set(backends).sorted()
        self.balance = balance
    }
}

/// One stable address of a service on a network; whatever is sent to it goes to one of the backends.
public struct VirtualAddress: Codable, Hashable, Sendable {
    public var address: IPAddress
    /// Interface name of the network's bridge, which answers for the address.
    public var bridge: String
    /// Addresses of the same family, sorted, each once.
    public var backends: [IPAddress]
    public var balance: Balance

    public init(address: IPAddress, bridge: String, backends: [IPAddress], balance: Balance = .roundRobin) {
        self.address = address
        self.bridge = bridge
        self.backends = Set(backends).sorted()
        self.balance = balance
    }
}

/// Everything the firewall has to know.
public struct FirewallState: Equatable, Sendable {
    public var bridges: [BridgeSpec]
    public var ports: [PublishedPort]
    public var virtualAddresses: [VirtualAddress]

    public init(
        bridges: [BridgeSpec] = [], ports: [PublishedPort] = [], virtualAddresses: [VirtualAddress] = []
    ) {
        self.bridges = bridges
        self.ports = ports
        self.virtualAddresses = virtualAddresses
    }
}
