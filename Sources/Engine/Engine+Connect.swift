import ContainerNetwork
import DockerTranslation
import EngineWire
import InternetAddress
import JSONDocument
import Logging
import Reconciler
import StackModel

/// `gantry network connect` and `disconnect`: interfaces of containers that come and go while they run. The definition
/// that a container was made from is left as it is, so that its stack does not replace it.
extension Engine {
    public func connect(_ reference: String, _ request: NetworkConnectRequest) async throws(EngineError) {
        let network = try storedNetwork(reference)
        let stored = try container(request.Container).stored
        var wanted = Self.attachment(request.EndpointConfig)
        if wanted.macAddress == nil, let mac = stored.ownMACAddress, stored.free?.isNamed(network) == true {
            wanted.macAddress = mac
        }
        let (id, attachment) = (stored.id, wanted)
        try await lockingStack(of: id) { () async throws(EngineError) in
            try await self.connectLocked(id, network, attachment)
        }
    }

    private static func attachment(_ endpoint: NetworkConnectRequest.Endpoint?) -> NetworkAttachment {
        func said(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
        var attachment = NetworkAttachment(aliases: endpoint?.Aliases ?? [])
        attachment.ipv4Address = said(endpoint?.IPAMConfig?.IPv4Address)
        attachment.ipv6Address = said(endpoint?.IPAMConfig?.IPv6Address)
        attachment.linkLocalIPs = endpoint?.IPAMConfig?.LinkLocalIPs ?? []
        attachment.macAddress = said(endpoint?.MacAddress)
        attachment.links = endpoint?.Links ?? []
        attachment.gatewayPriority = endpoint?.GwPriority ?? 0
        attachment.driverOptions = endpoint?.DriverOpts ?? [:]
        return attachment
    }

    private func connectLocked(
        _ id: String, _ network: StoredNetwork, _ wanted: NetworkAttachment
    ) async throws(EngineError) {
        let stored = try container(id).stored
        guard networks[network.name] != nil else { throw .networkNotFound(network.name) }
        guard usesOwnNamespace(stored), stored.networkMode != "none" else {
            throw .conflict(
                "container \(stored.name) has no network of its own: its network mode is '\(stored.networkMode ?? "")'")
        }
        guard !stored.attachments.contains(where: { $0.network == network.name }) else {
            throw .conflict("container \(stored.name) is on network \(network.name) already")
        }
        if let mac = wanted.macAddress, MACAddress(mac) == nil {
            throw .badRequest("'\(mac)' is no MAC address that an interface can have")
        }
        for (option, text) in wanted.driverOptions {
            guard option == NetworkAttachment.parametersOption, NetworkAttachment.parameters(from: text) != nil else {
                throw .badRequest(
                    "there is no endpoint option '\(option)' with value '\(text)'; "
                        + "known is \(NetworkAttachment.parametersOption)=net.ipv4.conf.IFNAME.NAME=VALUE")
            }
        }
        var changed = stored
        if isIdle(stored), try isTaken(wanted, on: network) {
            try awaitNetwork(network.name, wanted, &changed)
            return announceConnect(stored, network)
        }
        containers[id]?.stored.free?.missingNetworks?[network.name] = nil
        var attachment = try attachment(wanted, to: network.name, id: id, others: stored.attachments)
        attachment.byHand = wanted
        changed.attachments.append(attachment)
        routeDefaults(of: &changed.attachments, changed.wantedAttachments)
        do throws(EngineError) {
            try await setAttachments(changed.attachments, of: id)
        } catch {
            freeAddresses(attachment)
            containers[id]?.stored.free = stored.free
            await restoreAttachments(stored)
            throw error
        }
        announceConnect(stored, network)
        await refreshEndpoints()
    }

    private func announceConnect(_ stored: StoredContainer, _ network: StoredNetwork) {
        announce(type: "network", "connect", name: network.name, stack: stored.stackName, ["container": stored.id])
    }

    public func disconnect(_ reference: String, _ request: NetworkDisconnectRequest) async throws(EngineError) {
        let network = try storedNetwork(reference)
        let id: String
        do throws(EngineError) {
            id = try container(request.Container).stored.id
        } catch {
            // What is gone is disconnected.
            if request.Force == true, case .containerNotFound = error { return }
            throw error
        }
        try await lockingStack(of: id) { () async throws(EngineError) in
            try await self.disconnectLocked(id, network)
        }
    }

    private func disconnectLocked(_ id: String, _ network: StoredNetwork) async throws(EngineError) {
        let stored = try container(id).stored
        guard let leaving = stored.attachments.first(where: { $0.network == network.name }) else {
            if stored.free?.missingNetworks?[network.name] != nil { return try forgetAwaited(network, stored) }
            throw .conflict("container \(stored.name) is not on network \(network.name)")
        }
        try await unplug(id, [leaving])
        await refreshEndpoints()
    }

    /// Takes from a container a network that it was to have when it is started.
    private func forgetAwaited(_ network: StoredNetwork, _ stored: StoredContainer) throws(EngineError) {
        var stored = stored
        stored.free?.missingNetworks?[network.name] = nil
        try save(stored)
        containers[stored.id]?.stored = stored
        announce(
            type: "network", "disconnect", name: network.name, stack: stored.stackName, ["container": stored.id])
    }

    /// Takes interfaces from a container, which may run.
    func unplug(_ id: String, _ leaving: [StoredContainer.Attachment]) async throws(EngineError) {
        let container = try container(id)
        let stored = container.stored
        var left = stored.attachments.filter { !leaving.contains($0) }
        routeDefaults(of: &left, stored.wantedAttachments)
        if container.process != nil {
            let interfaces = leaving.map(\.interface.hostInterface)
            try await onNetwork { network throws(NetworkError) in
                for interface in interfaces { try network.detach(namespaceID: id, hostInterface: interface) }
            }
        }
        try await setAttachments(left, of: id)
        for attachment in leaving {
            freeAddresses(attachment)
            announce(
                type: "network", "disconnect", name: attachment.network, stack: stored.stackName, ["container": id])
        }
    }

    /// Notes the attachments and, while the container runs, makes its interfaces so.
    func setAttachments(
        _ attachments: [StoredContainer.Attachment], of id: String
    ) async throws(EngineError) {
        guard var container = containers[id] else { throw .containerNotFound(id) }
        container.stored.attachments = attachments
        try save(container.stored)
        containers[id]?.stored.attachments = attachments
        if containers[id]?.process != nil { try await prepareNetwork(container.stored) }
    }

    /// After a failure half way: the records and the interfaces as they were.
    func restoreAttachments(_ stored: StoredContainer) async {
        do throws(EngineError) { try await setAttachments(stored.attachments, of: stored.id) } catch {
            log.error("attachments not restored", metadata: ["container": "\(stored.name)", "error": "\(error)"])
        }
    }

    /// Not while the container's stack is being changed.
    private func lockingStack(
        of id: String, _ body: () async throws(EngineError) -> Void
    ) async throws(EngineError) {
        let stack = containers[id]?.stored.stackName ?? ""
        guard stacks[stack] != nil else { return try await body() }
        try await withLock(stack) { () async throws(EngineError) in try await body() }
    }
}

extension StoredContainer {
    /// What a client wants for the container as a whole: it is that of the network in `NetworkMode`, also when that is
    /// left and joined again, as docker-compose 1 does before the start.
    fileprivate var ownMACAddress: String? {
        guard case .string(let text)? = free?.request.config["MacAddress"], !text.isEmpty else { return nil }
        return text
    }
}

extension FreeContainer {
    fileprivate func isNamed(_ network: StoredNetwork) -> Bool {
        guard case .string(let mode)? = request.hostConfig["NetworkMode"] else { return false }
        return mode == network.name || mode == network.id
    }
}
