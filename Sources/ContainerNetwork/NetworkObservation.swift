import CLinux
import Glibc
import InternetAddress
import Netlink
import Synchronization

/// What the kernel has of our network now.
public struct NetworkObservation: Equatable, Sendable {
    /// A Gantry bridge.
    public struct Bridge: Equatable, Sendable {
        /// Interface name.
        public var bridge: String
        /// Engine name of its network; `nil` when it is not this engine's.
        public var name: String?
        public var isUp: Bool
        /// Addresses with their prefix length, e.g. `10.89.0.1/24`.
        public var addresses4: [String]
    }

    /// The host's end of a container's interface.
    public struct HostInterface: Equatable, Sendable {
        public var name: String
        /// Name of the bridge it is a port of.
        public var master: String?
        public var isUp: Bool
    }

    /// The firewall table, compared with what was last applied.
    public enum Firewall: Equatable, Sendable {
        /// Nothing was applied yet by this manager.
        case notApplied(isTablePresent: Bool)
        case missing
        case asApplied
        /// Changed by others: names of sets with other elements; `rules` when chains, rules or sets themselves differ.
        case changed(sets: [String], rules: Bool)
    }

    public var bridges: [Bridge]
    public var hostInterfaces: [HostInterface]
    public var firewall: Firewall
}

extension NetworkManager {
    /// Looks at everything of ours in the kernel.
    public func observe() throws(NetworkError) -> NetworkObservation {
        try netlink { () throws(NetlinkError) in
            let links = try route.links()
            let addresses = try route.addresses(family: AF_INET)
            let names = Dictionary(links.map { ($0.index, $0.name) }, uniquingKeysWith: { first, _ in first })
            let bridges = links.filter { $0.kind == "bridge" && $0.name.hasPrefix(bridgeNamePrefix) }
            let ends = links.filter { $0.kind == "veth" && $0.name.hasPrefix(hostInterfaceNamePrefix) }
            return NetworkObservation(
                bridges: bridges.map { link in
                    NetworkObservation.Bridge(
                        bridge: link.name, name: networkName(of: link), isUp: link.isUp,
                        addresses4: addresses.filter { $0.index == link.index }.compactMap {
                            guard let address = IPv4Address(bytes: $0.address) else { return nil }
                            return "\(address)/\($0.prefixLength)"
                        }.sorted())
                }.sorted { $0.bridge < $1.bridge },
                hostInterfaces: ends.map { link in
                    NetworkObservation.HostInterface(
                        name: link.name, master: link.master.flatMap { names[$0] }, isUp: link.isUp)
                }.sorted { $0.name < $1.name },
                firewall: try observeFirewall())
        }
    }

    private func networkName(of link: Link) -> String? {
        guard isOwn(link), let alias = link.alias else { return nil }
        return String(alias.dropFirst(tableName.count + 1))
    }

    private func observeFirewall() throws(NetlinkError) -> NetworkObservation.Firewall {
        try firewall.withLock { applied throws(NetlinkError) in
            guard let known = applied else {
                return .notApplied(isTablePresent: try netfilter.tables().contains(tableName))
            }
            if try netfilter.firewallGeneration() == known.generation { return .asApplied }
            let shape = try netfilter.shape(ofTable: tableName)
            if shape.isEmpty { return .missing }
            guard shape == known.shape else { return .changed(sets: [], rules: true) }
            let sets = try readElements(sets: FirewallTable.setNames).differences(from: known.model.elements)
            return sets.isEmpty ? .asApplied : .changed(sets: sets, rules: false)
        }
    }
}
