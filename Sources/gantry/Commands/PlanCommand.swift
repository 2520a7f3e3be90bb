import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what `up` would change, and why.",
        usage: "gantry plan [<global options>] [<options>] [<service> ...]",
        discussion: """
            Symbols: + created, -/+ replaced, - removed, ! missing or damaged and
            repaired, ~ changed in another way: started, stopped, updated in place.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "Form of the output.")
    var format = OutputFormat.table

    @Flag(help: "Exit code 2 when there are changes.")
    var detailedExitcode = false

    @Flag(help: "Also remove containers of services that the stack file no longer has.")
    var removeOrphans = false

    @Argument(help: "Services, with what they depend on; all when none is named.")
    var services: [String] = []

    func run() throws {
        let session = Session(global, file)
        let target = try session.target(services: services)
        var request = ApplyRequest(stack: target.stack, services: services)
        request.removeOrphans = removeOrphans
        let plan = try session.engine().plan(stack: target.name, request)
        try session.show(plan.warnings)
        switch format {
        case .table:
            try session.output.write(
                renderPlan(plan, folder: session.workingDirectory, color: session.output.color))
        case .json: try session.output.write(renderPlanJSON(plan))
        }
        if detailedExitcode, !plan.effective.isEmpty { throw ExitCode(2) }
    }
}
