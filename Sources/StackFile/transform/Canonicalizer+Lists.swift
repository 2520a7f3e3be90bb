import StackModel

extension Canonicalizer {
    /// Short ports become long ones; ranges become several.
    func ports(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let items = node.items else { return node }
        if isRaw, items.contains(where: { $0.text?.contains("$") == true }) {
            return .list(items.map(withPortDefaults), at: node.mark)
        }
        let ports = items.enumerated().flatMap { index, item in
            item.mapping == nil ? shortPort(item) : [longPort(item, "\(path())[\(index)]")]
        }
        return .list(ports, at: node.mark)
    }

    private func shortPort(_ node: Node) -> [Node] {
        guard let text = node.text, !report.isExhausted(.ports) else { return [] }
        do throws(SyntaxError) {
            let ports = try PortSyntax.parse(text)
            guard report.take(ports.count, of: .ports, at: node.mark) else { return [] }
            return ports.map { port in
                .map(
                    [
                        "mode": .string("ingress", at: node.mark),
                        "host_ip": port.hostIP.map { .string($0, at: node.mark) },
                        "target": .integer(Int64(port.target), at: node.mark),
                        "published": port.published.map { .string($0, at: node.mark) },
                        "protocol": .string(port.transport, at: node.mark),
                    ], at: node.mark)
            }
        } catch {
            report.error("stack.value", error.message, at: node.mark, hint: error.hint)
            return []
        }
    }

    private func withPortDefaults(_ node: Node) -> Node {
        guard var mapping = node.mapping else { return node }
        if mapping["mode"] == nil { mapping.set("mode", to: .string("ingress", at: node.mark)) }
        if mapping["protocol"] == nil { mapping.set("protocol", to: .string("tcp", at: node.mark)) }
        return Node(.mapping(mapping), at: node.mark)
    }

    private func longPort(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        if isRaw { return withPortDefaults(node) }
        guard var mapping = node.mapping else { return node }
        if mapping["mode"] == nil { mapping.set("mode", to: .string("ingress", at: node.mark)) }
        if let target = mapping["target"] {
            mapping.set("target", to: integer(target, "\(path()).target"))
        } else {
            report.error("stack.missing-key", "'\(path())' needs the key 'target'", at: node.mark)
        }
        if let published = mapping["published"], let text = published.text {
            if text.isEmpty { mapping.remove("published") } else { mapping.set("published", to: asText(published)) }
        }
        if mapping["protocol"] == nil { mapping.set("protocol", to: .string("tcp", at: node.mark)) }
        checkPort(mapping, path())
        return Node(.mapping(mapping), at: node.mark)
    }

    /// Docker Compose checks the address; the rest is refused when the container is made.
    private func checkPort(_ port: Mapping, _ path: @autoclosure () -> String) {
        if let address = port["host_ip"], let text = address.text, !text.isEmpty, !isAddress(text) {
            invalid("\(path()).host_ip", "an IP address", address)
        }
        func check(_ key: String, _ expected: String, _ isValid: (Node) -> Bool) {
            guard let value = port[key], !report.hasError(at: value.mark), !isValid(value) else { return }
            report.unusable(
                "stack.value", "'\(path()).\(key)' must be \(expected), found '\((value.text ?? "").prefix(60))'",
                at: value.mark)
        }
        check("target", "a port from 1 to 65535") { (1...65535).contains($0.wholeNumber ?? 0) }
        check("published", "a port or a range of ports") { $0.text == "0" || portRange($0.text ?? "") != nil }
        check("protocol", "tcp, udp or sctp") { ["tcp", "udp", "sctp", ""].contains($0.text?.lowercased()) }
    }

    func mounts(_ node: Node) -> Node {
        guard let items = node.items else { return node }
        return .list(items.compactMap { $0.mapping == nil ? shortMount($0) : $0 }, at: node.mark)
    }

    private func shortMount(_ node: Node) -> Node? {
        guard let text = node.text else { return nil }
        let syntax: MountSyntax
        do throws(SyntaxError) {
            syntax = try MountSyntax.parse(text)
        } catch {
            report.error("stack.value", error.message, at: node.mark, hint: error.hint)
            return nil
        }
        let options = MountOptions(syntax.options)
        for option in options.unknown {
            report.warning(
                "stack.ignored-key", "volume option '\(option)' is not known and is ignored", at: node.mark)
        }
        return mount(syntax, options, at: node.mark)
    }

    private func mount(_ syntax: MountSyntax, _ options: MountOptions, at mark: SourceMark) -> Node {
        func string(_ text: String?) -> Node? { text.map { .string($0, at: mark) } }
        let isBind = syntax.sourceIsPath
        let bind = Node.map(
            [
                "propagation": string(options.propagation), "selinux": string(options.selinux),
                "create_host_path": isBind ? .boolean(true, at: mark) : nil,
            ], at: mark)
        let volume = Node.map(["nocopy": options.noCopy ? .boolean(true, at: mark) : nil], at: mark)
        return .map(
            [
                "type": string(isBind ? "bind" : "volume"),
                "source": string(syntax.source),
                "target": string(syntax.target),
                "read_only": options.readOnly ? .boolean(true, at: mark) : nil,
                "bind": bind.entries.isEmpty ? nil : bind,
                "volume": (isBind || syntax.isBare) && volume.entries.isEmpty ? nil : volume,
            ], at: mark)
    }

    /// Names become `{source}`.
    func fileMounts(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let items = node.items else { return node }
        let mounts = items.enumerated().map { index, item -> Node in
            guard var mapping = item.mapping else { return .map(["source": item], at: item.mark) }
            if !isRaw, let mode = mapping["mode"], !mode.isNull {
                mapping.set("mode", to: octalMode(mode, "\(path())[\(index)].mode"))
            }
            return Node(.mapping(mapping), at: item.mark)
        }
        return .list(mounts, at: node.mark)
    }

    func dependencies(_ node: Node) -> Node {
        guard let items = node.items else { return node }
        var result = Mapping()
        for item in items {
            guard let name = item.text else { continue }
            let value = Node.map(
                [
                    "condition": .string("service_started", at: item.mark),
                    "required": .boolean(true, at: item.mark),
                ], at: item.mark)
            result.set(name, at: item.mark, to: value)
        }
        return Node(.mapping(result), at: node.mark)
    }

    func attachments(_ node: Node) -> Node {
        guard let items = node.items else { return node }
        var result = Mapping()
        for item in items {
            if let name = item.text { result.set(name, at: item.mark, to: .null(at: item.mark)) }
        }
        return Node(.mapping(result), at: node.mark)
    }

    func envFiles(_ node: Node) -> Node {
        let items = node.items ?? [node]
        let files = items.map { item -> Node in
            guard var mapping = item.mapping else {
                return .map(["path": asText(item), "required": .boolean(true, at: item.mark)], at: item.mark)
            }
            let required = mapping["required"].map { isRaw ? $0 : boolean($0, "env_file.required") }
            mapping.set("required", to: required ?? .boolean(true, at: item.mark))
            return Node(.mapping(mapping), at: item.mark)
        }
        return .list(files, at: node.mark)
    }

    /// `ID[=PATH]`, one or several, or a map.
    func ssh(_ node: Node) -> Node {
        if node.mapping != nil { return node }
        var result = Mapping()
        for item in node.items ?? [node] {
            guard let text = item.text else { continue }
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard let id = parts.first else { continue }
            result.set(id, at: item.mark, to: parts.count > 1 ? .string(parts[1], at: item.mark) : .null(at: item.mark))
        }
        return Node(.mapping(result), at: node.mark)
    }

    /// `SOURCE[:TARGET[:PERMISSIONS]]`
    func devices(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let items = node.items else { return node }
        return .list(items.enumerated().map { device($1, "\(path())[\($0)]") }, at: node.mark)
    }

    private func device(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        func isPermissions(_ text: String) -> Bool { !text.isEmpty && text.allSatisfy { "rwm".contains($0) } }
        guard node.mapping == nil, let text = node.text else {
            guard var mapping = node.mapping, let source = mapping["source"] else { return node }
            if mapping["target"] == nil { mapping.set("target", to: source) }
            if mapping["permissions"] == nil { mapping.set("permissions", to: .string("rwm", at: node.mark)) }
            return Node(.mapping(mapping), at: node.mark)
        }
        var parts = MountSyntax.split(text)
        var permissions = "rwm"
        if parts.count > 1, let last = parts.last, parts.count == 3 || isPermissions(last) {
            permissions = last
            parts.removeLast()
        }
        let source = parts.first ?? ""
        if text.isEmpty { report.unusable("stack.value", "'\(path())' is empty", at: node.mark, hint: "remove it") }
        guard text.isEmpty || !source.isEmpty, parts.count <= 2 else {
            invalid(path(), "SOURCE[:TARGET[:rwm]]", node)
            return node
        }
        let target = parts.count > 1 && !parts[1].isEmpty ? parts[1] : source
        return .map(
            [
                "source": .string(source, at: node.mark), "target": .string(target, at: node.mark),
                "permissions": .string(permissions, at: node.mark),
            ], at: node.mark)
    }

    /// `HOST=ADDRESS` lines out of `host:address`, `host=address` and maps.
    func extraHosts(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        func line(_ host: String, _ address: String, _ mark: SourceMark) -> Node {
            let isBracketed = address.hasPrefix("[") && address.hasSuffix("]")
            return .string("\(host)=\(isBracketed ? String(address.dropFirst().dropLast()) : address)", at: mark)
        }
        var lines: [Node] = []
        for entry in (node.mapping?.entries ?? []).sorted(by: { $0.key < $1.key }) {
            for address in entry.value.items ?? [entry.value] {
                lines.append(line(entry.key, address.text ?? "", address.mark))
            }
        }
        for (index, item) in (node.items ?? []).enumerated() {
            let text = item.text ?? ""
            guard let cut = text.firstIndex(where: { $0 == "=" }) ?? text.firstIndex(where: { $0 == ":" }),
                cut > text.startIndex
            else {
                invalid("\(path())[\(index)]", "HOST=ADDRESS", item)
                continue
            }
            let addresses = text[text.index(after: cut)...]
            if addresses.isEmpty { report.unusable("stack.value", "'\(text)' has no address", at: item.mark) }
            for address in addresses.isEmpty ? [""] : addresses.split(separator: ",") {
                lines.append(line(String(text[..<cut]), String(address), item.mark))
            }
        }
        return node.scalar == nil ? .list(lines, at: node.mark) : node
    }
}

/// The options of a short volume.
private struct MountOptions {
    var readOnly = false
    var noCopy = false
    var propagation: String?
    var selinux: String?
    var unknown: [String] = []

    init(_ options: [String]) {
        for option in options {
            switch option {
            case "ro": readOnly = true
            case "rw": readOnly = false
            case "nocopy": noCopy = true
            case "z", "Z": selinux = option
            // These speed up Docker Desktop's shares and mean nothing on Linux.
            case "cached", "delegated", "consistent": break
            case "private", "rprivate", "shared", "rshared", "slave", "rslave": propagation = option
            default: unknown.append(option)
            }
        }
    }
}
