import InternetAddress
import Netlink

/// What the table held right after our last transaction: changes of others are found by comparing with it.
struct AppliedFirewall: Sendable {
    var state: FirewallState
    var elements: FirewallElements
    /// As the kernel tells it, not as we sent it.
    var shape: TableShape
    /// The rule set's generation number right after our transaction: as long as it stands, nobody changed anything.
    var generation: UInt32
}

/// Connection tracking entries that a change of elements makes wrong.
enum StaleConnections {
    /// Connectionless flows would go on to a backend that is gone, or past one that is new, for as long as they are
    /// busy: they are forgotten at once. TCP connections are left to finish: a rolling update must not cut them, and a
    /// container that stops resets its own.
    static func filters(from old: FirewallElements, to new: FirewallElements) -> [ConntrackFilter] {
        let old = old.backends
        let new = new.backends
        var filters = Set<ConntrackFilter>()
        for (key, backends) in old where key.transport != Transport.tcp.number {
            for backend in backends.subtracting(new[key] ?? []) {
                filters.insert(
                    ConntrackFilter(
                        transport: key.transport, originalDestinationPort: key.port, replySource: backend.address.bytes)
                )
            }
        }
        for key in new.keys where key.transport != Transport.tcp.number && old[key] == nil {
            filters.insert(ConntrackFilter(transport: key.transport, originalDestinationPort: key.port))
        }
        return Array(filters)
    }
}
