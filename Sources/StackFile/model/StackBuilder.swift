import StackModel

/// Turns the normalised tree into the typed stack.
struct StackBuilder {
    let report: Report
    let files: FileAccess
    let environment: [String: String]
    let damage: Damage

    /// Bytes of one config or secret.
    static let contentBytesMax = 1024 * 1024

    func build(_ document: Node, name: String, workingDirectory: String, configFiles: [String]) -> Stack {
        var stack = Stack(name: name, workingDirectory: workingDirectory, configFiles: configFiles)
        for entry in document["services"]?.entries ?? [] {
            guard let node = damage.touches(entry.value) ? damage.sound(entry.value) : entry.value else { continue }
            stack.services[entry.key] = ServiceBuilder(
                name: entry.key, project: name, node: node, report: report
            ).build()
        }
        attachDefaultNetwork(&stack)
        dropMissingDependencies(&stack)
        for entry in document["networks"]?.entries ?? [] {
            stack.networks[entry.key] = network(entry, derivedName: "\(name)_\(entry.key)")
        }
        checkAttachments(document, stack)
        useHostNetworks(document, &stack)
        for entry in document["volumes"]?.entries ?? [] {
            stack.volumes[entry.key] = volume(entry.value, derivedName: "\(name)_\(entry.key)")
        }
        for entry in document["configs"]?.entries ?? [] {
            stack.configs[entry.key] = fileObject(entry, kind: "configs", derivedName: "\(name)_\(entry.key)")
        }
        for entry in document["secrets"]?.entries ?? [] {
            stack.secrets[entry.key] = fileObject(entry, kind: "secrets", derivedName: "\(name)_\(entry.key)")
        }
        for entry in document["models"]?.entries ?? [] { stack.models[entry.key] = model(entry) }
        for entry in document["jobs"]?.entries ?? [] { stack.jobs[entry.key] = job(entry, project: name) }
        stack.gantry = gantryOptions(document["x-gantry"])
        if report.isForUse { stack.sources = sourceMarks(of: document) }
        return stack
    }

    /// Docker's `bridge` network stands in no file: those who ask for it share the stack's own.
    private func attachDefaultNetwork(_ stack: inout Stack) {
        for (name, service) in stack.services where service.networkMode == nil {
            if service.networks.isEmpty { stack.services[name]?.networks = ["default": NetworkAttachment()] }
            guard stack.services[name]?.networks["default"] != nil else { continue }
            stack.networks["default"] = stack.networks["default"] ?? Network()
        }
    }

    /// Optional dependencies that no profile enables are not there to be waited for.
    private func dropMissingDependencies(_ stack: inout Stack) {
        let names = Set(stack.services.keys)
        for name in names {
            guard let dependencies = stack.services[name]?.dependsOn,
                dependencies.contains(where: { !$0.value.required && !names.contains($0.key) })
            else { continue }
            stack.services[name]?.dependsOn = dependencies.filter { names.contains($0.key) || $0.value.required }
        }
    }

    func engineName(_ node: Node, derivedName: String) -> String? {
        let name = node["name"]?.text
        return name == derivedName ? nil : name
    }

    private func volume(_ node: Node, derivedName: String) -> Volume {
        var volume = Volume()
        volume.name = engineName(node, derivedName: derivedName)
        volume.driver = node["driver"]?.text
        volume.driverOptions = stringMap(node["driver_opts"])
        volume.external = node["external"]?.flag ?? false
        volume.labels = stringMap(node["labels"])
        if case .unsupported(let why) = VolumePlace(volume.driverOptions), let options = node["driver_opts"] {
            report.warning("stack.ignored-key", "\(why): the volume is a folder of the engine's", at: options.mark)
        }
        return volume
    }

    private func fileObject(_ entry: Mapping.Entry, kind: String, derivedName: String) -> FileObject {
        let node = entry.value
        var object = FileObject()
        object.name = engineName(node, derivedName: derivedName)
        object.external = node["external"]?.flag ?? false
        object.driver = node["driver"]?.text
        object.driverOptions = stringMap(node["driver_opts"])
        object.templateDriver = node["template_driver"]?.text
        object.labels = stringMap(node["labels"])
        object.file = node["file"]?.text
        object.variable = node["environment"]?.text
        if object.external || object.driver != nil || !report.isForUse { return object }
        if let content = node["content"]?.text {
            object.content = Array(content.utf8)
        } else if let variable = node["environment"], let name = variable.text {
            if environment[name] == nil {
                report.error(
                    "stack.unset-variable", "variable '\(name)' of '\(kind).\(entry.key)' is not set",
                    at: variable.mark,
                    hint: "set it in the environment or in .env")
            }
            object.content = environment[name].map { Array($0.utf8) }
        } else if let file = node["file"], let path = file.text {
            object.content = read(path, "\(kind).\(entry.key)", at: file.mark)
        }
        checkSize(object.content, "\(kind).\(entry.key)", at: node["content"]?.mark ?? entry.keyMark)
        return object
    }

    private func read(_ path: String, _ place: String, at mark: SourceMark) -> [UInt8]? {
        do throws(FileProblem) {
            return try files.read(path, Self.contentBytesMax)
        } catch {
            report.error(
                "stack.file", "file \(path) of '\(place)' cannot be read: \(error.text)", at: mark,
                hint: error == .missing ? "create it, or correct the path" : nil)
            return nil
        }
    }

    private func checkSize(_ content: [UInt8]?, _ place: String, at mark: SourceMark) {
        guard let content, content.count > Self.contentBytesMax else { return }
        report.error(
            "stack.limit", "'\(place)' has \(content.count) bytes; at most \(Self.contentBytesMax) are taken", at: mark)
    }
}

/// Without the nameless entry that an empty item of a list makes.
func stringMap(_ node: Node?) -> [String: String] {
    var result: [String: String] = [:]
    for entry in node?.entries ?? [] where !entry.key.isEmpty { result[entry.key] = entry.value.text ?? "" }
    return result
}

/// Reports text that is no IP address.
func checkAddress(_ node: Node?, _ report: Report) {
    guard let node, let text = node.text, !isAddress(text) else { return }
    report.unusable("stack.value", "'\(text)' is not an IP address", at: node.mark)
}
