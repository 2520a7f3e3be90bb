import InternetAddress

/// The groups of backends that differ between two states.
struct WantedGroups {
    struct Group: Equatable {
        /// Sorted, each once.
        var members: [Backend]
        var balance: Balance
    }

    /// Those that the differing entries of the new state make.
    private(set) var groups: [GroupKey: Group] = [:]
    /// Those, and the ones that the differing entries of the old state made.
    var considered: Set<GroupKey> = []
    /// Ranges among `groups`.
    private(set) var ranges: [GroupKey] = []

    /// Entries that are equal at the start and at the end of both lists are left out: of thousands of ports, sorted,
    /// few change at a time.
    init(from old: FirewallState, to new: FirewallState) throws(NetworkError) {
        let (oldPorts, newPorts) = differing(old.ports, new.ports)
        for port in oldPorts { considered.formUnion(Self.keys(port)) }
        for port in newPorts {
            for (key, group) in Self.groups(port) {
                if groups.updateValue(group, forKey: key) != nil {
                    throw .conflictingPorts(port, newPorts.first { Self.keys($0).contains(key) } ?? port)
                }
                if key.place.isRange { ranges.append(key) }
            }
        }
        let (oldAddresses, newAddresses) = differing(old.virtualAddresses, new.virtualAddresses)
        for entry in oldAddresses { considered.insert(.virtual(entry.address)) }
        for entry in newAddresses {
            let key = GroupKey.virtual(entry.address)
            let members = entry.backends.filter { $0.isV6 == entry.address.isV6 }
            if members.isEmpty { continue }
            let group = Group(members: members.map { Backend(address: $0, port: 0) }, balance: entry.balance)
            if groups.updateValue(group, forKey: key) != nil { throw .conflictingAddresses(entry.address) }
        }
    }

    static func keys(_ port: PublishedPort) -> [GroupKey] { groups(port).map(\.0) }

    /// One group for each family that the port is published in and has backends of. A range whose ports are others at
    /// the backend is as many single ports.
    static func groups(_ port: PublishedPort) -> [(GroupKey, Group)] {
        [false, true].flatMap { isV6 -> [(GroupKey, Group)] in
            guard port.isPublished(isV6: isV6) else { return [] }
            let members = port.backends.filter { $0.address.isV6 == isV6 }
            guard !members.isEmpty else { return [] }
            let address = port.hostIP.flatMap { $0.isAny ? nil : $0 }
            func key(_ first: UInt16, _ last: UInt16, isRange: Bool) -> GroupKey {
                GroupKey(
                    place: .published(isV6: isV6, hasAddress: address != nil, isRange: isRange), address: address,
                    transport: port.transport.number, port: first, lastPort: last)
            }
            guard let last = port.lastPort, last > port.port else {
                return [(key(port.port, port.port, isRange: false), Group(members: members, balance: port.balance))]
            }
            if members.allSatisfy({ $0.port == port.port }) {
                let withoutPort = members.map { Backend(address: $0.address, port: 0) }
                return [(key(port.port, last, isRange: true), Group(members: withoutPort, balance: port.balance))]
            }
            return (port.port...last).map { number in
                let shifted = members.map { Backend(address: $0.address, port: $0.port &+ (number - port.port)) }
                return (key(number, number, isRange: false), Group(members: shifted, balance: port.balance))
            }
        }
    }
}

extension PublishedPort {
    /// `::1` is served by a listener on the host: the kernel cannot send it on.
    fileprivate func isPublished(isV6: Bool) -> Bool {
        guard let hostIP else { return true }
        return hostIP.isV6 == isV6 && hostIP != .v6(.loopback)
    }
}

/// What is left of both without their common start and end.
func differing<Element: Equatable>(_ old: [Element], _ new: [Element]) -> (ArraySlice<Element>, ArraySlice<Element>) {
    let shorter = min(old.count, new.count)
    var start = 0
    while start < shorter, old[start] == new[start] { start += 1 }
    var end = 0
    while end < shorter - start, old[old.count - 1 - end] == new[new.count - 1 - end] { end += 1 }
    return (old[start..<old.count - end], new[start..<new.count - end])
}
