import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

extension NetworkManager {
    /// Ranges that new subnets must not overlap: every route of the host but default routes (0/0, and the 0/1 and 128/1
    /// of VPNs; in IPv6 2000::/3 too), and the addresses of its resolvers. Networks of our own bridges are left out.
    public func hostRoutes() throws(NetworkError) -> [CIDR] {
        let (routes, links) = try routesAndLinks()
        let own = Set(links.filter { isOwn($0) }.map(\.index))
        var ranges = Set<CIDR>()
        for route in routes where !route.isBroadcastOrMulticast {
            if let index = route.outputIndex, own.contains(index) { continue }
            guard let address = IPAddress(bytes: route.destination), !address.isLoopback, !address.isMulticast,
                !(address.isV6 && address.isLinkLocal),
                let range = CIDR(address, prefixLength: Int(route.prefixLength)),
                range.prefixLength > (range.isV6 ? 3 : 1)
            else { continue }
            ranges.insert(range)
        }
        for address in try resolverAddresses() where !address.isLoopback && !(address.isV6 && address.isLinkLocal) {
            ranges.insert(CIDR(host: address))
        }
        return ranges.sorted()
    }

    /// MTU, in bytes, of the interface that the preferred default route leaves by; Ethernet's 1500 when there is none.
    public func uplinkMTU() throws(NetworkError) -> Int {
        let ethernetMTU = 1500
        let (routes, links) = try routesAndLinks()
        let defaults = routes.filter { $0.prefixLength == 0 && $0.isUnicast && $0.table == RT_TABLE_MAIN.kernelValue }
        // IPv4 ones come first.
        let preferred = defaults.min { ($0.gateway?.count ?? 0, $0.priority) < ($1.gateway?.count ?? 0, $1.priority) }
        guard let index = preferred?.outputIndex,
            let link = links.first(where: { $0.index == index })
        else { return ethernetMTU }
        return Int(link.mtu)
    }

    /// Whether a link is a bridge that this engine (this table name) made.
    func isOwn(_ link: Link) -> Bool { link.kind == "bridge" && link.alias?.hasPrefix("\(tableName):") == true }

    /// Lets every interface that a route leaves by forward what comes in, so that answers to containers and connections
    /// to published ports get through. Called by `ensureBridge`; call it again when routes change.
    ///
    /// The host does not become a router by it: the interfaces are first noted in the firewall, which lets nothing
    /// through them but to and from our bridges; before the first `applyFirewall`, which then does the rest, they are
    /// only noted here. When forwarding is on for the whole host, each interface's switch is its owner's choice and
    /// left alone.
    public func openUplinks() throws(NetworkError) {
        if try forwardsGlobally() { return }
        var closed: [String] = []
        for name in try routedInterfaces() {
            let isForwarding = try ignoringMissing { () throws(SystemError) in
                try SystemControls.read(SystemControls.path(.ipv4, name, "forwarding")) != 0
            }
            if isForwarding == false { closed.append(name) }
        }
        guard !closed.isEmpty else { return }
        openedUplinks.withLock { $0.formUnion(closed) }
        try reapplyFirewall()
    }

    func forwardsGlobally() throws(NetworkError) -> Bool {
        try system { () throws(SystemError) in try SystemControls.read("/proc/sys/net/ipv4/ip_forward") != 0 }
    }

    func switchForwarding(_ names: [String], on: Bool) throws(NetworkError) {
        for name in names {
            try ignoringMissing { () throws(SystemError) in
                let path = SystemControls.path(.ipv4, name, "forwarding")
                if try SystemControls.read(path) != (on ? 1 : 0) { try SystemControls.write(path, on ? 1 : 0) }
            }
        }
    }

    /// `nil` when an interface went while we looked.
    @discardableResult
    private func ignoringMissing<Value>(_ body: () throws(SystemError) -> Value) throws(NetworkError) -> Value? {
        do {
            return try body()
        } catch {
            if error.code == ENOENT { return nil }
            throw .system(error)
        }
    }

    /// Names of the interfaces that IPv4 routes leave by, without loopback and Gantry's bridges.
    func routedInterfaces() throws(NetworkError) -> [String] {
        let (routes, links) = try routesAndLinks()
        let indexes = Set(routes.filter(\.isUnicast).compactMap(\.outputIndex))
        return links.filter {
            indexes.contains($0.index) && $0.index != loopbackIndex && !$0.name.hasPrefix(bridgeNamePrefix)
        }.map(\.name).sorted()
    }

    private func routesAndLinks() throws(NetworkError) -> ([Route], [Link]) {
        try netlink { () throws(NetlinkError) in
            let routes = try route.routes(family: AF_INET) + (hasIPv6 ? try route.routes(family: AF_INET6) : [])
            return (routes, try route.links())
        }
    }

    private func resolverAddresses() throws(NetworkError) -> [IPAddress] {
        do {
            return resolvers(
                inConfiguration: String(decoding: try FileSystem.readFile("/etc/resolv.conf"), as: UTF8.self))
        } catch {
            if error.code == ENOENT { return [] }
            throw .system(error)
        }
    }
}

/// Every Gantry bridge's name starts with it, whichever engine's it is.
public let bridgeNamePrefix = "gn-"
/// Every host end of a container's interface.
public let hostInterfaceNamePrefix = "gv"

/// Addresses of the `nameserver` lines, without the zones that link-local ones have. resolv.conf(5).
func resolvers(inConfiguration text: String) -> [IPAddress] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
        let words = line.split { $0 == " " || $0 == "\t" }
        guard words.count >= 2, words[0] == "nameserver" else { return nil }
        return IPAddress(words[1].prefix { $0 != "%" })
    }
}

extension Route {
    var isBroadcastOrMulticast: Bool {
        kind == UInt8(truncatingIfNeeded: RTN_BROADCAST.kernelValue)
            || kind == UInt8(truncatingIfNeeded: RTN_MULTICAST.kernelValue)
    }
}
