import Glibc
import InternetAddress
import Netlink

/// Connection tracking entries that a change of elements makes wrong.
///
/// Connectionless flows would go on to a backend that is gone, or past one that is new, for as long as they are busy:
/// they are forgotten at once. TCP and SCTP connections are left to finish: a rolling update must not cut them, and a
/// container that stops resets its own.
struct StaleConnections: Hashable, Sendable {
    var isV6: Bool
    /// IANA number.
    var transport: UInt8
    /// Port, before translation; `nil`: any.
    var port: UInt16?
    /// Where they were sent to; `nil`: any address.
    var destination: IPAddress?
    /// Who answers.
    var from: Source

    enum Source: Hashable {
        case anybody
        case backend(IPAddress)
        /// The host itself: by the address the flow was sent to, or each that it has.
        case host
    }

    /// The kernel's filter knows single ports only, and each means a walk through all entries: flows to a longer range
    /// are found by who answers, whatever their port.
    private static let singlePortCountMax = 16

    static func collect(
        _ key: GroupKey, from old: FirewallGroup?, to new: FirewallGroup?, into stale: inout Set<StaleConnections>
    ) {
        let transports = transports(key)
        if transports.isEmpty { return }
        let staying = Set(new?.members ?? [])
        // A range has one backend; the others stand by.
        let before = (key.place.isRange ? old?.members.prefix(1) : old?.members[...]) ?? []
        let gone = before.filter { key.place.isRange ? $0 != new?.members.first : !staying.contains($0) }
        let destination = key.place.isVirtual ? key.address : nil
        for transport in transports {
            let entry = { (port: UInt16?, source: Source) in
                StaleConnections(
                    isV6: key.place.isV6, transport: transport, port: port, destination: destination, from: source)
            }
            for member in gone {
                for port in ports(key) { stale.insert(entry(port, .backend(member.address))) }
            }
            if old == nil, new != nil {
                for port in ports(key) {
                    stale.insert(entry(port, port == nil && !key.place.isVirtual ? .host : .anybody))
                }
            }
        }
    }

    private static func transports(_ key: GroupKey) -> [UInt8] {
        if key.place.isVirtual { return [UInt8(IPPROTO_UDP), UInt8(key.place.isV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)] }
        return key.transport == UInt8(IPPROTO_UDP) ? [key.transport] : []
    }

    private static func ports(_ key: GroupKey) -> [UInt16?] {
        if key.place.isVirtual { return [nil] }
        return key.ports.count <= singlePortCountMax ? key.ports.map { $0 } : [nil]
    }

    /// Of everything that differs between what two tables say.
    static func all(
        from old: [GroupKey: FirewallGroup], to new: [GroupKey: FirewallGroup]
    ) -> Set<StaleConnections> {
        var stale: Set<StaleConnections> = []
        for (key, group) in old { collect(key, from: group, to: new[key], into: &stale) }
        for (key, group) in new where old[key] == nil { collect(key, from: nil, to: group, into: &stale) }
        return stale
    }

    /// - Parameter hostAddresses: all that the host has.
    func filters(hostAddresses: @autoclosure () throws(NetworkError) -> [IPAddress]) throws(NetworkError)
        -> [ConntrackFilter]
    {
        func filter(_ source: IPAddress?) -> ConntrackFilter {
            var filter = ConntrackFilter(
                transport: transport, originalDestinationPort: port, replySource: source?.bytes)
            filter.family = UInt8(isV6 ? AF_INET6 : AF_INET)
            filter.originalDestination = destination?.bytes
            return filter
        }
        switch from {
        case .anybody: return [filter(nil)]
        case .backend(let address): return [filter(address)]
        case .host: return try hostAddresses().filter { $0.isV6 == isV6 }.map { filter($0) }
        }
    }
}
