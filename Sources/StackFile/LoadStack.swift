import StackModel

/// Loads a Compose stack: finds the files, substitutes variables, merges, checks, and reads the files that configs,
/// secrets and environments name. Nothing else of the machine is looked at.
///
/// The order of the steps is that of compose-go's loader, which is what users' files have been written against. Every
/// step goes on after errors as far as it makes sense, so that all of a file's errors are told at once.
public func loadStack(_ options: LoadOptions) throws(StackFileError) -> LoadedStack {
    try loadStack(options, files: .system)
}

package func loadStack(_ options: LoadOptions, files: FileAccess) throws(StackFileError) -> LoadedStack {
    var project = try Project(options: options, files: files, isForUse: true)
    let document = try project.load()
    let stack = project.stack(of: document)
    try project.finish()
    return LoadedStack(stack: stack, document: project.loaded(document, stack))
}

/// Loads the files as `config` shows them. Configs and secrets are not read, and each step can be left out.
public func loadDocument(_ options: LoadOptions) throws(StackFileError) -> LoadedDocument {
    try loadDocument(options, files: .system)
}

package func loadDocument(_ options: LoadOptions, files: FileAccess) throws(StackFileError) -> LoadedDocument {
    var project = try Project(options: options, files: files, isForUse: false)
    let document = try project.load()
    let isWhole = options.interpolates && options.normalizes && options.checksConsistency
    let stack = isWhole ? project.stack(of: document) : nil
    try project.finish()
    return project.loaded(document, stack)
}

/// The steps from files to a stack.
struct Project {
    let options: LoadOptions
    let loader: FileLoader
    let report: Report
    var sources: Sources
    var name = ""
    /// What the first steps complained about; later ones leave it alone.
    var damage = Damage()
    /// Nothing that wins over the files names the project.
    private var isNameInFile = false
    private var profiles: [String] = []
    private(set) var disabledServices: [String] = []

    init(
        options: LoadOptions, files: FileAccess, isForUse: Bool, provenance: Provenance? = nil
    ) throws(StackFileError) {
        self.options = options
        report = Report(isForUse: isForUse)
        report.provenance = provenance
        loader = FileLoader(files: files, report: report, options: options)
        let discovery = Discovery(
            options: options, files: files, report: report, environmentFiles: loader.environmentFiles)
        sources = try discovery.sources()
    }

    mutating func load() throws(StackFileError) -> Node {
        name = try projectName()
        let merged = try mergedDocument()
        damage = Damage(marks: report.errorMarks)
        profiles = Set((merged["services"]?.entries ?? []).flatMap { $0.value["profiles"]?.texts ?? [] }).sorted()
        guard options.interpolates else { return raw(merged) }
        return try normalised(merged)
    }

    /// Also makes the name known to interpolation as `COMPOSE_PROJECT_NAME`.
    private mutating func projectName() throws(StackFileError) -> String {
        var documents: [Node] = []
        for file in sources.files { documents += loader.documents(file, at: nil) }
        let given = [options.projectName, sources.environment["COMPOSE_PROJECT_NAME"]]
        isNameInFile = given.allSatisfy { $0?.isEmpty ?? true }
        let resolver = ProjectName(options: options, environment: sources.environment, report: report)
        let name = resolver.resolve(documents: documents, directory: sources.projectDirectory)
        guard let name else { throw StackFileError(diagnostics: report.errors) }
        sources.environment["COMPOSE_PROJECT_NAME"] = name
        return name
    }

    private func mergedDocument() throws(StackFileError) -> Node {
        let scope = FileScope(directory: sources.projectDirectory, environment: sources.environment)
        guard let merged = loader.load(sources.files, scope: scope) else {
            try report.check()
            let shown = sources.files.map { PathText.shown($0, from: options.workingDirectory) }
            throw StackFileError(diagnostics: [
                Diagnostic(
                    code: "stack.empty", "\(shown.joined(separator: ", ")) is empty",
                    hint: "a stack file needs at least 'services:'")
            ])
        }
        if report.isFull { try report.check() }
        try checkServiceCount(merged)
        SchemaCheck(phase: .merged, report: report, isRaw: !options.interpolates)
            .check(merged, against: Schema.file, path: "")
        let complete = Defaults(isRaw: !options.interpolates).apply(to: merged)
        if options.interpolates { AttributeCheck(report: report).check(complete) }
        guard options.resolvesPaths else { return complete }
        let home = sources.environment["HOME"]
        return PathResolution(directory: sources.projectDirectory, home: home).apply(to: complete)
    }

    private func checkServiceCount(_ document: Node) throws(StackFileError) {
        let count = workloadKinds.reduce(0) { $0 + (document[$1]?.entries.count ?? 0) }
        guard count > LoadLimits.servicesMax else { return }
        report.error("stack.limit", "the stack has more than \(LoadLimits.servicesMax) services", at: document.mark)
        try report.check()
    }

    /// Without interpolation most values stay as they are written, and all services are shown. A name with variables
    /// becomes one of what is left of their text, as with Docker Compose.
    private func raw(_ document: Node) -> Node {
        guard options.normalizes else { return document }
        let written = isNameInFile ? document["name"]?.text.map(ProjectName.normalised) : nil
        return Normalizer(projectName: written ?? name, isRaw: true).apply(to: document)
    }

    private func named(_ document: Node) -> Node {
        document.setting("name", to: .string(name, at: document["name"]?.mark ?? document.mark))
    }

    private var serviceEnvironment: ServiceEnvironment {
        ServiceEnvironment(
            environment: sources.environment, files: loader.environmentFiles, report: report,
            readsFiles: options.resolvesEnvironment, resolvesArguments: options.normalizes,
            directory: sources.projectDirectory)
    }

    private mutating func normalised(_ document: Node) throws(StackFileError) -> Node {
        let services = document["services"] ?? .map([:], at: document.mark)
        let profiles = Profiles(
            options: options, environment: sources.environment, services: services, report: report)
        let enabled = services.mapEntries { profiles.enables($0.value) ? $0.value : nil }
        let disabled = Set(services.mapping?.keys ?? []).subtracting(enabled.mapping?.keys ?? [])
        disabledServices = disabled.sorted()
        let environment = serviceEnvironment
        var whole = document.setting(
            "services", to: enabled.mapEntries { environment.apply(to: $0.value, name: $0.key) })
        if let jobs = document["jobs"] {
            let kept = jobs.mapEntries { job in
                profiles.enables(job.value) ? environment.apply(to: job.value, name: job.key) : nil
            }
            whole = whole.setting("jobs", to: kept)
        }
        var normal = options.normalizes ? Normalizer(projectName: name).apply(to: whole) : named(whole)
        if options.checksConsistency {
            normal = Normalizer.sharingScale(normal)
            Consistency(document: normal, disabled: disabled, report: report, damage: damage).check()
        }
        let isSelection = options.selectsTargets && !options.targetServices.isEmpty && report.errorCount == 0
        let selected =
            isSelection ? Selection(targets: options.targetServices, report: report).apply(to: normal) : normal
        return options.keepsUnused ? selected : Normalizer.prune(selected)
    }

    func stack(of document: Node) -> Stack {
        let builder = StackBuilder(
            report: report, files: loader.files, environment: sources.environment, damage: damage)
        var stack = builder.build(
            document, name: name, workingDirectory: sources.projectDirectory, configFiles: sources.files)
        stack.disabledServices = disabledServices
        return stack
    }

    func loaded(_ document: Node, _ stack: Stack?) -> LoadedDocument {
        LoadedDocument(
            name: name, warnings: report.warnings, environment: sources.environment,
            secretVariables: report.secretVariables, stack: stack, profiles: profiles,
            disabledServices: disabledServices, document: document, files: sources.files, isRaw: !options.interpolates)
    }

    func finish() throws(StackFileError) {
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
