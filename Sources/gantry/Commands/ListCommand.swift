import ArgumentParser
import EngineClient
import EngineWire

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List stacks.",
        usage: "gantry ls [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Also those of which nothing runs.")
    var all = false

    @Flag(name: [.short, .long], help: "Only names.")
    var quiet = false

    @Option(help: "Form of the output.")
    var format = OutputFormat.table

    func run() throws {
        let session = Session(global)
        let stacks = try session.engine().stacks().filter { all || ($0.states["running"] ?? 0) > 0 }
        try session.output.write(render(stacks.sorted { $0.name < $1.name }))
    }

    private func render(_ stacks: [StackSummary]) -> String {
        if quiet { return stacks.map { harmless($0.name) + "\n" }.joined() }
        return format == .table ? renderStacks(stacks) : renderStacksJSON(stacks)
    }
}
