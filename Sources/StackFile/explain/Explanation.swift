import StackModel

/// Where one value of the stack comes from.
public struct Explanation: Equatable, Sendable {
    /// As it is written in messages: `services.web.ports[0].target`.
    public var path: String
    var value: Node
    /// Where the value was given, the winning place first; what follows was overridden or merged with it.
    public var steps: [Step]
    /// Why there is a value that no file gives.
    public var rule: String?
    /// The values one level below, each with its winning place.
    public var children: [Child]

    /// One place where the value was given.
    public struct Step: Equatable, Sendable {
        public var role: Role
        public var mark: SourceMark
        /// The text of the line, when it is known.
        public var sourceLine: String?
        var value: Node
        /// How the value came there: aliases, merge keys, the place that brings the file in.
        public var notes: [Diagnostic.Note]
        public var variables: [Variable]
    }

    /// What the place of a step has to do with the value.
    public enum Role: String, Sendable {
        /// It is the value.
        case value
        /// The value holds it as well: lists append, mappings merge.
        case merged
        /// The value came in its place.
        case overridden
    }

    /// A variable of the text that became the value.
    public struct Variable: Equatable, Sendable {
        public var name: String
        /// `nil`: not set.
        public var value: String?
        /// For example "the environment of the shell"; `nil` when it is not set.
        public var origin: String?
        public var mark: SourceMark?
        /// What stands in the place of the variable, when that is not its value.
        public var replacement: String?
    }

    public struct Child: Equatable, Sendable {
        public var path: String
        var value: Node
        /// `nil`: no file gives it.
        public var mark: SourceMark?
    }
}

/// Explanations and what there was to say about the files.
public struct Explanations: Sendable {
    public var list: [Explanation]
    public var warnings: [Diagnostic]
}

/// Says of each path where its value was given, what it overrode, and which variables went into it. Networks, volumes,
/// configs and secrets that nobody uses can be explained too. Paths: `services.web.environment.FOO`,
/// `services.web.ports[0]`, `services.web.labels["com.example.a"]`.
///
/// - Throws: what `loadStack` throws; `stack.reference` for a path that the stack does not have.
public func explain(_ paths: [String], _ options: LoadOptions) throws(StackFileError) -> Explanations {
    try explain(paths, options, files: .system)
}

func explain(_ paths: [String], _ options: LoadOptions, files: FileAccess) throws(StackFileError) -> Explanations {
    var options = options
    options.keepsUnused = true
    let provenance = Provenance()
    var project = try Project(options: options, files: files, isForUse: false, provenance: provenance)
    let document = try project.load()
    try project.finish()
    let explainer = Explainer(
        document: document, provenance: provenance, report: project.report, options: options,
        environment: project.sources.environment, disabledServices: project.disabledServices)
    var list: [Explanation] = []
    var errors: [Diagnostic] = []
    for path in paths {
        do throws(Diagnostic) { list.append(try explainer.explain(path)) } catch { errors.append(error) }
    }
    guard errors.isEmpty else { throw StackFileError(diagnostics: errors) }
    return Explanations(list: list, warnings: project.report.warnings)
}
