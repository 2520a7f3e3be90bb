import StackModel

extension ServiceBuilder {
    func ports() -> [Port] {
        (node["ports"]?.items ?? []).compactMap { item in
            guard let target = item["target"]?.wholeNumber.flatMap({ UInt16(exactly: $0) }) else { return nil }
            var port = Port(target: target)
            port.hostIP = item["host_ip"]?.text.flatMap { $0.isEmpty ? nil : $0 }
            port.transport = item["protocol"]?.text.flatMap(Port.Transport.init(rawValue:)) ?? .tcp
            if let text = item["published"]?.text, let range = portRange(text) {
                port.published = range.lowerBound
                if range.count > 1 {
                    report.warning(
                        "stack.port-range", "of the host ports \(text) the first one is taken", at: item.mark,
                        hint: "publish one port, or leave the host port out to have a free one chosen")
                }
            }
            return port
        }
    }

    func mounts() -> [Mount] {
        (node["volumes"]?.items ?? []).compactMap(mount) + (node["tmpfs"]?.items ?? []).compactMap(tmpfs)
    }

    private func mount(_ item: Node) -> Mount? {
        guard let target = item["target"]?.text, let type = item["type"]?.text else { return nil }
        guard let kind = Mount.Kind(rawValue: type) else {
            report.error(
                "stack.unsupported", "mounts of type '\(type)' are not supported", at: item["type"]?.mark ?? item.mark,
                hint: "use bind, volume or tmpfs")
            return nil
        }
        var mount = Mount(
            kind: kind, source: kind == .tmpfs ? nil : item["source"]?.text, target: PathText.clean(target),
            readOnly: item["read_only"]?.flag ?? false)
        switch kind {
        case .bind:
            if mount.source == nil {
                report.error("stack.missing-key", "a bind mount needs the key 'source'", at: item.mark)
            } else if mount.source?.hasPrefix("/") == false {
                report.error("stack.unsupported", "Windows paths are not supported", at: item["source"]?.mark)
            }
            mount.createHostPath = item.at("bind", "create_host_path")?.flag ?? true
            mount.propagation = propagation(item.at("bind", "propagation"))
        case .volume: mount.noCopy = item.at("volume", "nocopy")?.flag ?? false
        case .tmpfs:
            mount.size = item.at("tmpfs", "size")?.wholeNumber
            mount.mode = item.at("tmpfs", "mode")?.wholeNumber.flatMap { UInt32(exactly: $0) }
        }
        return mount
    }

    private func propagation(_ node: Node?) -> String? {
        guard let node, let text = node.text, !text.isEmpty else { return nil }
        let known = ["private", "rprivate", "shared", "rshared", "slave", "rslave"]
        if !known.contains(text) {
            report.error(
                "stack.value", "unknown mount propagation '\(text)'", at: node.mark,
                hint: "use \(known.joined(separator: ", "))")
        }
        return text
    }

    /// `PATH[:OPTION,…]`, options as in tmpfs(5).
    private func tmpfs(_ item: Node) -> Mount? {
        let parts = (item.text ?? "").split(separator: ":", maxSplits: 1).map(String.init)
        guard let target = parts.first else { return nil }
        var mount = Mount(kind: .tmpfs, target: PathText.clean(target))
        for option in parts.dropFirst().joined().split(separator: ",") {
            let pair = option.split(separator: "=", maxSplits: 1).map(String.init)
            let value = pair.dropFirst().first ?? ""
            switch pair.first {
            case "size":
                mount.size = parseBytes(value)
                if mount.size == nil { report.error("stack.value", "'\(value)' is not a size", at: item.mark) }
            case "mode":
                mount.mode = UInt32(value, radix: 8)
                if mount.mode == nil { report.error("stack.value", "'\(value)' is not a file mode", at: item.mark) }
            case "ro": mount.readOnly = true
            case "rw", "noexec", "nosuid", "nodev": break
            default:
                report.warning("stack.ignored-key", "tmpfs option '\(option)' is ignored", at: item.mark)
            }
        }
        return mount
    }

    func fileMounts(_ key: String, folder: String) -> [FileMount] {
        (node[key]?.items ?? []).compactMap { item in
            guard let source = item["source"]?.text else { return nil }
            let target = item["target"]?.text.flatMap { $0.isEmpty ? nil : $0 } ?? source
            return FileMount(
                source: source, target: PathText.clean(target.hasPrefix("/") ? target : folder + target),
                uid: identity(item["uid"]), gid: identity(item["gid"]),
                mode: item["mode"]?.text.flatMap { UInt32($0, radix: 8) } ?? 0o444)
        }
    }

    private func identity(_ node: Node?) -> UInt32 {
        guard let node, let text = node.text, !text.isEmpty else { return 0 }
        if let number = UInt32(text) { return number }
        report.error("stack.value", "'\(text)' is not a numeric user or group", at: node.mark)
        return 0
    }

    /// `nil` for attached networks; `bridge` and `default` mean those.
    func networkMode() -> String? {
        guard let mode = text("network_mode") else { return nil }
        return mode == "bridge" || mode == "default" ? nil : mode
    }

    func networks() -> [String: NetworkAttachment] {
        var result: [String: NetworkAttachment] = [:]
        for entry in node["networks"]?.entries ?? [] {
            var attachment = NetworkAttachment(aliases: entry.value["aliases"]?.texts ?? [])
            attachment.ipv4Address = entry.value["ipv4_address"]?.text
            attachment.ipv6Address = entry.value["ipv6_address"]?.text
            checkAddress(entry.value["ipv4_address"], report)
            checkAddress(entry.value["ipv6_address"], report)
            attachment.gatewayPriority = Int(clamping: entry.value["gw_priority"]?.wholeNumber ?? 0)
            attachment.macAddress = entry.value["mac_address"]?.text
            result[entry.key] = attachment
        }
        if let address = text("mac_address"), let primary = primaryNetwork() {
            if result[primary]?.macAddress == nil { result[primary]?.macAddress = address }
        }
        return result
    }

    /// The network of highest `priority`, the first by name among equals.
    private func primaryNetwork() -> String? {
        let entries = node["networks"]?.entries ?? []
        return entries.min { left, right in
            let (first, second) = (left.value["priority"]?.wholeNumber ?? 0, right.value["priority"]?.wholeNumber ?? 0)
            return first == second ? left.key < right.key : first > second
        }?.key
    }
}
