import ContainerNetwork
import DockerTranslation
import EngineWire
import Images
import InternetAddress
import JSONDocument
import LinuxSystem
import Reconciler
import StackModel

/// `GET /containers/{id}/json`.
extension Engine {
    private static let zeroTime = "0001-01-01T00:00:00Z"

    /// - Parameter size: with what the writable layer and the whole root take on the disk.
    public func inspectContainer(_ reference: String, size: Bool) async throws(EngineError) -> JSONValue {
        let id = try container(reference).stored.id
        let written = size ? try await writtenByteCount(id) : nil
        let container = try container(id)
        let stored = container.stored
        // An image that is gone leaves what the container itself says.
        let image = try? images.image(stored.definition.imageID)
        let defaults = image?.config.config
        let words = processArguments(stored.definition.service, defaults: defaults)
        let names = names(of: stored)
        let files = options.nameFiles(names.owner.id)
        var document: [String: JSONValue] = [
            "Id": .string(id), "Created": .string(rfc3339(stored.createdAt)), "Name": .string("/\(stored.name)"),
            "Path": .string(words.first ?? ""), "Args": .texts(Array(words.dropFirst())),
            "Image": .string(stored.definition.imageID), "Platform": .string("linux"),
            "RestartCount": .integer(Int64(stored.restarts)), "Driver": .string("overlay2"),
            "State": .object(state(container)), "ResolvConfPath": .string("\(files)/resolv.conf"),
            "HostnamePath": .string("\(files)/hostname"), "HostsPath": .string("\(files)/hosts"),
            "LogPath": .string(
                stored.definition.service.logging?.driver == "none"
                    ? "" : "\(options.containerData(id))/container.log"),
            "MountLabel": .string(""), "ProcessLabel": .string(""), "AppArmorProfile": .string(""),
            "ExecIDs": execIDs(of: id), "GraphDriver": .object(graphDriver(stored, image)),
            "Mounts": .array(shownMounts(stored).map(mountDocument)),
        ]
        let request = shownRequest(stored)
        var host = request.shownHostConfig
        host["NetworkMode"] = .string(shownNetworkMode(stored))
        document["HostConfig"] = .object(host)
        var config = config(request, stored, defaults)
        config["Hostname"] = .string(names.hostname)
        config["Domainname"] = .string(names.domainname ?? "")
        document["Config"] = .object(config)
        document["NetworkSettings"] = .object(networkSettings(container, defaults))
        if let written {
            document["SizeRw"] = .integer(written)
            document["SizeRootFs"] = .integer(written + Int64(clamping: image?.byteCount ?? 0))
        }
        return .object(document)
    }

    private func state(_ container: Container) -> [String: JSONValue] {
        let stored = container.stored
        let shown = shownState(container)
        let isUp = container.process != nil || shown.status == .restarting
        var state: [String: JSONValue] = [
            "Status": .string(shown.status.rawValue), "Running": .bool(isUp),
            "Paused": .bool(shown.status == .paused), "Restarting": .bool(shown.status == .restarting),
            "OOMKilled": .bool(container.process == nil && stored.exit?.outOfMemory == true), "Dead": .bool(false),
            "Pid": .integer(Int64(container.process?.pid ?? 0)),
            "ExitCode": .integer(Int64(container.process == nil ? stored.exit?.code ?? 0 : 0)),
            "Error": .string(container.process == nil ? stored.exit?.note ?? "" : ""),
            "StartedAt": .string(shown.startedAt.map(rfc3339) ?? Self.zeroTime),
            "FinishedAt": .string(stored.lastFinishedAt.map(rfc3339) ?? Self.zeroTime),
        ]
        if stored.startedAt == nil { state["FinishedAt"] = .string(Self.zeroTime) }
        if let health = container.health {
            state["Health"] = .object([
                "Status": .string(health.health.dockerName ?? "none"),
                "FailingStreak": .integer(Int64(health.failures)),
                "Log": .array(
                    container.probes.map { probe in
                        .object([
                            "Start": .string(rfc3339(probe.startedAt)), "End": .string(rfc3339(probe.endedAt)),
                            "ExitCode": .integer(Int64(probe.exitCode ?? -1)), "Output": .string(probe.output),
                        ])
                    }),
            ])
        }
        return state
    }

    private func execIDs(of id: String) -> JSONValue {
        let ids = execs.filter { $0.value.containerID == id && $0.value.exitCode == nil }.keys.sorted()
        return ids.isEmpty ? .null : .texts(ids)
    }

    private func graphDriver(_ stored: StoredContainer, _ image: Image?) -> [String: JSONValue] {
        let folder = options.containerData(stored.id)
        return [
            "Name": .string("overlay2"),
            "Data": .object([
                "LowerDir": .string((image?.lowerDirectories ?? []).joined(separator: ":")),
                "UpperDir": .string("\(folder)/upper"), "WorkDir": .string("\(folder)/work"),
                "MergedDir": .string("\(folder)/merged"),
            ]),
        ]
    }

    private func mountDocument(_ mount: ShownMount) -> JSONValue {
        var members: [String: JSONValue] = [
            "Type": .string(mount.kind), "Source": .string(mount.source), "Destination": .string(mount.target),
            "Mode": .string(mount.mode), "RW": .bool(mount.isWritable), "Propagation": .string(mount.propagation),
        ]
        if let name = mount.name {
            members["Name"] = .string(name)
            members["Driver"] = .string("local")
        }
        return .object(members)
    }

    /// What was asked for, and where nothing was said what the image says.
    private func config(
        _ request: ContainerRequest, _ stored: StoredContainer, _ defaults: ContainerDefaults?
    ) -> [String: JSONValue] {
        var config = request.shownConfig
        let service = stored.definition.service
        config["Image"] = .string(service.image)
        config["Labels"] = .object(stored.labels.mapValues { .string($0) })
        config["Env"] = .texts(shownEnvironment(request, service, defaults))
        let entrypoint = service.entrypoint ?? defaults?.entrypoint ?? []
        config["Entrypoint"] = entrypoint.isEmpty ? .null : .texts(entrypoint)
        let command = service.command ?? (service.entrypoint == nil ? defaults?.cmd : nil)
        config["Cmd"] = command.map { .texts($0) } ?? .null
        if let defaults {
            if config["User"] == .string("") { config["User"] = .string(defaults.user) }
            if config["WorkingDir"] == .string("") { config["WorkingDir"] = .string(defaults.workingDir) }
            if config["StopSignal"] == nil { config["StopSignal"] = defaults.stopSignal.map { .string($0) } }
            if config["Shell"] == nil { config["Shell"] = defaults.shell.map { .texts($0) } }
            let volumes = Set(defaults.volumes + Fields(config).namesOrNone("Volumes"))
            config["Volumes"] = volumes.isEmpty ? .null : .empties(volumes)
            if let check = defaults.healthcheck {
                let own = Fields(config).objectOrNone("Healthcheck")
                config["Healthcheck"] = .object(Healthcheck(image: check).docker.merging(own) { _, own in own })
            }
        }
        var exposed = Set(defaults?.exposedPorts ?? []).union(service.expose)
        exposed.formUnion(service.ports.map(\.dockerName))
        if !exposed.isEmpty { config["ExposedPorts"] = .empties(exposed) }
        return config
    }

    /// The container's own, then the image's that it leaves as they are.
    private func shownEnvironment(
        _ request: ContainerRequest, _ service: Service, _ defaults: ContainerDefaults?
    ) -> [String] {
        // It was read when the container was made.
        let asked = (try? request.configFields.texts("Env")) ?? []
        let names = Set(asked.map { $0.prefix { $0 != "=" } })
        return asked + (defaults?.env ?? []).filter { !names.contains($0.prefix { $0 != "=" }) }
    }

    // MARK: - Network

    private func networkSettings(_ container: Container, _ defaults: ContainerDefaults?) -> [String: JSONValue] {
        let stored = container.stored
        let endpoints = shownEndpoints(container)
        var ports: [String: JSONValue] = [:]
        for shown in shownPorts(container, image: defaults) {
            let bindings = shown.bindings.map { address, number in
                JSONValue.object(["HostIp": .string(address), "HostPort": .string("\(number)")])
            }
            ports[shown.port.dockerName] = bindings.isEmpty ? .null : .array(bindings)
        }
        let isUp = container.process != nil
        var settings: [String: JSONValue] = [
            "Bridge": .string(""), "SandboxID": .string(isUp ? derivedID(stored.id) : ""),
            "SandboxKey": .string(isUp && usesOwnNamespace(stored) ? "\(options.namespaceDirectory)/\(stored.id)" : ""),
            "Ports": .object(ports), "HairpinMode": .bool(false), "LinkLocalIPv6Address": .string(""),
            "LinkLocalIPv6PrefixLen": .integer(0), "SecondaryIPAddresses": .null, "SecondaryIPv6Addresses": .null,
        ]
        // Old clients read the default network's at the top.
        let first = endpoints.first { $0.name == NetworkChoice.bridge } ?? ShownEndpoint(name: "", networkID: "")
        settings.merge(addresses(first)) { $1 }
        var members: [String: JSONValue] = [:]
        for endpoint in endpoints { members[endpoint.name] = .object(endpointDocument(endpoint, stored)) }
        settings["Networks"] = .object(members)
        return settings
    }

    private func addresses(_ endpoint: ShownEndpoint) -> [String: JSONValue] {
        [
            "EndpointID": .string(endpoint.endpointID), "Gateway": .string(endpoint.gateway4),
            "IPAddress": .string(endpoint.address4?.address.description ?? ""),
            "IPPrefixLen": .integer(Int64(endpoint.address4?.prefixLength ?? 0)),
            "IPv6Gateway": .string(endpoint.gateway6),
            "GlobalIPv6Address": .string(endpoint.address6?.address.description ?? ""),
            "GlobalIPv6PrefixLen": .integer(Int64(endpoint.address6?.prefixLength ?? 0)),
            "MacAddress": .string(endpoint.mac),
        ]
    }

    private func endpointDocument(_ endpoint: ShownEndpoint, _ stored: StoredContainer) -> [String: JSONValue] {
        var members = addresses(endpoint)
        let wanted = endpoint.wanted
        var configured: [String: JSONValue] = [:]
        configured["IPv4Address"] = wanted?.ipv4Address.map { .string($0) }
        configured["IPv6Address"] = wanted?.ipv6Address.map { .string($0) }
        if let addresses = wanted?.linkLocalIPs, !addresses.isEmpty { configured["LinkLocalIPs"] = .texts(addresses) }
        members["IPAMConfig"] = configured.isEmpty ? .null : .object(configured)
        let links = wanted?.links ?? []
        members["Links"] = links.isEmpty ? .null : .texts(links)
        let aliases = wanted?.aliases ?? []
        members["Aliases"] = aliases.isEmpty ? .null : .texts(aliases)
        members["NetworkID"] = .string(endpoint.networkID)
        members["GwPriority"] = .integer(Int64(wanted?.gatewayPriority ?? 0))
        let options = wanted?.driverOptions ?? [:]
        members["DriverOpts"] = options.isEmpty ? .null : .object(options.mapValues { .string($0) })
        let names = [stored.name] + aliases + [stored.shortID]
        members["DNSNames"] = endpoint.name == NetworkChoice.bridge || wanted == nil ? .null : .texts(names)
        return members
    }
}

extension JSONValue {
    static func texts(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }

    /// `{"80/tcp": {}}`.
    static func empties(_ names: Set<String>) -> JSONValue {
        .object(Dictionary(names.map { ($0, JSONValue.object([:])) }) { first, _ in first })
    }
}

extension Fields {
    /// For what was read before.
    fileprivate func namesOrNone(_ name: String) -> [String] { (try? names(name)) ?? [] }

    /// As above.
    fileprivate func objectOrNone(_ name: String) -> [String: JSONValue] { (try? object(name)?.members) ?? [:] }
}
