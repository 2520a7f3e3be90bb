import CLinux
import ContainerNetwork
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// Links, addresses and routes of the host. A plain user may read them, too.
struct RouteFacts {
    var network = HostFacts.Network()
    /// What networks need of firewalls: of a network that might be made when there is none.
    var paths: [ForwardPath] = []

    init() {
        network.hasIPv6 = FileSystem.exists("/proc/sys/net/ipv6")
        network.forwardsGlobally4 = readSwitch("/proc/sys/net/ipv4/ip_forward")
        network.forwardsGlobally6 = readSwitch("/proc/sys/net/ipv6/conf/all/forwarding")
        network.hasForceForwarding6 = FileSystem.exists("/proc/sys/net/ipv6/conf/all/force_forwarding")
        network.filtersBridges = readSwitch("/proc/sys/net/bridge/bridge-nf-call-iptables")
        do throws(NetlinkError) { try read() } catch {
            // Not even a socket of netlink: what is known so far is all.
            return
        }
    }

    private mutating func read() throws(NetlinkError) {
        let socket = try NetlinkSocket(.route)
        let links = try socket.links()
        let families = network.hasIPv6 ? [AF_INET, AF_INET6] : [AF_INET]
        var routes: [Route] = []
        var addresses: [InterfaceAddress] = []
        for family in families {
            routes += try socket.routes(family: family)
            addresses += try socket.addresses(family: family)
        }
        let isBridge = { (link: Link) in link.kind == "bridge" && link.name.hasPrefix(bridgeNamePrefix) }
        network.bridges = links.filter(isBridge).map { bridge($0, addresses) }
        let main = routes.filter { $0.isUnicast && $0.table == RT_TABLE_MAIN.kernelValue }
        let ways = Set(main.filter { $0.prefixLength == 0 }.compactMap(\.outputIndex))
        network.uplinks = links.filter { ways.contains($0.index) }.map(uplink)
        let own = Set(links.filter(isBridge).map(\.index))
        let names = Dictionary(links.map { ($0.index, $0.name) }, uniquingKeysWith: { first, _ in first })
        network.routes = main.compactMap { route in
            guard let index = route.outputIndex, !own.contains(index), let name = names[index],
                // Default routes, and the halves of everything that VPNs use instead.
                route.prefixLength > 1, let address = IPAddress(bytes: route.destination),
                let range = CIDR(address, prefixLength: Int(route.prefixLength)), !isLinkLocal(address)
            else { return nil }
            return HostFacts.Route(range: range, interface: name)
        }
        paths = forwardPaths()
    }

    private func isLinkLocal(_ address: IPAddress) -> Bool {
        guard let first = address.bytes.first, let second = address.bytes.dropFirst().first else { return false }
        return address.isV6 ? first == 0xff || first == 0xfe && second & 0xc0 == 0x80 : first >= 224
    }

    private func uplink(_ link: Link) -> HostFacts.Uplink {
        HostFacts.Uplink(
            name: link.name, mtu: Int(link.mtu),
            forwards4: readSwitch("/proc/sys/net/ipv4/conf/\(link.name)/forwarding"),
            forwards6: readSwitch("/proc/sys/net/ipv6/conf/\(link.name)/forwarding"))
    }

    private func bridge(_ link: Link, _ addresses: [InterfaceAddress]) -> HostFacts.Bridge {
        let subnets = addresses.filter { $0.index == link.index }.compactMap { entry -> CIDR? in
            guard let address = IPAddress(bytes: entry.address), !isLinkLocal(address) else { return nil }
            return CIDR(address, prefixLength: Int(entry.prefixLength)).map { $0 }
        }
        // The alias is TABLE:NETWORK.
        let network = link.alias?.split(separator: ":", maxSplits: 1).last.map(String.init) ?? link.name
        return HostFacts.Bridge(
            name: link.name, network: network, isUp: link.isUp, subnets: subnets,
            forwards4: readSwitch("/proc/sys/net/ipv4/conf/\(link.name)/forwarding"))
    }

    private func forwardPaths() -> [ForwardPath] {
        let uplink = network.uplinks.first?.name ?? "eth0"
        // Those that do not forward are internal: nothing is to get through to them.
        let open = network.bridges.filter { $0.forwards4 != false && !$0.subnets.isEmpty }
        guard open.isEmpty else {
            return open.map {
                ForwardPath(
                    network: $0.network, bridge: $0.name, uplink: uplink, addresses: $0.subnets.map(\.firstHost))
            }
        }
        let likely = [IPAddress("10.89.0.1")].compactMap { $0 }
        return [
            ForwardPath(network: "", bridge: "\(bridgeNamePrefix)00000000", uplink: uplink, addresses: likely)
        ]
    }
}

func readFirewall(_ routes: RouteFacts) -> HostFacts.Firewall {
    var firewall = HostFacts.Firewall()
    firewall.bridgeNames = routes.network.bridges.map(\.name)
    firewall.subnets = routes.network.bridges.flatMap(\.subnets)
    do throws(NetlinkError) {
        firewall.blocks = try ForeignFirewall.read(try NetlinkSocket(.netfilter)).blocks(routes.paths)
    } catch {
        // EPERM for a plain user: `nil` says that it was not read.
        firewall.blocks = nil
    }
    for (file, suffix) in [("ip_tables_names", ""), ("ip6_tables_names", " (IPv6)")] {
        firewall.legacyTables += readLines("/proc/net/\(file)").map { $0 + suffix }
    }
    // Only when the table is in use already: asking would load it.
    if firewall.legacyTables.contains("filter") {
        firewall.legacyForwardDrops = runShell("iptables-legacy -w 1 -S FORWARD | head -n 1").map {
            $0.hasPrefix("-P FORWARD DROP")
        }
    }
    return firewall
}
