import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "Stop and remove a stack's containers and networks.",
        usage: "gantry down [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: [.short, .long], help: "Remove its named and anonymous volumes too.")
    var volumes = false

    @Flag(help: "Remove containers of services that the stack file no longer has.")
    var removeOrphans = false

    @Option(name: [.short, .long], help: "Seconds that containers get to stop.")
    var timeout: Int?

    func run() throws {
        let session = Session(global, file)
        let stack = try session.projectName()
        // Without a file, by its name alone, it is all that there is of the stack, as for Compose.
        let request = DownRequest(
            volumes: volumes, removeOrphans: removeOrphans || !session.hasStackFile, timeout: try nanoseconds(timeout))
        try session.complete(
            session.engine().down(stack: stack, request), about: ProgressSubject(stackName: stack))
    }
}
