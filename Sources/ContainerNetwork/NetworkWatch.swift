import CLinux
import Glibc
import LinuxSystem
import Netlink

/// Something changed that may have to be repaired.
public enum NetworkChange: Equatable, Sendable {
    /// A Gantry bridge or a host end of a container's interface is gone.
    case linkRemoved(name: String)
    /// Such a link went down, or lost its bridge.
    case linkChanged(name: String)
    /// The firewall table was changed by others.
    case tableChanged
    /// Rules or chains of another firewall changed (`foreignForwardBlocks`).
    case foreignTableChanged
    /// The host's IPv4 routes, or what forwards, changed: uplinks and free subnets may be others now (`openUplinks`,
    /// `hostRoutes`, `repairControls`).
    case routesChanged
    /// Events were lost: look at everything.
    case resync
}

/// Ends with `cancel` or with its last reference.
public final class NetworkWatch: Sendable {
    private let stop: SharedDescriptor

    fileprivate init(stop: SharedDescriptor) { self.stop = stop }

    deinit { cancel() }

    /// No change is reported once the one being reported, if any, has returned.
    public func cancel() {
        // Fails only when the counter is full: then the thread is told already.
        _ = eventfd_write(stop.raw, 1)
    }
}

extension NetworkManager {
    /// Calls `onChange` from a thread of its own whenever the kernel reports a change that matters. Firewall changes
    /// made by this manager are left out.
    public func watch(_ onChange: @escaping @Sendable (NetworkChange) -> Void) throws(NetworkError) -> NetworkWatch {
        let stop = try system { () throws(SystemError) in
            SharedDescriptor(FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) }))
        }
        let links = try NetlinkSocket.make(.route)
        let tables = try NetlinkSocket.make(.netfilter)
        try netlink { () throws(NetlinkError) in
            try links.subscribe(RTNLGRP_LINK.rawValue)
            try links.subscribe(RTNLGRP_IPV4_ROUTE.rawValue)
            try links.subscribe(RTNLGRP_IPV4_NETCONF.rawValue)
            try tables.subscribe(NFNLGRP_NFTABLES.rawValue)
        }
        let reader = ChangeReader(
            links: links, tables: tables, stop: stop, tableName: tableName, ownPortID: netfilter.portID,
            report: onChange)
        try startDetachedThread(named: "network-watch") { reader.run() }
        return NetworkWatch(stop: stop)
    }
}

private struct ChangeReader: Sendable {
    let links: NetlinkSocket
    let tables: NetlinkSocket
    let stop: SharedDescriptor
    let tableName: String
    let ownPortID: UInt32
    let report: @Sendable (NetworkChange) -> Void

    func run() {
        while true {
            let (readable, shouldStop) = waitForInput()
            if shouldStop { return }
            for socket in readable {
                for change in changes(of: socket) { report(change) }
            }
        }
    }

    private func waitForInput() -> (readable: [NetlinkSocket], shouldStop: Bool) {
        let sockets = [links, tables]
        var entries = ([stop.raw] + sockets.map(\.rawDescriptor)).map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        // The only failure that is not a programming error is EINTR: then nothing is readable, and we wait again.
        guard poll(&entries, nfds_t(entries.count), -1) > 0 else { return ([], false) }
        let readable = zip(sockets, entries.dropFirst()).filter { $0.1.revents != 0 }.map(\.0)
        return (readable, entries[0].revents != 0)
    }

    /// Each change once, in the order in which they came. Whatever cannot be understood asks for a look at everything.
    private func changes(of socket: NetlinkSocket) -> [NetworkChange] {
        var changes: [NetworkChange] = []
        do {
            for message in try socket.receiveEvents() {
                if let change = try change(message), !changes.contains(change) { changes.append(change) }
            }
            return changes
        } catch {
            return [.resync]
        }
    }

    private func change(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        if let event = try FirewallEvent(message) {
            guard event.portID != ownPortID else { return nil }
            if event.table == tableName { return .tableChanged }
            return isRuleChange(message) ? .foreignTableChanged : nil
        }
        switch Int(message.type) {
        case RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWNETCONF: return .routesChanged
        case RTM_DELLINK: return try linkRemoved(message)
        case RTM_NEWLINK: return try linkChanged(message)
        default: return nil
        }
    }

    /// Not of a set's elements, which some firewalls change all the time: sets are not looked at.
    private func isRuleChange(_ message: NetlinkMessage) -> Bool {
        UInt32(message.type & 0xff) < NFT_MSG_NEWSET.rawValue
    }

    /// A port that leaves its bridge is reported as a removed link of the family `AF_BRIDGE`.
    private func linkRemoved(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        let link = try Link(message)
        guard isGantry(link) else { return nil }
        return message.payload.first == UInt8(AF_BRIDGE) ? .linkChanged(name: link.name) : .linkRemoved(name: link.name)
    }

    private func linkChanged(_ message: NetlinkMessage) throws(NetlinkError) -> NetworkChange? {
        guard message.payload.first == UInt8(AF_UNSPEC) else { return nil }
        let link = try Link(message)
        guard isGantry(link), !link.isUp else { return nil }
        return .linkChanged(name: link.name)
    }

    private func isGantry(_ link: Link) -> Bool {
        link.name.hasPrefix(bridgeNamePrefix) || link.name.hasPrefix(hostInterfaceNamePrefix)
    }
}
