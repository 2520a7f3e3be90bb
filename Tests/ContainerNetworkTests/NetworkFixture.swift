import ContainerNetwork
import InternetAddress
import Testing

/// A host with an uplink to a neighbour on the LAN, and networks with containers on it.
///
///     lan 192.0.2.2 ── 192.0.2.1 host ┬ gn-a 10.89.1.0/24
///                                     ├ gn-b 10.89.2.0/24
///                                     └ gn-i 10.89.3.0/24, internal
///
/// With `withIPv6`: lan 2001:db8:1::2 ── 2001:db8:1::1 host, gn-a fd00:89:0:1::/64 and so on.
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

    /// Gives host and neighbour IPv6 addresses, and the neighbour a way back to containers.
    func addIPv6() throws {
        try lab.shell(
            """
            ip addr add 2001:db8:1::1/64 dev up0 nodad
            nsenter --net=\(lanPath) sh -ec '
                ip addr add 2001:db8:1::2/64 dev eth0 nodad
                ip -6 route add fd00:89::/32 via 2001:db8:1::1'
            """)
    }

    /// A bridge of both families.
    static func dualBridge(_ letter: String, isInternal: Bool = false) throws -> BridgeSpec {
        var spec = bridge(letter, isInternal: isInternal)
        let number = ["a": 1, "b": 2, "i": 3][letter] ?? 9
        let range = try #require(CIDR("fd00:89:0:\(number)::/64"))
        spec.subnets.append(.init(range, gateway: range.firstHost))
        return spec
    }

    /// An interface with an address of every subnet.
    static func dualInterface(_ id: String, on bridge: BridgeSpec, host: UInt128) -> InterfaceSpec {
        InterfaceSpec(
            kind: .bridge(bridge.bridge), hostInterface: "gv\(id)", containerInterface: "eth0",
            addresses: bridge.subnets.compactMap { subnet in
                IPAddress(value: subnet.range.network.value + host, isV6: subnet.range.isV6).map {
                    .init($0, prefixLength: subnet.range.prefixLength)
                }
            }, gateways: bridge.isInternal ? [] : bridge.subnets.compactMap(\.gateway))
    }

    @discardableResult
    func attach(_ id: String, _ interfaces: [InterfaceSpec]) throws -> String {
        let path = try make(id)
        try lab.run { [manager] in try manager.attach(namespaceID: id, interfaces) }
        return path
    }

    @discardableResult
    func onHost<Value: Sendable>(_ body: @escaping @Sendable (NetworkManager) throws -> Value) throws -> Value {
        let manager = manager
        return try lab.run { try body(manager) }
    }

    func ensure(_ spec: BridgeSpec) throws { try lab.run { [manager] in try manager.ensureBridge(spec) } }

    @discardableResult
    func inside(_ id: String, _ command: String) throws -> String {
        try lab.shell("nsenter --net=\(HostLab.directory)/netns/\(id) sh -ec '\(command)'")
    }

    /// Whether an echo comes back.
    func pings(_ id: String?, _ address: String) -> Bool {
        let ping = "busybox ping \(address.contains(":") ? "-6" : "-4") -c1"
        // A busy machine gets a second chance.
        let command = "\(ping) -W1 \(address) || \(ping) -W2 \(address)"
        // The only error is that none came.
        return (try? id.map { try inside($0, command) } ?? lab.shell(command)) != nil
    }

    /// Takes everything away again, and looks for what stayed behind.
    func expectNothingLeft() throws {
        try lab.run { [manager] in
            for id in try manager.namespaces() where id != "lan" { try manager.removeNamespace(id: id) }
            for bridge in try manager.observe().bridges { try manager.removeBridge(bridge.bridge) }
            try manager.removeFirewall()
        }
        let isClean = "test -z \"$(ip -br link | grep -v -e ^lo -e ^up)\""
        try lab.shell("( for i in $(seq 200); do \(isClean) && exit 0; sleep 0.05; done; ip link; exit 1 )")
        #expect(try lab.shell("nft list ruleset") == "")
        #expect(try lab.shell("grep -L ^0 /proc/sys/net/ipv[46]/conf/*/forwarding || true") == "")
        #expect(try lab.shell("cat /proc/sys/net/ipv6/conf/*/force_forwarding | sort -u") == "0\n")
        #expect(try lab.shell("ip route; ip -6 route").split(separator: "\n").allSatisfy { $0.contains("dev up") })
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
