import InternetAddress
import Netlink

/// Everything that decides over the table's content.
struct FirewallInput: Equatable, Sendable {
    var state = FirewallState()
    /// Interfaces that forward a family only because of us.
    var opened = OpenedUplinks()
}

/// What the table has, and how it gets to have something else. A pure value; a change costs what it changes, and a
/// comparison of the ports.
///
/// The same input does not always make the same table: a backend keeps its slot as long as it is there, so that others
/// which come and go move no more than one.
struct FirewallModel: Sendable {
    private(set) var input = FirewallInput()
    private(set) var groups: [GroupKey: FirewallGroup] = [:]
    /// The chains there are, also those that are unused now: the next change may need them again, and each that is made
    /// costs the kernel a look at all.
    private(set) var turns: Set<Turn> = []
    /// Groups by lane, of each number of backends.
    private var laneUses: [LaneKey: [Int]] = [:]
    private var ranges: Set<GroupKey> = []
    private var networks = FirewallElements()
    private var reachable = ReachablePorts()

    private struct LaneKey: Hashable {
        var place: FirewallPlace
        var count: Int
    }

    static let unusedTurnCountMax = 64

    init() {}

    /// Takes over the groups of a table: backends keep their slots. All else is as in an empty one.
    init(takingOver elements: FirewallElements) {
        for (key, group) in elements.groups {
            var seen = Set<Backend>()
            let members = group.members.filter { seen.insert($0).inserted }
            let lane = group.lane <= Turn.laneCountMax ? group.lane : Turn.byClientAddress
            store(key, FirewallGroup(members: members, lane: lane))
            use(groups[key]?.turn(key.place), 1)
        }
    }

    /// All elements of the table.
    var elements: FirewallElements {
        var elements = networks
        for (key, group) in groups { key.elements(group, into: &elements) }
        elements.formUnion(reachable.elements)
        for turn in turns { elements.insert(turn.element, into: turn.place.turns) }
        return elements
    }

    // MARK: change

    /// Makes this the model of `next`. Nothing is changed when it throws.
    mutating func change(
        to next: FirewallInput, unusedTurnCountMax: Int = Self.unusedTurnCountMax
    ) throws(NetworkError) -> FirewallChange {
        let wanted = try WantedGroups(from: input.state, to: next.state)
        try check(wanted, next.state)
        var change = FirewallChange()
        changeNetworks(next, &change)
        for key in wanted.considered where wanted.groups[key] == nil { set(key, nil, &change) }
        for (key, group) in wanted.groups { set(key, group, &change) }
        reachable.settle(ranges: ranges, groups: groups, into: &change)
        input = next
        dropTurns(ifMoreThan: unusedTurnCountMax, &change)
        return change
    }

    /// Makes this the model of `next`, whatever it was before; only what is used is kept. Groups that were there before
    /// keep their slots.
    mutating func replace(by next: FirewallInput) throws(NetworkError) {
        var wanted = try WantedGroups(from: FirewallState(), to: next.state)
        wanted.considered.formUnion(groups.keys)
        try check(wanted, next.state)
        var change = FirewallChange()
        changeNetworks(next, &change)
        for key in wanted.considered where wanted.groups[key] == nil { set(key, nil, &change) }
        for (key, group) in wanted.groups { set(key, group, &change) }
        reachable.settle(ranges: ranges, groups: groups, into: &change)
        input = next
        dropTurns(ifMoreThan: 0, &change)
    }

    private mutating func changeNetworks(_ next: FirewallInput, _ change: inout FirewallChange) {
        let before = input.state
        if before.bridges == next.state.bridges, before.virtualAddresses == next.state.virtualAddresses,
            input.opened == next.opened
        {
            return
        }
        let wanted = FirewallElements(networksOf: next)
        change.gone.formUnion(networks.subtracting(wanted))
        change.new.formUnion(wanted.subtracting(networks))
        networks = wanted
        if before.bridges != next.state.bridges {
            reachable.setNetworks(next.state.bridges, groups: groups, into: &change)
        }
    }

    private mutating func set(_ key: GroupKey, _ wanted: WantedGroups.Group?, _ change: inout FirewallChange) {
        let old = groups[key]
        var new: FirewallGroup?
        if let wanted {
            let members = FirewallGroup.slots(old?.members ?? [], changedTo: wanted.members)
            new = FirewallGroup(members: members, lane: Turn.byClientAddress)
            let keepsLane = old?.members.count == members.count && (old?.lane == 0) == (wanted.balance != .roundRobin)
            if let old, keepsLane {
                new?.lane = old.lane
            } else if members.count > 1, wanted.balance == .roundRobin, !key.place.isRange {
                new?.lane = freeLane(LaneKey(place: key.place, count: members.count))
            }
        }
        if old == new { return }
        let (before, after) = (old?.turn(key.place), new?.turn(key.place))
        if before != after {
            use(after, 1, into: &change)
            use(before, -1, into: &change)
        }
        key.difference(from: old, to: new, into: &change)
        StaleConnections.collect(key, from: old, to: new, into: &change.stale)
        reachable.change(key, from: old, to: new, into: &change)
        store(key, new)
    }

    private mutating func store(_ key: GroupKey, _ group: FirewallGroup?) {
        groups[key] = group
        guard key.place.isRange else { return }
        if group == nil { ranges.remove(key) } else { ranges.insert(key) }
    }

    // MARK: lanes

    /// The first that no group uses; with all in use, the one with the fewest.
    private func freeLane(_ key: LaneKey) -> UInt32 {
        let uses = laneUses[key] ?? []
        for lane in 1...Turn.laneCountMax where Int(lane) >= uses.count || uses[Int(lane)] == 0 { return lane }
        let least = uses.indices.dropFirst().min { uses[$0] < uses[$1] }
        return UInt32(clamping: least ?? 1)
    }

    private mutating func use(_ turn: Turn?, _ change: Int) {
        guard let turn else { return }
        let lane = Int(turn.lane)
        var uses = laneUses[LaneKey(place: turn.place, count: Int(turn.count))] ?? []
        while uses.count <= lane { uses.append(0) }
        uses[lane] += change
        laneUses[LaneKey(place: turn.place, count: Int(turn.count))] = uses
        if change > 0 { turns.insert(turn) }
    }

    private mutating func use(_ turn: Turn?, _ count: Int, into change: inout FirewallChange) {
        guard let turn else { return }
        if count > 0, !turns.contains(turn) {
            change.newTurns.insert(turn)
            change.new.insert(turn.element, into: turn.place.turns)
        }
        use(turn, count)
    }

    private func isUsed(_ turn: Turn) -> Bool {
        let uses = laneUses[LaneKey(place: turn.place, count: Int(turn.count))] ?? []
        return Int(turn.lane) < uses.count && uses[Int(turn.lane)] > 0
    }

    private mutating func dropTurns(ifMoreThan countMax: Int, _ change: inout FirewallChange) {
        guard turns.count > countMax else { return }
        let unused = turns.filter { !isUsed($0) }
        guard unused.count > countMax else { return }
        for turn in unused {
            turns.remove(turn)
            // One that this very change made and gave up again was never there.
            if change.newTurns.remove(turn) != nil {
                change.new[turn.place.turns].remove(turn.element)
            } else {
                change.goneTurns.insert(turn)
                change.gone.insert(turn.element, into: turn.place.turns)
            }
        }
        laneUses = laneUses.filter { $0.value.contains { $0 > 0 } }
    }

    // MARK: conflicts

    private func check(_ wanted: WantedGroups, _ state: FirewallState) throws(NetworkError) {
        for key in wanted.groups.keys {
            // Another entry of the state has it, and keeps it.
            if groups[key] != nil, !wanted.considered.contains(key) { throw conflict(key, state) }
        }
        let allRanges = ranges.filter { !wanted.considered.contains($0) } + wanted.ranges
        if allRanges.isEmpty { return }
        for key in wanted.groups.keys {
            for range in allRanges where range != key && range.overlaps(key) { throw conflict(key, state) }
        }
        for range in wanted.ranges {
            for key in groups.keys where key != range && !wanted.considered.contains(key) && range.overlaps(key) {
                throw conflict(range, state)
            }
        }
    }

    private func conflict(_ key: GroupKey, _ state: FirewallState) -> NetworkError {
        let claims = state.ports.filter { WantedGroups.keys($0).contains { $0 == key || $0.overlaps(key) } }
        guard let one = claims.first, let other = claims.last else {
            return .conflictingAddresses(key.address ?? .v4(.any))
        }
        return .conflictingPorts(one, other)
    }
}
