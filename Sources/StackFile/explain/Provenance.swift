import StackModel

/// What the loader did with the values it read, noted for `explain` and for nothing else: a load without one pays
/// nothing.
final class Provenance {
    /// How a layer of values came into the stack.
    enum Role: Equatable {
        case file
        case include(at: SourceMark)
        case extends(service: String, at: SourceMark)
    }

    /// One document, or one service that others extend, in long form and as it was before merging.
    struct Layer {
        var role: Role
        var document: Node
    }

    /// Keys that `<<` brought into a mapping, or that the mapping had itself.
    struct MergedKey {
        var mapping: SourceMark
        var key: String
        /// Of the `<<`.
        var mark: SourceMark
        var value: Node
        /// The mapping has the key itself.
        var isOverridden: Bool
    }

    struct Alias {
        var name: String
        var mark: SourceMark
        /// Of the value with the anchor.
        var target: SourceMark
    }

    struct TemplateUse {
        var text: String
        var environment: [String: String]
    }

    /// A file that variables are substituted from.
    struct VariableFile {
        var file: String
        var values: [String: String]
        /// Of the project, not of an include.
        var isProjects: Bool
    }

    /// A file that one service's environment or labels come from.
    struct ServiceFile {
        var path: String
        var values: [String: String]
        /// `["services", NAME, "environment"]`
        var place: [String]
        var mark: SourceMark
    }

    /// Weakest first.
    private(set) var layers: [Layer] = []
    private(set) var mergedKeys: [MergedKey] = []
    private(set) var aliases: [Alias] = []
    private(set) var templates: [SourceMark: TemplateUse] = [:]
    /// In the order of reading; of one list the last file wins, of several lists the first.
    private(set) var variableFiles: [VariableFile] = []
    private(set) var serviceFiles: [ServiceFile] = []
    /// Values that were written as lists or mappings.
    private(set) var collections: Set<SourceMark> = []
    private var lines: [String: [String: Int]] = [:]
    private var groupStart = 0
    /// Documents that are being read; none when the project's environment is.
    private var openGroups = 0

    /// The layers that follow belong to one document.
    func openGroup() -> Int {
        openGroups += 1
        defer { groupStart = layers.count }
        return groupStart
    }

    func closeGroup(_ outer: Int?, _ document: Node, includedAt mark: SourceMark?) {
        layers.append(Layer(role: mark.map { .include(at: $0) } ?? .file, document: document))
        groupStart = outer ?? 0
        openGroups -= 1
    }

    /// A service that `service` extends; weaker than all that the document has so far.
    func addBase(_ base: Node, named name: String, of service: String?, at mark: SourceMark) {
        guard let service else { return }
        let services = Node.map([:], at: base.mark).setting(service, to: base)
        let layer = Layer(
            role: .extends(service: name, at: mark), document: .map(["services": services], at: base.mark))
        layers.insert(layer, at: min(groupStart, layers.count))
    }

    func addTemplate(_ text: String, at mark: SourceMark, _ environment: [String: String]) {
        templates[mark] = TemplateUse(text: text, environment: environment)
    }

    func addAlias(_ name: String, at mark: SourceMark, to target: SourceMark) {
        aliases.append(Alias(name: name, mark: mark, target: target))
    }

    /// `own`: the keys that the mapping at `mark` has itself.
    func addMerge(of sources: [Node], into own: Mapping, at mark: SourceMark, key mergeMark: SourceMark) {
        var seen: Set<String> = []
        for source in sources {
            for entry in source.entries {
                let isOverridden = own[entry.key] != nil || !seen.insert(entry.key).inserted
                mergedKeys.append(
                    MergedKey(
                        mapping: mark, key: entry.key, mark: mergeMark, value: entry.value, isOverridden: isOverridden))
            }
        }
    }

    func addVariables(_ values: [String: String], file: String) {
        variableFiles.append(VariableFile(file: file, values: values, isProjects: openGroups == 0))
    }

    func addServiceFile(_ values: [String: String], path: String, _ place: [String], at mark: SourceMark) {
        serviceFiles.append(ServiceFile(path: path, values: values, place: place, mark: mark))
    }

    /// Takes the lines of a file's variables.
    func lineTaker(file: String) -> (String, Int) -> Void {
        { [self] name, line in lines[file, default: [:]][name] = line }
    }

    func place(of variable: String, in file: String) -> SourceMark {
        SourceMark(file: file, line: lines[file]?[variable] ?? 1, column: 1)
    }

    /// The documents of a file as written.
    func remember(_ documents: [Node]) { documents.forEach(rememberCollections) }

    private func rememberCollections(_ node: Node) {
        switch node.content {
        case .scalar: break
        case .sequence(let items):
            collections.insert(node.mark)
            items.forEach(rememberCollections)
        case .mapping(let mapping):
            collections.insert(node.mark)
            mapping.entries.forEach { rememberCollections($0.value) }
        }
    }
}
