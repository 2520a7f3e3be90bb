import StackModel

extension Normalizer {
    /// Leaves out resources that no enabled service uses; they are never created.
    static func prune(_ document: Node) -> Node {
        var used: [String: Set<String>] = [
            "networks": [], "volumes": [], "configs": [], "secrets": [], "models": [],
        ]
        for entry in workloadKinds.flatMap({ document[$0]?.entries ?? [] }) {
            used["models"]?.formUnion(entry.value["models"]?.mapping?.keys ?? [])
            used["networks"]?.formUnion(entry.value["networks"]?.mapping?.keys ?? [])
            for mount in entry.value["volumes"]?.items ?? [] where mount["type"]?.text == "volume" {
                if let source = mount["source"]?.text { used["volumes"]?.insert(source) }
            }
            used["secrets"]?.formUnion(
                (entry.value.at("build", "secrets")?.items ?? []).compactMap { $0["source"]?.text })
            for kind in ["configs", "secrets"] {
                used[kind]?.formUnion((entry.value[kind]?.items ?? []).compactMap { $0["source"]?.text })
            }
        }
        var result = document
        for (kind, names) in used {
            guard let resources = document[kind] else { continue }
            let kept = resources.mapEntries { names.contains($0.key) ? $0.value : nil }
            result = kept.entries.isEmpty ? result.removing(kind) : result.setting(kind, to: kept)
        }
        return result
    }
}
