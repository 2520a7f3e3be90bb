/// The sections whose entries run containers.
let workloadKinds = ["services", "jobs"]

/// Rules keyed by path patterns such as `services.*.ports`, where `*` stands for any key and for any list item. A walk
/// over a tree carries a `PathTable` along instead of building and comparing path strings.
struct PathTable<Rule: Sendable>: Sendable {
    /// The rule of exactly this place.
    private(set) var rule: Rule?
    private var children: [String: PathTable] = [:]

    private init() {}

    init(_ rules: [String: Rule]) {
        for (pattern, rule) in rules {
            let path = pattern.split(separator: ".")
            insert(path[...], rule)
            // A job has what a service has.
            if path.first == "services" { insert(["jobs"] + path.dropFirst(), rule) }
        }
    }

    private mutating func insert(_ path: ArraySlice<Substring>, _ rule: Rule) {
        guard let first = path.first else {
            self.rule = rule
            return
        }
        children[String(first), default: PathTable()].insert(path.dropFirst(), rule)
    }

    /// The rules below a key; `nil` when there are none.
    func below(_ key: String) -> PathTable? { children[key] ?? children["*"] }

    /// The rules of list items.
    var belowItem: PathTable? { children["*"] }

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
