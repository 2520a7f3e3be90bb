import StackModel

/// Which canonical values are paths relative to a file's folder.
enum PathRule: Sendable {
    case path
    /// A build context: URLs stay.
    case pathOrURL
    /// A mount, of which a bind's source is a path.
    case mount
    /// A volume, of which the local driver's `device` is a path when its options say `bind`.
    case localVolume
}

let pathTable = PathTable<PathRule>([
    "configs.*.file": .path,
    "secrets.*.file": .path,
    "services.*.build.additional_contexts.*": .pathOrURL,
    "services.*.build.context": .pathOrURL,
    "services.*.build.ssh.*": .path,
    "services.*.develop.watch.*.path": .path,
    "services.*.env_file.*.path": .path,
    "services.*.label_file.*": .path,
    "services.*.volumes.*": .mount,
    "volumes.*": .localVolume,
])

/// Makes paths absolute.
struct PathResolution {
    /// Absolute, or relative to the project's folder: then paths become relative to that.
    let directory: String
    let home: String?

    func apply(to node: Node) -> Node { changed(node, pathTable) ?? node }

    func applyService(_ service: Node) -> Node {
        changed(service, pathTable.below(path: ["services", "*"])) ?? service
    }

    /// `nil` when nothing changes.
    private func changed(_ node: Node, _ table: PathTable<PathRule>?) -> Node? {
        guard let table else { return nil }
        if let rule = table.rule { return apply(rule, to: node) }
        return node.changingChildren(
            item: { changed($1, table.belowItem) }, entry: { changed($0.value, table.below($0.key)) })
    }

    private func apply(_ rule: PathRule, to node: Node) -> Node {
        switch rule {
        case .path: return absolute(node)
        case .pathOrURL:
            let text = node.text ?? ""
            let isRemote =
                text.contains("://") || text.hasPrefix("git@") || text.hasPrefix("github.com/")
                || text.hasPrefix("service:")
            return isRemote ? node : absolute(node)
        case .mount: return node["type"]?.text == "bind" ? replacing("source", in: node) : node
        case .localVolume:
            let options = node["driver_opts"]
            let isBind = (options?["o"]?.text ?? "").split(separator: ",").contains("bind")
            guard isBind, (node["driver"]?.text ?? "local") == "local", var mapping = node.mapping, let options
            else { return node }
            // The home folder is not expanded here, as the reference does not.
            if options["device"]?.text?.hasPrefix("~") == true { return node }
            mapping.set("driver_opts", to: replacing("device", in: options))
            return with(node, .mapping(mapping))
        }
    }

    private func replacing(_ key: String, in node: Node) -> Node {
        guard var mapping = node.mapping, let value = mapping[key] else { return node }
        mapping.set(key, to: absolute(value))
        return with(node, .mapping(mapping))
    }

    private func absolute(_ node: Node) -> Node {
        guard node.scalar?.value == .string, let text = node.text, !text.isEmpty else { return node }
        // Absolute paths stay as they are written, Windows' too.
        if text.hasPrefix("/") || isWindowsPath(text) { return node }
        let path =
            directory.hasPrefix("/") || text.hasPrefix("~")
            ? PathText.absolute(text, in: directory, home: home) : PathText.clean(directory + "/" + text)
        return with(node, .scalar(Scalar(string: path)))
    }

    private func with(_ node: Node, _ content: Node.Content) -> Node {
        var result = node
        result.content = content
        return result
    }
}
