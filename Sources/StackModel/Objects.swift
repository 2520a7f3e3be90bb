/// A network of a stack.
public struct Network: Codable, Equatable, Sendable {
    /// Engine name when it differs from `<stack>_<key>`.
    public var name: String?
    public var driver: String?
    public var driverOptions: [String: String]
    /// Made elsewhere: never created, changed or removed with the stack.
    public var external: Bool
    /// No route to the outside.
    public var isInternal: Bool
    public var enableIPv6: Bool
    public var subnets: [Subnet]
    public var labels: [String: String]

    public init() {
        driverOptions = [:]
        external = false
        isInternal = false
        enableIPv6 = false
        subnets = []
        labels = [:]
    }
}

/// One `ipam.config` entry; addresses in text as the user wrote them.
public struct Subnet: Codable, Equatable, Sendable {
    public var subnet: String?
    public var ipRange: String?
    public var gateway: String?
    public var auxiliaryAddresses: [String: String]

    public init(subnet: String? = nil, gateway: String? = nil) {
        self.subnet = subnet
        self.gateway = gateway
        auxiliaryAddresses = [:]
    }
}

/// A named volume of a stack.
public struct Volume: Codable, Equatable, Sendable {
    public var name: String?
    public var driver: String?
    public var driverOptions: [String: String]
    public var external: Bool
    public var labels: [String: String]

    public init() {
        driverOptions = [:]
        external = false
        labels = [:]
    }
}

/// A config or secret with its content.
public struct FileObject: Codable, Equatable, Sendable {
    public var name: String?
    public var external: Bool
    /// Absolute path it was read from, `nil` for `content:` and `environment:`.
    public var file: String?
    /// The bytes; `nil` when external.
    public var content: [UInt8]?

    public init(content: [UInt8]? = nil) {
        self.content = content
        external = false
    }
}
