import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

extension NetworkManager {
    /// Ranges that new subnets must not overlap: every route of the host but default routes (0/0, and the 0/1 and 128/1
    /// of VPNs), and the addresses of its resolvers. Networks of our own bridges are left out.
    public func hostRoutes() throws(NetworkError) -> [CIDR4] {
        let (routes, links) = try routesAndLinks()
        let own = Set(links.filter { isOwn($0) }.map(\.index))
        var ranges = Set<CIDR4>()
        for route in routes where route.prefixLength > 1 && !route.isBroadcastOrMulticast {
            if let index = route.outputIndex, own.contains(index) { continue }
            guard let address = IPv4Address(bytes: route.destination), !address.isLoopback,
                let range = CIDR4(address, prefixLength: Int(route.prefixLength))
            else { continue }
            ranges.insert(range)
        }
        for address in try resolverAddresses() where !address.isLoopback { ranges.insert(CIDR4(host: address)) }
        return ranges.sorted()
    }

    /// MTU, in bytes, of the interface that the preferred default route leaves by; Ethernet's 1500 when there is none.
    public func uplinkMTU() throws(NetworkError) -> Int {
        let ethernetMTU = 1500
        let (routes, links) = try routesAndLinks()
        let defaults = routes.filter { $0.prefixLength == 0 && $0.isUnicast && $0.table == RT_TABLE_MAIN.kernelValue }
        guard let index = defaults.min(by: { $0.priority < $1.priority })?.outputIndex,
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
        try netlink { () throws(NetlinkError) in (try route.routes(family: AF_INET), try route.links()) }
    }

    private func resolverAddresses() throws(NetworkError) -> [IPv4Address] {
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

/// IPv4 addresses of the `nameserver` lines. resolv.conf(5).
func resolvers(inConfiguration text: String) -> [IPv4Address] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
        let words = line.split { $0 == " " || $0 == "\t" }
        guard words.count >= 2, words[0] == "nameserver" else { return nil }
        return IPv4Address(words[1])
    }
}

extension Route {
    var isBroadcastOrMulticast: Bool {
        kind == UInt8(truncatingIfNeeded: RTN_BROADCAST.kernelValue)
            || kind == UInt8(truncatingIfNeeded: RTN_MULTICAST.kernelValue)
    }
}
