import StackModel

/// Brings a document into long form. Values of a wrong kind have been reported by the schema check and are left as
/// they are; values of the right kind that mean nothing (`10y`, `99999:80`) are reported here.
struct Canonicalizer {
    let report: Report
    /// Variables have not been substituted, so only the structure is brought into long form; values stay as written.
    let isRaw: Bool

    func apply(to document: Node) -> Node { apply(to: document, canonicalTable, path: "") }

    /// The long form of one service, for files of which only some services are of interest.
    func applyService(_ service: Node, name: String) -> Node {
        guard let table = canonicalTable.below(path: ["services", name]) else { return service }
        return apply(to: service, table, path: "services.\(name)")
    }

    private func apply(to node: Node, _ table: PathTable<CanonicalRule>, path: @autoclosure () -> String) -> Node {
        if node.mergeTag == .reset { return node }
        var result = node
        if let rule = table.rule, !node.isNull, !isRaw || rule.isStructural { result = apply(rule, to: node, path()) }
        result.mergeTag = node.mergeTag
        let changed = result.changingChildren(
            item: { index, item in table.belowItem.map { apply(to: item, $0, path: "\(path())[\(index)]") } },
            entry: { entry in
                table.below(entry.key).map { below in
                    apply(to: entry.value, below, path: path().isEmpty ? entry.key : "\(path()).\(entry.key)")
                }
            })
        return changed ?? result
    }

    private func apply(_ rule: CanonicalRule, to node: Node, _ path: @autoclosure () -> String) -> Node {
        switch rule {
        case .boolean: boolean(node, path())
        case .integer: integer(node, path())
        case .number: number(node, path())
        case .bytes: bytes(node, path(), unlimited: false)
        case .bytesOrUnlimited: bytes(node, path(), unlimited: true)
        case .duration: duration(node, path())
        case .textItems: textItems(node)
        case .stringList: stringList(node)
        case .strings: strings(node)
        case .pairs: pairs(node, missing: { .string("", at: $0) })
        case .contexts: contexts(node, path())
        case .environment: pairs(node, missing: { .null(at: $0) })
        case .textMap: textMap(node)
        case .command: command(node, path())
        case .healthTest: healthTest(node)
        case .ports: ports(node, path())
        case .mounts: mounts(node)
        case .fileMounts: fileMounts(node, path())
        case .dependencies: dependencies(node)
        case .attachments: attachments(node)
        case .devices: devices(node, path())
        case .extraHosts: extraHosts(node, path())
        case .envFiles: envFiles(node)
        case .build: build(node)
        case .ssh: ssh(node)
        case .external: external(node, path())
        case .gpus: gpus(node)
        case .deviceCount: deviceCount(node, path())
        }
    }

    /// Reports a value; nothing when the schema check has complained about it already.
    func invalid(_ path: @autoclosure () -> String, _ expected: String, _ node: Node, hint: String? = nil) {
        if report.hasError(at: node.mark) { return }
        report.error(
            "stack.value", "'\(path())' must be \(expected), found '\((node.text ?? "").prefix(60))'", at: node.mark,
            hint: hint)
    }

    private func build(_ node: Node) -> Node {
        node.scalar == nil ? node : .map(["context": node], at: node.mark)
    }

    private func gpus(_ node: Node) -> Node {
        guard node.text == "all" else { return node }
        let count = isRaw ? Node.string("all", at: node.mark) : .integer(-1, at: node.mark)
        return .list([.map(["count": count], at: node.mark)], at: node.mark)
    }

    /// `external: {name: x}` of old files is `external: true` with a `name`.
    private func external(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard var mapping = node.mapping, let external = mapping["external"], external.mergeTag != .reset else {
            return node
        }
        var result = node
        if external.mapping != nil {
            report.warnOnce(
                path(), "stack.obsolete", "'\(path()).external.name' is obsolete", at: mapping.keyMark("external"),
                hint: "write 'external: true' and 'name:' beside it")
            if let name = external["name"] {
                if let own = mapping["name"], own.text != name.text {
                    report.error(
                        "stack.conflict", "'\(path()).external.name' and '\(path()).name' differ", at: name.mark,
                        hint: "keep 'name:' and write 'external: true'")
                }
                mapping.set("name", to: mapping["name"] ?? name)
            }
            mapping.set("external", to: .boolean(true, at: external.mark))
        } else {
            mapping.set("external", to: isRaw ? external : boolean(external, path() + ".external"))
        }
        result.content = .mapping(mapping)
        return result
    }
}
