/// The sections whose entries run containers.
let workloadKinds = ["services", "jobs"]

/// Rules keyed by path patterns such as `services.*.ports`, where `*` stands for any key and for any list item. A walk
/// over a tree carries a `PathTable` along instead of building and comparing path strings.
///
/// A class, so that handing a table on copies nothing.
final class PathTable<Rule: Sendable>: Sendable {
    /// The rule of exactly this place.
    let rule: Rule?
    private let children: [String: PathTable]
    /// The rules below `*`, which are those of list items, too.
    let belowItem: PathTable?

    convenience init(_ rules: [String: Rule]) {
        var paths: [(ArraySlice<Substring>, Rule)] = []
        for (pattern, rule) in rules {
            let path = pattern.split(separator: ".")
            paths.append((path[...], rule))
            // A job has what a service has.
            if path.first == "services" { paths.append((["jobs"] + path.dropFirst(), rule)) }
        }
        self.init(paths)
    }

    private init(_ paths: [(path: ArraySlice<Substring>, rule: Rule)]) {
        rule = paths.first { $0.path.isEmpty }?.rule
        let longer = paths.filter { !$0.path.isEmpty }
        let groups = Dictionary(grouping: longer) { $0.path.first.map(String.init) ?? "" }
        var children = groups.mapValues { group in PathTable(group.map { ($0.path.dropFirst(), $0.rule) }) }
        belowItem = children.removeValue(forKey: "*")
        self.children = children
    }

    /// The rules below a key; `nil` when there are none.
    func below(_ key: String) -> PathTable? { children.isEmpty ? belowItem : children[key] ?? belowItem }

    /// The rules below a path of keys.
    func below(path: [String]) -> PathTable? {
        var table = self
        for key in path {
            guard let next = table.below(key) else { return nil }
            table = next
        }
        return table
    }
}
