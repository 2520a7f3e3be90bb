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
            $0.addresses = ["shop_default": "10.0.0.\(number)", "shop_back": "10.0.1.\(number)"]
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
        var definition = replica(1).definition
        #expect(gatewayNetwork(of: definition, networks: networks) == "shop_back")
        definition.service.networks["default"]?.gatewayPriority = 1
        #expect(gatewayNetwork(of: definition, networks: networks) == "shop_default")
        networks["shop_default"]?.isInternal = true
        #expect(gatewayNetwork(of: definition, networks: networks) == "shop_back")
        networks["shop_back"]?.isInternal = true
        #expect(gatewayNetwork(of: definition, networks: networks) == nil)
    }

    @Test func aOneOffContainerTakesNoPartInItsService() {
        let result = found(replica(1), replica(2) { ($0.oneOff, $0.name) = (true, "shop-web-run-1") })
        #expect(result.names["shop_default"]?["web"] == ["10.0.0.1"])
        #expect(result.names["shop_default"]?["shop-web-run-1"] == ["10.0.0.2"])
    }
}
