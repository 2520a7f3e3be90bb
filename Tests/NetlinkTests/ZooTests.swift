import CLinux
import Glibc
import Testing

@testable import Netlink

/// A network namespace with one of everything, read by us and by iproute2, nft and conntrack.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct ZooTests {
    struct Reading: Sendable {
        var ours: [Link] = []
        var theirs = ""
    }

    private static let links = """
        ip link add br0 type bridge forward_delay 0 ageing_time 12300 stp_state 0 mcast_snooping 0
        ip link add v0 type veth peer name v1
        ip link set v0 master br0 mtu 1400 up
        ip link set v0 alias one-end
        ip link set v0 type bridge_slave hairpin on isolated on learning off neigh_suppress on
        ip link set v1 up
        ip link set br0 up
        """
    private static let optional = [
        ("VLAN filtering of bridges", "ip link set br0 type bridge vlan_filtering 1"),
        ("macvlan", "ip link add m0 link v1 type macvlan mode bridge"),
        ("ipvlan", "ip link add i0 link v1 type ipvlan mode l3 private"),
        ("dummy", "ip link add d0 type dummy"),
        ("vlan", "ip link add w0 link v1 type vlan id 42"),
        (
            "vxlan",
            "ip link add x0 type vxlan id 77 group 239.1.1.1 local 127.0.0.1 dstport 4789 ttl 9 nolearning dev v1"
        ),
    ]

    private static func build() throws {
        try shell(links)
        for (kind, command) in optional { _ = makesOptional(command, kind) }
        try shell(
            """
            ip addr add 10.7.0.1/24 brd + dev br0
            ip addr add 10.7.1.1 peer 10.7.1.2/32 dev v1 label v1:p scope link
            ip addr add fd07::1/64 dev br0 nodad
            ip addr add fd07:1::1/64 dev v1 nodad valid_lft 6000 preferred_lft 3000
            ip route add 10.8.0.0/16 via 10.7.0.2 metric 50 proto 99 src 10.7.0.1 mtu 1300 advmss 1200
            ip route add 10.9.0.0/16 nexthop via 10.7.0.2 dev br0 weight 3 nexthop via 10.99.0.1 dev v1 onlink
            ip route add blackhole 10.10.0.0/16 table 1000
            ip route add default via 172.31.0.1 dev v1 onlink
            ip -6 route add fd08::/64 via fd07::2 metric 70
            ip rule add from 10.7.0.0/24 to 10.8.0.0/16 iif br0 oif v1 fwmark 0x3/0xff table 1000 priority 500
            ip rule add table main suppress_prefixlength 0 priority 600
            ip rule add to 10.66.0.0/16 prohibit priority 700
            ip -6 rule add from fd07::/64 table 1001 priority 800
            ip neigh add 10.7.0.9 lladdr 02:00:00:00:00:09 dev br0 nud permanent
            ip neigh add proxy 10.7.0.77 dev br0
            ip -6 neigh add fd07::9 lladdr 02:00:00:00:00:09 dev br0 nud permanent router
            bridge fdb add 02:00:00:00:00:55 dev v0 master static
            """)
    }

    @Test func links() throws {
        let reading = try inPrivateNetwork {
            try Self.build()
            // Twice, until both saw the same: states settle by themselves.
            return try Reading(ours: NetlinkSocket(.route).links(withStatistics: true), theirs: shell("ip -j -d link"))
        }
        let theirs = try JSON(reading.theirs).list
        #expect(theirs.count == reading.ours.count && theirs.count >= 4)
        for link in reading.ours {
            let other = try #require(theirs.first { $0["ifname"]?.string == link.name })
            #expect(Int(link.index) == other["ifindex"]?.int)
            #expect(Int(link.mtu) == other["mtu"]?.int)
            #expect(link.minimumMTU.map(Int.init) == other["min_mtu"]?.int)
            #expect(link.maximumMTU.map(Int.init) == other["max_mtu"]?.int)
            #expect(Int(link.promiscuity) == other["promiscuity"]?.int)
            #expect(link.alias == other["ifalias"]?.string)
            #expect(link.isUp == other["flags"]?.list.contains(.string("UP")))
            #expect(link.address.map(\.hexadecimal).joined(separator: ":") == other["address"]?.string)
            #expect(link.kind == other["linkinfo"]?["info_kind"]?.string)
            let master = reading.ours.first { $0.index == link.master }?.name
            #expect(master == other["master"]?.string)
            if let parent = other["link"]?.string {
                #expect(reading.ours.first { $0.index == link.parentIndex }?.name == parent)
            }
            try compare(link, data: other["linkinfo"]?["info_data"], port: other["linkinfo"]?["info_slave_data"])
            #expect(link.statistics != nil)
        }
    }

    private func compare(_ link: Link, data: JSON?, port: JSON?) throws {
        switch link.details {
        case .bridge(let options):
            #expect(options.ageing.map(Int.init) == data?["ageing_time"]?.int && options.ageing == 12_300)
            #expect(options.forwardDelay.map(Int.init) == data?["forward_delay"]?.int)
            #expect(options.usesSpanningTree?.number == data?["stp_state"]?.int)
            #expect(options.filtersVLANs?.number == data?["vlan_filtering"]?.int)
            #expect(options.snoopsMulticast?.number == data?["mcast_snooping"]?.int)
            #expect(options.defaultVLAN.map(Int.init) == data?["vlan_default_pvid"]?.int)
        case .macvlan(let mode, _): #expect("\(mode)" == data?["mode"]?.string)
        case .ipvlan(let mode, let flag):
            #expect("\(mode)" == data?["mode"]?.string && flag == .private)
        case .vlan(let id, let number): #expect(Int(id) == data?["id"]?.int && number == 0x8100)
        case .vxlan(let options):
            #expect(options.id.map(Int.init) == data?["id"]?.int)
            #expect(text(options.group) == data?["group"]?.string && text(options.local) == data?["local"]?.string)
            #expect(options.port.map(Int.init) == data?["port"]?.int && options.ttl.map(Int.init) == data?["ttl"]?.int)
            #expect(options.learns == data?["learning"]?.bool)
        case nil: #expect(link.kind == nil || link.kind == "veth" || link.kind == "dummy")
        }
        guard let port else { return }
        #expect(link.port?.isHairpin == port["hairpin"]?.bool && link.isHairpin)
        #expect(link.port?.isIsolated == port["isolated"]?.bool && link.isIsolated)
        #expect(link.port?.learns == port["learning"]?.bool && link.port?.learns == false)
        #expect(link.port?.suppressesNeighbours == port["neigh_suppress"]?.bool)
        #expect(link.port?.floods == port["flood"]?.bool)
    }

    @Test func addresses() throws {
        let (ours, theirs) = try inPrivateNetwork {
            try Self.build()
            let socket = try NetlinkSocket(.route)
            return (
                try socket.assignedAddresses(family: AF_INET) + socket.assignedAddresses(family: AF_INET6),
                try shell("ip -j -d addr")
            )
        }
        let others = try JSON(theirs).list.flatMap { link in
            (link["addr_info"]?.list ?? []).map { (link["ifindex"]?.int, $0) }
        }
        #expect(others.count == ours.count && ours.count >= 6)
        for (index, other) in others {
            let one = try #require(
                ours.first { text($0.address.address) == other["local"]?.string && Int($0.address.index) == index })
            #expect(Int(one.address.prefixLength) == other["prefixlen"]?.int)
            #expect(text(one.broadcast) == other["broadcast"]?.string)
            #expect(text(one.peer) == other["address"]?.string)
            #expect(one.label == other["label"]?.string)
            #expect(one.isPermanent == (one.validSeconds == nil))
            let names: [String?: UInt8] = ["global": 0, "link": 253, "host": 254]
            #expect(one.scope.rawValue == names[other["scope"]?.string])
            if let seconds = one.validSeconds { #expect(abs(Int(seconds) - (other["valid_life_time"]?.int ?? 0)) <= 1) }
        }
    }

    @Test func routes() throws {
        let (ours, links, theirs) = try inPrivateNetwork {
            try Self.build()
            let socket = try NetlinkSocket(.route)
            return (
                try socket.routes(family: AF_INET) + socket.routes(family: AF_INET6), try socket.links(),
                [try shell("ip -N -j -d route show table all"), try shell("ip -N -j -d -6 route show table all")]
            )
        }
        let others = try theirs.flatMap { try JSON($0).list }
        #expect(others.count > 10)
        let name = { (index: Int32?) in index.flatMap { index in links.first { $0.index == index }?.name } }
        let prefix = { (route: Route) in
            let network = text(route.destination.isEmpty ? nil : route.destination)
            let isHost = Int(route.prefixLength) == route.destination.count * 8
            return network.map { isHost ? $0 : "\($0)/\(route.prefixLength)" } ?? "default"
        }
        for other in others {
            let one = try #require(
                ours.first {
                    prefix($0) == other["dst"]?.string && name($0.outputIndex) == other["dev"]?.string
                        && "\($0.table)" == other["table"]?.string ?? "254"
                })
            #expect(text(one.gateway) == other["gateway"]?.string)
            #expect(name(one.outputIndex) == other["dev"]?.string)
            #expect(one.priority == UInt32(other["metric"]?.int ?? 0))
            #expect(text(one.preferredSource) == other["prefsrc"]?.string)
            #expect("\(one.protocolNumber)" == other["protocol"]?.string)
            #expect("\(one.table)" == other["table"]?.string ?? "254")
            #expect(one.mtu.map(Int.init) == other["metrics"]?.list.first?["mtu"]?.int)
            #expect(one.segmentSize.map(Int.init) == other["metrics"]?.list.first?["advmss"]?.int)
            #expect(one.isOnLink == (other["flags"]?.list.contains(.string("onlink")) ?? false))
            let hops = other["nexthops"]?.list ?? []
            #expect(one.nextHops.map { text($0.gateway) } == hops.map { $0["gateway"]?.string })
            #expect(one.nextHops.map { Int($0.weight) } == hops.map { $0["weight"]?.int })
            #expect(one.nextHops.map { name($0.outputIndex) } == hops.map { $0["dev"]?.string })
        }
    }

    @Test func rulesAndNeighbours() throws {
        let (rules, neighbours, entries, theirs) = try inPrivateNetwork {
            try Self.build()
            let socket = try NetlinkSocket(.route)
            return (
                try socket.rules(family: AF_INET) + socket.rules(family: AF_INET6),
                try socket.neighbours(family: AF_INET) + socket.neighbours(family: AF_INET6)
                    + socket.neighbours(family: AF_INET, proxies: true),
                try socket.forwardingEntries(),
                try [
                    "ip -N -j -d rule", "ip -N -j -d -6 rule", "ip -j neigh", "ip -j neigh show proxy", "bridge -j fdb",
                ]
                .map { try shell($0) }
            )
        }
        let others = try JSON(theirs[0]).list + JSON(theirs[1]).list
        #expect(rules.count == others.count && rules.count >= 8)
        for (rule, other) in zip(rules, others) {
            #expect(rule.priority.map(Int.init) == other["priority"]?.int)
            #expect(rule.inputName == other["iif"]?.string && rule.outputName == other["oif"]?.string)
            #expect(text(rule.source) ?? "all" == other["src"]?.string)
            #expect(text(rule.destination) == other["dst"]?.string)
            #expect(rule.mark.map { "0x" + String($0, radix: 16) } == other["fwmark"]?.string)
            #expect((rule.suppressPrefixLength.map(Int.init)) == other["suppress_prefixlen"]?.int)
            if case .table(let table) = rule.action { #expect("\(table)" == other["table"]?.string) }
            if rule.priority == 700 { #expect(rule.action == .prohibit) }
        }
        let permanent = try JSON(theirs[2]).list.filter { $0["state"]?.list.contains(.string("PERMANENT")) == true }
        #expect(permanent.count == 2)
        for other in permanent {
            let one = try #require(neighbours.first { text($0.address) == other["dst"]?.string })
            #expect(one.linkAddress?.map(\.hexadecimal).joined(separator: ":") == other["lladdr"]?.string)
            #expect(one.state == .permanent && one.flags.contains(.router) == (other["router"] != nil))
        }
        #expect(neighbours.contains { $0.flags.contains(.proxy) && text($0.address) == "10.7.0.77" })
        #expect(try JSON(theirs[3]).list.contains { $0["dst"]?.string == "10.7.0.77" })
        #expect(try JSON(theirs[4]).list.count == entries.count)
        #expect(entries.contains { $0.linkAddress == [2, 0, 0, 0, 0, 0x55] && $0.master != nil })
    }

    @Test func sockets() throws {
        let (ours, theirs) = try inPrivateNetwork {
            let listener = try #require(Listener())
            defer { listener.close() }
            let socket = try NetlinkSocket(.socketDiagnostics)
            var ours: [SocketEntry] = []
            for (transport, states) in [(IPPROTO_TCP, [SocketEntry.State.listen]), (IPPROTO_UDP, [.closed])] {
                for family in [AF_INET, AF_INET6] {
                    ours += try socket.sockets(family: family, transport: Int32(transport), states: Set(states))
                }
            }
            do throws(NetlinkError) {
                _ = try socket.sockets(family: AF_INET, transport: Int32(IPPROTO_SCTP))
            } catch {
                guard error.code == ENOENT || error.code == EINVAL else { throw error }
                print("skipped: this kernel lists no SCTP sockets: \(error)")
            }
            return (ours, try shell("ss -tulnHe"))
        }
        let lines = theirs.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true) }
        #expect(lines.count == ours.count && ours.count == 3)
        for one in ours {
            // How ss shows a socket of both families.
            let host = one.isV6Only == false ? "*" : text(one.localAddress) ?? ""
            let place = "\(host):\(one.localPort)"
            let line = try #require(lines.first { $0.count > 4 && $0[4] == place })
            #expect(line[0] == (one.transport == 6 ? "tcp" : "udp"))
            #expect(line.contains { $0 == "ino:\(one.inode)" } && one.inode != 0 && one.userID == 0)
        }
    }
}

/// Three sockets: TCP and UDP on 127.0.0.1, TCP on every address of both families.
private struct Listener {
    private var descriptors: [Int32] = []

    init?() {
        let v4 = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let udp = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        let v6 = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        descriptors = [v4, udp, v6]
        let loopback = UInt32(0x7f00_0001).bigEndian
        guard gantry_bind_ipv4(v4, loopback, 7001) == 0, gantry_bind_ipv4(udp, loopback, 7002) == 0,
            listen(v4, 5) == 0, listen(v6, 5) == 0
        else { return nil }
    }

    func close() { for descriptor in descriptors { Glibc.close(descriptor) } }
}

extension Bool {
    fileprivate var number: Int { self ? 1 : 0 }
}

extension UInt8 {
    /// Two digits.
    fileprivate var hexadecimal: String { (self < 16 ? "0" : "") + String(self, radix: 16) }
}
