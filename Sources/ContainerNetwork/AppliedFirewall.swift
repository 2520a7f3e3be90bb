import Netlink

/// What the table held right after our last transaction: changes of others are found by comparing with it.
struct AppliedFirewall: Sendable {
    var model: FirewallModel
    /// As the kernel tells it, not as we sent it.
    var shape: TableShape
    /// The rule set's generation number right after our transaction: as long as it stands, nobody changed anything.
    var generation: UInt32
}
