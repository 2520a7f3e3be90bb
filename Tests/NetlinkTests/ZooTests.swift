import CLinux
import Glibc
import LinuxSystem
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
            let (ours, theirs) = try Self.whileTheySaySame("ip -j -d link") {
                try NetlinkSocket(.route).links(withStatistics: true)
            }
            return Reading(ours: ours, theirs: theirs)
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
            return try Self.whileTheySaySame("ip -j -d addr") {
                try socket.assignedAddresses(family: AF_INET) + socket.assignedAddresses(family: AF_INET6)
            }
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
            let left = other["valid_life_time"]?.int ?? 0
            if let seconds = one.validSeconds { #expect(abs(Int(seconds) - left) <= 20) }
        }
    }

    /// What we and another program read while it saw the same before and after: states and link-local addresses come
    /// by themselves. Its clocks go on.
    private static func whileTheySaySame<Ours>(
        _ command: String, _ read: () throws -> Ours
    ) throws -> (ours: Ours, theirs: String) {
        let look = command + #" | sed -E 's/"[a-z_]*(timer|life_time)":[^,}]*//g'"#
        var before = try shell(look)
        for _ in 0..<50 {
            let reading = (ours: try read(), theirs: try shell(command))
            let after = try shell(look)
            if after == before { return reading }
            before = after
            usleep(200_000)
        }
        throw SystemError("\(command): not settled", code: ETIMEDOUT)
    }

    /// Until both see the same: link-local addresses and their routes come by themselves.
    private static func settled(_ read: () throws -> Readings) throws -> Readings {
        var value = try read()
        for _ in 0..<20 where value.ours != value.theirs {
            usleep(200_000)
            value = try read()
        }
        return value
    }

    /// Lists in words.
    private struct Readings: Sendable {
        var ours: [[String]]
        var theirs: [[String]]
    }

    /// `ip route show table all` without a family shows those of both, and no multicast routes of `mroute`: each family
    /// by itself is all there is.
    @Test func routes() throws {
        let reading = try inPrivateNetwork {
            try Self.build()
            let socket = try NetlinkSocket(.route)
            return try Self.settled {
                let links = try socket.links()
                let ours = try [AF_INET, AF_INET6].map { family in
                    try socket.routes(family: family).map { Self.words($0, links) }.sorted()
                }
                let theirs = try ["-4", "-6"].map { family in
                    try JSON(shell("ip -N -j -d \(family) route show table all")).list.map(Self.words(route:)).sorted()
                }
                return Readings(ours: ours, theirs: theirs)
            }
        }
        #expect(reading.theirs.allSatisfy { $0.count > 5 })
        #expect(reading.ours == reading.theirs)
    }

    private static func words(_ route: Route, _ links: [Link]) -> String {
        let name = { (index: Int32?) in index.flatMap { index in links.first { $0.index == index }?.name } }
        let isHost = Int(route.prefixLength) == route.destination.count * 8
        let network = text(route.destination.isEmpty ? nil : route.destination)
        let destination = network.map { isHost ? $0 : "\($0)/\(route.prefixLength)" } ?? "default"
        var words = ["\(route.kind)", destination, "table \(route.table)", "proto \(route.protocolNumber)"]
        words.append("scope \(route.scope.map { "\($0.rawValue)" } ?? "?") metric \(route.priority)")
        if let gateway = text(route.gateway) { words.append("via \(gateway)") }
        if let device = name(route.outputIndex) { words.append("dev \(device)") }
        if let source = text(route.preferredSource) { words.append("src \(source)") }
        if let mtu = route.mtu { words.append("mtu \(mtu)") }
        if let size = route.segmentSize { words.append("advmss \(size)") }
        if let preference = route.preference { words.append("pref \(preference)") }
        if route.isOnLink { words.append("onlink") }
        for hop in route.nextHops {
            words.append("hop \(text(hop.gateway) ?? "") \(name(hop.outputIndex) ?? "") \(hop.weight)")
        }
        return words.joined(separator: " ")
    }

    private static func words(route: JSON) -> String {
        let field = { (name: String) in route[name]?.string ?? "" }
        var words = [
            field("type"), field("dst"), "table \(route["table"]?.string ?? "254")", "proto \(field("protocol"))",
        ]
        words.append("scope \(field("scope")) metric \(route["metric"]?.int ?? 0)")
        if let gateway = route["gateway"]?.string { words.append("via \(gateway)") }
        if let device = route["dev"]?.string { words.append("dev \(device)") }
        if let source = route["prefsrc"]?.string { words.append("src \(source)") }
        for (name, word) in [("mtu", "mtu"), ("advmss", "advmss")] {
            if let value = route["metrics"]?.list.first?[name]?.int { words.append("\(word) \(value)") }
        }
        let preferences = ["medium": 0, "high": 1, "low": 3]
        if let preference = route["pref"]?.string { words.append("pref \(preferences[preference] ?? -1)") }
        if route["flags"]?.list.contains(.string("onlink")) == true { words.append("onlink") }
        for hop in route["nexthops"]?.list ?? [] {
            words.append("hop \(hop["gateway"]?.string ?? "") \(hop["dev"]?.string ?? "") \(hop["weight"]?.int ?? 0)")
        }
        return words.joined(separator: " ")
    }

    @Test func rules() throws {
        let (rules, theirs) = try inPrivateNetwork {
            try Self.build()
            let socket = try NetlinkSocket(.route)
            return (
                try socket.rules(family: AF_INET) + socket.rules(family: AF_INET6),
                try [shell("ip -N -j -d rule"), shell("ip -N -j -d -6 rule")]
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
    }

    @Test func neighbours() throws {
        let reading = try inPrivateNetwork {
            try Self.build()
            let socket = try NetlinkSocket(.route)
            return try Self.settled {
                let links = try socket.links()
                let ours = try [false, true].map { proxies in
                    try [AF_INET, AF_INET6].flatMap { try socket.neighbours(family: $0, proxies: proxies) }
                        .map { Self.words($0, links) }.sorted()
                }
                let theirs = try ["ip -j neigh show nud all", "ip -j neigh show proxy"].map { command in
                    try JSON(shell(command)).list.map(Self.words(neighbour:)).sorted()
                }
                return Readings(ours: ours, theirs: theirs)
            }
        }
        #expect(reading.ours == reading.theirs)
        #expect(reading.ours[1] == ["10.7.0.77 dev br0   proxy"])
        let permanent = [
            "10.7.0.9 dev br0 02:00:00:00:00:09 PERMANENT", "fd07::9 dev br0 02:00:00:00:00:09 PERMANENT router",
        ]
        #expect(Set(reading.ours[0]).isSuperset(of: permanent))
    }

    private static let states: [(Neighbour.State, String)] = [
        (.incomplete, "INCOMPLETE"), (.reachable, "REACHABLE"), (.stale, "STALE"), (.delay, "DELAY"), (.probe, "PROBE"),
        (.failed, "FAILED"), (.noARP, "NOARP"), (.permanent, "PERMANENT"),
    ]

    private static func name(_ index: Int32?, _ links: [Link]) -> String {
        links.first { $0.index == index }?.name ?? ""
    }

    private static func words(_ neighbour: Neighbour, _ links: [Link]) -> String {
        let address = neighbour.linkAddress?.map(\.hexadecimal).joined(separator: ":") ?? ""
        let state = states.filter { neighbour.state.contains($0.0) }.map(\.1).joined(separator: ",")
        let isProxy = neighbour.flags.contains(.proxy)
        let word =
            "\(text(neighbour.address) ?? "") dev \(name(neighbour.index, links)) \(address) \(isProxy ? "" : state)"
        return word + (neighbour.flags.contains(.router) ? " router" : "") + (isProxy ? " proxy" : "")
    }

    private static func words(neighbour json: JSON) -> String {
        let state = (json["state"]?.list ?? []).compactMap(\.string).joined(separator: ",")
        let address = json["lladdr"]?.string ?? ""
        let word = "\(json["dst"]?.string ?? "") dev \(json["dev"]?.string ?? "") \(address) \(state)"
        return word + (json["router"] == nil ? "" : " router") + (json["proxy"] == nil ? "" : " proxy")
    }

    @Test func forwardingDatabase() throws {
        let reading = try inPrivateNetwork {
            try Self.build()
            let socket = try NetlinkSocket(.route)
            return try Self.settled {
                let links = try socket.links()
                let ours = try socket.forwardingEntries().map { Self.words(forwarding: $0, links) }.sorted()
                let theirs = try JSON(shell("bridge -j fdb")).list.map(Self.words(forwarding:)).sorted()
                return Readings(ours: [ours], theirs: [theirs])
            }
        }
        #expect(reading.ours == reading.theirs && reading.ours[0].count > 5)
        #expect(reading.ours[0].contains { $0.hasPrefix("02:00:00:00:00:55 dev v0 master br0") })
    }

    private static func words(forwarding entry: Neighbour, _ links: [Link]) -> String {
        let address = entry.linkAddress?.map(\.hexadecimal).joined(separator: ":") ?? ""
        var word = "\(address) dev \(name(entry.index, links))"
        if let master = entry.master { word += " master \(name(master, links))" }
        if let end = text(entry.address) { word += " dst \(end)" }
        if let vlan = entry.vlan { word += " vlan \(vlan)" }
        if entry.flags.contains(.own) { word += " self" }
        if entry.state.contains(.permanent) { word += " permanent" }
        if entry.state.contains(.noARP) { word += " static" }
        return word
    }

    private static func words(forwarding json: JSON) -> String {
        var word = "\(json["mac"]?.string ?? "") dev \(json["ifname"]?.string ?? "")"
        if let master = json["master"]?.string { word += " master \(master)" }
        if let end = json["dst"]?.string { word += " dst \(end)" }
        if let vlan = json["vlan"]?.int { word += " vlan \(vlan)" }
        if json["flags"]?.list.contains(.string("self")) == true { word += " self" }
        if let state = json["state"]?.string, ["permanent", "static"].contains(state) { word += " \(state)" }
        return word
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
