import ContainerNetwork
import DockerTranslation
import EngineWire
import InternetAddress
import Reconciler
import StackModel

/// Networks as objects of their own: what `gantry network` and Docker's clients ask for.
extension Engine {
    private static let builtIn = ["host", "none"]
    private static let bridgeStays = "bridge is a pre-defined network and cannot be removed"

    /// `bridge` is made when the first container needs it.
    private var alwaysThere: [String] {
        Self.builtIn + (networks[NetworkChoice.bridge] == nil ? [NetworkChoice.bridge] : [])
    }

    public func createNetwork(_ request: NetworkCreateRequest) async throws(EngineError) -> NetworkCreateReply {
        let name = request.Name
        let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.- ")
        guard let first = name.first, first != " ", name.last != " ", name.allSatisfy(allowed.contains),
            name.utf8.count <= 128
        else {
            throw .badRequest(
                "invalid network name '\(name)': use letters, digits, '_', '.', '-', and spaces between them")
        }
        guard !Self.builtIn.contains(name), name != "bridge", name != "default" else {
            throw .badRequest("the name '\(name)' is taken: it stands for a network that is always there")
        }
        try refuseBuildNetwork(name)
        guard networks[name] == nil else { throw .conflict("network with name \(name) already exists") }
        if let scope = request.Scope, !scope.isEmpty, scope != "local" {
            throw .badRequest("network \(name): there is no scope '\(scope)' on a single host")
        }
        guard request.Ingress != true else { throw .badRequest("network \(name): ingress networks are a swarm's") }
        guard request.ConfigOnly != true, request.ConfigFrom?.Network?.isEmpty ?? true else {
            throw .badRequest("network \(name): networks that are definitions alone are not supported")
        }
        let definition = Self.definition(request)
        let design = try NetworkDesign(name: name, definition: definition)
        let record = try await makeNetwork(name, stack: "", key: "", definition)
        return NetworkCreateReply(Id: record.id, Warning: design.warnings.joined(separator: "; "))
    }

    private static func definition(_ request: NetworkCreateRequest) -> Network {
        var definition = Network()
        definition.driver = request.Driver.flatMap { $0.isEmpty ? nil : $0 }
        definition.driverOptions = request.Options ?? [:]
        definition.isInternal = request.Internal ?? false
        definition.attachable = request.Attachable ?? true
        definition.enableIPv4 = request.EnableIPv4
        definition.enableIPv6 = request.EnableIPv6 ?? false
        definition.ipamDriver = request.IPAM?.Driver
        definition.ipamOptions = request.IPAM?.Options ?? [:]
        definition.labels = request.Labels ?? [:]
        definition.subnets = (request.IPAM?.Config ?? []).map { entry in
            func said(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
            var subnet = Subnet(subnet: said(entry.Subnet), gateway: said(entry.Gateway))
            subnet.ipRange = said(entry.IPRange)
            subnet.auxiliaryAddresses = entry.AuxiliaryAddresses ?? [:]
            return subnet
        }
        return definition
    }

    // MARK: - Looking

    /// By name; those that the filters `values` let through, without their containers.
    public func listNetworks(_ values: [String: [String]]) throws(EngineError) -> [NetworkInspect] {
        let filters = try NetworkFilters(values)
        let own = networks.values.filter { record in
            filters.matches(
                inspect(record), isBuiltIn: record.name == NetworkChoice.bridge, isUsed: isUsed(record),
                createdAt: record.createdAt)
        }.map { inspect($0) }
        let always = alwaysThere.map { inspectBuiltIn($0) }.filter {
            filters.matches($0, isBuiltIn: true, isUsed: true, createdAt: 0)
        }
        return (own + always).map { network in
            var network = network
            network.Containers = [:]
            return network
        }.sorted { $0.Name < $1.Name }
    }

    public func inspectNetwork(_ reference: String) throws(EngineError) -> NetworkInspect {
        for name in alwaysThere {
            let network = inspectBuiltIn(name)
            if reference == name || (reference.utf8.count >= 12 && network.Id.hasPrefix(reference)) { return network }
        }
        return inspect(try storedNetwork(reference))
    }

    /// By name, id or the beginning of an id.
    func storedNetwork(_ reference: String) throws(EngineError) -> StoredNetwork {
        if let record = networks[reference] { return record }
        let matches = reference.isEmpty ? [] : networks.values.filter { $0.id.hasPrefix(reference) }
        guard let match = matches.first else {
            if Self.builtIn.contains(reference) {
                throw .badRequest("network '\(reference)' is always there and cannot be changed")
            }
            if reference == NetworkChoice.bridge { throw .answered(403, Self.bridgeStays) }
            throw .networkNotFound(reference)
        }
        guard matches.count == 1 else { throw .badRequest("network id prefix '\(reference)' is not unique") }
        return match
    }

    private func inspect(_ record: StoredNetwork) -> NetworkInspect {
        let definition = record.definition
        let config = record.bridge.subnets.map { subnet in
            let declaration = record.declaration(of: subnet)
            let auxiliary = declaration?.auxiliaryAddresses ?? [:]
            return NetworkIPAM.Config(
                Subnet: subnet.range.description, IPRange: declaration?.ipRange,
                Gateway: (subnet.gateway ?? record.router(of: subnet))?.description,
                AuxiliaryAddresses: auxiliary.isEmpty ? nil : auxiliary)
        }
        var labels = definition.labels
        if !record.stackName.isEmpty {
            labels[ComposeLabel.project] = record.stackName
            labels["com.docker.compose.network"] = record.key
        }
        var members: [String: NetworkInspect.Member] = [:]
        for container in containers.values where container.process != nil {
            guard let attachment = container.stored.attachments.first(where: { $0.network == record.name }) else {
                continue
            }
            members[container.stored.id] = member(container.stored, attachment)
        }
        return NetworkInspect(
            Name: record.name, Id: record.id, Created: rfc3339(record.createdAt), Driver: record.driver.rawValue,
            EnableIPv4: definition.hasIPv4, EnableIPv6: definition.enableIPv6,
            IPAM: NetworkIPAM(
                Driver: "default", Options: definition.ipamOptions.isEmpty ? nil : definition.ipamOptions,
                Config: config),
            Internal: definition.isInternal, Attachable: definition.attachable, Containers: members,
            Options: definition.driverOptions, Labels: labels)
    }

    private func member(
        _ stored: StoredContainer, _ attachment: StoredContainer.Attachment
    ) -> NetworkInspect.Member {
        let interface = attachment.interface
        func text(isV6: Bool) -> String {
            interface.addresses.first { $0.address.isV6 == isV6 && !$0.address.isLinkLocalUnicast }
                .map { "\($0.address)/\($0.prefixLength)" } ?? ""
        }
        return NetworkInspect.Member(
            Name: stored.name, EndpointID: derivedID(stored.id + attachment.network),
            MacAddress: interface.mac?.description ?? "", IPv4Address: text(isV6: false),
            IPv6Address: text(isV6: true))
    }

    private func inspectBuiltIn(_ name: String) -> NetworkInspect {
        var members: [String: NetworkInspect.Member] = [:]
        for container in containers.values where container.process != nil && container.stored.networkMode == name {
            let stored = container.stored
            members[stored.id] = NetworkInspect.Member(
                Name: stored.name, EndpointID: derivedID(stored.id + name), MacAddress: "", IPv4Address: "",
                IPv6Address: "")
        }
        return NetworkInspect(
            Name: name, Id: derivedID(options.dataRoot + name), Created: rfc3339(0),
            Driver: name == "none" ? "null" : name, EnableIPv4: true, EnableIPv6: false,
            IPAM: NetworkIPAM(Driver: "default", Options: [:], Config: []), Containers: members)
    }

    /// 64 hex digits that are always the same for the same text.
    func derivedID(_ text: String) -> String { (0..<8).map { fnv1aHex("\($0):\(text)") }.joined() }

    // MARK: - Removing

    /// - Parameter force: also a network of a stack.
    public func removeNetwork(_ reference: String, force: Bool) async throws(EngineError) {
        let record = try storedNetwork(reference)
        guard record.name != NetworkChoice.bridge else { throw .answered(403, Self.bridgeStays) }
        if !record.stackName.isEmpty, !force, stacks[record.stackName]?.record.active == true {
            throw .diagnostics([
                Diagnostic(
                    code: "network.of-stack", "network \(record.name) belongs to stack '\(record.stackName)'",
                    hint: "take the stack down with `gantry -p \(record.stackName) down`, or use --force")
            ])
        }
        try await removeNetwork(record.name)
    }

    /// Removes what nobody uses and no stack that is up wants; answers the names.
    public func pruneNetworks(_ values: [String: [String]]) async throws(EngineError) -> [String] {
        let filters = try NetworkFilters(values)
        let unused = networks.values.filter { record in
            !isUsed(record) && record.name != NetworkChoice.bridge && stacks[record.stackName]?.record.active != true
                && filters.matches(inspect(record), isBuiltIn: false, isUsed: false, createdAt: record.createdAt)
        }.map(\.name).sorted()
        for name in unused { try await removeNetwork(name) }
        announcePrune("network", byteCount: 0)
        return unused
    }
}
