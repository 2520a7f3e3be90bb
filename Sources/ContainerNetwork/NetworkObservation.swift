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
        /// Bytes.
        public var mtu: Int
        /// Addresses of both families with their prefix length, e.g. `10.89.0.1/24`, sorted; without IPv6's link-local
        /// ones.
        public var addresses: [String]
        /// The route to one of these networks is gone, though the bridge is up.
        public var lacksRoute: Bool
        /// Ports of it that are not the host's ends of containers' interfaces, by name, sorted.
        public var foreignPorts: [String]
    }

    /// The host's end of a container's interface.
    public struct HostInterface: Equatable, Sendable {
        public var name: String
        /// Name of the bridge it is a port of.
        public var master: String?
        public var isUp: Bool
    }

    /// A macvlan or ipvlan inside of a container's namespace.
    public struct StackedLink: Equatable, Sendable {
        /// The host interface that it was made for, in name alone.
        public var hostInterface: String
        public var isUp: Bool

        public init(hostInterface: String, isUp: Bool) {
            self.hostInterface = hostInterface
            self.isUp = isUp
        }
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
            let addresses = try route.addressTexts(withIPv6: hasIPv6)
            let bridges = links.filter { isGantryBridge($0) }
            let routes = bridges.isEmpty ? [] : try mainRoutes()
            let names = Dictionary(links.map { ($0.index, $0.name) }, uniquingKeysWith: { first, _ in first })
            let ends = links.filter { $0.kind == "veth" && $0.name.hasPrefix(hostInterfaceNamePrefix) }
            return NetworkObservation(
                bridges: bridges.map { link in
                    let own = (addresses[link.index] ?? []).sorted()
                    return NetworkObservation.Bridge(
                        bridge: link.name, name: networkName(of: link), isUp: link.isUp, mtu: Int(link.mtu),
                        addresses: own, lacksRoute: link.isUp && lacksRoute(link, own, in: routes),
                        foreignPorts: links.filter {
                            $0.master == link.index && !$0.name.hasPrefix(hostInterfaceNamePrefix)
                        }.map(\.name).sorted())
                }.sorted { $0.bridge < $1.bridge },
                hostInterfaces: ends.map { link in
                    NetworkObservation.HostInterface(
                        name: link.name, master: link.master.flatMap { names[$0] }, isUp: link.isUp)
                }.sorted { $0.name < $1.name },
                firewall: try observeFirewall())
        }
    }

    /// Looks into a container's namespace: nothing of a macvlan or ipvlan is seen from the host. Only whether they are
    /// there: a container may give itself other addresses and routes.
    public func observeStackedLinks(id: String) throws(NetworkError) -> [NetworkObservation.StackedLink] {
        let path = try namespacePath(id: id)
        let inside = try withNetworkNamespace(path) { () throws(NetworkError) in try NetlinkSocket.make(.route) }
        return try netlink { () throws(NetlinkError) in
            try inside.links().compactMap { link in
                guard link.kind == "macvlan" || link.kind == "ipvlan", let host = link.alias else { return nil }
                return NetworkObservation.StackedLink(hostInterface: host, isUp: link.isUp)
            }.sorted { $0.hostInterface < $1.hostInterface }
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

extension NetlinkSocket {
    /// By interface, IPv4 before IPv6, without link-local IPv6 ones.
    fileprivate func addressTexts(withIPv6: Bool) throws(NetlinkError) -> [Int32: [String]] {
        let all = try addresses(family: AF_INET) + (withIPv6 ? try addresses(family: AF_INET6) : [])
        var texts: [Int32: [String]] = [:]
        for address in all where !address.isLinkLocal6 {
            guard let value = IPAddress(bytes: address.address) else { continue }
            texts[address.index, default: []].append("\(value)/\(address.prefixLength)")
        }
        return texts
    }
}
