import StackModel

/// Brings a canonical tree into the key order of `docker compose config`: fixed at the top and in some objects,
/// alphabetical elsewhere, extensions last.
enum ConfigOrder {
    /// Keys that come first, in this order; the others follow alphabetically.
    private static let leading = PathTable<[String]>([
        "networks.*": ["name", "driver", "driver_opts", "ipam", "external"],
        "networks.*.ipam": ["driver", "config"],
        "networks.*.ipam.config.*": ["subnet", "gateway", "ip_range", "aux_addresses"],
        "volumes.*": ["name", "driver", "driver_opts", "external"],
        "configs.*": ["name", "file", "environment", "content", "external"],
        "secrets.*": ["name", "file", "environment", "external"],
        "services.*": ["profiles"],
        "services.*.configs.*": ["source", "target", "uid", "gid", "mode"],
        "services.*.secrets.*": ["source", "target", "uid", "gid", "mode"],
        "services.*.deploy": ["mode", "replicas", "labels", "update_config", "rollback_config", "resources"],
        "services.*.deploy.update_config": ["parallelism", "delay", "failure_action", "monitor"],
        "services.*.deploy.rollback_config": ["parallelism", "delay", "failure_action", "monitor"],
        "services.*.deploy.restart_policy": ["condition", "delay", "max_attempts", "window"],
        "services.*.devices.*": ["source", "target", "permissions"],
        "services.*.healthcheck": ["test", "timeout", "interval", "retries", "start_period", "start_interval"],
        "services.*.ports.*": ["name", "mode", "host_ip", "target", "published", "protocol", "app_protocol"],
        "services.*.ulimits.*": ["soft", "hard"],
        "services.*.volumes.*": ["type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs"],
        "services.*.volumes.*.bind": ["selinux", "propagation", "create_host_path"],
        "services.*.volumes.*.volume": ["labels", "nocopy", "subpath"],
        "services.*.volumes.*.tmpfs": ["size", "mode"],
        "services.*.develop.watch.*": ["path", "action", "target"],
    ])

    private static let top = ["name", "services", "networks", "volumes", "secrets", "configs", "models"]
    private static let last = ["pre_start", "post_start", "pre_stop"]

    static func apply(to document: Node) -> Node {
        let kept =
            document["services"] == nil ? document.setting("services", to: .map([:], at: document.mark)) : document
        return sorted(kept, leading, first: top, isRoot: true)
    }

    private static func sorted(
        _ node: Node, _ table: PathTable<[String]>?, first: [String]? = nil, isRoot: Bool = false
    ) -> Node {
        var result = node
        switch node.content {
        case .scalar: break
        case .sequence(let items): result.content = .sequence(items.map { sorted($0, table?.belowItem) })
        case .mapping(let mapping):
            let order = first ?? table?.rule ?? []
            var changed = Mapping()
            for entry in mapping.entries.sorted(by: { precedes($0.key, $1.key, order) }) {
                if isOmitted(entry.value, isRoot: isRoot, key: entry.key) { continue }
                changed.set(entry.key, to: sorted(entry.value, table?.below(entry.key)))
            }
            result.content = .mapping(changed)
        }
        return result
    }

    private static func precedes(_ left: String, _ right: String, _ order: [String]) -> Bool {
        (rank(left, order), left) < (rank(right, order), right)
    }

    private static func rank(_ key: String, _ order: [String]) -> Int {
        if let position = order.firstIndex(of: key) { return position }
        if key.hasPrefix("x-") { return order.count + 2 }
        return last.contains(key) ? order.count + 1 : order.count
    }

    private static let mapsOmittedWhenEmpty: Set<String> = [
        "annotations", "environment", "extra_hosts", "labels", "sysctls", "ulimits",
    ]

    /// Empty lists and maps that say nothing; an empty command or entrypoint clears the image's.
    private static func isOmitted(_ value: Node, isRoot: Bool, key: String) -> Bool {
        if isRoot || key.hasPrefix("x-") || ["command", "entrypoint"].contains(key) { return false }
        if value.mapping?.isEmpty == true { return mapsOmittedWhenEmpty.contains(key) }
        return value.items?.isEmpty == true
    }
}
