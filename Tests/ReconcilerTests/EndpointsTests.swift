import InternetAddress
import Reconciler
import StackModel
import Testing

@Suite struct EndpointsTests {
    private let stack = shop([
        "web": service(replicas: 3) {
            $0.healthcheck = Healthcheck(test: ["CMD", "true"])
            $0.networks = ["back": NetworkAttachment(), "default": NetworkAttachment(aliases: ["WWW"])]
            $0.ports = [Port(target: 80, published: 8080), Port(target: 443)]
        }
    ]).with { $0.networks["back"] = Network() }

    private func replica(_ number: Int, _ edit: (inout ObservedContainer) -> Void = { _ in }) -> ObservedContainer {
        container(stack, "web", number) {
            $0.id = "0123456789abcdef\(number)"
            $0.addresses = ["shop_default": ["10.0.0.\(number)"], "shop_back": ["10.0.1.\(number)"]]
            edit(&$0)
        }
    }

    private func found(_ containers: ObservedContainer...) -> Endpoints {
        endpoints(of: observed(stack, containers))
    }

    private let port = PublishedPort(port: 8080, transport: .tcp)

    @Test func servingReplicasShareNamesAndPorts() {
        let result = found(replica(10), replica(9))
        #expect(result.names["shop_default"]?["web"] == ["10.0.0.9", "10.0.0.10"])
        #expect(result.names["shop_default"]?["www"] == ["10.0.0.9", "10.0.0.10"])
        #expect(result.names["shop_back"]?["web"] == ["10.0.1.9", "10.0.1.10"])
        #expect(result.names["shop_back"]?["www"] == nil)
        #expect(
            result.ports[port] == [Backend(address: "10.0.1.9", port: 80), Backend(address: "10.0.1.10", port: 80)])
    }

    @Test func onlyWhatServesIsReachableByTheServiceName() {
        let result = found(
            replica(1) { $0.health = .starting }, replica(2) { $0.health = .unhealthy },
            replica(3) { $0.stopping = true })
        #expect(result.names["shop_default"]?["web"] == [])
        #expect(result.ports[port] == [])
        #expect(result.names["shop_default"]?["shop-web-1"] == ["10.0.0.1"])
        #expect(result.names["shop_default"]?["0123456789ab"]?.count == 3)
    }

    @Test func whatDoesNotListenYetIsLeftOutWhileOthersDo() {
        let silent = { (container: inout ObservedContainer) in container.silentPorts = [80] }
        #expect(found(replica(1), replica(2, silent)).ports[port] == [Backend(address: "10.0.1.1", port: 80)])
        #expect(found(replica(1, silent), replica(2, silent)).ports[port]?.count == 2)
        #expect(found(replica(1) { $0.stopping = true }, replica(2, silent)).ports[port]?.count == 1)
        #expect(found(replica(1), replica(2) { $0.silentPorts = [81] }).ports[port]?.count == 2)
    }

    @Test func whatDoesNotRunHasNoName() {
        #expect(found(replica(1) { $0.state = .exited }) == Endpoints())
    }

    @Test func aPortChosenByTheEngineIsPublished() {
        let result = found(replica(1) { $0.chosenPorts = [Port(target: 443): 32768] })
        #expect(
            result.ports[PublishedPort(port: 32768, transport: .tcp)] == [Backend(address: "10.0.1.1", port: 443)])
        #expect(result.ports.count == 2)
    }

    @Test func theGatewayNetworkIsTheOneWithTheHighestPriorityAndAWayOut() {
        var networks = ["shop_back": Network(), "shop_default": Network()]
        var attachments = replica(1).definition.attachments
        #expect(gatewayNetwork(of: attachments, networks: networks) == "shop_back")
        attachments["shop_default"]?.gatewayPriority = 1
        #expect(gatewayNetwork(of: attachments, networks: networks) == "shop_default")
        #expect(gatewayNetwork(of: attachments, networks: networks, usable: ["shop_back"]) == "shop_back")
        networks["shop_default"]?.isInternal = true
        #expect(gatewayNetwork(of: attachments, networks: networks) == "shop_back")
        networks["shop_back"]?.isInternal = true
        #expect(gatewayNetwork(of: attachments, networks: networks) == nil)
    }

    @Test func tasksLeadToTheReplicasAndTheServiceToItsOwnAddress() {
        var state = observed(stack, [replica(1), replica(2), replica(3) { $0.health = .unhealthy }])
        state.serviceAddresses = [
            ServiceAddresses(service: "web", network: "shop_default", addresses: ["10.0.0.200", "fd00::200"])
        ]
        let result = endpoints(of: state)
        #expect(result.names["shop_default"]?["web"] == ["10.0.0.200", "fd00::200"])
        #expect(result.names["shop_default"]?["www"] == ["10.0.0.200", "fd00::200"])
        #expect(result.names["shop_default"]?["tasks.web"] == ["10.0.0.1", "10.0.0.2"])
        #expect(result.names["shop_back"]?["web"] == ["10.0.1.1", "10.0.1.2"])
        #expect(result.virtualAddresses.map(\.address) == ["10.0.0.200", "fd00::200"])
        #expect(result.virtualAddresses.map(\.backends) == [["10.0.0.1", "10.0.0.2"], []])
    }

    @Test func aServiceKeepsItsAddressWithoutReplicas() {
        var state = observed(stack, [])
        state.serviceAddresses = [ServiceAddresses(service: "web", network: "shop_back", addresses: ["10.0.1.200"])]
        let result = endpoints(of: state)
        #expect(result.names == ["shop_back": ["web": ["10.0.1.200"]]])
        #expect(result.virtualAddresses.map(\.backends) == [[]])
    }

    @Test func portsHaveBackendsOfBothFamiliesEachByItsOwnGateway() {
        let both = replica(1) {
            $0.addresses = ["shop_back": ["10.0.1.1"], "shop_default": ["10.0.0.1", "fd00::1"]]
            $0.definition.service.ports = [
                Port(target: 80, published: 8080), Port(target: 80, published: 8081, hostIP: "127.0.0.1"),
                Port(target: 80, published: 8082, hostIP: "::1"),
            ]
        }
        let result = found(both)
        #expect(
            result.ports[port] == [Backend(address: "10.0.1.1", port: 80), Backend(address: "fd00::1", port: 80)])
        let own = PublishedPort(hostIP: "127.0.0.1", port: 8081, transport: .tcp)
        #expect(result.ports[own] == [Backend(address: "10.0.1.1", port: 80)])
        let own6 = PublishedPort(hostIP: "::1", port: 8082, transport: .tcp)
        #expect(result.ports[own6] == [Backend(address: "fd00::1", port: 80)])
    }

    @Test func clientsAreKeptWhereTheServiceAsksForIt() {
        let result = found(
            replica(1) {
                var options = ServiceOptions()
                options.sessionAffinity = .clientIP
                $0.definition.service.gantry = options
            })
        #expect(result.portsByClient == [port])
        #expect(found(replica(1)).portsByClient.isEmpty)
    }

    @Test func whatWasConnectedByHandHasItsNames() {
        let result = found(
            replica(1) {
                $0.addresses["lan"] = ["10.9.0.2"]
                $0.connections["lan"] = NetworkAttachment(aliases: ["Visitor"])
            })
        #expect(result.names["lan"]?["visitor"] == ["10.9.0.2"])
        #expect(result.names["lan"]?["web"] == ["10.9.0.2"])
        #expect(result.names["shop_default"]?["visitor"] == nil)
    }

    @Test func aRangeOfHostPortsIsChosenFromForEachReplica() {
        var ranged = Port(target: 80, published: 9000)
        ranged.publishedLast = 9005
        let result = found(
            replica(1) {
                $0.definition.service.ports = [ranged]
                $0.chosenPorts = [ranged: 9001]
            })
        #expect(result.ports.keys.map(\.port) == [9001])
    }

    @Test func aOneOffContainerTakesNoPartInItsService() {
        let result = found(replica(1), replica(2) { ($0.oneOff, $0.name) = (true, "shop-web-run-1") })
        #expect(result.names["shop_default"]?["web"] == ["10.0.0.1"])
        #expect(result.names["shop_default"]?["shop-web-run-1"] == ["10.0.0.2"])
    }
}
