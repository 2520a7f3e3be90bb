import StackModel

/// Fills in the values that a long form may leave out (compose-go's `SetDefaultValues`).
struct Defaults {
    /// Variables have not been substituted.
    let isRaw: Bool

    func apply(to document: Node) -> Node {
        var result = document
        for kind in ["networks", "volumes"] where !isRaw {
            guard let resources = result[kind], resources.mapping != nil else { continue }
            let complete = resources.mapEntries { $0.value.isNull ? .map([:], at: $0.value.mark) : $0.value }
            result = result.setting(kind, to: complete)
        }
        for kind in workloadKinds {
            guard let workloads = result[kind] else { continue }
            result = result.setting(kind, to: workloads.mapEntries { service($0.value) })
        }
        return result
    }

    private func service(_ node: Node) -> Node {
        guard node.mapping != nil else { return node }
        var service = node
        if let build = node["build"], build.mapping != nil { service = service.setting("build", to: self.build(build)) }
        if let secrets = node["secrets"] { service = service.setting("secrets", to: self.secrets(secrets)) }
        if let gpus = node["gpus"] { service = service.setting("gpus", to: devices(gpus)) }
        // Most services have nothing to be filled in here, and are not copied then.
        if let volumes = node["volumes"].flatMap(mounts) { service = service.setting("volumes", to: volumes) }
        if let dependencies = node["depends_on"].flatMap(self.dependencies) {
            service = service.setting("depends_on", to: dependencies)
        }
        return reservedDevices(service)
    }

    /// `nil` when all targets are clean paths.
    private func mounts(_ node: Node) -> Node? {
        node.changingChildren(
            item: { _, item in
                guard let target = item["target"], let text = target.text, !PathText.isClean(text),
                    !isRaw || !text.contains("$")
                else { return nil }
                return item.setting("target", to: .string(PathText.clean(text), at: target.mark))
            }, entry: { _ in nil })
    }

    /// `nil` when all say whether they are required.
    private func dependencies(_ node: Node) -> Node? {
        node.changingChildren(
            item: { _, _ in nil },
            entry: { entry in
                guard entry.value.mapping != nil, entry.value["required"] == nil else { return nil }
                return entry.value.setting("required", to: .boolean(true, at: entry.value.mark))
            })
    }

    private func build(_ node: Node) -> Node {
        node["context"] == nil ? node.setting("context", to: .string(".", at: node.mark)) : node
    }

    private func secrets(_ node: Node) -> Node {
        guard let items = node.items else { return node }
        let complete = items.map { item -> Node in
            guard item["target"] == nil, let source = item["source"]?.text else { return item }
            return item.setting("target", to: .string("/run/secrets/\(source)", at: item.mark))
        }
        return .list(complete, at: node.mark)
    }

    private func reservedDevices(_ service: Node) -> Node {
        guard let deploy = service["deploy"], let resources = deploy["resources"],
            let reservations = resources["reservations"], let requested = reservations["devices"]
        else { return service }
        let complete = reservations.setting("devices", to: devices(requested))
        return service.setting(
            "deploy", to: deploy.setting("resources", to: resources.setting("reservations", to: complete)))
    }

    /// All devices, unless some are named or counted.
    private func devices(_ node: Node) -> Node {
        guard let items = node.items else { return node }
        let complete = items.map { item -> Node in
            guard item.mapping != nil, item["count"] == nil, item["device_ids"] == nil else { return item }
            return item.setting("count", to: isRaw ? .string("all", at: item.mark) : .integer(-1, at: item.mark))
        }
        return .list(complete, at: node.mark)
    }
}
