import ArgumentParser
import StackFile

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of stack files, for editors.",
        usage: "gantry schema [<global options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    func run() throws { try Session(global).output.write(stackFileSchema()) }
}
