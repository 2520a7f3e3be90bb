/// What makes a network.
public enum NetworkDriver: String, CaseIterable, Codable, Sendable {
    case bridge, host, none, macvlan, ipvlan

    /// `nil` and `default` are `bridge`, Docker's `null` is `none`; `nil` for a driver there is not.
    public init?(named name: String?) {
        switch name {
        case nil, "", "default": self = .bridge
        case "null": self = .none
        case let name?: self.init(rawValue: name)
        }
    }

    /// Containers get interfaces of their own on it.
    public var hasInterfaces: Bool { self != .host && self != .none }
}

/// `driver_opts` of a network, read: those of Docker's bridge, macvlan and ipvlan drivers.
public struct NetworkOptions: Equatable, Sendable {
    /// `com.docker.network.bridge.gateway_mode_ipv4` and `_ipv6`.
    public enum GatewayMode: String, Codable, Sendable {
        case nat, routed, isolated
        case natUnprotected = "nat-unprotected"
    }

    /// An option that cannot be followed.
    public struct Problem: Equatable, Sendable {
        public var option: String
        public var message: String
        public var hint: String?
        /// `false`: the option is left out.
        public var isError: Bool
    }

    public var bridgeName: String?
    public var interContainer = true
    public var masquerade = true
    /// `nil`: `nat`, or `routed` without masquerading.
    public var gatewayMode4: GatewayMode?
    public var gatewayMode6: GatewayMode?
    /// Address of the host that ports without one of their own are published on.
    public var hostBinding4: String?
    /// The bridge itself has no IPv4 address.
    public var inhibitIPv4 = false
    /// Bytes.
    public var mtu: Int?
    /// `eth` unless said.
    public var interfacePrefix = "eth"
    /// The host's interface under a macvlan or ipvlan network.
    public var parent: String?
    /// `bridge`, `private`, `vepa` or `passthru`; of ipvlan `l2`, `l3` or `l3s`.
    public var mode: String?
    public private(set) var problems: [Problem] = []

    public init(_ network: Network) {
        self.init(driver: NetworkDriver(named: network.driver) ?? .bridge, options: network.driverOptions)
    }

    public init(driver: NetworkDriver, options: [String: String]) {
        for (option, value) in options.sorted(by: { $0.key < $1.key }) { read(option, value, driver) }
        switch driver {
        case .macvlan: mode = mode ?? "bridge"
        case .ipvlan: mode = mode ?? "l2"
        case .bridge, .host, .none: break
        }
        if driver == .macvlan || driver == .ipvlan, parent == nil {
            fail(
                "parent", "driver '\(driver.rawValue)' needs the interface of the host that it is made on",
                hint: "name it in driver_opts: {parent: eth0}")
        }
    }

    /// What containers' packets go through on their way out.
    public func gatewayMode(isV6: Bool) -> GatewayMode {
        if let mode = isV6 ? gatewayMode6 : gatewayMode4 { return mode }
        return masquerade ? .nat : .routed
    }

    private static let bridgePrefix = "com.docker.network.bridge."
    private static let macvlanModes = ["bridge", "private", "vepa", "passthru"]
    private static let ipvlanModes = ["l2", "l3", "l3s"]
    private static let mtuRange = 68...65535

    private mutating func read(_ option: String, _ value: String, _ driver: NetworkDriver) {
        switch (option, driver) {
        case ("com.docker.network.driver.mtu", _):
            guard let bytes = Int(value), Self.mtuRange.contains(bytes) else {
                return fail(option, "'\(value)' is no MTU", hint: "write a number of bytes from 68 to 65535")
            }
            mtu = bytes
        case ("com.docker.network.container_iface_prefix", _):
            guard isInterfaceName(value), value.utf8.count <= 12 else {
                return fail(option, "'\(value)' cannot begin the name of an interface")
            }
            interfacePrefix = value
        case ("parent", .macvlan), ("parent", .ipvlan): parent = value
        case ("macvlan_mode", .macvlan): mode = word(option, value, Self.macvlanModes)
        case ("ipvlan_mode", .ipvlan): mode = word(option, value, Self.ipvlanModes)
        case (_, .bridge) where option.hasPrefix(Self.bridgePrefix):
            readBridge(String(option.dropFirst(Self.bridgePrefix.count)), option, value)
        default: ignore(option, driver)
        }
    }

    private mutating func readBridge(_ name: String, _ option: String, _ value: String) {
        switch name {
        case "name":
            guard isInterfaceName(value) else {
                return fail(
                    option, "'\(value)' is no name of an interface", hint: "use at most 15 of a-z, 0-9, - and _")
            }
            bridgeName = value
        case "enable_icc": interContainer = flag(option, value) ?? interContainer
        case "enable_ip_masquerade": masquerade = flag(option, value) ?? masquerade
        case "inhibit_ipv4": inhibitIPv4 = flag(option, value) ?? inhibitIPv4
        case "gateway_mode_ipv4": gatewayMode4 = gatewayMode(option, value)
        case "gateway_mode_ipv6": gatewayMode6 = gatewayMode(option, value)
        case "host_binding_ipv4": hostBinding4 = value == "0.0.0.0" || value.isEmpty ? nil : value
        default: ignore(option, .bridge)
        }
    }

    private mutating func gatewayMode(_ option: String, _ value: String) -> GatewayMode? {
        if let mode = GatewayMode(rawValue: value) { return mode }
        fail(option, "there is no gateway mode '\(value)'", hint: "use nat, routed, nat-unprotected or isolated")
        return nil
    }

    private mutating func word(_ option: String, _ value: String, _ allowed: [String]) -> String? {
        if allowed.contains(value) { return value }
        fail(option, "there is no mode '\(value)'", hint: "use \(allowed.joined(separator: ", "))")
        return nil
    }

    /// As Go's strconv.ParseBool reads it.
    private mutating func flag(_ option: String, _ value: String) -> Bool? {
        switch value {
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default:
            fail(option, "'\(value)' is neither true nor false")
            return nil
        }
    }

    private mutating func ignore(_ option: String, _ driver: NetworkDriver) {
        problems.append(
            Problem(
                option: option, message: "driver '\(driver.rawValue)' has no option '\(option)': it has no effect",
                hint: nil, isError: false))
    }

    private mutating func fail(_ option: String, _ message: String, hint: String? = nil) {
        problems.append(Problem(option: option, message: message, hint: hint, isError: true))
    }
}

/// What the kernel takes (`dev_valid_name`), without the dot that would split the paths of its parameters.
public func isInterfaceName(_ name: String) -> Bool {
    (1...15).contains(name.utf8.count)
        && name.utf8.allSatisfy {
            (0x61...0x7a).contains($0 | 0x20) || (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x5f
        }
}

extension Network {
    /// IPv4 addresses are handed out.
    public var hasIPv4: Bool { enableIPv4 ?? true }
}
