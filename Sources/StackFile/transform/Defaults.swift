import StackModel

/// Fills in the values that a long form may leave out (compose-go's `SetDefaultValues`).
enum Defaults {
    /// `isRaw`: variables have not been substituted.
    static func apply(to document: Node, isRaw: Bool = false) -> Node {
        guard let services = document["services"] else { return document }
        return document.setting("services", to: services.mapEntries { service($0.value, isRaw: isRaw) })
    }

    private static func service(_ node: Node, isRaw: Bool) -> Node {
        guard node.mapping != nil else { return node }
        var service = node
        if let build = node["build"], build.mapping != nil { service = service.setting("build", to: self.build(build)) }
        if let secrets = node["secrets"] { service = service.setting("secrets", to: self.secrets(secrets)) }
        if let gpus = node["gpus"] { service = service.setting("gpus", to: devices(gpus, isRaw: isRaw)) }
        if let dependencies = node["depends_on"] { service = service.setting("depends_on", to: required(dependencies)) }
        return reservedDevices(service, isRaw: isRaw)
    }

    private static func build(_ node: Node) -> Node {
        node["context"] == nil ? node.setting("context", to: .string(".", at: node.mark)) : node
    }

    private static func secrets(_ node: Node) -> Node {
        guard let items = node.items else { return node }
        let complete = items.map { item -> Node in
            guard item["target"] == nil, let source = item["source"]?.text else { return item }
            return item.setting("target", to: .string("/run/secrets/\(source)", at: item.mark))
        }
        return .list(complete, at: node.mark)
    }

    /// Dependencies are required unless they say otherwise.
    private static func required(_ dependencies: Node) -> Node {
        dependencies.mapEntries { entry in
            guard entry.value.mapping != nil, entry.value["required"] == nil else { return entry.value }
            return entry.value.setting("required", to: .boolean(true, at: entry.value.mark))
        }
    }

    private static func reservedDevices(_ service: Node, isRaw: Bool) -> Node {
        guard let deploy = service["deploy"], let resources = deploy["resources"],
            let reservations = resources["reservations"], let requested = reservations["devices"]
        else { return service }
        let complete = reservations.setting("devices", to: devices(requested, isRaw: isRaw))
        return service.setting(
            "deploy", to: deploy.setting("resources", to: resources.setting("reservations", to: complete)))
    }

    /// All devices, unless some are named or counted.
    private static func devices(_ node: Node, isRaw: Bool) -> Node {
        guard let items = node.items else { return node }
        let complete = items.map { item -> Node in
            guard item.mapping != nil, item["count"] == nil, item["device_ids"] == nil else { return item }
            return item.setting("count", to: isRaw ? .string("all", at: item.mark) : .integer(-1, at: item.mark))
        }
        return .list(complete, at: node.mark)
    }
}
