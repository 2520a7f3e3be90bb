import ContainerNetwork
import InternetAddress
import Reconciler
import StackModel

/// Interfaces and addresses of containers.
extension Engine {
    /// Interfaces for a new container on each of its networks: those of higher `priority` first, then by name.
    func attachments(
        id: String, stack: Stack, service: Service, name: String
    ) throws(EngineError) -> [StoredContainer.Attachment] {
        guard service.networkMode == nil else { return [] }
        let ordered = service.networks.sorted { left, right in
            let (first, second) = (left.value.priority ?? 0, right.value.priority ?? 0)
            return first == second ? left.key < right.key : first > second
        }
        var made: [StoredContainer.Attachment] = []
        var wanted: [String: NetworkAttachment] = [:]
        do throws(EngineError) {
            let reserved = Set(ordered.compactMap(\.value.interfaceName))
            for (key, attachment) in ordered {
                let network = stack.networkName(key)
                guard networks[network] != nil else {
                    throw .diagnostics([
                        Diagnostic(
                            code: "network.not-found", "network \(network) does not exist",
                            source: stack.source(of: "networks.\(key)"),
                            hint: "create it with `gantry network create \(network)`")
                    ])
                }
                made.append(try self.attachment(attachment, to: network, id: id, others: made, reserved: reserved))
                wanted[network] = attachment
            }
        } catch {
            for attachment in made { freeAddresses(attachment) }
            throw error
        }
        routeDefaults(of: &made, wanted)
        return made
    }

    /// One interface, without default routes.
    ///
    /// - Parameter reserved: names of interfaces that others will have.
    func attachment(
        _ attachment: NetworkAttachment, to name: String, id: String, others: [StoredContainer.Attachment],
        reserved: Set<String> = []
    ) throws(EngineError) -> StoredContainer.Attachment {
        guard let network = networks[name] else { throw .conflict("network \(name) does not exist") }
        let options = NetworkOptions(network.definition)
        let addresses = try takeAddresses(on: network, attachment)
        let kind: InterfaceSpec.Kind
        switch network.driver {
        case .macvlan: kind = .macvlan(parent: options.parent ?? "", mode: options.mode ?? "bridge")
        case .ipvlan: kind = .ipvlan(parent: options.parent ?? "", mode: options.mode ?? "l2")
        case .bridge, .host, .none: kind = .bridge(network.bridge.bridge)
        }
        let taken = reserved.union(others.map(\.interface.containerInterface))
        let hostNames = Set(others.map(\.interface.hostInterface))
        let base = "gv\(fnv1aHex(id + name))"
        let hostInterface =
            (0...9).lazy.map { "\(base)\($0)" }.first { !hostNames.contains($0) } ?? base
        let interface = InterfaceSpec(
            kind: kind, hostInterface: hostInterface,
            containerInterface: attachment.interfaceName ?? freeName(options.interfacePrefix, taken),
            addresses: addresses,
            mac: attachment.macAddress.flatMap { MACAddress($0) } ?? addresses.first.map { MACAddress($0.address) },
            mtu: network.hasBridge ? nil : options.mtu, isIsolated: !network.bridge.interContainer,
            parameters: attachment.parameters)
        return StoredContainer.Attachment(network: name, interface: interface)
    }

    private func freeName(_ prefix: String, _ taken: Set<String>) -> String {
        var number = 0
        while taken.contains("\(prefix)\(number)") { number += 1 }
        return "\(prefix)\(number)"
    }

    /// Gives each family its default route, by the network that `gatewayNetwork` finds.
    func routeDefaults(
        of attachments: inout [StoredContainer.Attachment], _ wanted: [String: NetworkAttachment]
    ) {
        let definitions = networks.mapValues(\.definition)
        for index in attachments.indices { attachments[index].interface.gateways = [] }
        for isV6 in [false, true] {
            var routers: [String: IPAddress] = [:]
            for attachment in attachments { routers[attachment.network] = router(of: attachment, isV6: isV6) }
            guard
                let chosen = gatewayNetwork(of: wanted, networks: definitions, usable: Set(routers.keys)),
                let router = routers[chosen],
                let index = attachments.firstIndex(where: { $0.network == chosen })
            else { continue }
            attachments[index].interface.gateways.append(router)
        }
    }

    private func router(of attachment: StoredContainer.Attachment, isV6: Bool) -> IPAddress? {
        guard let network = networks[attachment.network] else { return nil }
        let address = attachment.interface.addresses.lazy.map(\.address).first {
            $0.isV6 == isV6 && !$0.isLinkLocalUnicast
        }
        guard let address, let subnet = network.bridge.subnets.first(where: { $0.range.contains(address) }) else {
            return nil
        }
        return network.router(of: subnet)
    }

    // MARK: - Pools

    /// An address of each family that the network has, those that were asked for among them, and link-local ones.
    private func takeAddresses(
        on network: StoredNetwork, _ wanted: NetworkAttachment
    ) throws(EngineError) -> [InterfaceSpec.Address] {
        var pools = try pools(of: network)
        var taken: [InterfaceSpec.Address] = []
        do throws(NetworkError) {
            for isV6 in [false, true] {
                let requested = isV6 ? wanted.ipv6Address : wanted.ipv4Address
                let indexes = pools.indices.filter { pools[$0].subnet.isV6 == isV6 }
                if indexes.isEmpty, requested == nil || isSwitchedOff(requested, network) { continue }
                taken.append(try Self.take(requested, isV6: isV6, network: network.name, from: &pools, indexes))
            }
        } catch {
            throw .network(error)
        }
        for text in wanted.linkLocalIPs {
            guard let address = IPAddress(text) else { throw .badRequest("'\(text)' is no address") }
            let prefixLength = address.isLinkLocalUnicast ? (address.isV6 ? 64 : 16) : address.bitCount
            taken.append(InterfaceSpec.Address(address, prefixLength: prefixLength))
        }
        // Only now: a refusal leaves the pools as they were.
        addressPools[network.name] = pools
        return taken
    }

    /// As Docker, a network of a client's keeps what is said for IPv6 until somebody makes it with IPv6.
    private func isSwitchedOff(_ requested: String?, _ network: StoredNetwork) -> Bool {
        guard network.stackName.isEmpty, !network.definition.enableIPv6, let requested,
            let address = IPAddress(requested), address.isV6
        else { return false }
        return network.definition.subnets.contains { $0.subnet.flatMap { CIDR($0) }?.contains(address) == true }
    }

    private static func take(
        _ requested: String?, isV6: Bool, network: String, from pools: inout [AddressPool], _ indexes: [Int]
    ) throws(NetworkError) -> InterfaceSpec.Address {
        if let requested {
            guard let address = IPAddress(requested), address.isV6 == isV6 else { throw .invalidName(requested) }
            guard let index = indexes.first(where: { pools[$0].subnet.contains(address) }) else {
                guard let first = indexes.first else { throw .familyMissing(address, network: network) }
                throw .addressOutsideSubnet(address, pools[first].subnet)
            }
            try pools[index].take(address)
            return InterfaceSpec.Address(address, prefixLength: pools[index].subnet.prefixLength)
        }
        // Each subnet in turn, as they fill up.
        for index in indexes.dropLast() {
            guard let address = try? pools[index].take() else { continue }  // Full: the next one is asked.
            return InterfaceSpec.Address(address, prefixLength: pools[index].subnet.prefixLength)
        }
        guard let last = indexes.last else { throw .poolsExhausted }
        return InterfaceSpec.Address(try pools[last].take(), prefixLength: pools[last].subnet.prefixLength)
    }

    /// One for each subnet, with all that the records hold taken out.
    func pools(of network: StoredNetwork) throws(EngineError) -> [AddressPool] {
        if let known = addressPools[network.name] { return known }
        var used = Set(serviceAddresses.values.filter { $0.network == network.name }.flatMap(\.addresses))
        for container in containers.values {
            for attachment in container.stored.attachments where attachment.network == network.name {
                used.formUnion(attachment.interface.addresses.map(\.address))
            }
        }
        var pools: [AddressPool] = []
        do throws(NetworkError) {
            for subnet in network.bridge.subnets {
                let declaration = network.declaration(of: subnet)
                var reserved = Set([subnet.gateway, network.router(of: subnet)].compactMap { $0 })
                reserved.formUnion(
                    (declaration?.auxiliaryAddresses.values).map { $0.compactMap { IPAddress($0) } } ?? [])
                pools.append(
                    try AddressPool(
                        subnet: subnet.range, range: declaration?.ipRange.flatMap { CIDR($0) }, reserved: reserved,
                        used: used.filter { subnet.range.contains($0) }))
            }
        } catch {
            throw .network(error)
        }
        addressPools[network.name] = pools
        return pools
    }

    func releaseAddresses(of stored: StoredContainer) {
        for attachment in stored.attachments { freeAddresses(attachment) }
    }

    func freeAddresses(_ attachment: StoredContainer.Attachment) {
        free(attachment.interface.addresses.map(\.address), of: attachment.network)
    }

    func free(_ addresses: [IPAddress], of network: String) {
        guard let pools = addressPools[network] else { return }
        for index in pools.indices {
            for address in addresses where pools[index].subnet.contains(address) {
                addressPools[network]?[index].release(address)
            }
        }
    }
}

extension IPAddress {
    /// 169.254.0.0/16 and fe80::/10.
    var isLinkLocalUnicast: Bool {
        switch self {
        case .v4(let address): address.value >> 16 == 0xa9fe
        case .v6(let address): address.isLinkLocal
        }
    }
}

extension StoredContainer {
    /// What the container was attached with, by engine name of the network: from its definition, or by hand.
    var wantedAttachments: [String: NetworkAttachment] {
        var wanted = definition.attachments
        for attachment in attachments { wanted[attachment.network] = attachment.byHand ?? wanted[attachment.network] }
        return wanted
    }

    /// Addresses that others reach it by, by engine name of the network.
    var addresses: [String: [IPAddress]] {
        Dictionary(
            attachments.map { attachment in
                (
                    attachment.network,
                    attachment.interface.addresses.map(\.address).filter { !$0.isLinkLocalUnicast }
                )
            }, uniquingKeysWith: { first, _ in first })
    }
}
