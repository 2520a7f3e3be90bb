import ContainerNetwork
import DockerTranslation
import Images
import InternetAddress
import JSONDocument
import Logging
import Reconciler
import StackModel

/// Networks and ports of containers without a stack.
extension Engine {
    /// By name or id; `bridge` is made when it is not there.
    func existingNetwork(_ reference: String) async throws(EngineError) -> StoredNetwork? {
        if reference == NetworkChoice.bridge || reference == derivedID(options.dataRoot + NetworkChoice.bridge) {
            return try await bridgeNetwork()
        }
        do throws(EngineError) {
            return try storedNetwork(reference)
        } catch {
            if case .networkNotFound = error { return nil }
            throw error
        }
    }

    /// Docker's default network.
    private func bridgeNetwork() async throws(EngineError) -> StoredNetwork {
        await free.bridgeLock.acquire()
        defer { free.bridgeLock.release() }
        if let record = networks[NetworkChoice.bridge] { return record }
        for range in Self.bridgeRanges {
            var definition = Network()
            definition.subnets = [Subnet(subnet: range)]
            do throws(EngineError) {
                return try await makeNetwork(NetworkChoice.bridge, stack: "", key: "", definition)
            } catch {
                // Somebody else's on this host: the next one.
                guard case .network(.subnetInUse) = error else { throw error }
            }
        }
        return try await makeNetwork(NetworkChoice.bridge, stack: "", key: "", Network())
    }

    /// Docker's own, large enough for all containers that anybody makes: each has its address from the first moment.
    private static let bridgeRanges = (17...31).map { "172.\($0).0.0/16" }

    /// Nothing of it stays on the host when an engine ends that has no container on it; the next one makes it again.
    func removeUnusedBridge() {
        guard let record = networks[NetworkChoice.bridge], record.stackName.isEmpty,
            users(ofNetwork: record.name).isEmpty
        else { return }
        do {
            try network.removeBridge(record.bridge.bridge)
            try store.delete(record)
            networks[record.name] = nil
            if !networks.values.contains(where: \.hasBridge) { try network.removeFirewall() }
        } catch {
            log.warning("bridge not removed", metadata: ["error": "\(error)"])
        }
    }

    func checkAttachment(_ attachment: NetworkAttachment) throws(EngineError) {
        if let mac = attachment.macAddress, MACAddress(mac) == nil {
            throw .badRequest("invalid MAC address: \(mac)")
        }
        for text in [attachment.ipv4Address, attachment.ipv6Address] {
            if let text, IPAddress(text) == nil { throw .badRequest("invalid IP address: \(text)") }
        }
    }

    /// Networks that were not there when the container was made.
    func attachMissing(_ id: String) async throws(EngineError) {
        guard let missing = containers[id]?.stored.free?.missingNetworks, !missing.isEmpty else { return }
        for (name, wanted) in missing.sorted(by: { $0.key < $1.key }) {
            guard let network = try await existingNetwork(name) else {
                throw .answered(404, "network \(name) not found")
            }
            try checkAttachment(wanted)
            try yieldAddresses(wanted, on: network, to: id)
            guard var stored = containers[id]?.stored else { throw .containerNotFound(id) }
            if !stored.attachments.contains(where: { $0.network == network.name }) {
                var made = try attachment(wanted, to: network.name, id: id, others: stored.attachments)
                made.byHand = wanted
                stored.attachments.append(made)
                routeDefaults(of: &stored.attachments, stored.wantedAttachments)
            }
            stored.free?.missingNetworks?[name] = nil
            try save(stored)
            containers[id]?.stored = stored
        }
    }

    // MARK: - Places that wait for the next start

    /// Whether somebody has an address that is asked for. It may be given back before the container starts.
    func isTaken(_ wanted: NetworkAttachment, on network: StoredNetwork) throws(EngineError) -> Bool {
        let pools = try pools(of: network)
        return requestedAddresses(wanted).contains { address in pools.contains { $0.used.contains(address) } }
    }

    private func requestedAddresses(_ wanted: NetworkAttachment) -> [IPAddress] {
        [wanted.ipv4Address, wanted.ipv6Address].compactMap { $0.flatMap { IPAddress($0) } }
    }

    /// As with Docker only a container that runs has an address: others, that do not run, give up those that this one
    /// asks for. They keep theirs as long as nobody does.
    private func yieldAddresses(
        _ wanted: NetworkAttachment, on network: StoredNetwork, to id: String
    ) throws(EngineError) {
        let requested = Set(requestedAddresses(wanted))
        guard !requested.isEmpty else { return }
        for holder in users(ofNetwork: network.name) where holder.id != id && isIdle(holder) {
            let attachment = holder.attachments.first { $0.network == network.name }
            guard let attachment, attachment.interface.addresses.contains(where: { requested.contains($0.address) })
            else { continue }
            try giveUp(attachment, of: holder.id)
        }
    }

    /// A client's container that nothing but a client will start.
    func isIdle(_ stored: StoredContainer) -> Bool {
        stored.free != nil && containers[stored.id]?.process == nil && !isRestarting(stored.id)
            && free.starting[stored.id] == nil
    }

    /// The container takes its place on the network anew when it is started, and cannot start without the network.
    func giveUp(_ attachment: StoredContainer.Attachment, of id: String) throws(EngineError) {
        guard var stored = containers[id]?.stored else { return }
        let wanted = stored.wantedAttachments[attachment.network] ?? NetworkAttachment()
        stored.attachments.removeAll { $0.network == attachment.network }
        routeDefaults(of: &stored.attachments, stored.wantedAttachments)
        try awaitNetwork(attachment.network, wanted, &stored)
        freeAddresses(attachment)
    }

    /// Notes a network that the container is to have from its next start on.
    func awaitNetwork(
        _ name: String, _ wanted: NetworkAttachment, _ stored: inout StoredContainer
    ) throws(EngineError) {
        let awaited = stored.free?.missingNetworks ?? [:]
        stored.free?.missingNetworks = awaited.merging([name: wanted]) { $1 }
        try save(stored)
        containers[stored.id]?.stored = stored
    }

    // MARK: - Links

    /// `address name` lines of the containers that this one is linked to.
    func linkedHosts(of stored: StoredContainer) -> [(name: String, address: String)] {
        guard stored.free != nil else { return [] }
        let own = Set(stored.attachments.map(\.network))
        return stored.definition.service.externalLinks.flatMap { link -> [(name: String, address: String)] in
            let (name, alias) = linkParts(link)
            // One that is gone was found out before the start.
            guard let target = try? container(name) else { return [] }
            let shared = target.stored.attachments.first { own.contains($0.network) }
            guard let address = shared?.interface.addresses.first?.address else { return [] }
            return Set([alias, target.stored.name, target.stored.shortID]).sorted().map {
                (name: $0, address: address.description)
            }
        }
    }

    /// Docker's variables for links on its default network: where the other container's ports are, and what its own
    /// environment says (docs.docker.com/engine/network/links).
    func linkedEnvironment(of stored: StoredContainer) -> [(name: String, value: String)] {
        guard stored.free != nil else { return [] }
        let own = Set(stored.attachments.map(\.network))
        return stored.definition.service.externalLinks.flatMap { link -> [(name: String, value: String)] in
            let (name, alias) = linkParts(link)
            // One that is gone was found out before the start.
            guard let target = try? container(name).stored,
                let address = target.attachments.first(where: { own.contains($0.network) })?.interface.addresses.first
            else { return [] }
            // A container outlives its image's name, and runs without its image's words then.
            let defaults = try? image(target.definition.imageID).config.config
            let service = target.definition.service
            let exposed = ((defaults?.exposedPorts ?? []) + service.expose).flatMap { PortSpan($0)?.ports ?? [] }
            let ports = Set((exposed + service.ports).map { LinkVariables.Port($0.target, $0.transport) })
            let environment = processEnvironment(service, defaults: defaults, hostname: "")
            return LinkVariables(
                prefix: alias, path: "/\(stored.name)/\(alias)", address: address.address, ports: ports,
                environment: environment
            ).all
        }
    }

    /// `DELETE /containers/{id}/{alias}?link=1`: from its next start on, the container knows nothing of the other.
    public func removeLinkByClient(_ reference: String, alias: String) throws(EngineError) {
        var stored = try container(reference).stored
        let links = stored.definition.service.externalLinks
        let left = links.filter { linkParts($0).alias != alias }
        guard left.count < links.count, var free = stored.free else {
            throw .answered(404, "Could not get container for link \(alias) of \(stored.name)")
        }
        stored.definition.service.externalLinks = left
        free.request.hostConfig["Links"] = left.isEmpty ? .null : .array(left.map { .string($0) })
        stored.free = free
        try save(stored)
        containers[stored.id]?.stored = stored
    }

    /// On a network that is not Docker's default one, links are names that are looked up; several containers may have
    /// the same.
    func linkedNames(of stored: StoredContainer, _ known: NetworkNames) -> [String: [IPAddress]] {
        var names: [String: [IPAddress]] = [:]
        for (network, links) in stored.networkLinks {
            for link in links {
                let (name, alias) = linkParts(link)
                // By id too; one that is gone has no name any more.
                let target = (try? container(name).stored.name) ?? name
                for address in known[network]?[target] ?? [] where names[alias]?.contains(address) != true {
                    names[alias, default: []].append(address)
                }
            }
        }
        return names
    }

    func checkLinks(_ stored: StoredContainer) throws(EngineError) {
        for link in stored.definition.service.externalLinks {
            let (name, alias) = linkParts(link)
            guard try container(name).process != nil else {
                throw .answered(409, "Cannot link to a non running container: /\(name) AS /\(stored.name)/\(alias)")
            }
        }
    }

    // MARK: - Ports

    /// Takes hold of the container's host ports for this run.
    func publishPorts(_ id: String) throws(EngineError) {
        guard let stored = containers[id]?.stored, stored.free != nil, usesOwnNamespace(stored) else { return }
        let service = stored.definition.service
        ports.release(stack: id)
        do throws(EngineError) {
            for port in service.ports {
                guard let published = port.shared else { continue }
                do throws(NetworkError) {
                    let key = try PortRegistry.Key(hostIP: port.hostIP, port: published, transport: port.transport)
                    try ports.reserve(key, stack: id, with: network)
                } catch {
                    throw .network(error)
                }
            }
            containers[id]?.stored.chosenPorts = try choosePorts(service, stack: id)
        } catch {
            ports.release(stack: id)
            throw publishError(error, stored)
        }
    }

    private func publishError(_ error: EngineError, _ stored: StoredContainer) -> EngineError {
        let place =
            "failed to set up container networking: driver failed programming external connectivity on endpoint "
            + "\(stored.name) (\(stored.id))"
        guard case .network(let failure) = error else { return error }
        switch failure {
        case .portTaken(let address, let port, _, let owner) where owner.hasPrefix("stack "):
            let host = address?.description ?? "0.0.0.0"
            return .answered(500, "\(place): Bind for \(host):\(port) failed: port is already allocated")
        case .portTaken(let address, let port, let transport, let owner):
            let host = address?.description ?? "0.0.0.0"
            return .answered(
                500,
                "\(place): failed to bind host port for \(host):\(port)/\(transport.rawValue): address already in use "
                    + "(\(owner)): port is already allocated")
        case .portInUse(let address, let port, let transport):
            let host = address?.description ?? "0.0.0.0"
            return .answered(
                500,
                "\(place): failed to bind host port for \(host):\(port)/\(transport.rawValue): address already in use: "
                    + "port is already allocated")
        default: return .answered(500, "\(place): \(failure)")
        }
    }

    /// After a run: others may have the ports.
    func unpublishPorts(_ id: String) {
        ports.release(stack: id)
        containers[id]?.stored.chosenPorts = []
    }

    /// Of containers that an earlier engine started.
    func reclaimFreePorts() {
        for container in containers.values where container.stored.free != nil {
            let stored = container.stored
            guard container.process != nil else {
                containers[stored.id]?.stored.chosenPorts = []
                continue
            }
            let fixed = stored.definition.service.ports.compactMap { port in port.shared.map { (port, $0, false) } }
            let chosen = stored.chosenPorts.map { ($0.port, $0.published, true) }
            for (port, published, isChosen) in fixed + chosen {
                do throws(NetworkError) {
                    let key = try PortRegistry.Key(hostIP: port.hostIP, port: published, transport: port.transport)
                    try ports.reserve(key, stack: stored.id, with: network, isChosen: isChosen)
                } catch {
                    log.warning("port not held", metadata: ["container": "\(stored.name)", "error": "\(error)"])
                }
            }
        }
    }
}

extension StoredContainer {
    /// By network, in the order that they have in the container: `CONTAINER:ALIAS`.
    var networkLinks: [(network: String, links: [String])] {
        attachments.compactMap { attachment in
            let wanted = attachment.byHand ?? definition.attachments[attachment.network]
            guard let links = wanted?.links, !links.isEmpty else { return nil }
            return (attachment.network, links)
        }
    }
}
