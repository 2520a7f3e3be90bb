import ContainerNetwork
import InternetAddress
import Logging
import Reconciler
import StackModel

/// The one address that a service with `endpoint_mode: vip` has on a network: the same as long as the stack has the
/// service there, whichever replicas come and go.
struct StoredServiceAddresses: StoredRecord {
    static let kind = "service-address"

    var stackName: String
    var service: String
    /// Engine name.
    var network: String
    /// At most one of each family.
    var addresses: [IPAddress]

    var recordID: String { Self.recordID(stack: stackName, service: service, network: network) }

    static func recordID(stack: String, service: String, network: String) -> String {
        "\(stack)/\(service)/\(network)"
    }
}

extension Engine {
    /// Takes addresses for the services that are to have them and frees those of services that are gone. Follows from
    /// the records alone, so that it may be called at any time.
    func settleServiceAddresses() {
        let wanted = wantedServiceAddresses()
        for entry in serviceAddresses.values where wanted[entry.recordID] == nil { drop(entry) }
        for (id, place) in wanted.sorted(by: { $0.key < $1.key }) where serviceAddresses[id] == nil {
            guard let network = networks[place.network], network.hasBridge else { continue }
            take(
                StoredServiceAddresses(
                    stackName: place.stack, service: place.service, network: place.network, addresses: []), on: network)
        }
    }

    private func wantedServiceAddresses() -> [String: (stack: String, service: String, network: String)] {
        var wanted: [String: (stack: String, service: String, network: String)] = [:]
        func want(_ stack: String, _ service: String, _ networks: some Sequence<String>) {
            for network in networks {
                let id = StoredServiceAddresses.recordID(stack: stack, service: service, network: network)
                wanted[id] = (stack, service, network)
            }
        }
        for (name, entry) in stacks where entry.record.active {
            for (service, definition) in entry.record.stack.services where definition.deploy?.endpointMode == .vip {
                want(name, service, definition.networks.keys.map { entry.record.stack.networkName($0) })
            }
        }
        for container in containers.values where !container.stored.oneOff {
            let stored = container.stored
            guard stored.definition.service.deploy?.endpointMode == .vip else { continue }
            want(stored.stackName, stored.service, stored.definition.networkNames.values)
        }
        return wanted
    }

    private func take(_ entry: StoredServiceAddresses, on network: StoredNetwork) {
        var entry = entry
        do {
            var pools = try pools(of: network)
            for isV6 in [false, true] {
                for index in pools.indices where pools[index].subnet.isV6 == isV6 {
                    guard let address = try? pools[index].take() else { continue }  // Full: the next one is asked.
                    entry.addresses.append(address)
                    break
                }
            }
            guard !entry.addresses.isEmpty else { throw NetworkError.poolsExhausted }
            try save(entry)
            addressPools[network.name] = pools
            serviceAddresses[entry.recordID] = entry
        } catch {
            log.warning(
                "service has no address of its own",
                metadata: ["service": "\(entry.service)", "network": "\(network.name)", "error": "\(error)"])
        }
    }

    private func drop(_ entry: StoredServiceAddresses) {
        do throws(DatabaseError) { try store.delete(entry) } catch {
            log.error("address not freed", metadata: ["service": "\(entry.service)", "error": "\(error)"])
        }
        serviceAddresses[entry.recordID] = nil
        free(entry.addresses, of: entry.network)
    }

    /// As the reconciler sees them.
    func observedServiceAddresses(_ stack: String) -> [ServiceAddresses] {
        serviceAddresses.values.filter { $0.stackName == stack }.map {
            ServiceAddresses(service: $0.service, network: $0.network, addresses: $0.addresses)
        }
    }
}
