// Networks as the Docker Engine API has them. Members that an old client leaves out have defaults.

/// Addresses of a network.
public struct NetworkIPAM: Codable, Equatable, Sendable {
    public struct Config: Codable, Equatable, Sendable {
        public var Subnet: String?
        public var IPRange: String?
        public var Gateway: String?
        public var AuxiliaryAddresses: [String: String]?

        public init(
            Subnet: String? = nil, IPRange: String? = nil, Gateway: String? = nil,
            AuxiliaryAddresses: [String: String]? = nil
        ) {
            self.Subnet = Subnet
            self.IPRange = IPRange
            self.Gateway = Gateway
            self.AuxiliaryAddresses = AuxiliaryAddresses
        }
    }

    public var Driver: String?
    public var Options: [String: String]?
    public var Config: [Config]?

    /// Clients look for `Options`, also where there are none.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encodeIfPresent(Driver, forKey: .driver)
        try values.encode(Options, forKey: .options)
        try values.encodeIfPresent(self.Config, forKey: .config)
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        Driver = try values.decodeIfPresent(String.self, forKey: .driver)
        Options = try values.decodeIfPresent([String: String].self, forKey: .options)
        self.Config = try values.decodeIfPresent([Self.Config].self, forKey: .config)
    }

    private enum CodingKeys: String, CodingKey {
        case driver = "Driver"
        case options = "Options"
        case config = "Config"
    }

    public init(Driver: String? = nil, Options: [String: String]? = nil, Config: [Config]? = nil) {
        self.Driver = Driver
        self.Options = Options
        self.Config = Config
    }
}

/// One network in `GET /networks` and `GET /networks/{id}`.
public struct NetworkInspect: Codable, Equatable, Sendable {
    public struct Member: Codable, Equatable, Sendable {
        public var Name: String
        public var EndpointID: String
        public var MacAddress: String
        /// With its prefix length; empty for none.
        public var IPv4Address: String
        public var IPv6Address: String

        public init(Name: String, EndpointID: String, MacAddress: String, IPv4Address: String, IPv6Address: String) {
            self.Name = Name
            self.EndpointID = EndpointID
            self.MacAddress = MacAddress
            self.IPv4Address = IPv4Address
            self.IPv6Address = IPv6Address
        }
    }

    public struct Source: Codable, Equatable, Sendable {
        public var Network = ""

        public init() {}
    }

    public var Name: String
    public var Id: String
    public var Created: String
    public var Scope = "local"
    public var Driver: String
    public var EnableIPv4: Bool
    public var EnableIPv6: Bool
    public var IPAM: NetworkIPAM
    public var Internal: Bool
    public var Attachable: Bool
    public var Ingress = false
    public var ConfigFrom = Source()
    public var ConfigOnly = false
    /// Running containers by id; a list has none of them.
    public var Containers: [String: Member]
    public var Options: [String: String]
    public var Labels: [String: String]

    public init(
        Name: String, Id: String, Created: String, Driver: String, EnableIPv4: Bool, EnableIPv6: Bool,
        IPAM: NetworkIPAM, Internal: Bool = false, Attachable: Bool = false, Containers: [String: Member] = [:],
        Options: [String: String] = [:], Labels: [String: String] = [:]
    ) {
        self.Name = Name
        self.Id = Id
        self.Created = Created
        self.Driver = Driver
        self.EnableIPv4 = EnableIPv4
        self.EnableIPv6 = EnableIPv6
        self.IPAM = IPAM
        self.Internal = Internal
        self.Attachable = Attachable
        self.Containers = Containers
        self.Options = Options
        self.Labels = Labels
    }
}

/// `POST /networks/create`.
public struct NetworkCreateRequest: Codable, Equatable, Sendable {
    public var Name: String
    public var Driver: String?
    public var Scope: String?
    public var Internal: Bool?
    public var Attachable: Bool?
    public var EnableIPv4: Bool?
    public var EnableIPv6: Bool?
    public var IPAM: NetworkIPAM?
    public var Options: [String: String]?
    public var Labels: [String: String]?
    public var Ingress: Bool?
    public var ConfigOnly: Bool?
    public var ConfigFrom: ConfigReference?

    /// A network whose definition is taken over.
    public struct ConfigReference: Codable, Equatable, Sendable {
        public var Network: String?
    }

    public init(Name: String) { self.Name = Name }
}

/// Answer of `POST /networks/create`.
public struct NetworkCreateReply: Codable, Equatable, Sendable {
    public var Id: String
    /// What has no effect; empty for nothing.
    public var Warning: String

    public init(Id: String, Warning: String) {
        self.Id = Id
        self.Warning = Warning
    }
}

/// `POST /networks/{id}/connect`.
public struct NetworkConnectRequest: Codable, Equatable, Sendable {
    public struct Addresses: Codable, Equatable, Sendable {
        public var IPv4Address: String?
        public var IPv6Address: String?
        public var LinkLocalIPs: [String]?

        public init(IPv4Address: String? = nil, IPv6Address: String? = nil, LinkLocalIPs: [String]? = nil) {
            self.IPv4Address = IPv4Address
            self.IPv6Address = IPv6Address
            self.LinkLocalIPs = LinkLocalIPs
        }
    }

    public struct Endpoint: Codable, Equatable, Sendable {
        public var IPAMConfig: Addresses?
        public var Aliases: [String]?
        /// `CONTAINER:ALIAS`.
        public var Links: [String]?
        public var MacAddress: String?
        public var DriverOpts: [String: String]?
        public var GwPriority: Int?

        public init() {}
    }

    public var Container: String
    public var EndpointConfig: Endpoint?

    public init(Container: String, EndpointConfig: Endpoint? = nil) {
        self.Container = Container
        self.EndpointConfig = EndpointConfig
    }
}

/// `POST /networks/{id}/disconnect`.
public struct NetworkDisconnectRequest: Codable, Equatable, Sendable {
    public var Container: String
    public var Force: Bool?

    public init(Container: String, Force: Bool? = nil) {
        self.Container = Container
        self.Force = Force
    }
}

/// Answer of `POST /networks/prune`.
public struct NetworkPruneReply: Codable, Equatable, Sendable {
    /// Names.
    public var NetworksDeleted: [String]?

    public init(NetworksDeleted: [String]) { self.NetworksDeleted = NetworksDeleted }
}
