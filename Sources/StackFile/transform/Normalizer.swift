import StackModel

/// Fills in what is implied: the default network, dependencies behind `service:NAME` and links, names of resources.
struct Normalizer {
    let projectName: String
    /// Variables have not been substituted.
    var isRaw = false

    func apply(to document: Node) -> Node {
        var result = document
        if document["services"] == nil { result = result.setting("services", to: .map([:], at: document.mark)) }
        var usesDefault = false
        for kind in workloadKinds {
            guard let workloads = result[kind] else { continue }
            let normal = workloads.mapEntries { service($0.value) }
            result = result.setting(kind, to: normal)
            usesDefault = usesDefault || normal.entries.contains { $0.value["networks"]?["default"] != nil }
        }
        if usesDefault, result.at("networks", "default") == nil {
            let networks = result["networks"].flatMap { $0.mapping == nil ? nil : $0 } ?? .map([:], at: document.mark)
            result = result.setting("networks", to: networks.setting("default", to: .map([:], at: document.mark)))
        }
        for kind in ["networks", "volumes", "configs", "secrets"] {
            guard let resources = result[kind] else { continue }
            result = result.setting(kind, to: resources.mapEntries { resource($0) })
        }
        return result.setting("name", to: .string(projectName, at: result["name"]?.mark ?? document.mark))
    }

    /// `scale` is also the `replicas` of a `deploy` that has none. compose-go fills it in when it checks consistency.
    static func sharingScale(_ document: Node) -> Node {
        func replicas(_ service: Node) -> Node? {
            guard let scale = service["scale"], !scale.isNull, let deploy = service["deploy"], deploy.mapping != nil,
                deploy["replicas"] == nil
            else { return nil }
            return service.setting("deploy", to: deploy.setting("replicas", to: scale))
        }
        guard let services = document["services"], services.entries.contains(where: { replicas($0.value) != nil })
        else { return document }
        return document.setting("services", to: services.mapEntries { replicas($0.value) ?? $0.value })
    }

    private func service(_ node: Node) -> Node {
        var service = node
        let mode = service["network_mode"]?.text ?? "default"
        if service["provider"] == nil, ["", "default"].contains(mode), service["networks"]?.entries.isEmpty ?? true {
            let none = Node.map(["default": .null(at: node.mark)], at: node.mark)
            service = service.setting("networks", to: none)
        } else if service["networks"]?.entries.isEmpty == true {
            service = service.removing("networks")
        }
        return dependencies(of: withDefaults(service))
    }

    private func withDefaults(_ node: Node) -> Node {
        var service = node
        if service["pull_policy"]?.text == "if_not_present", let policy = service["pull_policy"] {
            service = service.setting("pull_policy", to: .string("missing", at: policy.mark))
        }
        if let hooks = service["pre_start"], let items = hooks.items, let image = service["image"] {
            let complete = items.map { $0.mapping == nil || $0["image"] != nil ? $0 : $0.setting("image", to: image) }
            service = service.setting("pre_start", to: .list(complete, at: hooks.mark))
        }
        if var build = service["build"], build.mapping != nil {
            if build["dockerfile"] == nil, build["dockerfile_inline"] == nil {
                build = build.setting("dockerfile", to: .string("Dockerfile", at: build.mark))
            }
            if isRaw, let arguments = build["args"] { build = build.setting("args", to: given(arguments)) }
            service = service.setting("build", to: build)
        }
        return service
    }

    /// Build arguments that have a value.
    private func given(_ arguments: Node) -> Node {
        guard let items = arguments.items else { return arguments.mapEntries { $0.value.isNull ? nil : $0.value } }
        return .list(items.filter { $0.text?.contains("=") == true }, at: arguments.mark)
    }

    /// The service with its declared dependencies and those that are implied.
    private func dependencies(of service: Node) -> Node {
        var result = service["depends_on"]?.mapping ?? Mapping()
        let implied = implied(by: service)
        if implied.isEmpty, !result.isEmpty { return service }
        for (name, restart, mark) in implied where result[name] == nil {
            let value = Node.map(
                [
                    "condition": .string("service_started", at: mark),
                    "restart": restart || isRaw ? .boolean(restart, at: mark) : nil,
                    "required": .boolean(true, at: mark),
                ], at: mark)
            result.set(name, at: mark, to: value)
        }
        if result.isEmpty { return service.removing("depends_on") }
        let mark = service["depends_on"]?.mark ?? service.mark
        return service.setting("depends_on", to: Node(.mapping(result), at: mark))
    }

    private func implied(by service: Node) -> [(name: String, restart: Bool, mark: SourceMark)] {
        var result: [(String, Bool, SourceMark)] = []
        for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
            guard let node = service[key], let text = node.text, text.hasPrefix("service:") else { continue }
            result.append((String(text.dropFirst("service:".count)), true, node.mark))
        }
        for item in service["links"]?.items ?? [] {
            guard let name = item.text?.split(separator: ":").first else { continue }
            result.append((String(name), true, item.mark))
        }
        for item in service["volumes_from"]?.items ?? [] {
            guard let text = item.text, !text.hasPrefix("container:"), let name = text.split(separator: ":").first
            else { continue }
            result.append((String(name), false, item.mark))
        }
        return result
    }

    /// The resource with its engine name: its own, the key when external, else `<project>_<key>`.
    private func resource(_ entry: Mapping.Entry) -> Node {
        let node = entry.value.mapping == nil ? Node.map([:], at: entry.value.mark) : entry.value
        if let name = node["name"]?.text, !name.isEmpty { return node }
        let isExternal = node["external"]?.flag == true
        return node.setting(
            "name", to: .string(isExternal ? entry.key : "\(projectName)_\(entry.key)", at: entry.keyMark))
    }
}
