import CLinux
import Glibc
import InternetAddress
import Netlink

/// Understands the kernel's events, with what it takes to tell our interfaces from others.
struct NetworkEvents: Sendable {
    private struct KnownLink: Equatable, Sendable {
        var name: String
        var isOwn: Bool
        var isBridge: Bool
        var isUp: Bool
        var mtu: UInt32
    }

    private let tableName: String
    /// Of the sockets whose changes are our own.
    private let ownPortIDs: Set<UInt32>
    private var links: [Int32: KnownLink] = [:]

    init(tableName: String, ownPortIDs: Set<UInt32>, links: [Link]) {
        self.tableName = tableName
        self.ownPortIDs = ownPortIDs
        for link in links { self.links[link.index] = known(link) }
    }

    private func known(_ link: Link) -> KnownLink {
        let isBridge =
            link.name.hasPrefix(bridgeNamePrefix)
            || (link.kind == "bridge" && link.alias?.hasPrefix("\(tableName):") == true)
        return KnownLink(
            name: link.name, isOwn: isBridge || link.name.hasPrefix(hostInterfaceNamePrefix), isBridge: isBridge,
            isUp: link.isUp, mtu: link.mtu)
    }

    mutating func changes(_ message: NetlinkMessage) throws(NetlinkError) -> [NetworkChange] {
        if let event = try FirewallEvent(message) {
            return event.table == tableName && !ownPortIDs.contains(event.portID) ? [.tableChanged] : []
        }
        let change: NetworkChange? =
            switch Int(message.type) {
            case RTM_NEWROUTE, RTM_DELROUTE: try routeChange(message)
            case RTM_NEWADDR, RTM_DELADDR: try addressChange(message)
            case RTM_NEWNETCONF: try forwardingChange(message)
            case RTM_DELLINK: try linkRemoved(message)
            case RTM_NEWLINK: try linkChanged(message)
            default: nil
            }
        return change.map { [$0] } ?? []
    }

    /// Routes of our interfaces come and go with them; one to a network of ours that goes while its bridge is up may
    /// have been deleted by somebody.
    private func routeChange(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        let route = try Route(message)
        guard let index = route.outputIndex, let link = links[index], link.isOwn else { return .routesChanged }
        guard Int(message.type) == RTM_DELROUTE, link.isBridge, link.isUp, route.isUnicast, !route.isLinkLocal6,
            route.table == RT_TABLE_MAIN.kernelValue, !ownPortIDs.contains(message.portID)
        else { return nil }
        return .linkChanged(name: link.name)
    }

    private func addressChange(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        let address = try AssignedAddress(message).address
        guard let link = links[address.index], link.isOwn else { return .routesChanged }
        // The kernel makes link-local ones itself.
        guard link.isBridge, !address.isLinkLocal6, !ownPortIDs.contains(message.portID) else { return nil }
        return .linkChanged(name: link.name)
    }

    /// `struct netconfmsg` is the family in four bytes. Of the switch for the whole host every change counts, of an
    /// interface's that it goes off. Linux 6.17 and 6.18 tell of `force_forwarding` without its value.
    private func forwardingChange(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        var cursor = ByteCursor(message.payload)
        try cursor.skip(4)
        let attributes = try Attribute.parse(cursor.rest)
        guard let index: Int32 = try attributes[of: netconfInterface]?.native() else { return nil }
        let isValueless = attributes.count == 1
        var switches: [Int32] = []
        for type in netconfForwarding {
            if let value: Int32 = try attributes[of: type]?.native() { switches.append(value) }
        }
        if index == netconfAll { return switches.isEmpty ? nil : .routesChanged }
        guard links[index] != nil, isValueless || switches.contains(0) else { return nil }
        return .routesChanged
    }

    /// A port that leaves its bridge is reported as a removed link of the family `AF_BRIDGE`.
    private mutating func linkRemoved(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        let link = try Link(message)
        if message.payload.first == UInt8(AF_BRIDGE) {
            return known(link).isOwn ? .linkChanged(name: link.name) : nil
        }
        let old = links.removeValue(forKey: link.index)
        guard known(link).isOwn || old?.isOwn == true else { return .routesChanged }
        return .linkRemoved(name: link.name)
    }

    private mutating func linkChanged(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        guard message.payload.first == UInt8(AF_UNSPEC) else { return nil }
        let link = try Link(message)
        let new = known(link)
        let old = links.updateValue(new, forKey: link.index)
        if new.isOwn { return new.isUp ? nil : .linkChanged(name: link.name) }
        // A bridge with a name that a user chose, before it has its mark, is among them.
        return old == nil || old == new ? nil : .routesChanged
    }
}

/// `NETCONFA_*` of <linux/netconf.h>; the last is newer than most copies of it (Linux 6.17).
private let netconfInterface = 1
private let netconfForwarding = [2, 9]
/// `NETCONFA_IFINDEX_ALL`.
private let netconfAll: Int32 = -1
