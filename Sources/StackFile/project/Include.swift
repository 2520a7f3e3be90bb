import StackModel

/// `include`: each entry is a project of its own, with its own folder and variables, whose resources come in under
/// those of the including file. The earlier of two includes wins.
extension FileLoader {
    private static let importedKeys = ["services", "networks", "volumes", "configs", "secrets", "models"]

    func applyIncludes(_ document: Node, scope: FileScope) -> Node {
        guard var mapping = document.mapping, let include = mapping["include"] else { return document }
        mapping.remove("include")
        var sections: [String: Mapping] = [:]
        // Taken out of the document, so that they grow in place.
        for key in Self.importedKeys {
            guard let own = mapping[key]?.mapping else { continue }
            sections[key] = own
            mapping.set(key, to: .null(at: document.mark))
        }
        let merge = Merge(keepsTags: true, isRaw: !interpolates)
        for entry in include.items ?? [] {
            guard let included = load(entry, scope: scope) else { continue }
            for section in included.entries {
                guard let resources = section.value.mapping else { continue }
                merge.bring(resources, of: section.key, into: &sections[section.key, default: Mapping()])
            }
        }
        for (key, resources) in sections {
            let own = document[key]
            mapping.set(key, to: Node(.mapping(resources), at: own?.mark ?? document.mark, mergeTag: own?.mergeTag))
        }
        return Node(.mapping(mapping), at: document.mark)
    }

    private func load(_ entry: Node, scope: FileScope) -> Node? {
        let home = scope.environment["HOME"]
        let pathNodes = strings(entry["path"] ?? (entry.scalar == nil ? nil : entry))
        let paths = pathNodes.compactMap(\.text).map { PathText.absolute($0, in: scope.directory, home: home) }
        guard let first = paths.first else {
            report.error("stack.missing-key", "an include needs the key 'path'", at: entry.mark)
            return nil
        }
        guard isLocal(pathNodes), isAcyclic(paths, scope, at: entry.mark) else { return nil }
        let given = entry["project_directory"]?.text.map { PathText.absolute($0, in: scope.directory, home: home) }
        let directory = given ?? PathText.directory(of: first)
        let variables = environment(entry["env_file"], directory: directory, scope: scope)
        let inner = FileScope(directory: directory, environment: variables, includeChain: scope.includeChain)
        guard let loaded = load(paths, scope: inner, at: entry.mark)?.mapping else { return nil }
        var imported = Mapping()
        for item in loaded.entries where Self.importedKeys.contains(item.key) {
            imported.set(item.key, at: item.keyMark, to: item.value)
        }
        let tree = inheriting(variables, in: Node(.mapping(imported), at: entry.mark))
        return PathResolution(directory: shownFolder(directory, from: scope.directory), home: home).apply(to: tree)
    }

    /// The folder that paths of a file are resolved in: itself, or relative to the one that brought the file in.
    func shownFolder(_ directory: String, from outer: String) -> String {
        resolvesPaths ? directory : PathText.relative(directory, to: outer)
    }

    /// Variables without a value are taken from the include's own environment where it has them.
    private func inheriting(_ variables: [String: String], in tree: Node) -> Node {
        guard let services = tree["services"] else { return tree }
        return tree.setting(
            "services",
            to: services.mapEntries { service in
                guard let own = service.value["environment"] else { return service.value }
                if let items = own.items {
                    let resolved = items.map { item -> Node in
                        guard let name = item.text, let value = variables[name] else { return item }
                        return .string("\(name)=\(value)", at: item.mark)
                    }
                    return service.value.setting("environment", to: .list(resolved, at: own.mark))
                }
                let resolved = own.mapEntries { entry in
                    guard entry.value.isNull, let value = variables[entry.key] else { return entry.value }
                    return .string(value, at: entry.value.mark)
                }
                return service.value.setting("environment", to: resolved)
            })
    }

    private func strings(_ node: Node?) -> [Node] {
        guard let node else { return [] }
        return node.items ?? [node]
    }

    private func isLocal(_ nodes: [Node]) -> Bool {
        for node in nodes {
            let text = node.text ?? ""
            if text.contains("://") || text.hasPrefix("git@") {
                report.error("stack.unsupported", "remote include '\(text)' is not supported", at: node.mark)
                return false
            }
        }
        return true
    }

    private func isAcyclic(_ paths: [String], _ scope: FileScope, at mark: SourceMark) -> Bool {
        if let again = paths.first(where: scope.includeChain.contains) {
            let chain = (scope.includeChain + [again]).map { PathText.shown($0, from: workingDirectory) }
            report.error("stack.cycle", "include cycle: \(chain.joined(separator: " → "))", at: mark)
            return false
        }
        guard scope.includeChain.count <= Self.includeDepthMax else {
            report.error("stack.limit", "includes are nested deeper than \(Self.includeDepthMax) levels", at: mark)
            return false
        }
        return true
    }

    /// The includer's variables, then the include's `env_file` or the `.env` of its folder.
    private func environment(_ node: Node?, directory: String, scope: FileScope) -> [String: String] {
        let home = scope.environment["HOME"]
        var paths = strings(node).compactMap(\.text).map { PathText.absolute($0, in: scope.directory, home: home) }
        if node == nil {
            let path = PathText.clean(directory + "/.env")
            paths = files.exists(path) ? [path] : []
        }
        let values = environmentFiles.load(paths, environment: scope.environment, at: node?.mark)
        return scope.environment.merging(values) { outer, _ in outer }
    }
}
