import InternetAddress
import Netlink

extension FirewallElements {
    /// What follows from the networks, the opened interfaces and the list of virtual addresses.
    init(networksOf input: FirewallInput) {
        self.init()
        for bridge in input.state.bridges { add(bridge) }
        for name in input.opened.v4 { insert(SetElement(Self.name(name)), into: "opened4") }
        for name in input.opened.v6 { insert(SetElement(Self.name(name)), into: "opened6") }
        for entry in input.state.virtualAddresses {
            let suffix = entry.address.isV6 ? "6" : "4"
            let address = entry.address.bytes
            insert(SetElement(address), into: "virtuals\(suffix)")
            insert(SetElement(Self.name(entry.bridge) + address), into: "neighbours\(suffix)")
        }
    }

    private mutating func add(_ bridge: BridgeSpec) {
        let name = Self.name(bridge.bridge)
        insert(SetElement(name), into: "bridges")
        if bridge.isInternal {
            insert(SetElement(name), into: "internal")
        } else {
            for (gateway, suffix) in [(bridge.gateway4, "4"), (bridge.gateway6, "6")] {
                let set =
                    switch gateway {
                    case .nat: "masquerade\(suffix)"
                    case .routed: "routed\(suffix)"
                    case .unprotected: "unprotected\(suffix)"
                    }
                insert(SetElement(name), into: set)
            }
        }
        if bridge.interContainer { insert(SetElement(name + name), into: "peers") }
        for subnet in bridge.subnets {
            let set = subnet.range.isV6 ? "subnets6" : "subnets4"
            insert(SetElement(subnet.range.network.bytes), into: set)
            if let end = Self.following(subnet.range.last.bytes) {
                insert(SetElement(end, isIntervalEnd: true), into: set)
            }
        }
    }

    /// Padded with zeros to the length of a name's register.
    private static func name(_ name: String) -> [UInt8] {
        let bytes = Array(name.utf8.prefix(Int(FirewallTable.nameByteCount) - 1))
        return bytes + [UInt8](repeating: 0, count: Int(FirewallTable.nameByteCount) - bytes.count)
    }

    /// The end of a range is exclusive; `nil`: it goes to the very end of the address space, and has none.
    private static func following(_ address: [UInt8]) -> [UInt8]? {
        var next = address
        for index in next.indices.reversed() {
            next[index] &+= 1
            if next[index] != 0 { return next }
        }
        return nil
    }
}

/// Ports of containers on networks without NAT, which are reached there by the container's own address.
struct ReachablePorts: Sendable {
    private var subnets: [CIDR] = []
    /// How many groups make each.
    private var uses: [Target: Int] = [:]
    private var ranges = FirewallElements()
    private var isRangesStale = false

    private struct Target: Hashable {
        var address: IPAddress
        var transport: UInt8
        var port: UInt16

        var set: String { address.isV6 ? "reachable6" : "reachable4" }
        var element: SetElement { SetElement(address.bytes + portBytes(transport: transport, port: port)) }
    }

    var elements: FirewallElements {
        var elements = ranges
        for target in uses.keys { elements.insert(target.element, into: target.set) }
        return elements
    }

    mutating func setNetworks(
        _ bridges: [BridgeSpec], groups: [GroupKey: FirewallGroup], into change: inout FirewallChange
    ) {
        let routed = bridges.filter { !$0.isInternal }.flatMap { bridge in
            bridge.subnets.map(\.range).filter { ($0.isV6 ? bridge.gateway6 : bridge.gateway4) == .routed }
        }
        if routed == subnets { return }
        let before = uses
        uses = [:]
        subnets = routed
        isRangesStale = true
        for (key, group) in groups { for target in targets(key, group) { uses[target, default: 0] += 1 } }
        for target in before.keys where uses[target] == nil { change.gone.insert(target.element, into: target.set) }
        for target in uses.keys where before[target] == nil { change.new.insert(target.element, into: target.set) }
    }

    mutating func change(
        _ key: GroupKey, from old: FirewallGroup?, to new: FirewallGroup?, into change: inout FirewallChange
    ) {
        if subnets.isEmpty { return }
        if key.place.isRange { isRangesStale = true }
        let before = Set(targets(key, old))
        let after = Set(targets(key, new))
        for target in before.subtracting(after) {
            let left = (uses[target] ?? 1) - 1
            uses[target] = left > 0 ? left : nil
            if left > 0 { continue }
            // Another group may have asked for it in this same change.
            if change.new[target.set].contains(target.element) {
                change.new[target.set].remove(target.element)
            } else {
                change.gone.insert(target.element, into: target.set)
            }
        }
        for target in after.subtracting(before) {
            let known = uses[target] ?? 0
            uses[target] = known + 1
            if known > 0 { continue }
            if change.gone[target.set].contains(target.element) {
                change.gone[target.set].remove(target.element)
            } else {
                change.new.insert(target.element, into: target.set)
            }
        }
    }

    /// A port of the host's loopback is for the host alone.
    private func isOpen(_ key: GroupKey, _ member: Backend) -> Bool {
        !key.place.isVirtual && key.address?.isLoopback != true && subnets.contains { $0.contains(member.address) }
    }

    private func targets(_ key: GroupKey, _ group: FirewallGroup?) -> [Target] {
        guard let group, !subnets.isEmpty, !key.place.isRange else { return [] }
        return group.members.filter { isOpen(key, $0) }.map {
            Target(address: $0.address, transport: key.transport, port: $0.port)
        }
    }

    /// Ranges that overlap, of two addresses of the host, are made one: the kernel's set takes no overlap.
    mutating func settle(
        ranges keys: Set<GroupKey>, groups: [GroupKey: FirewallGroup], into change: inout FirewallChange
    ) {
        guard isRangesStale else { return }
        isRangesStale = false
        var spans: [Target: [ClosedRange<UInt16>]] = [:]
        for key in keys {
            guard let first = groups[key]?.members.first, isOpen(key, first) else { continue }
            spans[Target(address: first.address, transport: key.transport, port: 0), default: []].append(key.ports)
        }
        var wanted = FirewallElements()
        for (target, spans) in spans {
            for span in merged(spans) {
                let start = target.address.bytes + portBytes(transport: target.transport, port: span.lowerBound)
                let end = target.address.bytes + portBytes(transport: target.transport, port: span.upperBound)
                wanted.insert(SetElement(start, keyEnd: end), into: "\(target.set)_range")
            }
        }
        change.gone.formUnion(ranges.subtracting(wanted))
        change.new.formUnion(wanted.subtracting(ranges))
        ranges = wanted
    }

    private func merged(_ spans: [ClosedRange<UInt16>]) -> [ClosedRange<UInt16>] {
        var result: [ClosedRange<UInt16>] = []
        for span in spans.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, last.overlaps(span) {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, span.upperBound)
            } else {
                result.append(span)
            }
        }
        return result
    }
}
