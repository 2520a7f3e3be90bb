import ContainerNetwork
import EngineWire
import InternetAddress
import Reconciler
import StackModel

extension Engine {
    /// Networks by name, each with who is on it.
    public func networkGraph() -> NetworkGraph {
        NetworkGraph(
            networks: networks.values.sorted { $0.name < $1.name }.map { record in
                let members = containers.values.compactMap { member($0, of: record) }
                    .sorted { $0.container < $1.container }
                let services = serviceAddresses.values.filter { $0.network == record.name }
                    .sorted { $0.recordID < $1.recordID }
                    .map {
                        NetworkGraph.ServiceAddress(service: $0.service, addresses: $0.addresses.map(\.description))
                    }
                return NetworkGraph.Network(
                    name: record.name, driver: record.driver.rawValue, stack: record.stackName,
                    subnets: record.bridge.subnets.map(\.range.description), isInternal: record.definition.isInternal,
                    bridge: record.hasBridge ? record.bridge.bridge : nil, members: members, services: services)
            })
    }

    private func member(_ container: Container, of record: StoredNetwork) -> NetworkGraph.Member? {
        let stored = container.stored
        guard let attachment = stored.attachments.first(where: { $0.network == record.name }) else { return nil }
        let isGateway = !attachment.interface.gateways.isEmpty
        return NetworkGraph.Member(
            container: stored.name, service: stored.service, running: container.process != nil,
            interface: attachment.interface.containerInterface,
            addresses: attachment.interface.addresses.map(\.address.description), isGateway: isGateway,
            ports: isGateway ? publishedPorts(of: container) : [])
    }
}
