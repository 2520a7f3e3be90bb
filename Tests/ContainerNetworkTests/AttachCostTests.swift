import ContainerNetwork
import Glibc
import InternetAddress
import Testing

/// What a container's network costs at its start. `GANTRY_MEASURE=1 swift test --filter AttachCost`.
@Suite(.enabled(if: getenv("GANTRY_MEASURE") != nil)) struct AttachCostTests {
    @Test func attachingManyContainersToOneNetwork() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let range = CIDR4("10.89.0.0/16")
        let subnet = try #require(range)
        let network = BridgeSpec(
            name: "net-a", bridge: "gn-a", subnets: [.init(.v4(subnet), gateway: .v4(subnet.firstHost))])
        let manager = fixture.manager
        let costs: [(attach: Double, ensure: Double)] = try fixture.lab.run {
            var costs: [(attach: Double, ensure: Double)] = []
            for index in 0..<500 {
                let spec = InterfaceSpec(
                    kind: .bridge("gn-a"), hostInterface: "gv\(index)", containerInterface: "eth0",
                    addresses: [
                        .init(.v4(IPv4Address(value: subnet.network.value + 2 + UInt32(index))), prefixLength: 16)
                    ],
                    gateways: [.v4(subnet.firstHost)])
                let start = ContinuousClock.now
                try manager.ensureBridge(network)
                let ensured = ContinuousClock.now
                _ = try manager.prepare(id: "c\(index)", [spec], opensResolver: true)
                costs.append(((ContinuousClock.now - ensured) / .microseconds(1), (ensured - start) / .microseconds(1)))
                // As between starts of containers: the pool of ready namespaces is filled meanwhile.
                usleep(3000)
            }
            return costs
        }
        for range in [1..<21, 90..<110, 190..<210, 480..<500] {
            let attach = costs[range].map(\.attach).sorted()[range.count / 2]
            let ensure = costs[range].map(\.ensure).sorted()[range.count / 2]
            print(
                "containers \(range.lowerBound) to \(range.upperBound): "
                    + "prepare \(Int(attach)) µs, ensureBridge \(Int(ensure)) µs"
            )
        }
        let all = costs.map(\.attach).sorted()
        print("first \(Int(costs[0].attach)) µs; of 500: median \(Int(all[250])) µs, p99 \(Int(all[495])) µs")
    }
}
