import StackModel

/// What makes two items of a list the same, so that the later replaces the earlier in its place.
enum UniqueRule: Sendable {
    case text
    /// The text before `=`.
    case pair
    case key(String)
    case port
    /// The target, by default the source in this folder.
    case fileMount(folder: String)
}

/// compose-go's `override` package, for lists that are still lists in long form.
let uniqueTable = PathTable<UniqueRule>([
    "networks.*.labels": .pair,
    "volumes.*.labels": .pair,
    "services.*.annotations": .pair,
    "services.*.build.args": .pair,
    "services.*.build.extra_hosts": .text,
    "services.*.build.labels": .pair,
    "services.*.build.tags": .text,
    "services.*.cap_add": .text,
    "services.*.cap_drop": .text,
    "services.*.configs": .fileMount(folder: "/"),
    "services.*.deploy.labels": .pair,
    "services.*.devices": .key("target"),
    "services.*.dns": .text,
    "services.*.dns_opt": .text,
    "services.*.dns_search": .text,
    "services.*.env_file": .key("path"),
    "services.*.environment": .pair,
    "services.*.expose": .text,
    "services.*.extra_hosts": .text,
    "services.*.label_file": .text,
    "services.*.labels": .pair,
    "services.*.links": .text,
    "services.*.networks.*.aliases": .text,
    "services.*.networks.*.link_local_ips": .text,
    "services.*.ports": .port,
    "services.*.profiles": .text,
    "services.*.secrets": .fileMount(folder: "/run/secrets/"),
    "services.*.sysctls": .pair,
    "services.*.tmpfs": .pair,
    "services.*.volumes": .key("target"),
])

/// Applies the table to a tree.
func unique(_ node: Node, _ table: PathTable<UniqueRule>?) -> Node { changedUnique(node, table) ?? node }

/// `nil` when nothing changes.
private func changedUnique(_ node: Node, _ table: PathTable<UniqueRule>?) -> Node? {
    guard let table else { return nil }
    guard let rule = table.rule, let items = node.items else {
        return node.changingChildren(item: { _, _ in nil }, entry: { changedUnique($0.value, table.below($0.key)) })
    }
    guard items.count > 1 else { return nil }
    let kept = unique(items, by: rule)
    if kept.count == items.count { return nil }
    var result = node
    result.content = .sequence(kept)
    return result
}

private func unique(_ items: [Node], by rule: UniqueRule) -> [Node] {
    var result: [Node] = []
    var positions: [String: Int] = [:]
    for item in items {
        guard let key = rule.key(of: item) else {
            result.append(item)
            continue
        }
        if let position = positions[key] {
            result[position] = item
        } else {
            positions[key] = result.count
            result.append(item)
        }
    }
    return result
}

extension UniqueRule {
    /// `nil` for items without an identity: they are kept.
    func key(of item: Node) -> String? {
        switch self {
        case .text: return item.text
        case .pair:
            return item.text.map { String($0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)[0]) }
        case .key("target"): return item["target"]?.text.map(PathText.clean)
        case .key(let key): return item[key]?.text
        case .port:
            guard let target = item["target"]?.text else { return nil }
            let address = item["host_ip"]?.text ?? "0.0.0.0"
            let published = item["published"]?.text ?? ""
            return "\(address):\(published):\(target)/\(item["protocol"]?.text ?? "tcp")"
        case .fileMount(let folder):
            return item["target"]?.text ?? item["source"]?.text.map { folder + $0 }
        }
    }
}
