import ContainerNetwork
import InternetAddress

func judgeNetwork(_ network: HostFacts.Network) -> [Finding] {
    judgeUplinks(network.uplinks) + judgeForwarding(network) + judgeBridges(network) + judgeConflicts(network)
        + judgeBridgeFilter(network)
}

private func judgeUplinks(_ uplinks: [HostFacts.Uplink]) -> [Finding] {
    guard !uplinks.isEmpty else {
        return [
            Finding(
                .warning, "network.uplink", .network, "there is no default route",
                meaning: "neither this host nor its containers reach other networks",
                mend: ["ip route add default via GATEWAY dev INTERFACE"])
        ]
    }
    return uplinks.map { uplink in
        let about = "\(uplink.name) leads out, MTU \(uplink.mtu)"
        // RFC 8200 section 5.
        if uplink.mtu < 1280 {
            return Finding(
                .warning, "network.mtu", .network, about,
                meaning: "IPv6 needs 1280 bytes: networks that take over this MTU have no IPv6",
                mend: ["ip link set \(uplink.name) mtu 1400", "or give networks an MTU of their own (driver_opts)"])
        }
        if uplink.mtu < 1500 {
            return Finding(
                .note, "network.mtu", .network, about,
                meaning: "smaller than Ethernet's 1500: networks of Gantry take it over")
        }
        return Finding(.ok, "network.mtu", .network, about)
    }
}

private func judgeForwarding(_ network: HostFacts.Network) -> [Finding] {
    var findings: [Finding] = []
    if let isOn = network.forwardsGlobally4 {
        findings.append(
            Finding(
                .ok, "network.forwarding", .network,
                isOn
                    ? "IPv4 forwarding is on for the whole host"
                    : "IPv4 forwarding is off for the whole host; Gantry switches it on per interface"))
    }
    guard network.hasIPv6 else {
        return findings + [
            Finding(
                .note, "network.ipv6", .network, "the kernel has IPv6 switched off",
                meaning: "networks have IPv4 only", mend: ["boot without `ipv6.disable=1`"])
        ]
    }
    if network.forwardsGlobally6 == false, !network.hasForceForwarding6 {
        findings.append(
            Finding(
                .note, "network.forwarding6", .network,
                "IPv6 can be forwarded by this kernel only for the whole host, which it is not",
                meaning: "networks with IPv6 reach each other and the host; for the outside they need the switch",
                mend: [
                    "sysctl -w net.ipv6.conf.all.forwarding=1"
                        + " (with router advertisements also net.ipv6.conf.UPLINK.accept_ra=2)",
                    "or a kernel of 6.17 or later, where Gantry switches it per interface",
                ]))
    } else {
        findings.append(
            Finding(
                .ok, "network.forwarding6", .network,
                network.forwardsGlobally6 == true
                    ? "IPv6 forwarding is on for the whole host" : "IPv6 forwards per interface (force_forwarding)"))
    }
    return findings
}

private func judgeBridges(_ network: HostFacts.Network) -> [Finding] {
    network.bridges.flatMap { bridge -> [Finding] in
        var findings: [Finding] = []
        if !bridge.isUp {
            findings.append(
                Finding(
                    .problem, "network.bridge", .network, "bridge \(bridge.name) of network \(bridge.network) is down",
                    meaning: "its containers reach nobody",
                    mend: ["start the engine, which puts it right: gantry ls", "ip link set \(bridge.name) up"]))
        }
        // Internal networks do not forward: told apart by having no way that anybody could miss.
        return findings
    }
}

private func judgeConflicts(_ network: HostFacts.Network) -> [Finding] {
    var findings: [Finding] = []
    for bridge in network.bridges {
        for subnet in bridge.subnets {
            for route in network.routes where route.range.overlaps(subnet) && route.range.isV6 == subnet.isV6 {
                let wins = route.range.prefixLength >= subnet.prefixLength
                findings.append(
                    Finding(
                        wins ? .problem : .warning, "network.conflict", .network,
                        "network \(bridge.network) (\(subnet)) overlaps the route to \(route.range) by "
                            + route.interface,
                        meaning: wins
                            ? "answers to its containers may leave by \(route.interface)"
                            : "what is behind \(route.interface) in this range is not reached from this host",
                        mend: [
                            "take its stack down and up: Gantry then chooses a free subnet (gantry down; gantry up)",
                            "or choose one in the stack file: networks: NAME: ipam: config: - subnet: …",
                        ]))
            }
        }
    }
    if findings.isEmpty, !network.bridges.isEmpty {
        findings.append(
            Finding(
                .ok, "network.conflict", .network,
                "\(network.bridges.count) network\(network.bridges.count == 1 ? "" : "s"), no address conflicts"))
    }
    return findings
}

private func judgeBridgeFilter(_ network: HostFacts.Network) -> [Finding] {
    guard network.filtersBridges == true else { return [] }
    return [
        Finding(
            .note, "network.br-netfilter", .network, "bridged packets pass the firewall too (br_netfilter)",
            meaning: "rules of others for forwarded packets also hit containers of one network among each other",
            mend: ["if nobody needs it (Docker, Kubernetes do): sysctl -w net.bridge.bridge-nf-call-iptables=0"])
    ]
}

// MARK: firewall

func judgeFirewall(_ firewall: HostFacts.Firewall, isRoot: Bool) -> [Finding] {
    var findings: [Finding] = []
    if let blocks = firewall.blocks {
        findings += blocks.map { judgeBlock($0, firewall) }
        if blocks.isEmpty, firewall.legacyForwardDrops != true {
            findings.append(
                Finding(.ok, "firewall.blocked", .firewall, "no other firewall blocks forwarded connections"))
        }
    } else {
        findings.append(
            Finding(
                .note, "firewall.unread", .firewall, "the rule set cannot be read by this user",
                meaning: isRoot ? "this process lacks CAP_NET_ADMIN" : "only root may; a rootless engine has its own",
                mend: isRoot ? [] : ["sudo gantry doctor"]))
    }
    if !firewall.legacyTables.isEmpty { findings.append(judgeLegacy(firewall)) }
    return findings
}

private func judgeLegacy(_ firewall: HostFacts.Firewall) -> Finding {
    let tables = firewall.legacyTables.sorted().joined(separator: ", ")
    guard firewall.legacyForwardDrops == true else {
        return Finding(
            .note, "firewall.legacy", .firewall, "tables of the older iptables are in use: \(tables)",
            meaning: "they work beside nftables, which does not show them: see iptables-legacy-save")
    }
    return Finding(
        .problem, "firewall.blocked", .firewall,
        "the chain FORWARD of the older iptables drops what it does not know",
        meaning: "containers have no way out, and published ports are not reached from other hosts",
        mend: letThrough("iptables-legacy"))
}

private func judgeBlock(_ block: ForwardBlock, _ firewall: HostFacts.Firewall) -> Finding {
    let owner = block.managers.map(\.title).joined(separator: " / ")
    let effects = block.directions.map {
        $0 == .out ? "containers have no way out" : "published ports are not reached from other hosts"
    }
    return Finding(
        .problem, "firewall.blocked", .firewall,
        "the chain \(block.chain) of table \(block.family) \(block.table) (\(owner)) drops what it does not know",
        meaning: effects.joined(separator: ", and "),
        mend: mend(block, firewall) + ["or let Gantry do it: gantry engine --allow-through-firewalls"])
}

private func letThrough(_ program: String, chain: String = "FORWARD") -> [String] {
    [
        "\(program) -I \(chain) -i gn-+ -j ACCEPT",
        "\(program) -I \(chain) -o gn-+ -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT",
    ]
}

/// The commands for whoever keeps the chain. One of several is enough: the first is the one that survives a reload.
private func mend(_ block: ForwardBlock, _ firewall: HostFacts.Firewall) -> [String] {
    let bridges = firewall.bridgeNames.isEmpty ? ["gn-NAME"] : firewall.bridgeNames
    switch block.managers.first ?? .nftables {
    case .ufw:
        return bridges.flatMap { ["ufw route allow in on \($0)", "ufw route allow out on \($0)"] } + [
            "or for everything that is forwarded: DEFAULT_FORWARD_POLICY=\"ACCEPT\" in /etc/default/ufw; ufw reload"
        ]
    case .firewalld:
        let subnets = firewall.subnets.isEmpty ? ["SUBNET"] : firewall.subnets.map(\.description)
        return bridges.map { "firewall-cmd --permanent --zone=trusted --add-interface=\($0)" } + [
            "or by address: "
                + subnets.map { "firewall-cmd --permanent --zone=trusted --add-source=\($0)" }.joined(separator: "; "),
            "then: firewall-cmd --reload",
        ]
    case .docker:
        return letThrough(block.family == "ip6" ? "ip6tables" : "iptables", chain: "DOCKER-USER")
    case .nftables:
        let chain = "\(block.family) \(block.table) \(block.chain)"
        return [
            "nft insert rule \(chain) 'iifname \"gn-*\" accept'",
            "nft insert rule \(chain) 'oifname \"gn-*\" ct state established,related accept'",
            "nft insert rule \(chain) 'oifname \"gn-*\" ct status dnat accept'",
            "and the same in /etc/nftables.conf, where they survive a reload",
        ]
    case .libvirt, .kubernetes, .iptables:
        return letThrough(block.family == "ip6" ? "ip6tables" : "iptables")
    }
}

// MARK: names

func judgeNames(_ names: HostFacts.Names) -> [Finding] {
    if let failure = names.failure {
        let target = names.linkTarget.map { " (a link to \($0))" } ?? ""
        return [
            Finding(
                .warning, "names.configuration", .names, "/etc/resolv.conf\(target) cannot be read: \(failure)",
                meaning: "containers can look up each other's names, but none outside",
                mend: ["start what writes it (systemctl start systemd-resolved), or write it: nameserver ADDRESS"])
        ]
    }
    guard !names.resolvers.isEmpty else {
        return [
            Finding(
                .warning, "names.configuration", .names, "/etc/resolv.conf names no resolver",
                meaning: "containers can look up each other's names, but none outside",
                mend: ["add a line: nameserver ADDRESS"])
        ]
    }
    let silent = names.resolvers.filter { $0.answers == false }.map(\.address)
    let answering = names.resolvers.filter { $0.answers == true }.map(\.address)
    let all = names.resolvers.map(\.address).joined(separator: ", ")
    guard !silent.isEmpty else {
        let asked = answering.isEmpty ? "not asked" : "answering"
        return [Finding(.ok, "names.resolvers", .names, "resolvers: \(all) (\(asked))")]
    }
    return [
        Finding(
            .warning, "names.resolvers", .names, "no answer from \(silent.joined(separator: ", "))",
            meaning: answering.isEmpty
                ? "containers cannot look up names outside"
                : "look-ups are slow whenever \(silent.count == 1 ? "it is" : "they are") asked first",
            mend: ["take it out of /etc/resolv.conf, or mend the way to it"])
    ]
}
