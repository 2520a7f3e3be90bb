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

    /// The one host port that all replicas of the service share; `nil` when each gets one chosen, out of a range or
    /// not.
    public var shared: UInt16? { publishedLast == nil ? published : nil }

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
    /// Names that only this container has for others, `CONTAINER:ALIAS`: what Docker's clients ask for.
    @Sparse public var links: [String] = []
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

extension NetworkAttachment {
    /// The one option of an attachment, as Docker's networks take it.
    public static let parametersOption = "com.docker.network.endpoint.sysctls"

    /// Kernel parameters of the interface: name, in which `IFNAME` stands for the interface, to value. What is no such
    /// list was refused when the stack was loaded, and is empty here.
    public var parameters: [String: String] {
        driverOptions[Self.parametersOption].flatMap { Self.parameters(from: $0) } ?? [:]
    }

    /// `net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2`; `nil` when it is anything else.
    public static func parameters(from text: String) -> [String: String]? {
        var result: [String: String] = [:]
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[1].isEmpty, isInterfaceParameter(parts[0]) else { return nil }
            result[String(parts[0])] = String(parts[1])
        }
        return result
    }

    /// `net.ipv4|ipv6|mpls.GROUP.IFNAME.NAME`; nothing that leads to another interface or out of the tree.
    private static func isInterfaceParameter(_ name: Substring) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "net", ["ipv4", "ipv6", "mpls"].contains(parts[1]),
            ["conf", "neigh"].contains(parts[2]), parts[3] == "IFNAME"
        else { return false }
        return !parts[4].isEmpty && parts[4].utf8.allSatisfy { (0x61...0x7a).contains($0) || $0 == 0x5f }
    }
}
