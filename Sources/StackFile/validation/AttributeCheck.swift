import StackModel

/// Attributes that exclude each other within one resource (compose-go's `validation` package). Unlike consistency this
/// needs nothing but the resource itself.
struct AttributeCheck {
    let report: Report

    func check(_ document: Node) {
        for kind in ["networks", "volumes", "configs", "secrets"] {
            for entry in document[kind]?.entries ?? [] { checkExternal(entry, kind) }
        }
        for (kind, keys) in fileSources { checkSources(document[kind], kind, keys) }
        for service in document["services"]?.entries ?? [] {
            checkMounts(service.value["volumes"])
            let reserved = service.value.at("deploy", "resources", "reservations", "devices")
            checkDevices(reserved, "services.\(service.key).deploy.resources.reservations.devices")
            checkDevices(service.value["gpus"], "services.\(service.key).gpus")
        }
    }

    private func checkExternal(_ entry: Mapping.Entry, _ kind: String) {
        guard entry.value["external"]?.flag == true else { return }
        for other in entry.value.entries where other.key != "external" && other.key != "name" {
            if other.key.hasPrefix("x-") { continue }
            let message = "'\(kind).\(entry.key)' is external, so '\(other.key)' has no meaning"
            let hint = "remove 'external' or '\(other.key)'"
            // Docker Compose refuses volumes, shows configs and secrets, and passes over what a network says.
            switch kind {
            case "networks": report.warning("stack.conflict", message, at: other.keyMark, hint: hint)
            case "volumes": report.error("stack.conflict", message, at: other.keyMark, hint: hint)
            default: report.unusable("stack.conflict", message, at: other.keyMark, hint: hint)
            }
        }
    }

    private func checkSources(_ resources: Node?, _ kind: String, _ keys: [String]) {
        for entry in resources?.entries ?? [] where entry.value["external"]?.flag != true {
            let given = keys.filter { entry.value[$0] != nil }
            guard given.count > 1 else { continue }
            report.error(
                "stack.conflict", "'\(kind).\(entry.key)' needs exactly one of \(oneOf(keys))",
                at: given.dropFirst().first.flatMap { entry.value.mapping?.keyMark($0) } ?? entry.keyMark)
        }
    }

    private func checkMounts(_ mounts: Node?) {
        for mount in mounts?.items ?? [] where mount["type"]?.text == "bind" && mount["source"] == nil {
            report.error("stack.missing-key", "a bind mount needs the key 'source'", at: mount.mark)
        }
    }

    private func checkDevices(_ requests: Node?, _ path: String) {
        for (index, request) in (requests?.items ?? []).enumerated() {
            guard let ids = request["device_ids"], let mark = request.mapping?.keyMark("count") else { continue }
            if ids.items?.isEmpty == true { continue }
            report.error(
                "stack.conflict", "'\(path)[\(index)]' has both 'count' and 'device_ids'", at: mark,
                hint: "remove one of the two")
        }
    }
}

/// Where the content of configs and secrets comes from.
let fileSources = [("configs", ["file", "environment", "content"]), ("secrets", ["file", "environment"])]

/// `'a' or 'b'`
func oneOf(_ keys: [String]) -> String { keys.map { "'\($0)'" }.joined(separator: " or ") }
