/// A network of a stack.
public struct Network: Codable, Equatable, Sendable {
    /// Engine name when it differs from `<stack>_<key>`.
    public var name: String?
    public var driver: String?
    @Sparse public var driverOptions: [String: String] = [:]
    /// Made elsewhere: never created, changed or removed with the stack.
    @Switch public var external: Bool = false
    /// No route to the outside.
    @Switch public var isInternal: Bool = false
    /// Containers outside the stack may join.
    @Switch public var attachable: Bool = false
    /// `nil` is yes.
    public var enableIPv4: Bool?
    @Switch public var enableIPv6: Bool = false
    public var ipamDriver: String?
    @Sparse public var ipamOptions: [String: String] = [:]
    @Sparse public var subnets: [Subnet] = []
    @Sparse public var labels: [String: String] = [:]

    public init() {}
}

/// One `ipam.config` entry; addresses in text as the user wrote them.
public struct Subnet: Codable, Equatable, Sendable {
    public var subnet: String?
    public var ipRange: String?
    public var gateway: String?
    @Sparse public var auxiliaryAddresses: [String: String] = [:]

    public init(subnet: String? = nil, gateway: String? = nil) {
        self.subnet = subnet
        self.gateway = gateway
    }
}

/// A named volume of a stack.
public struct Volume: Codable, Equatable, Sendable {
    public var name: String?
    public var driver: String?
    @Sparse public var driverOptions: [String: String] = [:]
    @Switch public var external: Bool = false
    @Sparse public var labels: [String: String] = [:]

    public init() {}
}

/// A config or secret with its content.
public struct FileObject: Codable, Equatable, Sendable {
    public var name: String?
    @Switch public var external: Bool = false
    /// Absolute path it was read from, `nil` for `content:` and `environment:`.
    public var file: String?
    /// The variable it was read from.
    public var variable: String?
    /// The bytes; `nil` when external or with a `driver`.
    public var content: [UInt8]?
    /// Where a secret is kept, if not here.
    public var driver: String?
    @Sparse public var driverOptions: [String: String] = [:]
    public var templateDriver: String?
    @Sparse public var labels: [String: String] = [:]

    public init(content: [UInt8]? = nil) { self.content = content }
}

/// A machine-learning model that services use: Compose Specification, chapter models.
public struct Model: Codable, Equatable, Sendable {
    /// Engine name when it differs from the key.
    public var name: String?
    /// OCI reference.
    public var model: String
    /// Tokens.
    public var contextSize: Int?
    @Sparse public var runtimeFlags: [String] = []

    public init(model: String) { self.model = model }
}

/// A service that runs to its end when it is triggered.
public struct Job: Codable, Equatable, Sendable {
    public var service: Service
    /// May be run by hand.
    public var manual: Bool
    /// Times in crontab(5) form.
    @Sparse public var schedules: [String] = []

    public init(service: Service, manual: Bool = false) {
        self.service = service
        self.manual = manual
    }
}
