import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

/// Interfaces of the host that forward only because of us, by family.
struct OpenedUplinks: Equatable, Sendable {
    var v4: Set<String> = []
    var v6: Set<String> = []

    var isEmpty: Bool { v4.isEmpty && v6.isEmpty }

    mutating func formUnion(_ other: OpenedUplinks) {
        v4.formUnion(other.v4)
        v6.formUnion(other.v6)
    }
}

extension FirewallElements {
    /// What the table knows of interfaces that forward because of us.
    var opened: OpenedUplinks { OpenedUplinks(v4: Set(names(in: "opened4")), v6: Set(names(in: "opened6"))) }
}

extension NetworkManager {
    /// Lets every interface that a route leaves by forward what comes in, so that answers to containers and connections
    /// to published ports get through. Called by `ensureBridge`; call it again when routes change.
    ///
    /// The host does not become a router by it: the interfaces are first noted in the firewall, which lets nothing
    /// through them but to and from our bridges; before the first `applyFirewall`, which then does the rest, they are
    /// only noted here. When a family's forwarding is on for the whole host, each interface's switch is its owner's
    /// choice and left alone.
    ///
    /// In IPv6 the switch is `force_forwarding` (kernel >= 6.17). Before that there is only one for the whole host;
    /// it is used when a network has IPv6, and interfaces that listen to router advertisements are told to go on doing
    /// so (`accept_ra` 2), which forwarding would end.
    ///
    /// - Parameter untouched: bridges, by interface name, whose own switch stays as it is.
    public func openUplinks(untouched: Set<String> = []) throws(NetworkError) {
        let closed = try closedUplinks()
        if !closed.isEmpty {
            openedUplinks.withLock { $0.formUnion(closed) }
            try reapplyFirewall()
        }
        try openBridges(but: untouched)
    }

    /// Interfaces that forwarded because of this manager and do not any more, by name, sorted.
    public func closedAgain() throws(NetworkError) -> [String] {
        let opened = openedUplinks.withLock { $0 }
        var closed: Set<String> = []
        for name in opened.v4 where try SystemControls.value(.ipv4, name, "forwarding") == 0 { closed.insert(name) }
        if forcesForwarding {
            for name in opened.v6 where try SystemControls.value(.ipv6, name, "force_forwarding") == 0 {
                closed.insert(name)
            }
        }
        return closed.sorted()
    }

    /// A switch for the whole host that goes off takes those of the bridges with it.
    private func openBridges(but untouched: Set<String>) throws(NetworkError) {
        let bridges = firewall.withLock { $0?.model.input.state.bridges ?? [] }
        for spec in bridges where !untouched.contains(spec.bridge) { try setForwarding(of: spec) }
    }

    private func closedUplinks() throws(NetworkError) -> OpenedUplinks {
        var closed = OpenedUplinks()
        if try !forwardsGlobally(.ipv4) {
            for name in try routedInterfaces(family: AF_INET)
            where try SystemControls.value(.ipv4, name, "forwarding") == 0 {
                closed.v4.insert(name)
            }
        }
        guard hasIPv6, needsIPv6.withLock({ $0 }) else { return closed }
        let known = openedUplinks.withLock { $0.v6 }
        if forcesForwarding {
            guard try !forwardsGlobally(.ipv6) else { return closed }
            for name in try routedInterfaces(family: AF_INET6)
            where try SystemControls.value(.ipv6, name, "force_forwarding") == 0 {
                closed.v6.insert(name)
            }
        } else if try !forwardsGlobally(.ipv6) || !known.isEmpty {
            closed.v6 = Set(try routedInterfaces(family: AF_INET6)).subtracting(known)
        }
        return closed
    }

    /// What the table must say: those of this manager, and those noted in the table by one before it.
    /// Where forwarding is on for the whole host, routing between its interfaces is its owner's wish.
    func noteUplinks(_ known: OpenedUplinks) throws(NetworkError) -> OpenedUplinks {
        let isGlobal4 = try forwardsGlobally(.ipv4)
        let isGlobal6 = forcesForwarding ? try forwardsGlobally(.ipv6) : !hasIPv6
        return openedUplinks.withLock { opened in
            opened.formUnion(known)
            if isGlobal4 { opened.v4 = [] }
            if isGlobal6 { opened.v6 = [] }
            return opened
        }
    }

    func forwardsGlobally(_ family: SystemControls.Family) throws(NetworkError) -> Bool {
        try SystemControls.value(family, "all", "forwarding").map { $0 != 0 } ?? false
    }

    /// Done only with the firewall ready. Interfaces that went meanwhile are passed over.
    func switchForwarding(_ uplinks: OpenedUplinks, on: Bool) throws(NetworkError) {
        let value = on ? 1 : 0
        for name in uplinks.v4.sorted() { try SystemControls.setIfPresent(.ipv4, name, "forwarding", value) }
        guard !uplinks.v6.isEmpty else { return }
        guard forcesForwarding else { return try switchWholeHost(on: on) }
        for name in uplinks.v6.sorted() { try SystemControls.setIfPresent(.ipv6, name, "force_forwarding", value) }
    }

    /// `accept_ra` stays at 2 when forwarding ends: without forwarding that is the same as 1.
    private func switchWholeHost(on: Bool) throws(NetworkError) {
        if on, try !forwardsGlobally(.ipv6) {
            let links = try netlink { () throws(NetlinkError) in try route.links() }
            for link in links where try SystemControls.value(.ipv6, link.name, "accept_ra") == 1 {
                try SystemControls.setIfPresent(.ipv6, link.name, "accept_ra", 2)
            }
        }
        try SystemControls.setIfPresent(.ipv6, "all", "forwarding", on ? 1 : 0)
    }

    /// Of a bridge: it forwards unless its network is internal. With virtual addresses even then: what was sent to one
    /// is routed back to the bridge it came from; that the network stays closed otherwise is then the firewall's part
    /// alone.
    func setForwarding(of spec: BridgeSpec) throws(NetworkError) {
        try setForwarding(of: spec, isOn: !spec.isInternal || hasVirtualAddresses(spec.bridge))
    }

    func setForwarding(of spec: BridgeSpec, isOn: Bool) throws(NetworkError) {
        let value = isOn ? 1 : 0
        try SystemControls.setIfPresent(.ipv4, spec.bridge, "forwarding", value)
        guard hasIPv6, spec.hasIPv6 else { return }
        // Also says so in its neighbour advertisements.
        try SystemControls.setIfPresent(.ipv6, spec.bridge, "forwarding", value)
        if forcesForwarding { try SystemControls.setIfPresent(.ipv6, spec.bridge, "force_forwarding", value) }
    }

    /// Names of the interfaces that a family's routes leave by, without loopback and bridges of Gantry's, sorted.
    func routedInterfaces(family: Int32) throws(NetworkError) -> [String] {
        let routes = try netlink { () throws(NetlinkError) in try route.routes(family: family) }
        // Where only the switch for the whole host can be used, every interface forwards: also those with nothing but
        // their link-local route.
        let isUsed = { (route: Route) in
            route.isUnicast && (!self.forcesForwarding || !route.isLinkLocal6)
        }
        let links = try links(of: routes.filter(isUsed))
        return links.values.filter { $0.index != loopbackIndex && !isGantryBridge($0) }.map(\.name).sorted()
    }

    /// The links that routes leave by, asked for one by one: a host has far more links than routed ones.
    func links(of routes: [Route]) throws(NetworkError) -> [Int32: Link] {
        var links: [Int32: Link] = [:]
        for index in Set(routes.flatMap(\.outputIndexes)) {
            links[index] = try netlink { () throws(NetlinkError) in try route.link(.index(index)) }
        }
        return links
    }

    /// Whether a link is a bridge that this engine (this table name) made.
    func isOwn(_ link: Link) -> Bool { link.kind == "bridge" && link.alias?.hasPrefix("\(tableName):") == true }

    /// Also another engine's.
    func isGantryBridge(_ link: Link) -> Bool {
        guard link.kind == "bridge" else { return false }
        return isOwn(link) || link.name.hasPrefix(bridgeNamePrefix)
            || link.alias.map { $0.hasPrefix(tableNamePrefix) && $0.contains(":") } == true
    }
}

/// What the table names of all engines begin with: so bridges whose names users chose are told from a host's own.
private let tableNamePrefix = "gantry"

extension Route {
    /// Of every way it has.
    var outputIndexes: [Int32] { nextHops.map(\.outputIndex) + [outputIndex].compactMap { $0 } }

    /// fe80::/10 and what is inside of it.
    var isLinkLocal6: Bool { IPAddress(bytes: destination).map { $0.isV6 && $0.isLinkLocal } == true }

    var isBroadcastOrMulticast: Bool {
        kind == UInt8(truncatingIfNeeded: RTN_BROADCAST.kernelValue)
            || kind == UInt8(truncatingIfNeeded: RTN_MULTICAST.kernelValue)
    }
}
