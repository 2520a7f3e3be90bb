import StackModel

/// Where the first steps of a load found errors. What is built on a damaged value would only give errors that follow
/// from the first, so later steps leave such values alone.
struct Damage {
    private let marks: Set<SourceMark>

    init(marks: Set<SourceMark> = []) { self.marks = marks }

    /// Some value or key of the tree was complained about.
    func touches(_ node: Node) -> Bool {
        if marks.isEmpty { return false }
        if marks.contains(node.mark) { return true }
        switch node.content {
        case .scalar: return false
        case .sequence(let items): return items.contains(where: touches)
        case .mapping(let mapping):
            return mapping.entries.contains { marks.contains($0.keyMark) || touches($0.value) }
        }
    }

    /// The mapping without the keys that were complained about, themselves or what is below them; `nil` for what is no
    /// mapping at all.
    func sound(_ node: Node) -> Node? {
        guard node.mapping != nil else { return nil }
        return node.mapEntries { marks.contains($0.keyMark) || touches($0.value) ? nil : $0.value }
    }

    /// A key of this mapping itself was complained about: what it was meant to be is not known.
    func touchesKeys(of node: Node) -> Bool {
        !marks.isEmpty && node.entries.contains { marks.contains($0.keyMark) }
    }
}
