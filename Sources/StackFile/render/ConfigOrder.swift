import StackModel

/// How Docker Compose prints one kind of object: the order of its keys, and which it prints even when their value is
/// nothing (false, 0, "", an empty list). The other keys are left out then.
final class PrintedObject: Sendable {
    enum JSONFill: Sendable {
        case null, object
        /// A hook without a command.
        case hook
    }

    enum Kind: Sendable {
        case object
        /// Printed as a list of its keys.
        case keyList
        /// A number that stands for the object is printed as an object when it is zero, and JSON leaves zeros out.
        case limit
    }

    /// Ranks of the keys; others follow alphabetically, extensions last.
    fileprivate let order: Ranking
    let always: Set<String>
    /// Keys that are read and not printed.
    let hidden: Set<String>
    let hidesExtensions: Bool
    /// Keys that JSON has even when the document does not.
    let jsonOnly: [String: JSONFill]
    /// Keys that JSON spells in another way.
    let jsonKeys: [String: String]
    let kind: Kind

    init(
        _ order: String, always: Set<String> = [], hidden: Set<String> = [], hidesExtensions: Bool = false,
        jsonOnly: [String: JSONFill] = [:], jsonKeys: [String: String] = [:], kind: Kind = .object
    ) {
        self.order = Ranking(order.split(separator: " ").map(String.init))
        self.always = always
        self.hidden = hidden
        self.hidesExtensions = hidesExtensions
        self.jsonOnly = jsonOnly
        self.jsonKeys = jsonKeys
        self.kind = kind
    }
}

/// The objects of a stack file as compose-go's types have them. What is not listed is a map of the user's own keys.
let printedObjects: PathTable<PrintedObject> = {
    let hook = PrintedObject("command user privileged working_dir environment", always: ["command"])
    let device = PrintedObject("capabilities driver count device_ids options")
    let fileMount = PrintedObject("source target uid gid mode", always: ["mode"])
    let rates = PrintedObject("path rate", jsonKeys: ["path": "Path", "rate": "Rate"])
    let weights = PrintedObject("path weight", jsonKeys: ["path": "Path", "weight": "Weight"])
    let update = PrintedObject(
        "parallelism delay failure_action monitor max_failure_ratio order", always: ["parallelism"])
    let ulimit = PrintedObject("soft hard", always: ["soft", "hard"], hidesExtensions: true, kind: .limit)
    var objects: [String: PrintedObject] = [
        "services.*.build.ssh": PrintedObject("", kind: .keyList),
        "networks.*": PrintedObject(
            "name driver driver_opts ipam external internal attachable labels enable_ipv4 enable_ipv6",
            always: ["enable_ipv4", "enable_ipv6"], jsonOnly: ["ipam": .object]),
        "networks.*.ipam": PrintedObject("driver config", hidden: ["options"]),
        "networks.*.ipam.config.*": PrintedObject("subnet gateway ip_range aux_addresses", hidesExtensions: true),
        "volumes.*": PrintedObject("name driver driver_opts external labels"),
        "configs.*": PrintedObject("name file environment content external labels driver driver_opts template_driver"),
        "secrets.*": PrintedObject("name file environment content external labels driver driver_opts template_driver"),
        "models.*": PrintedObject("name model context_size runtime_flags"),
        "services.*": PrintedObject(
            serviceKeys, always: ["attach", "command", "entrypoint", "init", "scale", "stop_grace_period"],
            jsonOnly: ["command": .null, "entrypoint": .null]),
        "services.*.blkio_config": PrintedObject(
            "weight weight_device device_read_bps device_read_iops device_write_bps device_write_iops"),
        "services.*.blkio_config.weight_device.*": weights,
        "services.*.build": PrintedObject(
            "context dockerfile dockerfile_inline entitlements args provenance sbom ssh labels cache_from cache_to "
                + "no_cache no_cache_filter additional_contexts pull extra_hosts isolation network target secrets "
                + "shm_size tags ulimits platforms privileged"),
        "services.*.build.secrets.*": fileMount,
        "services.*.build.ulimits.*": ulimit,
        "services.*.configs.*": fileMount,
        "services.*.credential_spec": PrintedObject("config file registry"),
        "services.*.depends_on.*": PrintedObject("condition restart required", always: ["required"]),
        "services.*.deploy": PrintedObject(
            "mode replicas labels update_config rollback_config resources restart_policy placement endpoint_mode",
            always: ["replicas"], jsonOnly: ["resources": .object, "placement": .object]),
        "services.*.deploy.placement": PrintedObject("constraints preferences max_replicas_per_node"),
        "services.*.deploy.placement.preferences.*": PrintedObject("spread"),
        "services.*.deploy.resources": PrintedObject("limits reservations"),
        "services.*.deploy.resources.limits": PrintedObject("cpus memory pids devices generic_resources"),
        "services.*.deploy.resources.reservations": PrintedObject("cpus memory pids devices generic_resources"),
        "services.*.deploy.resources.reservations.devices.*": device,
        "services.*.deploy.resources.reservations.generic_resources.*": PrintedObject("discrete_resource_spec"),
        "services.*.deploy.resources.reservations.generic_resources.*.discrete_resource_spec": PrintedObject(
            "kind value"),
        "services.*.deploy.restart_policy": PrintedObject(
            "condition delay max_attempts window", always: ["delay", "max_attempts", "window"]),
        "services.*.deploy.rollback_config": update,
        "services.*.deploy.update_config": update,
        "services.*.develop": PrintedObject("watch"),
        "services.*.develop.watch.*": PrintedObject(
            "path action target exec include ignore initial_sync", jsonOnly: ["exec": .hook]),
        "services.*.develop.watch.*.exec": hook,
        "services.*.devices.*": PrintedObject("source target permissions"),
        "services.*.env_file.*": PrintedObject("path required format", always: ["required"]),
        "services.*.gpus.*": device,
        "services.*.healthcheck": PrintedObject(
            "test timeout interval retries start_period start_interval disable",
            always: ["timeout", "interval", "retries", "start_period", "start_interval"]),
        "services.*.logging": PrintedObject("driver options"),
        "services.*.models.*": PrintedObject("endpoint_var model_var"),
        "services.*.networks.*": PrintedObject(
            "aliases driver_opts gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address "
                + "priority"),
        "services.*.ports.*": PrintedObject("name mode host_ip target published protocol app_protocol"),
        "services.*.post_start.*": hook,
        "services.*.pre_start.*": PrintedObject(
            "command image user privileged working_dir environment per_replica", always: ["command"]),
        "services.*.pre_stop.*": hook,
        "services.*.provider": PrintedObject("type options"),
        "services.*.secrets.*": fileMount,
        "services.*.ulimits.*": ulimit,
        "services.*.volumes.*": PrintedObject(
            "type source target read_only consistency bind volume tmpfs image"),
        "services.*.volumes.*.bind": PrintedObject("selinux propagation create_host_path recursive"),
        "services.*.volumes.*.image": PrintedObject("subpath"),
        "services.*.volumes.*.tmpfs": PrintedObject("size mode"),
        "services.*.volumes.*.volume": PrintedObject("labels nocopy subpath"),
    ]
    for key in ["device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops"] {
        objects["services.*.blkio_config.\(key).*"] = rates
    }
    return PathTable(objects)
}()

private let serviceKeys =
    "profiles annotations attach build develop blkio_config cap_add cap_drop cgroup_parent cgroup cpu_count "
    + "cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpus cpuset cpu_shares command configs "
    + "container_name credential_spec depends_on deploy device_cgroup_rules devices dns dns_opt dns_search "
    + "domainname entrypoint provider environment env_file expose extends external_links extra_hosts group_add gpus "
    + "hostname healthcheck image init ipc isolation labels label_file links logging mem_limit mem_reservation "
    + "memswap_limit mem_swappiness mac_address models network_mode networks oom_kill_disable oom_score_adj pid "
    + "pids_limit platform ports privileged pull_policy pull_refresh_after read_only restart runtime scale secrets "
    + "security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits "
    + "use_api_socket user userns_mode uts volumes volumes_from working_dir pre_start post_start pre_stop"

/// Brings a canonical tree into the shape in which `docker compose config` prints it.
struct ConfigOrder {
    let format: ConfigFormat

    private static let root = PrintedObject(
        "name services networks volumes secrets configs models jobs", always: ["services"])

    /// Sizes and durations are text in canonical form.
    private static let zeroTexts = [
        "delay": "0s", "mem_limit": "0", "mem_reservation": "0", "mem_swappiness": "0", "memory": "0",
        "memswap_limit": "0", "monitor": "0s", "rate": "0", "shm_size": "0", "size": "0",
    ]

    static func apply(to document: Node, _ format: ConfigFormat) -> Node {
        let kept =
            document["services"] == nil ? document.setting("services", to: .map([:], at: document.mark)) : document
        return ConfigOrder(format: format).top(kept)
    }

    private func top(_ document: Node) -> Node {
        let table: PathTable<PrintedObject>? = printedObjects
        var changed = Mapping()
        let order = format == .json ? Ranking([]) : Self.root.order
        for entry in order.sorted(document.entries) {
            let isExtension = entry.key.hasPrefix("x-")
            if format == .json, entry.key == "models" { continue }
            if !isExtension, !Self.root.always.contains(entry.key), entry.value.isNothing { continue }
            changed.set(
                entry.key, like: entry, to: isExtension ? entry.value.sorted(for: format) : printed(entry, table))
        }
        return Node(.mapping(changed), at: document.mark)
    }

    private func printed(_ entry: Mapping.Entry, _ table: PathTable<PrintedObject>?) -> Node {
        let value = printed(entry.value, table?.below(entry.key))
        guard entry.key == "extra_hosts", table?.rule != nil, let hosts = value.items else { return value }
        return .list(hosts.sorted { ($0.text ?? "") < ($1.text ?? "") }, at: value.mark)
    }

    private func printed(_ node: Node, _ table: PathTable<PrintedObject>?) -> Node {
        switch node.content {
        case .scalar where table?.rule?.kind == .limit && node.isNothing:
            let zero = format == .yaml ? Node.integer(0, at: node.mark) : nil
            return .map(["soft": zero, "hard": zero], at: node.mark)
        case .scalar: return node
        case .mapping(let mapping) where table?.rule?.kind == .keyList: return keyList(mapping, at: node.mark)
        case .sequence(let items):
            let below = table?.belowItem
            var result = node
            result.content = .sequence(items.map { printed($0, below) })
            return result
        case .mapping(let mapping):
            var result = node
            result.content = .mapping(
                table?.rule.map { object(mapping, $0, table) } ?? map(mapping, table))
            return result
        }
    }

    /// `ID` and `ID=PATH`, which YAML has as `ID: PATH` text.
    private func keyList(_ mapping: Mapping, at mark: SourceMark) -> Node {
        let separator = format == .json ? "=" : ": "
        let lines = mapping.entries.sorted { $0.key < $1.key }.map { entry in
            Node.string(entry.value.text.map { entry.key + separator + $0 } ?? entry.key, at: entry.keyMark)
        }
        return .list(lines, at: mark)
    }

    /// A map of the user's keys: alphabetical, nothing left out.
    private func map(_ mapping: Mapping, _ table: PathTable<PrintedObject>?) -> Mapping {
        let sorted = mapping.entries.sorted { format.precedes($0.key, $1.key) }
        return Mapping(distinct: sorted.map { $0.with(printed($0, table)) })
    }

    private func object(_ mapping: Mapping, _ object: PrintedObject, _ table: PathTable<PrintedObject>?) -> Mapping {
        var entries = mapping.entries
        if format == .json {
            for (key, fill) in object.jsonOnly where mapping[key] == nil {
                entries.append(Mapping.Entry(key: key, keyMark: Node.madeMark, value: fill.node))
            }
        }
        var changed: [Mapping.Entry] = []
        changed.reserveCapacity(entries.count)
        for entry in object.order.sorted(entries) {
            let isExtension = entry.key.hasPrefix("x-")
            if isExtension ? object.hidesExtensions || format == .json : object.hidden.contains(entry.key) { continue }
            let isForced =
                object.always.contains(entry.key) && !(object.kind == .limit && format == .json)
                || (format == .json && object.jsonOnly[entry.key] != nil)
            let isObject =
                entry.value.mapping != nil && table?.below(entry.key)?.rule != nil && object.jsonOnly[entry.key] == nil
            let isZeroText = Self.zeroTexts[entry.key].map { entry.value.scalar?.text == $0 } ?? false
            let isNothing = entry.value.isNothing || isZeroText
            if !isExtension, !isForced, !isObject, isNothing { continue }
            if format == .yaml, !isExtension, entry.value.isNull { continue }
            let value = isExtension ? entry.value.sorted(for: format) : printed(entry, table)
            if format == .yaml, object.jsonOnly[entry.key] != nil, !isForced, value.isNothing { continue }
            if format == .json, let key = object.jsonKeys[entry.key] {
                changed.append(Mapping.Entry(key: key, keyMark: entry.keyMark, value: value))
            } else {
                changed.append(entry.with(value))
            }
        }
        return Mapping(distinct: changed)
    }
}

extension ConfigFormat {
    /// The order of a map's keys.
    func precedes(_ left: String, _ right: String) -> Bool {
        self == .yaml ? NaturalOrder.precedes(left, right) : left < right
    }
}

/// Sorts keys by a list, then by the alphabet, extensions last.
private struct Ranking: Sendable {
    private let ranks: [String: Int]

    init(_ order: [String]) {
        ranks = Dictionary(order.enumerated().map { ($1, $0) }) { first, _ in first }
    }

    func sorted(_ entries: [Mapping.Entry]) -> [Mapping.Entry] {
        if entries.count < 2 { return entries }
        let keys = entries.enumerated().map { (rank: rank($1.key), key: $1.key, position: $0) }
        return keys.sorted { ($0.rank, $0.key) < ($1.rank, $1.key) }.map { entries[$0.position] }
    }

    private func rank(_ key: String) -> Int { ranks[key] ?? (key.hasPrefix("x-") ? ranks.count + 1 : ranks.count) }
}

extension PrintedObject.JSONFill {
    fileprivate var node: Node {
        switch self {
        case .null: .null(at: Node.madeMark)
        case .object: .map([:], at: Node.madeMark)
        case .hook: .map(["command": .null(at: Node.madeMark)], at: Node.madeMark)
        }
    }
}

extension Node {
    /// Null, false, zero, empty text, an empty list or an empty map.
    var isNothing: Bool {
        switch content {
        case .sequence(let items): items.isEmpty
        case .mapping(let mapping): mapping.isEmpty
        case .scalar(let scalar):
            switch scalar.value {
            case .null: true
            case .boolean(let flag): !flag
            case .integer(let number): number == 0
            case .float(let number): number == 0
            case .string: scalar.text.isEmpty
            }
        }
    }

    /// All mappings in the format's order.
    func sorted(for format: ConfigFormat) -> Node {
        var result = self
        switch content {
        case .scalar: break
        case .sequence(let items): result.content = .sequence(items.map { $0.sorted(for: format) })
        case .mapping(let mapping):
            var sorted = Mapping()
            for entry in mapping.entries.sorted(by: { format.precedes($0.key, $1.key) }) {
                sorted.set(entry.key, like: entry, to: entry.value.sorted(for: format))
            }
            result.content = .mapping(sorted)
        }
        return result
    }
}
