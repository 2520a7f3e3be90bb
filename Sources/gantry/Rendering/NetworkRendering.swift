import EngineWire
import StackModel

/// `gantry network graph`: a tree of networks, their containers and what of them is published.
func renderGraph(_ graph: NetworkGraph) -> String {
    if graph.networks.isEmpty { return "There are no networks.\n" }
    return graph.networks.map { network in
        var facts = [network.driver] + network.subnets
        if network.isInternal { facts.append("internal") }
        if let bridge = network.bridge { facts.append(bridge) }
        let services = network.services.map { "\($0.service) = \($0.addresses.joined(separator: ", "))" }
        let members = network.members.map { member in
            let state = member.running ? "" : ", not running"
            let route = member.isGateway ? ", default route" : ""
            let addresses = member.addresses.joined(separator: ", ")
            let ports = portsText(member.ports)
            return "\(member.container)  \(addresses) (\(member.interface)\(route)\(state))"
                + (ports.isEmpty ? "" : "  \(ports)")
        }
        let lines = services + members
        return "\(harmless(network.name)) (\(harmless(facts.joined(separator: ", "))))\n"
            + lines.enumerated().map { index, line in
                "\(index + 1 == lines.count ? "└─" : "├─") \(harmless(line))\n"
            }.joined()
    }.joined()
}

/// The same for Graphviz: networks are ellipses, containers boxes.
func renderGraphDot(_ graph: NetworkGraph) -> String {
    var lines = ["graph networks {", "  node [shape=box];"]
    var seen: Set<String> = []
    for network in graph.networks {
        let name = dotText("network " + network.name)
        lines.append(
            "  \(name) [shape=ellipse, label=\(dotText(([network.name] + network.subnets).joined(separator: "\\n")))];")
        for member in network.members {
            let container = dotText(member.container)
            if seen.insert(member.container).inserted {
                lines.append("  \(container) [style=\(member.running ? "solid" : "dashed")];")
            }
            lines.append("  \(name) -- \(container) [label=\(dotText(member.addresses.joined(separator: "\\n")))];")
            if !member.ports.isEmpty {
                lines.append("  \(dotText("host")) -- \(container) [label=\(dotText(portsText(member.ports)))];")
            }
        }
    }
    return (lines + ["}"]).joined(separator: "\n") + "\n"
}

/// In quotes; `\n` stays the line break that DOT takes it for.
private func dotText(_ text: String) -> String {
    "\"" + harmless(text).split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
}

func graphJSON(_ graph: NetworkGraph) -> JSONText {
    .array(
        graph.networks.map { network in
            .object([
                ("Name", .string(network.name)), ("Driver", .string(network.driver)),
                ("Stack", .string(network.stack)), ("Subnets", strings(network.subnets)),
                ("Internal", .bool(network.isInternal)), ("Bridge", .optional(network.bridge)),
                (
                    "Services",
                    .array(
                        network.services.map {
                            .object([("Service", .string($0.service)), ("Addresses", strings($0.addresses))])
                        })
                ),
                ("Containers", .array(network.members.map(memberJSON))),
            ])
        })
}

private func memberJSON(_ member: NetworkGraph.Member) -> JSONText {
    .object([
        ("Name", .string(member.container)), ("Service", .string(member.service)), ("Running", .bool(member.running)),
        ("Interface", .string(member.interface)), ("Addresses", strings(member.addresses)),
        ("DefaultRoute", .bool(member.isGateway)),
        (
            "Ports",
            .array(
                member.ports.map { port in
                    .object([
                        ("HostIP", .string(port.hostIP)), ("PublishedPort", .number(Int(port.published))),
                        ("TargetPort", .number(Int(port.target))), ("Protocol", .string(port.transport.rawValue)),
                    ])
                })
        ),
    ])
}

private func strings(_ texts: [String]) -> JSONText { .array(texts.map { .string($0) }) }

private func map(_ values: [String: String]) -> JSONText {
    .object(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
}

/// One network as `docker network inspect` shows it.
func networkJSON(_ network: NetworkInspect) -> JSONText {
    let config = (network.IPAM.Config ?? []).map { entry in
        var members: [(String, JSONText)] = []
        for (key, value) in [("Subnet", entry.Subnet), ("IPRange", entry.IPRange), ("Gateway", entry.Gateway)] {
            if let value { members.append((key, .string(value))) }
        }
        if let auxiliary = entry.AuxiliaryAddresses { members.append(("AuxiliaryAddresses", map(auxiliary))) }
        return JSONText.object(members)
    }
    let containers = network.Containers.sorted { $0.key < $1.key }.map { id, member in
        (
            id,
            JSONText.object([
                ("Name", .string(member.Name)), ("EndpointID", .string(member.EndpointID)),
                ("MacAddress", .string(member.MacAddress)), ("IPv4Address", .string(member.IPv4Address)),
                ("IPv6Address", .string(member.IPv6Address)),
            ])
        )
    }
    return .object([
        ("Name", .string(network.Name)), ("Id", .string(network.Id)), ("Created", .string(network.Created)),
        ("Scope", .string(network.Scope)), ("Driver", .string(network.Driver)),
        ("EnableIPv4", .bool(network.EnableIPv4)), ("EnableIPv6", .bool(network.EnableIPv6)),
        (
            "IPAM",
            .object([
                ("Driver", .string(network.IPAM.Driver ?? "default")), ("Options", map(network.IPAM.Options ?? [:])),
                ("Config", .array(config)),
            ])
        ),
        ("Internal", .bool(network.Internal)), ("Attachable", .bool(network.Attachable)),
        ("Ingress", .bool(network.Ingress)),
        ("ConfigFrom", .object([("Network", .string(network.ConfigFrom.Network))])),
        ("ConfigOnly", .bool(network.ConfigOnly)), ("Containers", .object(containers)),
        ("Options", map(network.Options)), ("Labels", map(network.Labels)),
    ])
}
