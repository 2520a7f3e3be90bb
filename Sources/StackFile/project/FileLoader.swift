import StackModel

/// Where the values of a file come from: its folder for relative paths, its variables.
struct FileScope {
    var directory: String
    var environment: [String: String]
    /// Files that include this one, and this one: absolute paths.
    var includeChain: [String] = []
}

/// Loads files into one canonical tree: for each document interpolation, schema, long form, `include`, `extends` and
/// merge.
final class FileLoader {
    static let includeDepthMax = 50
    static let filesMax = 1000

    let files: FileAccess
    let report: Report
    let workingDirectory: String
    let environmentFiles: EnvironmentFiles
    /// Parsed documents by path: the same file may be extended many times.
    private var parsed: [String: [Node]] = [:]
    /// Cycles of `extends` that have been reported.
    var reportedCycles: Set<String> = []

    /// Substitutes variables and brings values into their long form.
    let interpolates: Bool
    let resolvesPaths: Bool

    init(files: FileAccess, report: Report, options: LoadOptions) {
        self.files = files
        self.report = report
        workingDirectory = options.workingDirectory
        interpolates = options.interpolates
        resolvesPaths = options.resolvesPaths
        environmentFiles = EnvironmentFiles(files: files, report: report, workingDirectory: workingDirectory)
    }

    /// The documents of a file as written; empty after reporting that it cannot be read or parsed.
    func documents(
        _ path: String, at mark: SourceMark?, as role: Diagnostic.Origin.Role = .include
    ) -> [Node] {
        if let known = parsed[path] { return known }
        let shown = path == "-" ? "-" : PathText.shown(path, from: workingDirectory)
        let documents: [Node]
        if let bytes = read(path, shown: shown, at: mark) {
            report.remember(bytes, file: shown, from: mark.map { Diagnostic.Origin(role, at: $0) })
            do throws(Diagnostic) {
                documents = try YAMLComposer.documents(bytes, file: shown, report: report).filter(isMapping)
                report.remember(documents, file: shown)
                report.provenance?.remember(documents)
            } catch {
                report.add(error)
                documents = []
            }
        } else {
            documents = []
        }
        parsed[path] = documents
        return documents
    }

    private func read(_ path: String, shown: String, at mark: SourceMark?) -> [UInt8]? {
        guard parsed.count < Self.filesMax else {
            report.error("stack.limit", "the stack has more than \(Self.filesMax) files", at: mark)
            return nil
        }
        do throws(FileProblem) {
            let bytesMax = YAMLLimits.bytesMax
            return try path == "-" ? FileAccess.readStandardInput(bytesMax: bytesMax) : files.read(path, bytesMax)
        } catch {
            report.error(
                "stack.file", "\(shown) cannot be read: \(error.text)", at: mark,
                hint: error == .missing ? "create it, or correct the path" : nil)
            return nil
        }
    }

    private func isMapping(_ node: Node) -> Bool {
        if node.mapping != nil { return true }
        report.error(
            "stack.type", "a stack file must be a mapping, found \(node.kindName)", at: node.mark,
            hint: "its first line is usually 'services:'")
        return false
    }

    /// The merged tree of several files with relative paths still relative.
    func load(_ paths: [String], scope: FileScope, at mark: SourceMark? = nil) -> Node? {
        var model: Node?
        for path in paths {
            var scope = scope
            scope.includeChain.append(path)
            for document in documents(path, at: mark) {
                let prepared = unique(prepare(document, scope: scope), uniqueTable)
                let group = report.provenance?.openGroup()
                let included = applyIncludes(prepared, scope: scope)
                let extended = Extends(loader: self, scope: scope).apply(to: included, path: path)
                report.provenance?.closeGroup(group, prepared, includedAt: mark)
                if let below = model {
                    let merged = Merge(keepsTags: false, isRaw: !interpolates).merge(extended, over: below)
                    model = unique(merged, uniqueTable)
                } else {
                    model = report.hasMergeTags ? withoutTags(extended) : extended
                }
            }
        }
        return model
    }

    /// One document interpolated, checked and in long form.
    private func prepare(_ document: Node, scope: FileScope) -> Node {
        warnOfVersion(document)
        let interpolated = interpolated(document, scope)
        SchemaCheck(phase: .document, report: report, isRaw: !interpolates)
            .check(interpolated, against: Schema.file, path: "")
        guard var mapping = interpolated.mapping else { return interpolated }
        mapping.remove("version")
        return Canonicalizer(report: report, isRaw: !interpolates)
            .apply(to: Node(.mapping(mapping), at: interpolated.mark))
    }

    func interpolated(_ node: Node, _ scope: FileScope) -> Node {
        guard interpolates else { return node }
        return Interpolation(environment: scope.environment, report: report).apply(to: node)
    }

    private func warnOfVersion(_ document: Node) {
        guard let mark = document.mapping?.keyMark("version") else { return }
        report.warnOnce(
            mark.file, "stack.obsolete", "'version' is obsolete and is ignored", at: mark, hint: "remove it")
    }
}
