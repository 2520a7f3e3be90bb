import CLinux
import InternetAddress
import Netlink

/// A chain of somebody else's firewall that lets nothing through between a network and the outside.
public struct ForwardBlock: Codable, Equatable, Sendable {
    /// Who keeps a rule set.
    public enum Manager: String, Codable, Sendable {
        case firewalld, ufw, docker, libvirt, kubernetes
        /// Rules in iptables' tables that nobody of the above made.
        case iptables
        /// Any other table of nftables.
        case nftables
    }

    public enum Direction: String, Codable, Sendable {
        /// Connections of containers to the outside.
        case out
        /// Connections from outside to published ports.
        case `in`
    }

    /// `ip`, `ip6` or `inet`.
    public var family: String
    public var table: String
    public var chain: String
    /// Who makes chains in this table; the most likely first.
    public var managers: [Manager]
    public var directions: [Direction]
    /// Names of the networks, sorted.
    public var networks: [String]

    public init(
        family: String, table: String, chain: String, managers: [Manager], directions: [Direction], networks: [String]
    ) {
        self.family = family
        self.table = table
        self.chain = chain
        self.managers = managers
        self.directions = directions
        self.networks = networks
    }
}

/// A way of packets that a network needs.
public struct ForwardPath: Equatable, Sendable {
    /// Engine name of the network, and its interface.
    public var network: String
    public var bridge: String
    /// Interface of the host that the default route leaves by.
    public var uplink: String
    /// Any address of the network, one each family.
    public var addresses: [IPAddress]

    public init(network: String, bridge: String, uplink: String, addresses: [IPAddress]) {
        self.network = network
        self.bridge = bridge
        self.uplink = uplink
        self.addresses = addresses
    }

    var packets: [(ForwardBlock.Direction, ForwardedPacket)] {
        addresses.flatMap { address -> [(ForwardBlock.Direction, ForwardedPacket)] in
            let isIPv6 = address.v4 == nil
            let out = ForwardedPacket(input: bridge, output: uplink, source: address, isIPv6: isIPv6)
            let into = ForwardedPacket(input: uplink, output: bridge, isTranslated: true, isIPv6: isIPv6)
            return [(.out, out), (.in, into)]
        }
    }
}

/// What of a host's rule set is not ours.
public struct ForeignFirewall: Equatable, Sendable {
    public var chains: [ListedChain]
    public var rules: [ListedRule]

    public init(chains: [ListedChain], rules: [ListedRule]) {
        self.chains = chains
        self.rules = rules
    }

    /// Tables of engines: every one of them, not only this one's, is called `gantry` or `gantry_` and digits.
    static func isGantry(_ table: String) -> Bool { table == "gantry" || table.hasPrefix("gantry_") }

    /// Reads the rule set of the calling thread's network namespace. Needs CAP_NET_ADMIN.
    public static func read(_ socket: NetlinkSocket) throws(NetlinkError) -> ForeignFirewall {
        let chains = try socket.listedChains().filter { !($0.family == .inet && isGantry($0.table)) }
        // Hosts without another firewall are spared the listing of rules.
        guard chains.contains(where: \.isForwardHook) else { return ForeignFirewall(chains: [], rules: []) }
        let rules = try socket.listedRules().filter { !($0.family == .inet && isGantry($0.table)) }
        return ForeignFirewall(chains: chains, rules: rules)
    }

    /// The chains that block what these paths need.
    public func blocks(_ paths: [ForwardPath]) -> [ForwardBlock] {
        let walk = ForwardWalk(chains: chains, rules: rules)
        var blocks: [ForwardBlock] = []
        for path in paths {
            for (direction, packet) in path.packets {
                for chain in walk.chainsThatDrop(packet) { add(chain, direction, path.network, to: &blocks) }
            }
        }
        return blocks
    }

    private func add(
        _ chain: ListedChain, _ direction: ForwardBlock.Direction, _ network: String, to blocks: inout [ForwardBlock]
    ) {
        let isSame = { (block: ForwardBlock) in
            (block.family, block.table, block.chain) == (chain.family.word, chain.table, chain.name)
        }
        guard let index = blocks.firstIndex(where: isSame) else {
            blocks.append(
                ForwardBlock(
                    family: chain.family.word, table: chain.table, chain: chain.name, managers: managers(of: chain),
                    directions: [direction], networks: [network]))
            return
        }
        if !blocks[index].directions.contains(direction) { blocks[index].directions.append(direction) }
        if !blocks[index].networks.contains(network) {
            blocks[index].networks = (blocks[index].networks + [network]).sorted()
        }
    }

    /// Found by the names that each of them gives to its tables and chains.
    private func managers(of chain: ListedChain) -> [ForwardBlock.Manager] {
        if chain.table.hasPrefix("firewalld") { return [.firewalld] }
        let names = chains.filter { $0.family == chain.family && $0.table == chain.table }.map(\.name)
        let marks: [(String, ForwardBlock.Manager)] = [
            ("ufw", .ufw), ("DOCKER", .docker), ("LIBVIRT_", .libvirt), ("KUBE-", .kubernetes),
        ]
        let found = marks.filter { mark in names.contains { $0.hasPrefix(mark.0) } }.map(\.1)
        if !found.isEmpty { return found }
        return chain.isOfIPTables ? [.iptables] : [.nftables]
    }
}

extension ListedChain {
    var isForwardHook: Bool { hook?.number == UInt32(NF_INET_FORWARD.rawValue) }

    /// iptables refuses to work with a table that has rules it cannot show.
    var isOfIPTables: Bool { family != .inet && table == "filter" && name == "FORWARD" }
}

extension NetfilterFamily {
    /// As `nft` writes it.
    var word: String {
        switch self {
        case .inet: "inet"
        case .ipv4: "ip"
        case .ipv6: "ip6"
        case .arp: "arp"
        case .netdev: "netdev"
        case .bridge: "bridge"
        }
    }
}

extension ForwardBlock.Manager {
    /// As users know it.
    public var title: String {
        switch self {
        case .firewalld: "firewalld"
        case .ufw: "ufw"
        case .docker: "Docker"
        case .libvirt: "libvirt"
        case .kubernetes: "Kubernetes"
        case .iptables: "iptables"
        case .nftables: "nftables"
        }
    }
}
