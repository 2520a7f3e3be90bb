import StackModel

/// `GET /network-graph`: who is on which network, and what of them is published. Gantry's own.
public struct NetworkGraph: Codable, Equatable, Sendable {
    public struct Network: Codable, Equatable, Sendable {
        public var name: String
        public var driver: String
        /// Empty for a network of its own.
        public var stack: String
        public var subnets: [String]
        public var isInternal: Bool
        /// Interface name on the host; `nil` without one.
        public var bridge: String?
        public var members: [Member]
        public var services: [ServiceAddress]

        public init(
            name: String, driver: String, stack: String, subnets: [String], isInternal: Bool, bridge: String?,
            members: [Member], services: [ServiceAddress]
        ) {
            self.name = name
            self.driver = driver
            self.stack = stack
            self.subnets = subnets
            self.isInternal = isInternal
            self.bridge = bridge
            self.members = members
            self.services = services
        }
    }

    /// A container on a network.
    public struct Member: Codable, Equatable, Sendable {
        public var container: String
        public var service: String
        public var running: Bool
        public var interface: String
        public var addresses: [String]
        /// Its default route of some family leads here.
        public var isGateway: Bool
        /// Published ports, at the network that they come in by.
        public var ports: [ContainerStatus.PublishedPort]

        public init(
            container: String, service: String, running: Bool, interface: String, addresses: [String],
            isGateway: Bool, ports: [ContainerStatus.PublishedPort]
        ) {
            self.container = container
            self.service = service
            self.running = running
            self.interface = interface
            self.addresses = addresses
            self.isGateway = isGateway
            self.ports = ports
        }
    }

    /// The address that a service's replicas share (`endpoint_mode: vip`).
    public struct ServiceAddress: Codable, Equatable, Sendable {
        public var service: String
        public var addresses: [String]

        public init(service: String, addresses: [String]) {
            self.service = service
            self.addresses = addresses
        }
    }

    public var networks: [Network]

    public init(networks: [Network]) { self.networks = networks }
}
