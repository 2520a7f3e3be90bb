import CLinux
import Glibc
import LinuxSystem
import Netlink

/// Something changed that may have to be repaired.
public enum NetworkChange: Hashable, Sendable {
    /// A Gantry bridge or a host end of a container's interface is gone.
    case linkRemoved(name: String)
    /// An interface of a container, by the name of its host's end, went down in there or lost an address or a route.
    case interfaceChanged(hostInterface: String)
    /// Such a link went down, or lost its bridge, an address or the route to its network.
    case linkChanged(name: String)
    /// The firewall table was changed by others.
    case tableChanged
    /// Rules or chains of another firewall changed (`foreignForwardBlocks`).
    case foreignTableChanged
    /// The host's routes, addresses, interfaces or forwarding changed: uplinks, their MTU and free subnets may be
    /// others now (`ensureBridge`, `openUplinks`, `hostRoutes`, `repairControls`).
    case routesChanged
    /// Events were lost, or there were too many to tell apart: look at everything.
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
    /// Calls `onChange` from a thread of its own whenever the kernel reports a change that matters: at once when all
    /// was quiet, then twenty times a second at most, each change once. Changes of the firewall and of bridges'
    /// addresses made by this manager are left out.
    public func watch(_ onChange: @escaping @Sendable (NetworkChange) -> Void) throws(NetworkError) -> NetworkWatch {
        let stop = try system { () throws(SystemError) in
            SharedDescriptor(FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) }))
        }
        let links = try NetlinkSocket.make(.route)
        let tables = try NetlinkSocket.make(.netfilter)
        let groups = [
            RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF,
        ]
        try netlink { () throws(NetlinkError) in
            for group in groups { try links.subscribe(group.rawValue) }
            try tables.subscribe(NFNLGRP_NFTABLES.rawValue)
        }
        let reader = ChangeReader(
            manager: self, links: links, tables: tables, insides: insideSocket(), stop: stop, report: onChange)
        let known = try reader.knownLinks()
        try startDetachedThread(named: "network-watch") { reader.run(known) }
        return NetworkWatch(stop: stop)
    }
}

extension NetworkManager {
    /// `nil` where the kernel does not tell of other namespaces, as in an engine without root: what changes there is
    /// then seen by looking only.
    private func insideSocket() -> NetlinkSocket? {
        do throws(NetworkError) {
            let socket = try NetlinkSocket.make(.route)
            try netlink { () throws(NetlinkError) in
                try socket.listenToAllNamespaces()
                for group in InsideEvents.groups { try socket.subscribe(group.rawValue) }
            }
            return socket
        } catch {
            return nil
        }
    }
}

private struct ChangeReader: Sendable {
    let manager: NetworkManager
    let links: NetlinkSocket
    let tables: NetlinkSocket
    let insides: NetlinkSocket?
    let stop: SharedDescriptor
    let report: @Sendable (NetworkChange) -> Void

    /// What is waited after a report for more to come, in milliseconds.
    private static let quietTimeMilliseconds: Int32 = 50
    /// More different changes in one go are reported as one `resync`.
    private static let changeCountMax = 64
    /// Datagrams that are read before what they say is reported.
    private static let datagramCountMax = 1 << 14

    func knownLinks() throws(NetworkError) -> NetworkEvents {
        let links = try netlink { () throws(NetlinkError) in try manager.route.links() }
        return NetworkEvents(
            tableName: manager.tableName, ownPortIDs: [manager.netfilter.portID, manager.route.portID], links: links)
    }

    func run(_ known: NetworkEvents) {
        var events = known
        while true {
            // The only failure that is not a programming error is EINTR: then nothing is readable, and we wait again.
            let sockets = [links, tables, insides].compactMap { $0?.rawDescriptor }
            let ready = wait(for: [stop.raw] + sockets, milliseconds: -1)
            if ready.contains(stop.raw) { return }
            for change in changes(&events) { report(change) }
            for change in insideChanges() { report(change) }
            if wait(for: [stop.raw], milliseconds: Self.quietTimeMilliseconds).contains(stop.raw) { return }
        }
    }

    private func wait(for descriptors: [Int32], milliseconds: Int32) -> [Int32] {
        var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), milliseconds) > 0 else { return [] }
        return entries.filter { $0.revents != 0 }.map(\.fd)
    }

    /// The numbers of namespaces are the kernel's, and may be others' by the next time: links are asked each time.
    private func insideChanges() -> [NetworkChange] {
        guard let insides else { return [] }
        var found: Set<Int32> = []
        do throws(NetlinkError) {
            for _ in 0..<Self.datagramCountMax where wait(for: [insides.rawDescriptor], milliseconds: 0) != [] {
                let (id, messages) = try insides.receiveNamespacedEvents()
                guard let id, !found.contains(id) else { continue }
                for message in messages where try InsideEvents.isLoss(message) { found.insert(id) }
            }
            if found.isEmpty { return [] }
            let names = try manager.route.links().filter { link in
                link.name.hasPrefix(hostInterfaceNamePrefix) && link.linkNamespaceID.map(found.contains) ?? false
            }.map(\.name)
            return names.count > Self.changeCountMax
                ? [.resync] : names.sorted().map { .interfaceChanged(hostInterface: $0) }
        } catch {
            return [.resync]
        }
    }

    /// All there is to read now, each change once, in the order in which they came. Whatever cannot be understood asks
    /// for a look at everything.
    private func changes(_ events: inout NetworkEvents) -> [NetworkChange] {
        var changes: [NetworkChange] = []
        var known: Set<NetworkChange> = []
        for _ in 0..<Self.datagramCountMax {
            let sockets = [links, tables]
            let ready = wait(for: sockets.map(\.rawDescriptor), milliseconds: 0)
            guard let socket = sockets.first(where: { ready.contains($0.rawDescriptor) }) else { break }
            do throws(NetlinkError) {
                for message in try socket.receiveEvents() {
                    for change in try events.changes(message) where known.insert(change).inserted {
                        changes.append(change)
                    }
                }
            } catch {
                if known.insert(.resync).inserted { changes.append(.resync) }
                // What links there are was lost, too. When they cannot be listed, the old list is as good as any.
                if let fresh = try? knownLinks() { events = fresh }
            }
        }
        return changes.count > Self.changeCountMax ? [.resync] : changes
    }
}
