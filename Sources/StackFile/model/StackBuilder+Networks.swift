import InternetAddress
import StackModel

extension StackBuilder {
    func network(_ entry: Mapping.Entry, derivedName: String) -> Network {
        let node = entry.value
        var network = Network()
        network.name = engineName(node, derivedName: derivedName)
        network.driver = node["driver"]?.text
        network.driverOptions = stringMap(node["driver_opts"])
        network.external = node["external"]?.flag ?? false
        network.isInternal = node["internal"]?.flag ?? false
        network.attachable = node["attachable"]?.flag ?? false
        network.enableIPv4 = node["enable_ipv4"]?.flag
        network.enableIPv6 = node["enable_ipv6"]?.flag ?? false
        network.ipamDriver = node.at("ipam", "driver")?.text
        network.ipamOptions = stringMap(node.at("ipam", "options"))
        network.labels = stringMap(node["labels"])
        var ranges: [(range: CIDR, node: Node)] = []
        network.subnets = (node.at("ipam", "config")?.items ?? []).map { item in
            var subnet = Subnet(subnet: item["subnet"]?.text, gateway: item["gateway"]?.text)
            subnet.ipRange = item["ip_range"]?.text
            subnet.auxiliaryAddresses = stringMap(item["aux_addresses"])
            checkPool(item, enablesIPv6: network.enableIPv6, earlier: &ranges)
            return subnet
        }
        if !network.external { checkDriver(node, network, name: entry.key, at: entry.keyMark) }
        return network
    }

    private func checkDriver(_ node: Node, _ network: Network, name: String, at mark: SourceMark) {
        if let driver = node["driver"], let text = driver.text, NetworkDriver(named: text) == nil {
            let hint =
                text == "overlay"
                ? "this engine has one host and no swarm: use 'bridge'"
                : "use bridge, macvlan, ipvlan, host or none"
            report.unusable(
                "stack.unsupported", "network '\(name)': there is no driver '\(text)' here", at: driver.mark, hint: hint
            )
            return
        }
        if let driver = node.at("ipam", "driver"), let text = driver.text, text != "default", !text.isEmpty {
            report.unusable(
                "stack.unsupported", "network '\(name)': addresses cannot be handed out by '\(text)'", at: driver.mark,
                hint: "leave 'ipam.driver' out: the engine hands them out itself")
        }
        if !network.hasIPv4, !network.enableIPv6 {
            report.unusable(
                "stack.conflict", "network '\(name)' has neither IPv4 nor IPv6", at: node["enable_ipv4"]?.mark ?? mark,
                hint: "say 'enable_ipv6: true', or leave 'enable_ipv4' out")
        }
        for problem in NetworkOptions(network).problems {
            let place = node["driver_opts"]?.mapping?.keyMark(problem.option) ?? node["driver"]?.mark ?? mark
            let message = "network '\(name)': \(problem.message)"
            if problem.isError {
                report.unusable("stack.value", message, at: place, hint: problem.hint)
            } else {
                report.warning("stack.ignored-key", message, at: place, hint: problem.hint)
            }
        }
    }

    /// One entry of `ipam.config`: everything lies within its subnet, which overlaps no other.
    private func checkPool(_ item: Node, enablesIPv6: Bool, earlier: inout [(range: CIDR, node: Node)]) {
        let range = checkPrefix(item["subnet"])
        let part = checkPrefix(item["ip_range"])
        let addresses = [item["gateway"]].compactMap { $0 } + (item["aux_addresses"]?.entries ?? []).map(\.value)
        for node in addresses { checkAddress(node, report) }
        guard let range, let subnet = item["subnet"] else { return }
        if range.isV6, !enablesIPv6 {
            report.warning(
                "stack.ignored-key", "subnet \(range) is not used, because the network has no IPv6", at: subnet.mark,
                hint: "say 'enable_ipv6: true' for the network")
        }
        if let part, let node = item["ip_range"], !range.contains(part) {
            report.unusable("stack.value", "ip_range \(part) is not within subnet \(range)", at: node.mark)
        }
        for node in addresses {
            guard let address = node.text.flatMap({ IPAddress($0) }), !range.contains(address) else { continue }
            report.unusable("stack.value", "address \(address) is not in subnet \(range)", at: node.mark)
        }
        if let other = earlier.first(where: { $0.range.overlaps(range) }) {
            report.unusable(
                "stack.conflict", "subnet \(range) overlaps \(other.range)", at: subnet.mark,
                notes: [.init("the other subnet", at: other.node.mark)])
        }
        earlier.append((range, subnet))
    }

    /// `ADDRESS/BITS`
    private func checkPrefix(_ node: Node?) -> CIDR? {
        guard let node, let text = node.text else { return nil }
        if let range = CIDR(text) { return range }
        report.unusable(
            "stack.value", "'\(text)' is not a network prefix", at: node.mark,
            hint: "write an address and a length, for example 10.20.0.0/24")
        return nil
    }

    // MARK: - Attachments

    /// Addresses and names that services ask for, against the networks that they ask it of.
    func checkAttachments(_ document: Node, _ stack: Stack) {
        for service in document["services"]?.entries ?? [] where stack.services[service.key] != nil {
            var interfaces: [String: SourceMark] = [:]
            for entry in service.value["networks"]?.entries ?? [] where entry.value.mapping != nil {
                checkStaticAddress(entry, key: "ipv4_address", isV6: false, stack)
                checkStaticAddress(entry, key: "ipv6_address", isV6: true, stack)
                checkLinkLocal(entry.value["link_local_ips"])
                checkMAC(entry.value["mac_address"])
                checkInterface(entry.value["interface_name"], service: service.key, &interfaces)
                checkDriverOptions(entry.value["driver_opts"])
            }
            checkMAC(service.value["mac_address"])
            checkReplicas(service, stack)
        }
    }

    private func checkStaticAddress(_ entry: Mapping.Entry, key: String, isV6: Bool, _ stack: Stack) {
        guard let node = entry.value[key], let text = node.text else { return }
        guard let address = IPAddress(text) else { return checkAddress(node, report) }
        guard address.isV6 == isV6 else {
            report.unusable("stack.value", "'\(text)' is no \(isV6 ? "IPv6" : "IPv4") address", at: node.mark)
            return
        }
        guard let network = stack.networks[entry.key], !network.external else { return }
        guard isV6 ? network.enableIPv6 : network.hasIPv4 else {
            report.unusable(
                "stack.conflict", "network '\(entry.key)' has no \(isV6 ? "IPv6" : "IPv4") addresses", at: node.mark,
                hint: isV6 ? "say 'enable_ipv6: true' for it" : "leave 'enable_ipv4' out of it")
            return
        }
        let subnets = network.subnets.compactMap { $0.subnet.flatMap { CIDR($0) } }.filter { $0.isV6 == isV6 }
        if subnets.isEmpty {
            report.unusable(
                "stack.conflict", "address \(address) is fixed, but the subnet of network '\(entry.key)' is not",
                at: node.mark, hint: "give the network a subnet under 'ipam.config'")
        } else if !subnets.contains(where: { $0.contains(address) }) {
            let list = subnets.map(\.description).joined(separator: ", ")
            report.unusable(
                "stack.value", "address \(address) is not in a subnet of network '\(entry.key)' (\(list))",
                at: node.mark)
        } else if network.subnets.contains(where: { $0.gateway.flatMap { IPAddress($0) } == address }) {
            report.unusable(
                "stack.conflict", "address \(address) is the gateway of network '\(entry.key)'", at: node.mark)
        }
    }

    /// Docker takes any address here, and so do the examples of the Compose Specification.
    private func checkLinkLocal(_ node: Node?) {
        for item in node?.items ?? [] { checkAddress(item, report) }
    }

    private func checkMAC(_ node: Node?) {
        guard let node, let text = node.text, MACAddress(text) == nil else { return }
        report.unusable(
            "stack.value", "'\(text)' is no MAC address that an interface can have", at: node.mark,
            hint: "write six bytes, the first one even, for example 02:42:ac:11:00:02")
    }

    private func checkInterface(_ node: Node?, service: String, _ seen: inout [String: SourceMark]) {
        guard let node, let text = node.text else { return }
        if !isInterfaceName(text) || text == "lo" {
            report.unusable(
                "stack.value", "'\(text)' is no name that an interface can have", at: node.mark,
                hint: "use at most 15 of a-z, A-Z, 0-9, - and _")
        } else if let first = seen.updateValue(node.mark, forKey: text) {
            report.unusable(
                "stack.conflict", "service '\(service)' has two interfaces named '\(text)'", at: node.mark,
                notes: [.init("the other one", at: first)])
        }
    }

    private func checkDriverOptions(_ node: Node?) {
        for entry in node?.entries ?? [] {
            guard entry.key == NetworkAttachment.parametersOption else {
                report.warning(
                    "stack.ignored-key", "option '\(entry.key)' of an attachment has no effect", at: entry.keyMark,
                    hint: "known is \(NetworkAttachment.parametersOption)")
                continue
            }
            guard let text = entry.value.text, NetworkAttachment.parameters(from: text) == nil else { continue }
            report.unusable(
                "stack.value", "'\(text)' is no list of kernel parameters of an interface", at: entry.value.mark,
                hint: "write net.ipv4.conf.IFNAME.NAME=VALUE, with commas between several")
        }
    }

    /// A fixed address goes to one container.
    private func checkReplicas(_ service: Mapping.Entry, _ stack: Stack) {
        guard let count = stack.services[service.key]?.replicas, count > 1 else { return }
        for entry in service.value["networks"]?.entries ?? [] {
            for key in ["ipv4_address", "ipv6_address", "mac_address"] {
                guard let node = entry.value[key] else { continue }
                report.warning(
                    "stack.conflict", "service '\(service.key)' has \(count) replicas but one '\(key)'", at: node.mark,
                    hint: "remove '\(key)', or run one replica")
            }
        }
    }

    // MARK: - The host's network and none

    /// Networks that stand for the host's own, or for none: services on them have it as their `network_mode`.
    func useHostNetworks(_ document: Node, _ stack: inout Stack) {
        for (name, service) in stack.services where service.networkMode == nil {
            for key in service.networks.keys.sorted() {
                guard let mode = stack.networks[key].flatMap(hostMode) else { continue }
                if service.networks.count > 1 {
                    report.unusable(
                        "stack.conflict", "service '\(name)' cannot be on network '\(key)' and on others",
                        at: document.at("services", name, "networks")?.mapping?.keyMark(key)
                            ?? document.at("services", name)?.mark,
                        hint: "'\(key)' is \(mode == "host" ? "the host's own network" : "no network at all")")
                }
                stack.services[name]?.networkMode = mode
                stack.services[name]?.networks = [:]
            }
        }
    }

    private func hostMode(_ network: Network) -> String? {
        if network.external { return ["host", "none"].first { $0 == network.name } }
        switch NetworkDriver(named: network.driver) {
        case .host: return "host"
        case NetworkDriver.none?: return "none"
        default: return nil
        }
    }
}
