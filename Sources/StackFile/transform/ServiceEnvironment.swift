import StackModel

/// Puts `env_file` under `environment`, `label_file` under `labels`, and takes variables without a value from the
/// project's environment.
struct ServiceEnvironment {
    let environment: [String: String]
    let files: EnvironmentFiles
    let report: Report
    /// Without: `env_file` and `label_file` stay, for others to read.
    let readsFiles: Bool
    let resolvesArguments: Bool
    /// Where paths that were left relative start.
    let directory: String

    func apply(to service: Node, name: String) -> Node {
        var result = service
        let explicit = service["environment"]
        let inFiles = readsFiles ? environmentFileValues(service, name: name) : [:]
        checkNames(explicit)
        if !inFiles.isEmpty || explicit?.entries.contains(where: { $0.value.isNull }) == true {
            result = result.setting("environment", to: merged(inFiles, explicit, service.mark))
        }
        if resolvesArguments { result = withBuildArguments(result) }
        guard readsFiles else { return result }
        if let labelFiles = service["label_file"]?.items {
            result = result.setting("labels", to: labels(labelFiles, service["labels"], service.mark, name))
        }
        return result.removing("env_file").removing("label_file")
    }

    /// Build arguments without a value are taken from the environment, and left out when it has none.
    private func withBuildArguments(_ service: Node) -> Node {
        guard let build = service["build"], let arguments = build["args"], arguments.mapping != nil else {
            return service
        }
        let resolved = arguments.mapEntries { entry in
            guard entry.value.isNull else { return entry.value }
            return environment[entry.key].map { .string($0, at: entry.value.mark) }
        }
        return service.setting("build", to: build.setting("args", to: resolved))
    }

    /// Variables of the files, each with the mark of the line that names its file.
    private func environmentFileValues(_ service: Node, name: String) -> [String: Node] {
        guard let files = service["env_file"]?.items, !files.isEmpty else { return [:] }
        var values: [String: Node] = [:]
        var texts: [String: String] = [:]
        let own = stringMap(service["environment"])
        for item in files {
            guard let path = item["path"], let text = path.text else { continue }
            let format = item["format"]?.text
            if let format, !["raw", ""].contains(format) {
                report.error(
                    "stack.value", "unknown environment file format '\(format)'", at: item["format"]?.mark,
                    hint: "the only format is 'raw'")
            }
            let file = PathText.absolute(text, in: directory, home: nil)
            let read = self.files.load(
                file, raw: format == "raw", required: item["required"]?.flag ?? true,
                lookup: { environment[$0] ?? own[$0] }, fallback: { texts[$0] }, at: path.mark)
            report.provenance?.addServiceFile(
                read ?? [:], path: file, ["services", name, "environment"], at: path.mark)
            for (key, value) in read ?? [:] where !key.isEmpty {
                values[key] = .string(value, at: path.mark)
                texts[key] = value
            }
        }
        return values
    }

    private func checkNames(_ environment: Node?) {
        for entry in environment?.entries ?? [] where entry.key.last?.isWhitespace == true {
            report.error("stack.value", "variable name '\(entry.key)' ends in white space", at: entry.keyMark)
        }
    }

    private func merged(_ inFiles: [String: Node], _ explicit: Node?, _ mark: SourceMark) -> Node {
        var result = Mapping()
        for (key, value) in inFiles.sorted(by: { $0.key < $1.key }) { result.set(key, at: value.mark, to: value) }
        for entry in explicit?.entries ?? [] {
            let inherited = entry.value.isNull ? environment[entry.key] : nil
            let value = inherited.map { Node.string($0, at: entry.value.mark) } ?? entry.value
            result.set(entry.key, like: entry, to: value)
        }
        return Node(.mapping(result), at: explicit?.mark ?? mark)
    }

    private func labels(_ files: [Node], _ explicit: Node?, _ mark: SourceMark, _ name: String) -> Node {
        var result = Mapping()
        for file in files {
            guard let path = file.text.map({ PathText.absolute($0, in: directory, home: nil) }) else { continue }
            let read = self.files.load(
                path, raw: false, required: true, lookup: { environment[$0] }, at: file.mark, as: .labelFile)
            report.provenance?.addServiceFile(read ?? [:], path: path, ["services", name, "labels"], at: file.mark)
            for (key, value) in (read ?? [:]).sorted(by: { $0.key < $1.key }) where !key.isEmpty {
                result.set(key, at: file.mark, to: .string(value, at: file.mark))
            }
        }
        for entry in explicit?.entries ?? [] { result.set(entry) }
        return Node(.mapping(result), at: explicit?.mark ?? mark)
    }
}
