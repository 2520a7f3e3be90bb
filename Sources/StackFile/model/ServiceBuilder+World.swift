import StackModel

extension ServiceBuilder {
    func ports() -> [Port] {
        (node["ports"]?.items ?? []).compactMap { item in
            guard let target = item["target"]?.wholeNumber.flatMap({ UInt16(exactly: $0) }) else { return nil }
            var port = Port(target: target)
            port.hostIP = item["host_ip"]?.text.flatMap { $0.isEmpty ? nil : $0 }
            port.transport = item["protocol"]?.text.flatMap { Port.Transport(rawValue: $0.lowercased()) } ?? .tcp
            if let text = item["published"]?.text, let range = portRange(text) {
                port.published = range.lowerBound
                if range.count > 1 { port.publishedLast = range.upperBound }
            }
            port.mode = item["mode"]?.text == "host" ? .host : nil
            port.name = item["name"]?.text
            port.appProtocol = item["app_protocol"]?.text
            return port
        }
    }

    func mounts() -> [Mount] {
        (node["volumes"]?.items ?? []).compactMap(mount) + (node["tmpfs"]?.items ?? []).compactMap(tmpfs)
    }

    private func mount(_ item: Node) -> Mount? {
        guard let target = item["target"]?.text, let type = item["type"]?.text else { return nil }
        guard let kind = Mount.Kind(rawValue: type) else {
            report.unusable(
                "stack.value", "unknown mount type '\(type)'", at: item["type"]?.mark ?? item.mark,
                hint: "use bind, volume, tmpfs or image")
            return nil
        }
        var mount = Mount(
            kind: kind, source: kind == .tmpfs ? nil : item["source"]?.text, target: PathText.clean(target),
            readOnly: item["read_only"]?.flag ?? false)
        mount.consistency = item["consistency"]?.text
        switch kind {
        case .bind:
            mount.createHostPath = item.at("bind", "create_host_path")?.flag ?? true
            mount.propagation = propagation(item.at("bind", "propagation"))
            mount.recursion = item.at("bind", "recursive")?.text.flatMap(Mount.Recursion.init(rawValue:))
            mount.selinux = item.at("bind", "selinux")?.text
        case .volume:
            mount.noCopy = item.at("volume", "nocopy")?.flag ?? false
            mount.subpath = item.at("volume", "subpath")?.text
            mount.volumeLabels = stringMap(item.at("volume", "labels"))
        case .tmpfs:
            mount.size = item.at("tmpfs", "size")?.wholeNumber
            mount.mode = item.at("tmpfs", "mode")?.wholeNumber.flatMap { UInt32(exactly: $0) }
        case .image: mount.subpath = item.at("image", "subpath")?.text
        case .cluster, .npipe: break
        }
        warnOfUnsupported(mount, item)
        return mount
    }

    /// What is carried and not mounted: one warning each.
    private func warnOfUnsupported(_ mount: Mount, _ item: Node) {
        func warn(_ message: String, at node: Node?, hint: String? = nil) {
            report.warning("stack.ignored-key", message, at: node?.mark ?? item.mark, hint: hint)
        }
        if [.image, .cluster, .npipe].contains(mount.kind) {
            warn(
                "mounts of type '\(mount.kind.rawValue)' are known, but this engine does not make them",
                at: item["type"])
        }
        for path in [item["source"], item["target"]] {
            guard let text = path?.text, isWindowsPath(text) else { continue }
            warn(
                "'\(text)' is read as a Windows path, which this engine does not mount", at: path,
                hint: "if a volume is meant, give it a name of two letters or more")
        }
        if mount.subpath != nil, mount.kind == .volume {
            warn("a volume's 'subpath' is known, but this engine mounts the whole volume", at: item["volume"])
        }
    }

    private func propagation(_ node: Node?) -> String? {
        guard let node, let text = node.text, !text.isEmpty else { return nil }
        let known = ["private", "rprivate", "shared", "rshared", "slave", "rslave"]
        if !known.contains(text) {
            report.unusable(
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
                if mount.size == nil { report.unusable("stack.value", "'\(value)' is not a size", at: item.mark) }
            case "mode":
                mount.mode = UInt32(value, radix: 8)
                if mount.mode == nil { report.unusable("stack.value", "'\(value)' is not a file mode", at: item.mark) }
            case "ro": mount.readOnly = true
            case "rw", "noexec", "nosuid", "nodev": break
            default:
                report.warning("stack.ignored-key", "tmpfs option '\(option)' is ignored", at: item.mark)
            }
        }
        return mount
    }

    /// `HOST:CONTAINER:PERMISSIONS`, or the name of a CDI device alone.
    func device(_ item: Node) -> String? {
        guard let source = item["source"]?.text else { return nil }
        let target = item["target"]?.text ?? source
        if target == source, isCDIName(source) { return source }
        return "\(source):\(target):\(item["permissions"]?.text ?? "rwm")"
    }

    /// `VENDOR/CLASS=NAME`, as the Container Device Interface has it.
    private func isCDIName(_ text: String) -> Bool {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let kind = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[1].isEmpty && kind.count == 2 && !kind.contains(where: \.isEmpty)
    }

    func extraHosts(_ node: Node?) -> [ExtraHost] {
        (node?.texts ?? []).compactMap { line in
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            return parts.count == 2 ? ExtraHost(name: parts[0], address: parts[1]) : nil
        }
    }

    func fileMounts(_ node: Node?, folder: String) -> [FileMount] {
        (node?.items ?? []).compactMap { item in
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
        report.unusable("stack.value", "'\(text)' is not a numeric user or group", at: node.mark)
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
            attachment.gatewayPriority = Int(clamping: entry.value["gw_priority"]?.wholeNumber ?? 0)
            attachment.macAddress = entry.value["mac_address"]?.text
            attachment.linkLocalIPs = entry.value["link_local_ips"]?.texts ?? []
            attachment.priority = entry.value["priority"]?.wholeNumber.map { Int(clamping: $0) }
            attachment.interfaceName = entry.value["interface_name"]?.text
            attachment.driverOptions = stringMap(entry.value["driver_opts"])
            result[entry.key] = attachment
        }
        if let address = text("mac_address"), let primary = primaryNetwork() ?? sharedNetwork() {
            if result[primary] == nil { result[primary] = NetworkAttachment() }
            if result[primary]?.macAddress == nil { result[primary]?.macAddress = address }
        }
        return result
    }

    /// What stands in for Docker's `bridge`.
    private func sharedNetwork() -> String? { networkMode() == nil ? "default" : nil }

    /// The network of highest `priority`, the first by name among equals.
    private func primaryNetwork() -> String? {
        let entries = node["networks"]?.entries ?? []
        return entries.min { left, right in
            let (first, second) = (left.value["priority"]?.wholeNumber ?? 0, right.value["priority"]?.wholeNumber ?? 0)
            return first == second ? left.key < right.key : first > second
        }?.key
    }
}
