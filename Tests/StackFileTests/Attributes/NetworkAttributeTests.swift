import StackModel
import Testing

@testable import StackFile

/// Networks, ports and names of a service.
struct NetworkAttributeTests {
    private let three = """
        networks:
          some-network:
          other-network:
            enable_ipv6: true
            ipam: {config: [{subnet: 172.16.238.0/24}, {subnet: "2001:3984:3989::/64"}]}
          other-other-network:
        """

    @Test func attachments() throws {
        let plain = NetworkAttachment()
        try expect(
            "networks: [some-network, other-network]", \.networks, ["some-network": plain, "other-network": plain],
            top: three)
        try expect(
            """
            networks:
              some-network: {aliases: [alias1, alias3]}
              other-network:
                ipv4_address: 172.16.238.10
                ipv6_address: "2001:3984:3989::10"
                mac_address: "02:42:72:98:65:08"
              other-other-network:
            """, \.networks,
            [
                "some-network": NetworkAttachment(aliases: ["alias1", "alias3"]), "other-other-network": plain,
                "other-network": with(plain) {
                    $0.ipv4Address = "172.16.238.10"
                    $0.ipv6Address = "2001:3984:3989::10"
                    $0.macAddress = "02:42:72:98:65:08"
                },
            ], top: three)
        try expect("image: a", \.networks, ["default": plain])
    }

    @Test func attachmentKeys() throws {
        func attachment(_ line: String) throws -> NetworkAttachment? {
            try onlyService("networks: {n: {\(line)}}", top: "networks: {n: }").networks["n"]
        }
        #expect(try attachment("interface_name: eth0")?.interfaceName == "eth0")
        #expect(
            try attachment("link_local_ips: [57.123.22.11, 57.123.22.13]")?.linkLocalIPs == [
                "57.123.22.11", "57.123.22.13",
            ])
        #expect(
            try attachment("link_local_ips: [\"fe80::1:95ff:fe20:100\"]")?.linkLocalIPs == ["fe80::1:95ff:fe20:100"])
        #expect(
            try attachment(
                "driver_opts: {com.docker.network.endpoint.sysctls: net.ipv4.conf.IFNAME.rp_filter=0, n: 1}"
            )?.driverOptions == [
                "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.rp_filter=0", "n": "1",
            ])
        #expect(try attachment("priority: 1000")?.priority == 1000)
        #expect(try attachment("gw_priority: 42")?.gatewayPriority == 42)
        #expect(try attachment("gw_priority: -1")?.gatewayPriority == -1)
        #expect(try attachment("aliases: []") == NetworkAttachment())
    }

    @Test func hardwareAddress() throws {
        let address = "02:42:ac:11:65:43"
        let line = "mac_address: \"\(address)\""
        try expect(line, \.networks["default"]?.macAddress, address)
        try expect(line + "\nnetwork_mode: bridge", \.networks["default"]?.macAddress, address)
        let networks = "\nnetworks: {other-network: {priority: 1}, some-network: {priority: 5}}"
        try expect(line + networks, \.networks["some-network"]?.macAddress, address, top: three)
        try expect(line + networks, \.networks["other-network"]?.macAddress, nil, top: three)
    }

    @Test func networkModes() throws {
        let other = "  other: {image: b}"
        for mode in ["none", "host", "container:name", "service:other"] {
            try expect("network_mode: \"\(mode)\"", \.networkMode, mode, top: other)
            try expect("network_mode: \"\(mode)\"", \.networks, [:], top: other)
        }
        try expect("network_mode: bridge", \.networkMode, nil)
        try expect("network_mode: bridge", \.networks, ["default": NetworkAttachment()])
    }

    // MARK: - ports

    private func ports(_ items: String) throws -> [Port] { try onlyService("ports: [\(items)]").ports }

    @Test(arguments: [
        ("3000", Port(target: 3000)), ("\"3000\"", Port(target: 3000)),
        ("\"8000:8001\"", Port(target: 8001, published: 8000)),
        ("\"127.0.0.1:8001:8002\"", Port(target: 8002, published: 8001, hostIP: "127.0.0.1")),
        ("\"127.0.0.1::5000\"", Port(target: 5000, hostIP: "127.0.0.1")),
        ("\"[::1]:6001:6000\"", Port(target: 6000, published: 6001, hostIP: "::1")),
        ("\"6060:6061/udp\"", Port(target: 6061, published: 6060, transport: .udp)),
        ("\"6060:6061/sctp\"", Port(target: 6061, published: 6060, transport: .sctp)),
        ("\"22:22\"", Port(target: 22, published: 22)), ("22:22", Port(target: 22, published: 22)),
        ("{target: 80}", Port(target: 80)), ("{target: 80, published: 8080}", Port(target: 80, published: 8080)),
        ("{target: 80, published: \"8080\", protocol: udp}", Port(target: 80, published: 8080, transport: .udp)),
        (
            "{target: 80, host_ip: 127.0.0.1, published: \"8080\", protocol: tcp}",
            Port(target: 80, published: 8080, hostIP: "127.0.0.1")
        ),
        ("{target: 80, mode: host}", with(Port(target: 80)) { $0.mode = .host }),
        ("{target: 80, mode: ingress}", Port(target: 80)),
        (
            "{target: 80, name: web, app_protocol: http}",
            with(Port(target: 80)) {
                $0.name = "web"
                $0.appProtocol = "http"
            }
        ),
        (
            "\"8000-9000:80\"", with(Port(target: 80, published: 8000)) { $0.publishedLast = 9000 }
        ),
        (
            "{target: 80, published: \"8000-9000\"}",
            with(Port(target: 80, published: 8000)) { $0.publishedLast = 9000 }
        ),
    ])
    func port(text: String, port: Port) throws { #expect(try ports(text) == [port]) }

    @Test func portRanges() throws {
        #expect(try ports("\"3000-3002\"") == (3000...3002).map { Port(target: $0) })
        #expect(try ports("\"80-82:8080-8082\"") == (0...2).map { Port(target: 8080 + $0, published: 80 + $0) })
        #expect(
            try ports("\"127.0.0.1:5000-5001:5000-5001/udp\"")
                == (5000...5001).map { Port(target: $0, published: $0, hostIP: "127.0.0.1", transport: .udp) })
    }

    @Test func expose() throws {
        try expect("expose: [\"3000\", 8000, \"9000-9010/udp\"]", \.expose, ["3000", "8000", "9000-9010/udp"])
    }

    // MARK: - names

    @Test func links() throws {
        let others = "  db: {image: postgres}\n  redis: {image: redis}"
        try expect("links: [db, \"db:database\", redis]", \.links, ["db", "db:database", "redis"], top: others)
        try expect("external_links: [redis, \"database:mysql\"]", \.externalLinks, ["redis", "database:mysql"])
    }

    @Test func extraHosts() throws {
        let hosts = [
            ExtraHost(name: "somehost", address: "162.242.195.82"), ExtraHost(name: "myhostv6", address: "::1"),
        ]
        try expect("extra_hosts: [\"somehost=162.242.195.82\", \"myhostv6=::1\"]", \.extraHosts, hosts)
        try expect("extra_hosts: [\"somehost:162.242.195.82\", \"myhostv6:::1\"]", \.extraHosts, hosts)
        try expect("extra_hosts: [\"somehost=162.242.195.82\", \"myhostv6=[::1]\"]", \.extraHosts, hosts)
        try expect(
            "extra_hosts: {gateway: host-gateway}", \.extraHosts, [ExtraHost(name: "gateway", address: "host-gateway")])
        let two = [ExtraHost(name: "myhost", address: "0.0.0.1"), ExtraHost(name: "myhost", address: "0.0.0.2")]
        try expect("extra_hosts: {myhost: [0.0.0.1, 0.0.0.2]}", \.extraHosts, two)
        try expect("extra_hosts: [\"myhost=0.0.0.1,0.0.0.2\"]", \.extraHosts, two)
    }

    @Test func resolver() throws {
        try expect("dns: 8.8.8.8", \.dns, ["8.8.8.8"])
        try expect("dns: [8.8.8.8, 9.9.9.9]", \.dns, ["8.8.8.8", "9.9.9.9"])
        try expect("dns_search: example.com", \.dnsSearch, ["example.com"])
        try expect(
            "dns_search: [dc1.example.com, dc2.example.com]", \.dnsSearch, ["dc1.example.com", "dc2.example.com"])
        try expect("dns_opt: [use-vc, no-tld-query]", \.dnsOptions, ["use-vc", "no-tld-query"])
        try expect("dns: []", \.dns, [])
    }
}
