import ContainerNetwork
import ContainerRuntime
import DockerTranslation
import InternetAddress
import LinuxSystem
import Logging
import NameServer
import NetworkService
import Reconciler
import StackModel

/// Making, mending and removing networks. What the kernel has is made to fit the records, never the other way round.
extension Engine {
    func createNetwork(_ key: String, stack: Stack) async throws(EngineError) {
        let name = stack.networkName(key)
        guard let definition = stack.networks[key], !definition.external else { return }
        try refuseBuildNetwork(name)
        if let existing = networks[name] {
            guard existing.stackName == stack.name else {
                let owner =
                    existing.stackName.isEmpty ? "was not made by a stack" : "is stack '\(existing.stackName)''s"
                throw .conflict("network \(name) exists and \(owner); say 'external: true' to use it")
            }
            return try await repairNetwork(name)
        }
        _ = try await makeNetwork(name, stack: stack.name, key: key, definition)
    }

    /// Makes a network and its record.
    func makeNetwork(
        _ name: String, stack: String, key: String, _ definition: Network
    ) async throws(EngineError) -> StoredNetwork {
        let design = try NetworkDesign(name: name, definition: definition)
        guard design.driver.hasInterfaces else {
            throw .badRequest("network \(name): there is one network '\(design.driver.rawValue)' only, and it is there")
        }
        for warning in design.warnings {
            log.warning("network option", metadata: ["network": "\(name)", "what": "\(warning)"])
        }
        let host = try await networkHost()
        try await checkInterface(design)
        let bridge = try design.spec(bridge: "gn-\(fnv1aHex(options.dataRoot + "/" + name))", host: host)
        guard networks[name] == nil else { throw .conflict("network \(name) exists already") }
        // Another one may have taken the subnet while the kernel was asked for its routes.
        guard !networks.values.contains(where: { $0.bridge.overlaps(bridge) }) else {
            return try await makeNetwork(name, stack: stack, key: key, definition)
        }
        let record = StoredNetwork(
            id: name == NetworkChoice.bridge ? derivedID(options.dataRoot + name) : randomID(), name: name,
            stackName: stack, key: key, definition: definition, bridge: bridge,
            createdAt: Clock.now())
        networks[name] = record
        do throws(EngineError) {
            try save(record)
            if record.hasBridge {
                try await onNetwork { network throws(NetworkError) in
                    try network.ensureBridge(bridge)
                    if !bridge.isInternal { try network.openUplinks() }
                }
            }
        } catch {
            await discardNetwork(record)
            throw error
        }
        announce(type: "network", "create", name: name, stack: stack)
        await refreshEndpoints()
        return record
    }

    private func networkHost() async throws(EngineError) -> NetworkDesign.Host {
        let (routes, mtu) = try await onNetwork { network throws(NetworkError) in
            (try network.hostRoutes(), try network.uplinkMTU())
        }
        // A machine without an id has prefixes after its folder alone, which is private addresses all the same.
        let machine = (try? FileSystem.readFile("/etc/machine-id")) ?? []
        return NetworkDesign.Host(
            routes: routes, networks: networks.values.flatMap { $0.bridge.subnets.map(\.range) }, mtu: mtu,
            seed: machine + Array(options.dataRoot.utf8))
    }

    /// An interface that a user names is not another's, and one that a network is to lie on is there.
    private func checkInterface(_ design: NetworkDesign) async throws(EngineError) {
        if design.driver == .bridge, let bridge = design.options.bridgeName {
            if let other = networks.values.first(where: { $0.bridge.bridge == bridge }) {
                throw .conflict("network \(design.name): interface \(bridge) is network \(other.name)'s")
            }
            let alias = try await onNetwork { network throws(NetworkError) in
                try network.interfaceAlias(of: bridge)
            }
            guard alias?.hasPrefix("\(options.tableName):") ?? true else {
                throw .conflict("network \(design.name): the host has an interface \(bridge) already; use another name")
            }
        }
        guard let parent = design.options.parent, design.driver != .bridge else { return }
        let alias = try await onNetwork { network throws(NetworkError) in try network.interfaceAlias(of: parent) }
        guard alias != nil else {
            throw .diagnostics([
                Diagnostic(
                    code: "network.no-parent", "network \(design.name): the host has no interface '\(parent)'",
                    hint: parentHint(parent))
            ])
        }
    }

    private func parentHint(_ parent: String) -> String {
        let parts = parent.split(separator: ".")
        guard parts.count == 2, let number = Int(parts[1]) else { return "`ip link` lists the interfaces" }
        return "make it with `ip link add link \(parts[0]) name \(parent) type vlan id \(number)`"
    }

    private func discardNetwork(_ record: StoredNetwork) async {
        networks[record.name] = nil
        do {
            if record.hasBridge {
                try await onNetwork { network throws(NetworkError) in try network.removeBridge(record.bridge.bridge) }
            }
            try store.delete(record)
        } catch {
            log.error("half-made network not removed", metadata: ["network": "\(record.name)", "error": "\(error)"])
        }
    }

    func repairNetwork(_ name: String) async throws(EngineError) {
        guard let record = networks[name] else { return }
        if record.hasBridge {
            try await onNetwork { network throws(NetworkError) in try network.ensureBridge(record.bridge) }
        }
        // A bridge that was deleted has lost its ports: put every attachment back.
        for container in containers.values where container.process != nil {
            guard container.stored.attachments.contains(where: { $0.network == name }) else { continue }
            try await prepareNetwork(container.stored)
        }
        await look(at: Set(users(ofNetwork: name).map(\.id)))
        await lookAtBridges()
        await refreshEndpoints(force: true)
    }

    func removeNetwork(_ name: String) async throws(EngineError) {
        guard let record = networks[name] else { return }
        guard buildUsers[name] == nil else {
            throw .conflict("network \(name) is used by a build that is under way")
        }
        let all = users(ofNetwork: name)
        let users = all.filter { !isIdle($0) }
        guard users.isEmpty else {
            throw .diagnostics([
                Diagnostic(
                    code: "network.in-use",
                    "network \(name) is used by \(users.map(\.name).joined(separator: ", "))",
                    hint: "remove these containers, or take them off it with `gantry network disconnect`")
            ])
        }
        // As with Docker: a client's container that does not run holds no network, and looks for it when it is started.
        for stored in all {
            guard let place = stored.attachments.first(where: { $0.network == name }) else { continue }
            try giveUp(place, of: stored.id)
        }
        if record.hasBridge {
            try await onNetwork { network throws(NetworkError) in try network.removeBridge(record.bridge.bridge) }
        }
        let freed = serviceAddresses.values.filter { $0.network == name }
        do throws(DatabaseError) { try store.save([], deleting: [record] + freed) } catch { throw .database(error) }
        for entry in freed { serviceAddresses[entry.recordID] = nil }
        // While it is still known by its id.
        announce(type: "network", "destroy", name: name, stack: record.stackName)
        networks[name] = nil
        addressPools[name] = nil
        await refreshEndpoints()
    }

    /// Containers with an interface on the network, running or not, by name.
    func users(ofNetwork name: String) -> [StoredContainer] {
        containers.values.map(\.stored).filter { $0.attachments.contains { $0.network == name } }
            .sorted { $0.name < $1.name }
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
