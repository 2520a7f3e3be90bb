import StackModel

/// What to do about a key or a value that does not fit.
struct SchemaHint {
    let walk: SchemaWalk

    // MARK: Unknown keys

    func unknownKey(_ entry: Mapping.Entry, _ object: Shape.Object) -> String? {
        let key = entry.key
        if let better = foreignKeys[object.name ?? ""]?[key.lowercased()] { return "did you mean '\(better)'?" }
        let own = object.fields.keys.sorted()
        if let close = own.first(where: { isClose(key, $0) }) { return "did you mean '\(close)'?" }
        if let section = misplacedSection(object) { return section }
        return elsewhere(entry, object) ?? nearest(key, in: own).map { "did you mean '\($0)'?" }
            ?? misspelledServiceKey(key)
    }

    /// All but the same: one letter off.
    private func isClose(_ word: String, _ candidate: String) -> Bool {
        let lengthMax = 64
        guard word.utf8.count <= lengthMax, word.utf8.count > 2 else { return false }
        return editDistance(Array(word.lowercased().utf8), Array(candidate.utf8)) <= 1
    }

    /// The key is right, but belongs to another level.
    private func elsewhere(_ entry: Mapping.Entry, _ object: Shape.Object) -> String? {
        if isRoot {
            if Schema.serviceFields[entry.key] != nil { return "indent it under services.<name>" }
            if let value = entry.value.mapping, value["image"] ?? value["build"] != nil {
                return "indent it under 'services:', where services are declared"
            }
        }
        let below = object.fields.filter { $0.value.shape.object?.fields[entry.key] != nil }.keys.sorted()
        if !below.isEmpty, below.count <= 2 {
            return "did you mean " + below.map { "'\($0).\(entry.key)'" }.joined(separator: " or ") + "?"
        }
        for around in walk.objects.dropLast().reversed() where around.object.fields[entry.key] != nil {
            let path = walk.path(depth: around.depth)
            return path.isEmpty ? topLevel(entry.key) : "move it out, to '\(path)'"
        }
        // A service may be looked at alone.
        if object.name == "service", Schema.file.object?.fields[entry.key] != nil { return topLevel(entry.key) }
        return nil
    }

    /// `volumes:` and its kin, indented as if they were services.
    private func misplacedSection(_ object: Shape.Object) -> String? {
        guard object.name == "service", isWorkload, Schema.file.object?.fields[walk.lastKey] != nil else { return nil }
        return
            "'\(walk.lastKey)' is read as the name of a service: to declare \(walk.lastKey), move it to the left edge"
    }

    /// The place is that of a service.
    private var isWorkload: Bool {
        guard walk.steps.count == 2, case .key(let kind)? = walk.steps.first else { return false }
        return workloadKinds.contains(kind)
    }

    private var isRoot: Bool { walk.steps.isEmpty && walk.start.isEmpty }

    private func topLevel(_ key: String) -> String { "'\(key)' goes to the top level of the file" }

    private func misspelledServiceKey(_ key: String) -> String? {
        guard isRoot, let near = nearest(key, in: Schema.serviceFields.keys.sorted()) else { return nil }
        return "did you mean '\(near)'? indent it under services.<name>"
    }

    // MARK: Wrong types

    func wrongType(_ node: Node, _ shape: Shape) -> String? {
        let misread = node.text.flatMap {
            misreadHint($0, wantsMapping: shape.keys != nil, wantsList: shape.list != nil)
        }
        if isWorkload, Schema.serviceFields[walk.lastKey] != nil, !node.isNull {
            return "'\(walk.lastKey)' is read as the name of a service: indent it below the service that it belongs to"
        }
        if let misread { return misread }
        return switch node.content {
        case .scalar(let scalar): wrongScalar(scalar, shape)
        case .sequence(let items): wrongList(items, shape)
        case .mapping(let mapping): wrongMapping(mapping, shape)
        }
    }

    private func wrongScalar(_ scalar: Scalar, _ shape: Shape) -> String? {
        if scalar.value == .null, isWorkload { return "indent its keys deeper than its name, or remove it" }
        if scalar.value == .null { return "remove the key or give it a value" }
        if walk.lastKey == "version", walk.steps.count == 1 { return "remove it: it means nothing any more" }
        let text = scalar.text.prefix(40)
        if scalar.value != .string, shape.scalars.contains(.string) {
            return isFraction(scalar) && !shape.scalars.isDisjoint(with: [.integer])
                ? "write a whole number" : "write it in quotes: \"\(text)\""
        }
        if scalar.value == .string, isUnquotable(scalar.text, shape) { return "write it without quotes: \(text)" }
        if shape.list != nil { return "write it as a list: [\(text)]" }
        return shape.keys.flatMap(keysHint)
    }

    private func isFraction(_ scalar: Scalar) -> Bool { if case .float = scalar.value { true } else { false } }

    /// Whether the text without its quotes is what is wanted.
    private func isUnquotable(_ text: String, _ shape: Shape) -> Bool {
        switch resolvePlainScalar(text) {
        case .boolean: shape.scalars.contains(.boolean)
        case .integer: !shape.scalars.isDisjoint(with: [.integer, .number])
        case .float: shape.scalars.contains(.number)
        case .null, .string: false
        }
    }

    private func keysHint(_ keys: Shape.Keys) -> String? {
        let shownMax = 6
        switch keys {
        case .free: return "write 'name: value' lines, indented below it"
        case .object(let object):
            let names = object.fields.keys.sorted().filter { !$0.hasPrefix("x-") }
            let first = object.required + names.filter { !object.required.contains($0) }
            let more = first.count > shownMax ? ", …" : ""
            return "write keys below it: \(first.prefix(shownMax).joined(separator: ", "))\(more)"
        }
    }

    private func wrongList(_ items: [Node], _ shape: Shape) -> String? {
        if items.count == 1, let text = items.first?.text, !shape.scalars.isEmpty {
            return "write the value alone: \(text.prefix(40))"
        }
        switch shape.keys {
        case .free?: return "write 'name: value' lines without '- '"
        case .object?: return "write its keys without '- '"
        case nil: return "give one value, not a list"
        }
    }

    private func wrongMapping(_ mapping: Mapping, _ shape: Shape) -> String? {
        if shape.list != nil { return "write a list, each item on a line of its own after '- '" }
        if shape.scalars.isEmpty { return nil }
        guard case .item? = walk.steps.last, let entry = mapping.entries.first, mapping.entries.count == 1 else {
            return "give one value, not keys"
        }
        return wrongItem(entry)
    }

    /// `- KEY: value` where items are texts.
    private func wrongItem(_ entry: Mapping.Entry) -> String {
        let shownMax = 40
        let value = entry.value.text ?? ""
        switch walk.objects.last?.object.fields[walk.lastKey]?.shape.keys {
        case .free(_, let shape)? where !shape.scalars.isEmpty && shape.keys == nil:
            let text = "\(entry.key)=\(value)"
            return "write '- \(text.prefix(shownMax))', or leave out the '- ' of every line"
        case .some: return "leave out the '- ' of every line, or give nothing but names"
        case nil: return "if ': ' is part of the text, put it in quotes: \(quoted("\(entry.key): \(value)"))"
        }
    }
}

/// `How it starts` as part of a sentence.
func lowercasedStart(_ text: String) -> String {
    guard let first = text.first, let second = text.dropFirst().first, !second.isUppercase else { return text }
    return first.lowercased() + text.dropFirst()
}

/// What people write who know other programs, in lower case, and what it is called here; by the object's name.
private let foreignKeys: [String: [String: String]] = [
    "service": [
        "env": "environment", "envs": "environment", "environments": "environment", "envfrom": "env_file",
        "depend_on": "depends_on", "depends": "depends_on", "needs": "depends_on", "cmd": "command",
        "args": "command", "name": "container_name", "port": "ports", "publish": "ports", "volume": "volumes",
        "mounts": "volumes", "volumemounts": "volumes", "network": "networks", "net": "network_mode",
        "memory": "mem_limit", "mem": "mem_limit", "cpu": "cpus", "cpu_limit": "cpus",
        "restart_policy":
            "deploy.restart_policy", "replicas": "deploy.replicas", "limits": "deploy.resources.limits",
        "reservations": "deploy.resources.reservations", "resources": "deploy.resources",
        "log_driver":
            "logging.driver", "log_opt": "logging.options", "dockerfile": "build.dockerfile",
        "context": "build.context",
        "livenessprobe": "healthcheck", "readinessprobe": "healthcheck", "health": "healthcheck",
        "health_check": "healthcheck", "imagepullpolicy": "pull_policy", "workdir": "working_dir",
        "interactive": "stdin_open", "hosts": "extra_hosts", "add_host": "extra_hosts", "cap": "cap_add",
        "stop_timeout": "stop_grace_period", "memswap": "memswap_limit", "volume_driver": "volumes",
        "entry_point": "entrypoint", "scaling": "scale",
    ],
    "build": [
        "path": "context", "file": "dockerfile", "build_args": "args", "buildargs": "args", "docker_file": "dockerfile",
        "image": "tags", "platform": "platforms",
    ],
    "healthcheck": [
        "command": "test", "cmd": "test", "exec": "test", "period": "interval", "start_delay": "start_period",
        "initialdelayseconds": "start_period", "periodseconds": "interval", "failurethreshold": "retries",
        "disabled": "disable",
    ],
    "deploy": [
        "scale": "replicas", "limits": "resources.limits", "reservations": "resources.reservations",
        "restart": "restart_policy", "update": "update_config", "rollback": "rollback_config",
        "constraints": "placement.constraints",
    ],
    "mount": [
        "src": "source", "from": "source", "dst": "target", "dest": "target", "destination": "target", "to": "target",
        "path": "target", "readonly": "read_only", "ro": "read_only", "subpath": "volume.subpath",
    ],
    "port": [
        "host": "published", "host_port": "published", "hostport": "published", "container": "target",
        "container_port": "target", "containerport": "target", "port": "target", "ip": "host_ip",
    ],
    "network": ["subnet": "ipam.config", "gateway": "ipam.config", "ipv6": "enable_ipv6", "type": "driver"],
    "volume": ["type": "driver_opts.type", "device": "driver_opts.device", "options": "driver_opts"],
    "file_mount": ["path": "target", "permissions": "mode", "owner": "uid", "group": "gid", "name": "source"],
    "secret": ["path": "file", "env": "environment", "value": "environment", "content": "environment"],
    "config": ["path": "file", "env": "environment", "data": "content", "value": "content"],
    "dependency": ["optional": "required", "state": "condition", "status": "condition"],
]
