import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct DriftCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument { case text, json, markdown }

    static let configuration = CommandConfiguration(
        commandName: "drift", abstract: "Show what is not as it was applied, and what is done about it.",
        usage: "gantry drift [<global options>] [<options>] [<service> ...]",
        discussion: """
            Changes nothing. What the engine repairs by itself is gone again in a
            moment; `gantry reconcile` repairs what it only reports, and applies the
            stack file. x-gantry.drift in the stack file says which is which.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(help: "Also look for files and processes in containers that are not their own.")
    var deep = false

    @Flag(help: "Exit code 2 when something differs.")
    var detailedExitcode = false

    @Option(help: "Form of the output.")
    var format = Format.text

    @OptionGroup var options: ReportOptions

    @Argument(help: "Services; the whole stack when none is named.")
    var services: [String] = []

    func validate() throws {
        if options.reports.contains(where: { $0.kind == .terraform }) {
            throw ValidationError("the report terraform is about changes, of which drift makes none")
        }
    }

    func run() throws {
        let session = Session(global, file)
        var differs = false
        try session.reporting(options) {
            let startedAt = wallClockNow()
            let beginning = monotonicNow()
            let (report, stack) = try look(session)
            differs = !report.entries.isEmpty
            var differences: DiffReply?
            if !options.reports.isEmpty, let stack, report.entries.contains(where: { $0.class == .stack }) {
                differences = try session.engine().differences(stack: report.stack, DiffRequest(stack: stack))
            }
            let reports = DriftReports(
                drift: report, stack: stack, differences: differences, services: services, places: session.places,
                startedAt: startedAt,
                milliseconds: (monotonicNow() - beginning) / 1_000_000)
            return reports.text
        }
        if detailedExitcode, differs { throw ExitCode(2) }
    }

    private func look(_ session: Session) throws -> (DriftReport, Stack?) {
        let target = try session.target(services: services)
        let request = DriftRequest(stack: target.stack, services: services, deep: deep)
        let report = try session.engine().drift(stack: target.name, request)
        switch format {
        case .text:
            try session.output.write(
                renderDrift(
                    report, now: wallClockNow(), folder: session.workingDirectory,
                    color: session.output.color))
        case .json: try session.output.write(driftJSON(report).indented + "\n")
        case .markdown: try session.output.write(driftMarkdown(report, folder: session.workingDirectory))
        }
        return (report, target.stack)
    }
}
