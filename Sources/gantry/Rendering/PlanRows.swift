import EngineWire
import StackModel

/// Changes of replicas that are alike, as one.
struct PlanRow {
    var change: PlanReply.Change
    /// `service.web[1..3]`.
    var address: String
    var count: Int
}

/// Rows in the order of the plan, those of one service together, replicas that are alike as one.
func planRows(_ changes: [PlanReply.Change]) -> [PlanRow] {
    var groups: [(group: String, rows: [(change: PlanReply.Change, numbers: [Int])])] = []
    var indices: [String: Int] = [:]
    for change in changes {
        let (group, number) = splitAddress(change.address)
        let index = indices[group] ?? groups.count
        if index == groups.count {
            indices[group] = index
            groups.append((group, []))
        }
        let same = groups[index].rows.firstIndex { isAlike($0.change, change) && number != nil && !$0.numbers.isEmpty }
        if let same, let number {
            groups[index].rows[same].numbers.append(number)
        } else {
            groups[index].rows.append((change, number.map { [$0] } ?? []))
        }
    }
    return groups.flatMap { group, rows in
        rows.map { row in
            PlanRow(
                change: row.change, address: row.numbers.isEmpty ? row.change.address : group + ranges(row.numbers),
                count: max(1, row.numbers.count))
        }
    }
}

/// `service.web[3]` is replica 3 of `service.web`.
private func splitAddress(_ address: String) -> (group: String, number: Int?) {
    guard address.hasSuffix("]"), let open = address.lastIndex(of: "["),
        let number = Int(address[address.index(after: open)...].dropLast())
    else { return (address, nil) }
    return (String(address[..<open]), number)
}

private func isAlike(_ left: PlanReply.Change, _ right: PlanReply.Change) -> Bool {
    var other = right
    (other.address, other.name) = (left.address, left.name)
    return other == left
}

/// `[1..3,5]`.
private func ranges(_ numbers: [Int]) -> String {
    var parts: [(first: Int, last: Int)] = []
    for number in numbers.sorted() {
        if let last = parts.indices.last, parts[last].last == number - 1 {
            parts[last].last = number
        } else {
            parts.append((number, number))
        }
    }
    return "[" + parts.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)..\($0.last)" }.joined(separator: ",")
        + "]"
}

/// Two values on one line each, so short that a terminal has room, and still different where they differ.
func excerpts(_ before: String, _ after: String, width: Int = 48) -> (before: String, after: String) {
    let shared = zip(before, after).prefix { $0 == $1 }.count
    // Some of what is before the difference says where it is.
    let context = 12
    let skipped = before.count > width || after.count > width || before.contains("\n") ? max(0, shared - context) : 0
    return (excerpt(before, from: skipped, width: width), excerpt(after, from: skipped, width: width))
}

/// A value on one line.
func excerpt(_ text: String, from start: Int = 0, width: Int = 64) -> String {
    let line = text.dropFirst(start).prefix(width + 1).map { $0.isNewline ? "⏎" : $0 }
    var result = harmless((start > 0 ? "…" : "") + String(line))
    if text.isEmpty { result = "\"\"" }
    return text.count > start + width ? result.truncated(to: width) : result
}

extension PlanReply.Change {
    /// What is done, and why, unless the fields that are shown below say it.
    var headline: String {
        let isSaid = !fields.isEmpty && (reason.hasSuffix(" changed") || reason.hasSuffix(" more"))
        return isSaid ? action.rawValue : "\(action.rawValue): \(reason)"
    }
}

extension PlanReply {
    /// `3 to replace, 1 to update, 2 orphans`.
    var summaryText: String {
        let order: [Change.Action] = [
            .pull, .build, .create, .recreate, .start, .stop, .restart, .update, .repair, .remove,
        ]
        var parts = order.compactMap { action -> String? in
            let count = effective.count { $0.action == action }
            return count == 0 ? nil : "\(count) to \(action.rawValue)"
        }
        if !drift.isEmpty { parts.append("\(drift.count) drifted") }
        if !orphans.isEmpty { parts.append("\(orphans.count) orphan\(orphans.count == 1 ? "" : "s")") }
        return parts.isEmpty ? "no containers change" : parts.joined(separator: ", ")
    }

    /// `revision 41 → 42`.
    var revisionText: String {
        switch (base.revision, target.revision) {
        case (nil, nil): "not up"
        case (nil, let next?): "new, revision \(next)"
        case (let now?, let next?) where next != now: "revision \(now) → \(next)"
        case (let now?, _): "revision \(now)"
        }
    }

    /// Nothing is to be done, and there is nothing to be said.
    var isQuiet: Bool { effective.isEmpty && !changed && orphans.isEmpty && drift.isEmpty && applyable }

    /// Who notices, and what: `service.db is interrupted`.
    var disruptions: [(level: Disruption, text: String)] {
        func objects(_ level: Disruption) -> String {
            var seen: [String] = []
            for change in effective where change.disruption == level {
                let name = splitAddress(change.address).group
                if !seen.contains(name) { seen.append(name) }
            }
            return seen.joined(separator: ", ")
        }
        return [
            (Disruption.dataLoss, "the data of # is lost"), (.interruption, "# is interrupted"),
            (.reduced, "# runs with fewer replicas meanwhile"),
        ].compactMap { level, text in
            let names = objects(level)
            return names.isEmpty ? nil : (level, text.replacing("#", with: harmless(names)))
        }
    }
}
