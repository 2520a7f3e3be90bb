import StackModel
import Testing

@testable import StackFile

/// What contradicts itself in networks and attachments, at its line.
struct NetworkRuleTests {
    private func problems(_ attachment: String, _ network: String) throws -> [String] {
        let text = """
            services:
              web: {image: a, networks: {n: {\(attachment)}}}
            networks:
              n: {\(network)}
            """
        return MemoryProject(text).errors().map { "\($0.source?.line ?? 0) \($0.message)" }
    }

    @Test(arguments: [
        (
            "ipv4_address: 10.2.0.5", "ipam: {config: [{subnet: 10.1.0.0/24}]}",
            "2 address 10.2.0.5 is not in a subnet of network 'n' (10.1.0.0/24)"
        ),
        ("ipv4_address: 10.1.0.5", "", "2 address 10.1.0.5 is fixed, but the subnet of network 'n' is not"),
        ("ipv6_address: \"fd00::5\"", "ipam: {config: [{subnet: 10.1.0.0/24}]}", "2 network 'n' has no IPv6 addresses"),
        (
            "ipv4_address: 10.1.0.1", "ipam: {config: [{subnet: 10.1.0.0/24, gateway: 10.1.0.1}]}",
            "2 address 10.1.0.1 is the gateway of network 'n'"
        ),
        ("interface_name: far/too", "", "2 'far/too' is no name that an interface can have"),
        (
            "mac_address: \"03:00:00:00:00:01\"", "",
            "2 '03:00:00:00:00:01' is no MAC address that an interface can have"
        ),
        (
            "driver_opts: {com.docker.network.endpoint.sysctls: net.ipv4.ip_forward=1}", "",
            "2 'net.ipv4.ip_forward=1' is no list of kernel parameters of an interface"
        ),
        ("", "driver: overlay", "4 network 'n': there is no driver 'overlay' here"),
        ("", "driver: macvlan", "4 network 'n': driver 'macvlan' needs the interface of the host that it is made on"),
        ("", "enable_ipv4: false", "4 network 'n' has neither IPv4 nor IPv6"),
        (
            "", "ipam: {config: [{subnet: 10.1.0.0/24, gateway: 10.2.0.1}]}",
            "4 address 10.2.0.1 is not in subnet 10.1.0.0/24"
        ),
        (
            "", "ipam: {config: [{subnet: 10.1.0.0/24, ip_range: 10.2.0.0/25}]}",
            "4 ip_range 10.2.0.0/25 is not within subnet 10.1.0.0/24"
        ),
        (
            "", "ipam: {config: [{subnet: 10.1.0.0/16}, {subnet: 10.1.2.0/24}]}",
            "4 subnet 10.1.2.0/24 overlaps 10.1.0.0/16"
        ),
        ("", "driver_opts: {com.docker.network.driver.mtu: many}", "4 network 'n': 'many' is no MTU"),
    ])
    func contradictions(attachment: String, network: String, problem: String) throws {
        #expect(try problems(attachment, network) == [problem])
    }

    @Test func unknownOptionsWarn() throws {
        let text = "services: {web: {image: a, networks: [n]}}\nnetworks: {n: {driver_opts: {foo: bar}}}"
        let warnings = try MemoryProject(text).load().warnings.map(\.message)
        #expect(warnings == ["network 'n': driver 'bridge' has no option 'foo': it has no effect"])
    }

    @Test func theHostsNetworkIsAMode() throws {
        for (network, mode) in [
            ("driver: host", "host"), ("external: true, name: host", "host"), ("driver: none", "none"),
        ] {
            let text = "services: {web: {image: a, networks: [n]}}\nnetworks: {n: {\(network)}}"
            let service = try MemoryProject(text).load().stack.services["web"]
            #expect(service?.networkMode == mode)
            #expect(service?.networks.isEmpty == true)
        }
    }
}
