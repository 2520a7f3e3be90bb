import ContainerNetwork
import DockerTranslation
import EngineWire
import Images
import InternetAddress
import JSONDocument
import Reconciler
import StackModel

/// What lists and descriptions of containers in Docker's words have in common.
extension Engine {
    /// As it was asked for; of a stack's container what would have made it.
    func shownRequest(_ stored: StoredContainer) -> ContainerRequest {
        if let free = stored.free { return free.request }
        return ContainerRequest(
            stored.definition.service, networkMode: shownNetworkMode(stored), autoRemove: stored.removeOnExit)
    }

    /// `HostConfig.NetworkMode`.
    func shownNetworkMode(_ stored: StoredContainer) -> String {
        if let mode = stored.networkMode {
            guard mode.hasPrefix("service:") else { return mode == "default" ? NetworkChoice.bridge : mode }
            let service = mode.dropFirst("service:".count)
            let target = containers.values.first {
                $0.stored.stackName == stored.stackName && $0.stored.service == service && !$0.stored.oneOff
            }
            return target.map { "container:\($0.stored.id)" } ?? mode
        }
        if let free = stored.free, case .string(let mode)? = free.request.hostConfig["NetworkMode"], !mode.isEmpty,
            mode != "default"
        {
            return mode
        }
        return stored.attachments.first?.network ?? (stored.free == nil ? "none" : NetworkChoice.bridge)
    }

    func shownState(_ container: Container) -> ShownState {
        let stored = container.stored
        let id = stored.id
        let status: ShownState.Status
        if free.removing.contains(id), container.process == nil {
            status = .removing
        } else if container.process != nil {
            status = isFrozen(id) ? .paused : .running
        } else if isRestarting(id) {
            status = .restarting
        } else {
            status = stored.startedAt == nil ? .created : .exited
        }
        return ShownState(
            status: status, health: container.health?.health.dockerName, exitCode: stored.exit?.code ?? 0,
            startedAt: container.process?.startedAt ?? stored.startedAt, finishedAt: stored.exit?.finishedAt)
    }

    /// A port that is exposed, and where the host has it.
    struct ShownPort {
        var port: Port
        /// Empty: not published.
        var bindings: [(address: String, number: UInt16)] = []
    }

    /// - Parameter image: of the container, as far as it is known.
    func shownPorts(_ container: Container, image: ContainerDefaults?) -> [ShownPort] {
        let stored = container.stored
        guard container.process != nil, usesOwnNamespace(stored), !stored.attachments.isEmpty else { return [] }
        var shown: [ShownPort] = []
        let service = stored.definition.service
        func plain(_ port: Port) -> Port { Port(target: port.target, transport: port.transport) }
        for text in (image?.exposedPorts ?? []) + service.expose {
            for port in PortSpan(text)?.ports ?? [] where !shown.contains(where: { $0.port == port }) {
                shown.append(ShownPort(port: port))
            }
        }
        for published in publishedPorts(of: container) {
            let port = Port(target: published.target, transport: published.transport)
            if !shown.contains(where: { $0.port == port }) { shown.append(ShownPort(port: port)) }
            guard let index = shown.firstIndex(where: { $0.port == port }) else { continue }
            shown[index].bindings.append((published.hostIP, published.published))
        }
        return shown.sorted { ($0.port.target, $0.port.transport) < ($1.port.target, $1.port.transport) }
    }

    /// One entry of `Mounts`.
    struct ShownMount {
        var kind: String
        /// Of a volume.
        var name: String?
        var source: String
        var target: String
        var mode: String
        var isWritable: Bool
        var propagation: String
    }

    func shownMounts(_ stored: StoredContainer) -> [ShownMount] {
        var shown: [ShownMount] = []
        for mount in stored.definition.service.mounts where mount.kind == .bind {
            shown.append(
                ShownMount(
                    kind: "bind", source: mount.source ?? "", target: mount.target,
                    mode: mount.selinux ?? (mount.readOnly ? "ro" : ""), isWritable: !mount.readOnly,
                    propagation: mount.propagation ?? "rprivate"))
        }
        for (target, name) in stored.volumes {
            let mount = stored.definition.service.mounts.first { $0.kind == .volume && $0.target == target }
            shown.append(
                ShownMount(
                    kind: "volume", name: name, source: options.volumeData(name), target: target,
                    mode: mount?.selinux ?? "z", isWritable: mount?.readOnly != true, propagation: ""))
        }
        for mount in stored.definition.service.mounts where mount.kind == .tmpfs && isListed(mount, stored) {
            shown.append(
                ShownMount(
                    kind: "tmpfs", source: "", target: mount.target, mode: "", isWritable: !mount.readOnly,
                    propagation: ""))
        }
        return shown.sorted { $0.target < $1.target }
    }

    /// Docker lists a tmpfs of `Mounts`, and none of `Tmpfs`.
    private func isListed(_ mount: StackModel.Mount, _ stored: StoredContainer) -> Bool {
        guard let free = stored.free, case .object(let plain)? = free.request.hostConfig["Tmpfs"] else { return true }
        return plain[mount.target] == nil
    }

    /// One entry of `NetworkSettings.Networks`.
    struct ShownEndpoint {
        var name: String
        var networkID: String
        /// Empty while the container does not run.
        var endpointID = ""
        var wanted: NetworkAttachment?
        var mac = ""
        var address4: InterfaceSpec.Address?
        var address6: InterfaceSpec.Address?
        var gateway4 = ""
        var gateway6 = ""
    }

    func shownEndpoints(_ container: Container) -> [ShownEndpoint] {
        let stored = container.stored
        if let mode = stored.networkMode, mode == "host" || mode == "none" {
            var endpoint = ShownEndpoint(name: mode, networkID: derivedID(options.dataRoot + mode))
            if container.process != nil { endpoint.endpointID = derivedID(stored.id + mode) }
            return [endpoint]
        }
        let wanted = stored.wantedAttachments
        let awaited = (stored.free?.missingNetworks ?? [:]).sorted { $0.key < $1.key }.map { name, attachment in
            ShownEndpoint(name: name, networkID: networks[name]?.id ?? "", wanted: attachment)
        }
        let isUp = container.process != nil
        return awaited + stored.attachments.map { shown($0, wanted[$0.network], isUp: isUp, of: stored.id) }
    }

    private func shown(
        _ attachment: StoredContainer.Attachment, _ wanted: NetworkAttachment?, isUp: Bool, of id: String
    ) -> ShownEndpoint {
        let network = networks[attachment.network]
        var endpoint = ShownEndpoint(name: attachment.network, networkID: network?.id ?? "", wanted: wanted)
        guard isUp else {
            endpoint.mac = wanted?.macAddress ?? ""
            return endpoint
        }
        endpoint.endpointID = derivedID(id + attachment.network)
        endpoint.mac = attachment.interface.mac?.description ?? ""
        for address in attachment.interface.addresses where !address.address.isLinkLocalUnicast {
            let subnet = network?.bridge.subnets.first { $0.range.contains(address.address) }
            let router = subnet.flatMap { network?.router(of: $0)?.description } ?? ""
            if address.address.isV6 {
                (endpoint.address6, endpoint.gateway6) = (address, router)
            } else {
                (endpoint.address4, endpoint.gateway4) = (address, router)
            }
        }
        return endpoint
    }
}

extension ContainerHealth {
    /// `nil` without a healthcheck.
    var dockerName: String? {
        switch self {
        case .none: nil
        case .starting: "starting"
        case .healthy: "healthy"
        case .unhealthy: "unhealthy"
        }
    }
}
