import StackModel

/// Loads a Compose stack: finds the files, substitutes variables, merges, checks, and reads the files that configs,
/// secrets and environments name. Nothing else of the machine is looked at.
///
/// The order of the steps is that of compose-go's loader, which is what users' files have been written against.
public func loadStack(_ options: LoadOptions) throws(StackFileError) -> LoadedStack {
    try loadStack(options, files: .system)
}

func loadStack(_ options: LoadOptions, files: FileAccess) throws(StackFileError) -> LoadedStack {
    let report = Report()
    let loader = FileLoader(files: files, report: report, workingDirectory: options.workingDirectory)
    let discovery = Discovery(
        options: options, files: files, report: report, environmentFiles: loader.environmentFiles)
    let sources = try discovery.sources()
    var project = Project(options: options, sources: sources, loader: loader, report: report)
    return try project.load()
}

/// The steps from files to a stack.
private struct Project {
    let options: LoadOptions
    var sources: Sources
    let loader: FileLoader
    let report: Report

    mutating func load() throws(StackFileError) -> LoadedStack {
        let name = try projectName()
        let merged = try mergedDocument()
        let document = try normalised(merged, name: name)
        let builder = StackBuilder(report: report, files: loader.files, environment: sources.environment)
        let stack = builder.build(
            document, name: name, workingDirectory: sources.projectDirectory, configFiles: sources.files)
        try finish()
        return LoadedStack(stack: stack, warnings: report.warnings, document: document)
    }

    /// Also makes the name known to interpolation as `COMPOSE_PROJECT_NAME`.
    private mutating func projectName() throws(StackFileError) -> String {
        var documents: [Node] = []
        for file in sources.files { documents += loader.documents(file, at: nil) }
        let resolver = ProjectName(options: options, environment: sources.environment, report: report)
        let name = resolver.resolve(documents: documents, directory: sources.projectDirectory)
        guard let name else { throw StackFileError(diagnostics: report.errors) }
        sources.environment["COMPOSE_PROJECT_NAME"] = name
        return name
    }

    private func mergedDocument() throws(StackFileError) -> Node {
        let scope = FileScope(directory: sources.projectDirectory, environment: sources.environment)
        let merged = loader.load(sources.files, scope: scope)
        try report.check()
        guard let merged else {
            let shown = sources.files.map { PathText.shown($0, from: options.workingDirectory) }
            throw StackFileError(diagnostics: [
                Diagnostic(
                    code: "stack.empty", "\(shown.joined(separator: ", ")) is empty",
                    hint: "a stack file needs at least 'services:'")
            ])
        }
        SchemaCheck(phase: .merged, report: report).check(merged, against: Schema.file, path: "")
        try report.check()
        return PathResolution(directory: sources.projectDirectory, home: sources.environment["HOME"]).apply(to: merged)
    }

    private func normalised(_ document: Node, name: String) throws(StackFileError) -> Node {
        let services = document["services"] ?? .map([:], at: document.mark)
        let profiles = Profiles(
            options: options, environment: sources.environment, services: services, report: report)
        let enabled = services.mapEntries { profiles.enables($0.value) ? $0.value : nil }
        let disabled = Set(services.mapping?.keys ?? []).subtracting(enabled.mapping?.keys ?? [])
        let environment = ServiceEnvironment(
            environment: sources.environment, files: loader.environmentFiles, report: report)
        let resolved = enabled.mapEntries { environment.apply(to: $0.value, name: $0.key) }
        let normal = Normalizer(projectName: name).apply(to: document.setting("services", to: resolved))
        Consistency(document: normal, disabled: disabled, report: report).check()
        try report.check()
        return Normalizer.prune(normal)
    }

    private func finish() throws(StackFileError) {
        try report.check()
        guard options.strict, !report.warnings.isEmpty else { return }
        throw StackFileError(
            diagnostics: report.warnings.prefix(Report.errorsMax).map { warning in
                var error = warning
                error.severity = .error
                return error
            })
    }
}
