import InternetAddress
import Netlink

/// The backends of one published port or virtual address, as the table has them.
struct FirewallGroup: Equatable, Sendable {
    /// By slot; never empty. The port of a virtual address's is 0.
    var members: [Backend]
    /// Lane of its `Turn`; without meaning for a single member.
    var lane: UInt32

    /// A range goes to its first backend: the others stand by.
    func turn(_ place: FirewallPlace) -> Turn? {
        members.count > 1 && !place.isRange ? Turn(place, count: members.count, lane: lane) : nil
    }

    /// The members that stay keep their slots, but for the last ones, which move to where one went.
    static func slots(_ old: [Backend], changedTo wanted: [Backend]) -> [Backend] {
        if old == wanted { return old }
        let staying = Set(wanted)
        let known = Set(old)
        var new = wanted.filter { !known.contains($0) }[...]
        var slots = old
        var index = 0
        while index < slots.count {
            if staying.contains(slots[index]) {
                index += 1
            } else if let next = new.popFirst() {
                slots[index] = next
            } else {
                // The last one moves here, and is looked at next.
                slots.swapAt(index, slots.count - 1)
                slots.removeLast()
            }
        }
        return slots + new
    }
}

extension GroupKey {
    private func value(_ backend: Backend) -> SetElement.Value {
        let keepsPort = place.isRange || place.isVirtual
        let port = keepsPort ? [] : [UInt8(backend.port >> 8), UInt8(truncatingIfNeeded: backend.port), 0, 0]
        return .data(backend.address.bytes + port)
    }

    /// Set and element of one slot.
    func slot(_ index: Int, _ backend: Backend) -> (set: String, element: SetElement) {
        if index == 0 { return (place.direct, SetElement(bytes, value: value(backend), keyEnd: endBytes)) }
        return (place.slots, SetElement(bytes + nativeBytes(UInt32(clamping: index)), value: value(backend)))
    }

    func shared(_ turn: Turn) -> SetElement { SetElement(bytes, value: .data(turn.bytes)) }

    /// How many slots have an element.
    private func slotCount(_ group: FirewallGroup) -> Int {
        place.isRange ? min(1, group.members.count) : group.members.count
    }

    /// All elements of a group.
    func elements(_ group: FirewallGroup, into elements: inout FirewallElements) {
        for index in 0..<slotCount(group) {
            let (set, element) = slot(index, group.members[index])
            elements.insert(element, into: set)
        }
        if let turn = group.turn(place) { elements.insert(shared(turn), into: place.shared) }
    }

    /// What turns one content of a group into another; `nil`: there is none.
    func difference(from old: FirewallGroup?, to new: FirewallGroup?, into change: inout FirewallChange) {
        let oldCount = old.map(slotCount) ?? 0
        let newCount = new.map(slotCount) ?? 0
        for index in 0..<max(oldCount, newCount) {
            let before = index < oldCount ? old?.members[index] : nil
            let after = index < newCount ? new?.members[index] : nil
            if before == after { continue }
            if let before {
                let (set, element) = slot(index, before)
                change.gone.insert(element, into: set)
            }
            if let after {
                let (set, element) = slot(index, after)
                change.new.insert(element, into: set)
            }
        }
        let before = old?.turn(place)
        let after = new?.turn(place)
        if before == after { return }
        if let before { change.gone.insert(shared(before), into: place.shared) }
        if let after { change.new.insert(shared(after), into: place.shared) }
    }
}

extension FirewallElements {
    /// The groups that the elements say, also those of a table that another run made.
    var groups: [GroupKey: FirewallGroup] {
        var result: [GroupKey: FirewallGroup] = [:]
        for place in FirewallPlace.allCases {
            for element in self[place.direct] {
                guard let key = GroupKey(place, bytes: element.key, end: element.keyEnd),
                    let first = Self.backend(element, place)
                else { continue }
                result[key] = FirewallGroup(members: [first], lane: Turn.byClientAddress)
            }
            if place.isRange { continue }
            var others: [GroupKey: [UInt32: Backend]] = [:]
            for element in self[place.slots] {
                guard let key = GroupKey(place, bytes: element.key), element.key.count == place.keyByteCount + 4,
                    let backend = Self.backend(element, place)
                else { continue }
                let slot = element.key.withUnsafeBytes {
                    $0.loadUnaligned(fromByteOffset: place.keyByteCount, as: UInt32.self)
                }
                others[key, default: [:]][slot] = backend
            }
            for (key, slots) in others {
                result[key]?.members += slots.sorted { $0.key < $1.key }.map(\.value)
            }
            for element in self[place.shared] {
                guard let key = GroupKey(place, bytes: element.key), case .data(let data) = element.value,
                    let turn = Turn(place, bytes: data)
                else { continue }
                result[key]?.lane = turn.lane
            }
        }
        return result
    }

    private static func backend(_ element: SetElement, _ place: FirewallPlace) -> Backend? {
        guard case .data(let data) = element.value,
            let address = IPAddress(bytes: data.prefix(place.addressByteCount))
        else { return nil }
        guard !place.isRange, !place.isVirtual else { return Backend(address: address, port: 0) }
        let port = data.dropFirst(place.addressByteCount).prefix(2)
        return port.count == 2 ? Backend(address: address, port: port.reduce(0) { $0 << 8 | UInt16($1) }) : nil
    }
}
