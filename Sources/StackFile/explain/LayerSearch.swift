import StackModel

/// A value found in one layer.
struct LayerHit {
    var node: Node
    /// Key marks and nodes from the root to the value; items have no key mark.
    var trail: [(key: String?, keyMark: SourceMark?, node: Node)]
    /// The mapping or list the value stands in.
    var parent: Node

    /// The best place to point at: the value on its key's line, else the key.
    var mark: SourceMark {
        guard let keyMark = trail.last?.keyMark else { return node.mark }
        let isBeside = node.scalar != nil && node.mark.line == keyMark.line && node.mark.file == keyMark.file
        return isBeside && !node.isNull ? node.mark : keyMark
    }
}

extension StackPath {
    /// The value of this path in a layer. Items are found by their mark, else by what makes them unique.
    func find(in layer: Node) -> LayerHit? {
        var hit = LayerHit(node: layer, trail: [], parent: layer)
        var table: PathTable<UniqueRule>? = uniqueTable
        for step in steps {
            hit.parent = hit.node
            switch step {
            case .key(let key):
                guard let mapping = hit.node.mapping, let next = mapping[key] else { return nil }
                hit.trail.append((key, mapping.keyMark(key), next))
                hit.node = next
                table = table?.below(key)
            case .index(_, let item):
                guard let next = Self.item(like: item, in: hit.node.items ?? [], table?.rule) else { return nil }
                hit.trail.append((nil, nil, next))
                hit.node = next
                table = table?.belowItem
            }
        }
        return hit
    }

    private static func item(like item: Node, in items: [Node], _ rule: UniqueRule?) -> Node? {
        let atMark = items.filter { $0.mark == item.mark }
        if atMark.count == 1 { return atMark[0] }
        let key = rule?.key(of: item)
        let same = (atMark.isEmpty ? items : atMark).first { $0 == item || key != nil && rule?.key(of: $0) == key }
        return same ?? atMark.first
    }

    /// The value of the steps from `start` on in a tree as it was written, where pairs may be `KEY=value` items.
    func findRaw(from start: Int, in node: Node) -> Node? {
        var node = node
        for step in steps.dropFirst(start) {
            guard case .key(let key) = step else { return nil }
            if let next = node[key] {
                node = next
            } else if let items = node.items, let item = items.first(where: { $0.text?.hasPrefix(key + "=") == true }) {
                node = .string(String((item.text ?? "").dropFirst(key.count + 1)), at: item.mark)
            } else {
                return nil
            }
        }
        return node
    }
}
