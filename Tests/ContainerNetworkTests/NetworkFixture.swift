import ContainerNetwork
import InternetAddress

/// A host with an uplink to a neighbour on the LAN, and networks with containers on it.
///
///     lan 192.0.2.2 ── 192.0.2.1 host ┬ gn-a 10.89.1.0/24
///                                     ├ gn-b 10.89.2.0/24
///                                     └ gn-i 10.89.3.0/24, internal
struct NetworkFixture {
    let lab: HostLab
    let manager: NetworkManager
    let lanPath = "\(HostLab.directory)/netns/lan"

    init(lab: HostLab, manager: NetworkManager) {
        self.lab = lab
        self.manager = manager
    }

    init(table: String = "gantry") throws {
        lab = try HostLab()
        manager = try lab.manager(table)
        _ = try make("lan")
        try lab.shell(
            """
            ip link add up0 type veth peer name eth0 netns \(lanPath)
            ip addr add 192.0.2.1/24 dev up0
            ip link set up0 up
            nsenter --net=\(lanPath) sh -ec '
                ip addr add 192.0.2.2/24 dev eth0
                ip link set eth0 up
                ip route add 10.89.0.0/16 via 192.0.2.1'
            """)
    }

    /// Whether bridged frames pass the firewall too, as on hosts with Docker or Kubernetes (br_netfilter).
    func setBridgeFiltering(_ isOn: Bool) throws {
        let file = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        try lab.shell("if [ -e \(file) ]; then echo \(isOn ? 1 : 0) >\(file); fi")
    }

    func make(_ id: String) throws -> String {
        let manager = manager
        return try lab.run { try manager.makeNamespace(id: id) }
    }

    static func bridge(_ letter: String, isInternal: Bool = false, interContainer: Bool = true) -> BridgeSpec {
        let third = ["a": 1, "b": 2, "i": 3][letter] ?? 9
        guard let subnet = CIDR4("10.89.\(third).0/24") else { preconditionFailure("bad subnet") }
        return BridgeSpec(
            name: "net-\(letter)", bridge: "gn-\(letter)",
            subnets: [.init(.v4(subnet), gateway: .v4(subnet.firstHost))],
            isInternal: isInternal, interContainer: interContainer)
    }

    static func interface(_ id: String, on bridge: BridgeSpec, host: UInt32) -> InterfaceSpec {
        InterfaceSpec(
            kind: .bridge(bridge.bridge), hostInterface: "gv\(id)", containerInterface: "eth0",
            addresses: bridge.subnets.compactMap(\.range.v4).map {
                .init(.v4(IPv4Address(value: $0.network.value + host)), prefixLength: 24)
            }, gateways: bridge.subnets.compactMap(\.gateway), isIsolated: !bridge.interContainer)
    }

    /// A container on a bridge: its namespace's path.
    func container(_ id: String, on bridge: BridgeSpec, host: UInt32) throws -> String {
        let path = try make(id)
        let manager = manager
        try lab.run {
            try manager.ensureBridge(bridge)
            try manager.attach(namespaceID: id, [NetworkFixture.interface(id, on: bridge, host: host)])
        }
        return path
    }

    func apply(_ bridges: [BridgeSpec], _ ports: [PublishedPort] = []) throws {
        let manager = manager
        try lab.run { try manager.applyFirewall(FirewallState(bridges: bridges, ports: ports)) }
    }
}

func backend(_ address: String, _ port: UInt16 = 80) -> Backend {
    Backend(address: IPAddress(address) ?? .v4(.any), port: port)
}
