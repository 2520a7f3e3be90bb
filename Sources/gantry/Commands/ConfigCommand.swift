import ArgumentParser
import LinuxSystem
import StackFile
import StackModel

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check the stack file, and show it as it is understood.",
        usage: "gantry config [<global options>] [<options>] [<service> ...]",
        discussion: """
            Of several lists one is printed, one entry a line. With --quiet, --format
            says how errors and warnings are printed on standard output, for other
            programs: text, json, github or sarif.
            """,
        aliases: ["convert"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions
    @OptionGroup var steps: ConfigSteps
    @OptionGroup var lists: ConfigLists

    @Option(help: "Form of the output: yaml, json; with --quiet: text, json, github, sarif. (default: yaml)")
    var format: String?

    @Option(
        name: .customLong("explain"),
        help: ArgumentHelp(
            "Say where the value at a path comes from, such as services.web.ports[0]; may be repeated.",
            valueName: "path"))
    var explained: [String] = []

    @Flag(name: [.short, .long], help: "Only check.")
    var quiet = false

    @Option(name: [.short, .long], help: "File to write to instead of standard output.")
    var output: String?

    @Argument(help: "Services to show, with what they depend on; all when none is named.")
    var services: [String] = []

    /// An invalid file is 1, as with Docker Compose, whose scripts check files with this command.
    func run() throws {
        do { try run(Session(global, file)) } catch let error as StackFileError {
            throw CommandFailure(error.diagnostics, exitCode: 1)
        }
    }

    private func run(_ session: Session) throws {
        let form = try ConfigForm(format, quiet: quiet)
        if !explained.isEmpty { return try explain(session, form) }
        if let list = lists.chosen { return try session.output.write(self.list(list, session, form)) }
        if quiet, case .diagnostics(let format) = form { return try check(session, format) }
        let loaded = try load(session, services: services)
        if quiet { return }
        let text = try render(loaded, session, form)
        guard let output else { return try session.output.write(text) }
        try FileSystem.writeOutput(output, with: Array(text.utf8))
    }

    // MARK: - Loading

    private func options(_ session: Session, services: [String]) -> LoadOptions {
        var options = session.loadOptions(services: services)
        options.selectsTargets = true
        options.interpolates = !steps.noInterpolate
        options.normalizes = !steps.noNormalize
        options.resolvesPaths = !steps.noPathResolution
        options.checksConsistency = !steps.noConsistency
        options.resolvesEnvironment = !steps.noEnvResolution
        return options
    }

    private func load(
        _ session: Session, services: [String] = [], _ change: (inout LoadOptions) -> Void = { _ in }
    ) throws -> LoadedDocument {
        var options = options(session, services: services)
        change(&options)
        let loaded = try loadDocument(options)
        try session.show(loaded.warnings)
        return loaded
    }

    // MARK: - Printing

    private func render(_ loaded: LoadedDocument, _ session: Session, _ form: ConfigForm) throws -> String {
        guard steps.resolveImageDigests || steps.lockImageDigests else { return loaded.render(form.document) }
        let images = try imagesByDigest(loaded.imagesByService, engine: try session.engine())
        if steps.lockImageDigests { return LoadedDocument.renderImages(images, form.document) }
        return loaded.replacingImages(images).render(form.document)
    }

    private func list(_ list: ConfigLists.List, _ session: Session, _ form: ConfigForm) throws -> String {
        // Names are known without the services' environments.
        let named: (inout LoadOptions) -> Void = { $0.resolvesEnvironment = false }
        switch list {
        case .services: return lines(try load(session, named).serviceNames)
        case .volumes: return lines(try load(session, named).volumeNames)
        case .networks: return lines(try load(session, named).networkNames)
        case .models: return lines(try load(session, named).models)
        case .hashes(let names): return try hashes(names, of: load(session))
        case .profiles: return lines(try load(session, named).profiles)
        case .images: return lines(try load(session, services: services, named).images)
        case .variables:
            let variables = try load(session) { $0.interpolates = false }.variables
            return renderVariables(variables, form.variables)
        case .environment:
            let environment = try load(session) { $0.interpolates = false }.environment
            return lines(environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
        }
    }

    private func lines(_ texts: [String]) -> String { texts.map { harmless($0) + "\n" }.joined() }

    private func explain(_ session: Session, _ form: ConfigForm) throws {
        let explanations = try StackFile.explain(explained, options(session, services: services))
        let isJSON = form.isJSON
        try session.output.write(
            renderExplanations(explanations.list, isJSON ? .json : .text, color: session.output.color))
    }

    /// Errors and warnings are the output; with errors the exit code is 1.
    private func check(_ session: Session, _ format: DiagnosticFormat) throws {
        var diagnostics: [Diagnostic]
        do throws(StackFileError) {
            diagnostics = try loadDocument(options(session, services: services)).warnings
        } catch {
            diagnostics = error.diagnostics
        }
        if format == .text { diagnostics = diagnostics.map(harmlessDiagnostic) }
        try session.output.write(renderDiagnostics(diagnostics, format, color: session.output.color))
        if diagnostics.contains(where: { $0.severity == .error }) { throw ExitCode.failure }
    }
}
