import CLinux
import ContainerNetwork
import ContainerRuntime
import InternetAddress
import LinuxSystem
import Logging
import NameServer
import NetworkService
import Reconciler
import StackModel

/// Bridges, subnets and addresses. What the kernel has is made to fit the records, never the other way round.
extension Engine {
    func createNetwork(_ key: String, stack: Stack) async throws(EngineError) {
        let name = stack.networkName(key)
        guard let definition = stack.networks[key], !definition.external else { return }
        if let existing = networks[name] {
            guard existing.stackName == stack.name else {
                throw .conflict("network \(name) belongs to stack '\(existing.stackName)'")
            }
            return try await repairNetwork(name)
        }
        let bridge = try await bridgeSpec(name, definition)
        let record = StoredNetwork(
            name: name, stackName: stack.name, key: key, definition: definition, bridge: bridge,
            createdAt: Clock.now())
        // Another stack may have taken the subnet or the name while the kernel was asked for its routes.
        guard networks[name] == nil, !networks.values.contains(where: { $0.bridge.overlaps(bridge) }) else {
            return try await createNetwork(key, stack: stack)
        }
        networks[name] = record
        do throws(EngineError) {
            try save(record)
            try await onNetwork { network throws(NetworkError) in
                try network.ensureBridge(bridge)
                if !bridge.isInternal { try network.openUplinks() }
            }
        } catch {
            await discardNetwork(record)
            throw error
        }
        announce(type: "network", "create", name: name, stack: stack.name)
        await refreshEndpoints()
    }

    private func discardNetwork(_ record: StoredNetwork) async {
        networks[record.name] = nil
        do {
            try await onNetwork { network throws(NetworkError) in try network.removeBridge(record.bridge.bridge) }
            try store.delete(record)
        } catch {
            log.error("half-made network not removed", metadata: ["network": "\(record.name)", "error": "\(error)"])
        }
    }

    private func bridgeSpec(_ name: String, _ definition: Network) async throws(EngineError) -> BridgeSpec {
        if let driver = definition.driver, driver != "bridge", driver != "default" {
            throw .badRequest("network \(name): driver '\(driver)' is not supported; use 'bridge'")
        }
        let (routes, mtu) = try await onNetwork { network throws(NetworkError) in
            (try network.hostRoutes(), try network.uplinkMTU())
        }
        let taken = routes + networks.values.flatMap { $0.bridge.subnets.compactMap(\.range.v4) }
        do throws(NetworkError) {
            let subnet: CIDR4
            if let text = definition.subnets.compactMap(\.subnet).first(where: { !$0.contains(":") }) {
                guard let wanted = CIDR4(text) else { throw .invalidName(text) }
                subnet = wanted
                try SubnetPool.check(subnet, avoiding: taken)
            } else {
                subnet = try SubnetPool.standard.free(avoiding: taken)
            }
            var gateway = AddressPool.defaultGateway(of: subnet)
            if let text = definition.subnets.compactMap(\.gateway).first(where: { !$0.contains(":") }) {
                gateway = try parseAddress(text)
            }
            return BridgeSpec(
                name: name, bridge: "gn-\(fnv1aHex(options.dataRoot + "/" + name))",
                subnets: [BridgeSpec.Subnet(.v4(subnet), gateway: .v4(gateway))], isInternal: definition.isInternal,
                mtu: definition.driverOptions["com.docker.network.driver.mtu"].flatMap { Int($0) } ?? mtu,
                interContainer: definition.driverOptions["com.docker.network.bridge.enable_icc"] != "false")
        } catch {
            throw .network(error)
        }
    }

    func repairNetwork(_ name: String) async throws(EngineError) {
        guard let record = networks[name] else { return }
        try await onNetwork { network throws(NetworkError) in try network.ensureBridge(record.bridge) }
        // A bridge that was deleted has lost its ports: put every attachment back.
        for container in containers.values where container.process != nil {
            guard container.stored.attachments.contains(where: { $0.network == name }) else { continue }
            try await prepareNetwork(container.stored)
        }
        await refreshEndpoints(force: true)
    }

    func removeNetwork(_ name: String) async throws(EngineError) {
        guard let record = networks[name] else { return }
        let users = containers.values.filter { $0.stored.attachments.contains { $0.network == name } }
        guard users.isEmpty else {
            throw .conflict("network \(name) is used by \(users.map(\.stored.name).sorted().joined(separator: ", "))")
        }
        try await onNetwork { network throws(NetworkError) in try network.removeBridge(record.bridge.bridge) }
        do throws(DatabaseError) { try store.delete(record) } catch { throw .database(error) }
        networks[name] = nil
        announce(type: "network", "destroy", name: name, stack: record.stackName)
        await refreshEndpoints()
    }

    /// Addresses for a new container on each of its networks, in the order that gives interface names.
    func attachments(
        id: String, stack: Stack, service: Service, name: String
    ) throws(EngineError) -> [StoredContainer.Attachment] {
        guard service.networkMode == nil else { return [] }
        let ordered = service.networks.sorted { $0.key < $1.key }
        guard let definition = ContainerDefinition(stack: stack, service: name, imageID: "") else { return [] }
        let definitions = Dictionary(
            networks.values.map { ($0.name, $0.definition) }, uniquingKeysWith: { first, _ in first })
        let gateway = gatewayNetwork(of: definition, networks: definitions)
        var made: [StoredContainer.Attachment] = []
        do throws(EngineError) {
            for (index, (key, attachment)) in ordered.enumerated() {
                let networkName = stack.networkName(key)
                guard let network = networks[networkName] else {
                    throw .conflict("network \(networkName) does not exist")
                }
                let address = try takeAddress(on: network, requested: attachment.ipv4Address)
                let bridge = network.bridge
                let interface = InterfaceSpec(
                    kind: .bridge(bridge.bridge), hostInterface: "gv\(fnv1aHex(id + networkName))\(index % 10)",
                    containerInterface: "eth\(index)",
                    addresses: [
                        InterfaceSpec.Address(.v4(address), prefixLength: bridge.subnets[0].range.prefixLength)
                    ],
                    mac: attachment.macAddress.flatMap { MACAddress($0) } ?? MACAddress(address),
                    gateways: networkName == gateway ? bridge.subnets.compactMap(\.gateway) : [],
                    isIsolated: !bridge.interContainer)
                made.append(StoredContainer.Attachment(network: networkName, interface: interface))
            }
        } catch {
            for attachment in made { freeAddresses(attachment) }
            throw error
        }
        return made
    }

    private func parseAddress(_ text: String) throws(NetworkError) -> IPv4Address {
        guard let address = IPv4Address(text) else { throw .invalidName(text) }
        return address
    }

    private func takeAddress(on network: StoredNetwork, requested: String?) throws(EngineError) -> IPv4Address {
        do throws(NetworkError) {
            var pool: AddressPool
            if let known = addressPools[network.name] { pool = known } else { pool = try addressPool(for: network) }
            let address: IPv4Address
            if let requested {
                address = try parseAddress(requested)
                try pool.take(address)
            } else {
                address = try pool.take()
            }
            addressPools[network.name] = pool
            return address
        } catch {
            throw .network(error)
        }
    }

    /// The pool with all that the records hold taken out.
    private func addressPool(for network: StoredNetwork) throws(NetworkError) -> AddressPool {
        let ipam = network.definition.subnets.first
        var range: CIDR4?
        if let text = ipam?.ipRange {
            guard let wanted = CIDR4(text) else { throw .invalidName(text) }
            range = wanted
        }
        var reserved: Set<IPv4Address> = Set(network.bridge.subnets.compactMap { $0.gateway?.v4 })
        for text in ipam?.auxiliaryAddresses.values.sorted() ?? [] {
            reserved.insert(try parseAddress(text))
        }
        guard let subnet = network.bridge.subnets.lazy.compactMap(\.range.v4).first else { throw .poolsExhausted }
        var pool = try AddressPool(subnet: subnet, range: range, reserved: reserved)
        for container in containers.values {
            for attachment in container.stored.attachments where attachment.network == network.name {
                for address in attachment.interface.addresses.compactMap(\.address.v4) { try pool.take(address) }
            }
        }
        return pool
    }

    func releaseAddresses(of stored: StoredContainer) {
        for attachment in stored.attachments { freeAddresses(attachment) }
    }

    private func freeAddresses(_ attachment: StoredContainer.Attachment) {
        for address in attachment.interface.addresses.compactMap(\.address.v4) {
            addressPools[attachment.network]?.release(address)
        }
    }

    /// Makes (or repairs) the container's network namespace, its interfaces and its DNS sockets.
    func prepareNetwork(_ stored: StoredContainer) async throws(EngineError) {
        guard let preparation = networkPreparation(stored) else { return }
        try await onThread { () throws(EngineError) in try preparation.run() }
    }

    /// What there is to do for that, for a thread that may block; `nil` for a container in another's namespace.
    func networkPreparation(_ stored: StoredContainer) -> NetworkPreparation? {
        guard usesOwnNamespace(stored) else { return nil }
        return NetworkPreparation(
            id: stored.id, interfaces: stored.attachments.map(\.interface),
            zone: stored.attachments.isEmpty ? nil : knownZone(for: stored), network: network, dns: dns)
    }

    func usesOwnNamespace(_ stored: StoredContainer) -> Bool {
        guard let mode = stored.networkMode else { return true }
        return mode == "none" || mode == "bridge" || mode == "default"
    }
}

extension BridgeSpec {
    func overlaps(_ other: BridgeSpec) -> Bool {
        subnets.contains { subnet in other.subnets.contains { subnet.range.overlaps($0.range) } }
    }
}

/// A container's namespace, interfaces and resolver.
struct NetworkPreparation: Sendable {
    let id: String
    let interfaces: [InterfaceSpec]
    /// `nil` without networks.
    let zone: (key: ZoneKey, zone: DNSZone)?
    let network: NetworkManager
    let dns: NetworkServiceClient

    /// Blocks.
    func run() throws(EngineError) {
        let sockets: ResolverSockets?
        let opensResolver = zone != nil && !dns.serves(scope: id)
        do throws(NetworkError) {
            sockets = try network.prepare(id: id, interfaces, opensResolver: opensResolver)
        } catch {
            throw .network(error)
        }
        if let zone, let sockets { try dns.serve(id, zone.key, zone.zone, sockets) }
    }
}
