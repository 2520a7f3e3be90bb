import ContainerNetwork
import InternetAddress
import StackModel

/// A network's bridge and subnets, worked out of its definition and of what the host has.
struct NetworkDesign {
    /// What of the host has a say.
    struct Host: Sendable {
        /// Ranges that routes of the host lead to.
        var routes: [CIDR]
        /// Ranges of the engine's other networks.
        var networks: [CIDR]
        /// Bytes.
        var mtu: Int
        /// What local IPv6 prefixes are made from: another on every machine.
        var seed: [UInt8]
    }

    let name: String
    let definition: Network
    let driver: NetworkDriver
    let options: NetworkOptions

    /// Refuses what cannot be done.
    init(name: String, definition: Network) throws(EngineError) {
        self.name = name
        self.definition = definition
        guard let driver = NetworkDriver(named: definition.driver) else {
            let known = NetworkDriver.allCases.map(\.rawValue).joined(separator: ", ")
            let why =
                definition.driver == "overlay" ? "this engine has one host and no swarm: use bridge" : "use \(known)"
            throw .diagnostics([
                Diagnostic(
                    code: "network.unsupported",
                    "network \(name): there is no driver '\(definition.driver ?? "")' here", hint: why)
            ])
        }
        if let ipam = definition.ipamDriver, ipam != "default", !ipam.isEmpty {
            throw .badRequest("network \(name): addresses cannot be handed out by '\(ipam)'; leave the IPAM driver out")
        }
        guard definition.hasIPv4 || definition.enableIPv6 else {
            throw .badRequest("network \(name) has neither IPv4 nor IPv6")
        }
        self.driver = driver
        options = NetworkOptions(definition)
        let failures = options.problems.filter(\.isError)
        guard failures.isEmpty else {
            throw .diagnostics(
                failures.map { Diagnostic(code: "network.option", "network \(name): \($0.message)", hint: $0.hint) })
        }
        for isV6 in [false, true] where options.gatewayMode(isV6: isV6) == .isolated && !definition.isInternal {
            throw .badRequest("network \(name): gateway mode 'isolated' needs an internal network")
        }
    }

    /// What has no effect, for people.
    var warnings: [String] { options.problems.filter { !$0.isError }.map(\.message) }

    /// - Parameter bridge: interface name unless the options have one.
    func spec(bridge: String, host: Host) throws(EngineError) -> BridgeSpec {
        var ranges: [CIDR] = []
        var subnets: [BridgeSpec.Subnet] = []
        // The network around a macvlan's parent is one of the host's by nature.
        let taken = host.networks + (driver == .bridge ? host.routes : [])
        for entry in definition.subnets where entry != Subnet() {
            guard let subnet = try declared(entry) else { continue }
            do throws(NetworkError) { try SubnetPool.check(subnet.range, avoiding: taken + ranges) } catch {
                throw .network(error)
            }
            ranges.append(subnet.range)
            subnets.append(subnet)
        }
        do throws(NetworkError) {
            if definition.hasIPv4, !ranges.contains(where: { !$0.isV6 }) {
                let range = try SubnetPool.standard.free(avoiding: host.routes + host.networks + ranges)
                subnets.append(BridgeSpec.Subnet(range, gateway: bridgeAddress(range, declared: nil)))
            }
            if definition.enableIPv6, !ranges.contains(where: \.isV6) {
                let range = try SubnetPool.uniqueLocal(seed: host.seed).free(avoiding: host.routes + host.networks)
                subnets.append(BridgeSpec.Subnet(range, gateway: bridgeAddress(range, declared: nil)))
            }
        } catch {
            throw .network(error)
        }
        return BridgeSpec(
            name: name, bridge: options.bridgeName ?? bridge, subnets: subnets, isInternal: definition.isInternal,
            mtu: options.mtu ?? host.mtu, interContainer: options.interContainer,
            gateway4: Self.gateway(options.gatewayMode(isV6: false)),
            gateway6: Self.gateway(options.gatewayMode(isV6: true)))
    }

    private static func gateway(_ mode: NetworkOptions.GatewayMode) -> BridgeSpec.Gateway {
        switch mode {
        case .nat, .isolated: .nat
        case .routed: .routed
        case .natUnprotected: .unprotected
        }
    }

    /// One entry of `ipam.config`; `nil` when its family is switched off.
    private func declared(_ entry: Subnet) throws(EngineError) -> BridgeSpec.Subnet? {
        guard let text = entry.subnet else {
            throw .badRequest("network \(name): an address range needs its subnet")
        }
        guard let range = CIDR(text) else { throw .badRequest("network \(name): '\(text)' is no subnet") }
        guard range.isV6 ? definition.enableIPv6 : definition.hasIPv4 else { return nil }
        if let part = entry.ipRange {
            guard let inner = CIDR(part), range.contains(inner) else {
                throw .badRequest("network \(name): IP range \(part) is not within subnet \(range)")
            }
        }
        let addresses = [entry.gateway].compactMap { $0 } + entry.auxiliaryAddresses.values.sorted()
        for text in addresses {
            guard let address = IPAddress(text), range.contains(address) else {
                throw .badRequest("network \(name): address \(text) is not in subnet \(range)")
            }
        }
        return BridgeSpec.Subnet(range, gateway: bridgeAddress(range, declared: entry.gateway))
    }

    /// The bridge's own address in a subnet; for macvlan and ipvlan that of the router there.
    private func bridgeAddress(_ range: CIDR, declared: String?) -> IPAddress? {
        if driver == .bridge {
            if options.gatewayMode(isV6: range.isV6) == .isolated { return nil }
            if options.inhibitIPv4, !range.isV6 { return nil }
        }
        return declared.flatMap { IPAddress($0) } ?? AddressPool.defaultGateway(of: range)
    }
}

extension StoredNetwork {
    var driver: NetworkDriver { NetworkDriver(named: definition.driver) ?? .bridge }

    /// It is a bridge of the host, which the firewall knows.
    var hasBridge: Bool { driver == .bridge }

    /// Where containers send what is for elsewhere; `nil`: this subnet leads nowhere.
    func router(of subnet: BridgeSpec.Subnet) -> IPAddress? {
        if definition.isInternal { return nil }
        if let gateway = subnet.gateway { return gateway }
        let options = NetworkOptions(definition)
        guard options.inhibitIPv4, !subnet.range.isV6 else { return nil }
        return declaration(of: subnet)?.gateway.flatMap { IPAddress($0) }
            ?? AddressPool.defaultGateway(of: subnet.range)
    }

    /// The `ipam.config` entry that a subnet comes from.
    func declaration(of subnet: BridgeSpec.Subnet) -> Subnet? {
        definition.subnets.first { $0.subnet.flatMap { CIDR($0) } == subnet.range }
    }
}
