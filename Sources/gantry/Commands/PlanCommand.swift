import ArgumentParser
import EngineClient
import EngineWire
import JSONDocument
import StackModel

/// Form of a plan's output.
enum PlanFormat: String, CaseIterable, ExpressibleByArgument {
    case text, json, markdown

    /// Also the lists' name for the form for people.
    init?(argument: String) { self.init(rawValue: argument == "table" ? "text" : argument) }
}

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what `apply` would change, and why.",
        usage: "gantry plan [<global options>] [<options>] [<service> ...]",
        discussion: """
            Symbols: + created, -/+ replaced, - removed, ! missing or damaged and
            repaired, ~ changed in another way: started, stopped, updated in place, ? in
            no stack file. A plan that is saved with --out is applied with `gantry apply
            FILE`, without the stack file. Passwords and the like are in no plan.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "Form of the output: text, json, markdown.")
    var format = PlanFormat.text

    @Option(help: "File to save the plan to, for `apply` and `show`.")
    var out: String?

    @Flag(help: "Exit code 2 when there are changes.")
    var detailedExitcode = false

    @Flag(help: "Also remove containers of services that the stack file no longer has.")
    var removeOrphans = false

    @Option(help: "What may be replaced although its data is lost, as volume.NAME; may be repeated.")
    var allowDestroy: [String] = []

    @OptionGroup var options: ReportOptions

    @Argument(help: "Services, with what they depend on; all when none is named.")
    var services: [String] = []

    func run() throws {
        let session = Session(global, file)
        var isChanged = false
        try session.reporting(options) {
            let startedAt = wallClockNow()
            let beginning = monotonicNow()
            let (plan, stack) = try look(session)
            // What cannot be applied is not as the file has it either.
            isChanged = plan.changed || !plan.applyable
            let reports = PlanReports(
                plan: plan, path: out, stackFile: stack?.configFiles.first, places: session.places,
                startedAt: startedAt, milliseconds: (monotonicNow() - beginning) / 1_000_000)
            return reports.text
        }
        if detailedExitcode, isChanged { throw ExitCode(2) }
    }

    private func look(_ session: Session) throws -> (PlanReply, Stack?) {
        let target = try session.target(services: services)
        var request = ApplyRequest(stack: target.stack, services: services)
        request.removeOrphans = removeOrphans
        request.allowDestroy = allowDestroy
        request.refusesDestruction = true
        request.savesPlan = out != nil
        let plan = try session.engine().plan(stack: target.name, request)
        if let out { try SavedPlanFile.write(plan, to: out) }
        try session.show(plan, format)
        // Where it is for a person: scripts know what they have asked for.
        if let out, out != "-", format == .text, session.errors.isTerminal {
            try session.errors.write("\nThe plan is saved: `gantry apply \(out)` carries it out.\n")
        }
        return (plan, target.stack)
    }
}

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a saved plan, and whether it can still be applied.",
        usage: "gantry show [<global options>] [<options>] <plan>",
        discussion: "Works without the engine too; then nobody knows whether the plan is stale.")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(help: "Form of the output: text, json, markdown.")
    var format = PlanFormat.text

    @Flag(help: "Exit code 2 when there are changes.")
    var detailedExitcode = false

    @Argument(help: "File that `gantry plan --out` wrote.")
    var plan: String

    func run() throws {
        let session = Session(global)
        let file = try SavedPlanFile(plan)
        try session.show(file.plan, format)
        if let client = try? session.runningEngine() {  // One that cannot be asked knows nothing of the plan.
            var question = file.saved
            question.stack = .null
            let check = try client.check(stack: file.plan.stack, question)
            try session.show(check.diagnostics)
        }
        if detailedExitcode, file.plan.changed { throw ExitCode(2) }
    }
}

extension PlanCheck {
    var diagnostics: [Diagnostic] {
        staleText.map { [Diagnostic(.warning, code: "plan.stale", "this plan is stale: \($0)")] } ?? []
            + drifted.map { Diagnostic(.warning, code: "plan.drifted", $0) }
    }
}

extension PlanCheck {
    /// The first reasons stand for the rest.
    private var staleText: String? {
        let shownMax = 3
        guard !stale.isEmpty else { return nil }
        let rest = stale.count - shownMax
        return stale.prefix(shownMax).joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : "")
    }
}

extension Session {
    func show(_ plan: PlanReply, _ format: PlanFormat) throws {
        switch format {
        case .text:
            try show(plan.diagnostics)
            try output.write(renderPlan(plan, folder: workingDirectory, color: output.color))
        case .markdown: try output.write(renderPlanMarkdown(plan, folder: workingDirectory))
        case .json: try output.write(planDocument(plan))
        }
    }
}
