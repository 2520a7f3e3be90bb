import ContainerNetwork
import InternetAddress
import StackModel
import Testing

@testable import Engine

/// From a network's definition to its bridge and subnets.
struct NetworkDesignTests {
    private let host = NetworkDesign.Host(routes: [], networks: [], mtu: 1400, seed: [1, 2, 3])

    private func spec(_ edit: (inout Network) -> Void) throws -> BridgeSpec {
        var network = Network()
        edit(&network)
        return try NetworkDesign(name: "n", definition: network).spec(bridge: "gn-1", host: host)
    }

    private func refusal(_ edit: (inout Network) -> Void) -> String? {
        do {
            _ = try spec(edit)
            return nil
        } catch let error as EngineError {
            return error.diagnostics.map(\.message).joined(separator: "; ")
        } catch {
            return "\(error)"
        }
    }

    @Test func ipv6GetsALocalSubnetOfItsOwn() throws {
        let made = try spec { $0.enableIPv6 = true }
        #expect(made.subnets.map(\.range.prefixLength) == [24, 64])
        #expect(made.subnets.last?.range.description.hasPrefix("fd") == true)
        #expect(made.subnets.allSatisfy { $0.gateway == $0.range.firstHost })
        #expect(made.mtu == 1400)
        let six = try spec { ($0.enableIPv4, $0.enableIPv6) = (false, true) }
        #expect(six.subnets.map(\.range.isV6) == [true])
    }

    @Test func declaredSubnetsStandInTheirOrder() throws {
        let made = try spec {
            $0.enableIPv6 = true
            $0.subnets = [
                Subnet(subnet: "10.1.0.0/24", gateway: "10.1.0.9"), Subnet(subnet: "10.2.0.0/24"),
                Subnet(subnet: "fd01::/64"),
            ]
        }
        #expect(made.subnets.map(\.range.description) == ["10.1.0.0/24", "10.2.0.0/24", "fd01::/64"])
        #expect(made.subnets.map { $0.gateway?.description } == ["10.1.0.9", "10.2.0.1", "fd01::1"])
    }

    @Test func optionsOfDockersBridge() throws {
        let made = try spec {
            $0.enableIPv6 = true
            $0.driverOptions = [
                "com.docker.network.bridge.name": "br-own", "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.gateway_mode_ipv6": "routed", "com.docker.network.driver.mtu": "1300",
                "com.docker.network.bridge.inhibit_ipv4": "true",
            ]
        }
        #expect(made.bridge == "br-own")
        #expect(!made.interContainer)
        #expect((made.gateway4, made.gateway6) == (.nat, .routed))
        #expect(made.mtu == 1300)
        #expect(made.subnets.map { $0.gateway == nil } == [true, false])
        let bare = try spec { $0.driverOptions = ["com.docker.network.bridge.enable_ip_masquerade": "false"] }
        #expect(bare.gateway4 == .routed)
    }

    @Test func whatCannotBeIsRefused() {
        #expect(refusal { $0.driver = "overlay" }?.contains("no driver 'overlay'") == true)
        #expect(refusal { $0.enableIPv4 = false }?.contains("neither IPv4 nor IPv6") == true)
        #expect(refusal { $0.ipamDriver = "dhcp" }?.contains("'dhcp'") == true)
        #expect(refusal { $0.driver = "macvlan" }?.contains("needs the interface") == true)
        #expect(refusal { $0.subnets = [Subnet(gateway: "10.0.0.1")] }?.contains("needs its subnet") == true)
        #expect(
            refusal { $0.subnets = [Subnet(subnet: "10.1.0.0/24", gateway: "10.2.0.1")] }?
                .contains("10.2.0.1 is not in subnet") == true)
        #expect(
            refusal { $0.subnets = [Subnet(subnet: "10.1.0.0/16"), Subnet(subnet: "10.1.2.0/24")] }?
                .contains("overlaps") == true)
        #expect(
            refusal { $0.driverOptions = ["com.docker.network.bridge.gateway_mode_ipv4": "isolated"] }?
                .contains("needs an internal network") == true)
    }

    @Test func unknownOptionsWarn() throws {
        var network = Network()
        network.driverOptions = ["foo": "bar"]
        #expect(try NetworkDesign(name: "n", definition: network).warnings.count == 1)
    }

    @Test func aMacvlanLiesInTheHostsNetwork() throws {
        let around = try #require(CIDR("192.168.1.0/24"))
        var network = Network()
        network.driver = "macvlan"
        network.driverOptions = ["parent": "eth0"]
        network.subnets = [Subnet(subnet: "192.168.1.0/24", gateway: "192.168.1.1")]
        let host = NetworkDesign.Host(routes: [around], networks: [], mtu: 1500, seed: [])
        let made = try NetworkDesign(name: "n", definition: network).spec(bridge: "", host: host)
        #expect(made.subnets.map(\.range) == [around])
        network.driver = nil
        network.driverOptions = [:]
        #expect(throws: EngineError.self) {
            try NetworkDesign(name: "n", definition: network).spec(bridge: "", host: host)
        }
    }
}
