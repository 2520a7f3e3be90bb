/// One published (or, with `published == nil`, one ephemeral) port; ranges of equal length are expanded into one `Port`
/// each.
public struct Port: Codable, Hashable, Sendable {
    public enum Transport: String, Codable, Sendable, Comparable {
        case sctp, tcp, udp
        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    public enum Mode: String, Codable, Sendable { case host, ingress }

    public var target: UInt16
    /// `nil`: the engine chooses a free port.
    public var published: UInt16?
    /// The last of the host ports to choose from, where a range was given for one target.
    public var publishedLast: UInt16?
    public var hostIP: String?
    public var transport: Transport
    /// `nil` is `ingress`.
    public var mode: Mode?
    /// For people.
    public var name: String?
    /// For people and tools: `http`, `https`, ….
    public var appProtocol: String?

    public init(target: UInt16, published: UInt16? = nil, hostIP: String? = nil, transport: Transport = .tcp) {
        self.target = target
        self.published = published
        self.hostIP = hostIP
        self.transport = transport
    }
}

public struct NetworkAttachment: Codable, Equatable, Sendable {
    public var aliases: [String]
    public var ipv4Address: String?
    public var ipv6Address: String?
    @Sparse public var linkLocalIPs: [String] = []
    /// The network with the highest priority gives the default route.
    public var gatewayPriority: Int
    /// The network with the highest priority is connected first and has the service's `mac_address`; `nil` is 0.
    public var priority: Int?
    public var macAddress: String?
    /// Name of the interface in the container.
    public var interfaceName: String?
    @Sparse public var driverOptions: [String: String] = [:]

    public init(aliases: [String] = []) {
        self.aliases = aliases
        gatewayPriority = 0
    }
}

public struct ExtraHost: Codable, Equatable, Sendable {
    public var name: String
    /// An address or `host-gateway`.
    public var address: String

    public init(name: String, address: String) {
        self.name = name
        self.address = address
    }
}
