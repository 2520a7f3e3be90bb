import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

extension NetworkManager {
    /// Ranges that new subnets must not overlap: every route of the host but default routes (0/0, and the 0/1 and 128/1
    /// of VPNs; in IPv6 2000::/3 too), and the addresses of its resolvers. Networks of our own bridges are left out.
    public func hostRoutes() throws(NetworkError) -> [CIDR] {
        let routes = try routesOfBothFamilies().filter { !$0.isBroadcastOrMulticast }
        let own = Set(try links(of: routes).values.filter { isOwn($0) }.map(\.index))
        var ranges = Set<CIDR>()
        for route in routes {
            if let index = route.outputIndex, own.contains(index) { continue }
            guard let address = IPAddress(bytes: route.destination), isWorthAvoiding(address),
                let range = CIDR(address, prefixLength: Int(route.prefixLength)),
                range.prefixLength > (range.isV6 ? 3 : 1)
            else { continue }
            ranges.insert(range)
        }
        for address in try resolverAddresses() where isWorthAvoiding(address) { ranges.insert(CIDR(host: address)) }
        return ranges.sorted()
    }

    /// Every interface has IPv6's link-local network for itself.
    private func isWorthAvoiding(_ address: IPAddress) -> Bool {
        !address.isLoopback && !address.isMulticast && !(address.isV6 && address.isLinkLocal)
    }

    /// MTU, in bytes, of the interface that the preferred default route leaves by, IPv4's before IPv6's; Ethernet's
    /// 1500 when there is none.
    public func uplinkMTU() throws(NetworkError) -> Int {
        let ethernetMTU = 1500
        for family in hasIPv6 ? [AF_INET, AF_INET6] : [AF_INET] {
            let routes = try netlink { () throws(NetlinkError) in try route.routes(family: family) }
            let defaults = routes.filter {
                $0.prefixLength == 0 && $0.isUnicast && $0.table == RT_TABLE_MAIN.kernelValue
            }
            guard let index = defaults.min(by: { $0.priority < $1.priority })?.outputIndexes.first,
                let link = try netlink({ () throws(NetlinkError) in try route.link(.index(index)) })
            else { continue }
            return Int(link.mtu)
        }
        return ethernetMTU
    }

    private func routesOfBothFamilies() throws(NetworkError) -> [Route] {
        try netlink { () throws(NetlinkError) in
            try route.routes(family: AF_INET) + (hasIPv6 ? try route.routes(family: AF_INET6) : [])
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

/// Every Gantry bridge's name starts with it, whichever engine's it is, but where a user chose the name.
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
