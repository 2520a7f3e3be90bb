import StackModel

/// How two values at one place are put together where it is not the general rule: maps merge, lists append, scalars
/// replace, a null keeps what is there.
enum MergeRule: Sendable {
    case replace
    /// By key, where a null replaces too: it means "from the environment".
    case pairs
    /// Options are merged only when both use the same driver.
    case logging
    /// Entries with the same `subnet` merge, others are appended.
    case subnets
    /// One text or a list of them.
    case texts
    /// As `pairs`, and always in long form.
    case contexts
}

/// Compose Specification, chapter Merge. Short forms are gone by now, so fewer places need a rule of their own than in
/// compose-go.
let mergeTable = PathTable<MergeRule>([
    "networks.*.ipam.config": .subnets,
    "networks.*.labels": .pairs,
    "volumes.*.labels": .pairs,
    "services.*.annotations": .pairs,
    "services.*.build.additional_contexts": .contexts,
    "services.*.build.args": .pairs,
    "services.*.build.extra_hosts": .pairs,
    "services.*.build.labels": .pairs,
    "services.*.command": .replace,
    "services.*.deploy.labels": .pairs,
    "services.*.dns": .texts,
    "services.*.dns_opt": .texts,
    "services.*.dns_search": .texts,
    "services.*.entrypoint": .replace,
    "services.*.environment": .pairs,
    "services.*.extra_hosts": .pairs,
    "services.*.healthcheck.test": .replace,
    "services.*.labels": .pairs,
    "services.*.logging": .logging,
    "services.*.sysctls": .pairs,
    "services.*.tmpfs": .texts,
])

/// Merges canonical trees.
struct Merge {
    /// Keeps `!reset` and `!override` in the result, because it will be merged over more.
    let keepsTags: Bool
    /// The trees are not in their long form.
    let isRaw: Bool

    func merge(_ over: Node, over base: Node?) -> Node { merge(over, over: base, mergeTable) }

    /// Brings in the resources of an included project's section; those that are there already are merged over them.
    /// Takes time for what is brought in, not for what is there.
    func bring(_ included: Mapping, of section: String, into resources: inout Mapping) {
        let (table, rules) = (mergeTable.below(section), uniqueTable.below(section))
        for entry in included.entries {
            guard let existing = resources[entry.key] else {
                resources.set(entry)
                continue
            }
            let merged = merge(existing, over: entry.value, table?.below(entry.key))
            resources.set(entry.key, to: unique(merged, rules?.below(entry.key)))
        }
    }

    /// Merges one service, which stands at `services.*`.
    func mergeService(_ over: Node, over base: Node) -> Node {
        guard let table = mergeTable.below(path: ["services", "*"]) else { return over }
        return unique(merge(over, over: base, table), uniqueTable.below(path: ["services", "*"]))
    }

    private func merge(_ over: Node, over base: Node?, _ table: PathTable<MergeRule>?) -> Node {
        guard let base, base.mergeTag != .reset, over.mergeTag == nil else {
            return keepsTags ? over : withoutTags(over)
        }
        switch (table?.rule, base.content, over.content) {
        case (.replace, _, _): return withoutTagsUnlessKept(over)
        case (.pairs, _, _) where isRaw && !over.isNull:
            let reset = over.entries.filter { $0.value.mergeTag == .reset }.map(\.key)
            let kept = pairTexts(base).filter { item in !reset.contains { item.text?.hasPrefix($0 + "=") == true } }
            return .list(kept + pairTexts(over), at: base.mark)
        case (.texts, _, _) where isRaw && !over.isNull:
            return .list((base.items ?? [base]) + (over.items ?? [over]), at: base.mark)
        case (.pairs, .mapping(let low), .mapping(let high)), (.contexts, .mapping(let low), .mapping(let high)):
            return Node(.mapping(pairs(high, over: low)), at: base.mark)
        case (.logging, .mapping, .mapping) where !sameDriver(base, over): return withoutTagsUnlessKept(over)
        case (.subnets, .sequence(let low), .sequence(let high)):
            return Node(.sequence(subnets(high, over: low)), at: base.mark)
        case (_, .mapping(let low), .mapping(let high)):
            return Node(.mapping(mappings(high, over: low, table)), at: base.mark)
        case (_, .sequence(let low), .sequence(let high)):
            return Node(.sequence(low + high.map(withoutTagsUnlessKept)), at: base.mark)
        default: return over.isNull ? base : withoutTagsUnlessKept(over)
        }
    }

    private func mappings(_ high: Mapping, over low: Mapping, _ table: PathTable<MergeRule>?) -> Mapping {
        var result = low
        for entry in high.entries {
            if entry.value.mergeTag == .reset, !keepsTags {
                result.remove(entry.key)
            } else {
                let existing = result[entry.key]
                let merged = merge(entry.value, over: existing, table?.below(entry.key))
                // The last file that says something is the place to point at, except that a map has many.
                let keepsMark = existing?.mapping != nil && entry.value.mapping != nil
                let mark = keepsMark || entry.value.isNull ? result.keyMark(entry.key) : nil
                result.set(entry.key, at: mark ?? entry.keyMark, to: merged)
            }
        }
        return result
    }

    private func pairs(_ high: Mapping, over low: Mapping) -> Mapping {
        var result = low
        for entry in high.entries {
            if entry.value.mergeTag == .reset, !keepsTags {
                result.remove(entry.key)
            } else {
                result.set(entry.key, like: entry, to: withoutTagsUnlessKept(entry.value))
            }
        }
        return result
    }

    /// `KEY=value` texts of a map, in alphabetical order, or the list as it is.
    private func pairTexts(_ node: Node) -> [Node] {
        if let items = node.items { return items }
        return node.entries.sorted { $0.key < $1.key }.filter { $0.value.mergeTag != .reset }.flatMap { entry in
            (entry.value.items ?? [entry.value]).map { value in
                .string(value.isNull ? entry.key : "\(entry.key)=\(value.text ?? "")", at: entry.keyMark)
            }
        }
    }

    private func sameDriver(_ base: Node, _ over: Node) -> Bool {
        guard let low = base["driver"]?.text, let high = over["driver"]?.text else { return true }
        return low == high
    }

    private func subnets(_ high: [Node], over low: [Node]) -> [Node] {
        var result = low
        for item in high {
            let subnet = item["subnet"]?.text
            if let subnet, let position = result.firstIndex(where: { $0["subnet"]?.text == subnet }) {
                result[position] = merge(item, over: result[position], nil)
            } else {
                result.append(withoutTagsUnlessKept(item))
            }
        }
        return result
    }

    private func withoutTagsUnlessKept(_ node: Node) -> Node { keepsTags ? node : withoutTags(node) }
}

/// The tree without merge tags and without what `!reset` marks.
func withoutTags(_ node: Node) -> Node { changedWithoutTags(node) ?? node }

private func changedWithoutTags(_ node: Node) -> Node? {
    var result = node
    result.mergeTag = nil
    if let mapping = node.mapping, mapping.entries.contains(where: { $0.value.mergeTag == .reset }) {
        result.content = .mapping(mapping.mapValues { $0.value.mergeTag == .reset ? nil : $0.value })
    }
    let below = result.changingChildren(item: { changedWithoutTags($1) }, entry: { changedWithoutTags($0.value) })
    return below ?? (result.mergeTag == node.mergeTag && !hasReset(node) ? nil : result)
}

private func hasReset(_ node: Node) -> Bool {
    node.mapping?.entries.contains { $0.value.mergeTag == .reset } ?? false
}
