import ArgumentParser
import Glibc
import LinuxSystem
import StackFile
import StackModel

struct ConfigCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument { case yaml, json }

    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check the stack file, and show it as it is understood.",
        usage: "gantry config [<global options>] [<options>] [<service> ...]",
        aliases: ["convert"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "Form of the output.")
    var format = Format.yaml

    @Flag(name: .customLong("services"), help: "Only names of services.")
    var onlyServices = false

    @Flag(name: .customLong("volumes"), help: "Only names of volumes.")
    var onlyVolumes = false

    @Flag(name: .customLong("images"), help: "Only names of images.")
    var onlyImages = false

    @Flag(name: [.short, .long], help: "Only check.")
    var quiet = false

    @Option(name: [.short, .long], help: "File to write to instead of standard output.")
    var output: String?

    @Argument(help: "Services to show, with what they depend on; all when none is named.")
    var services: [String] = []

    func run() throws {
        let session = Session(global, file)
        let loaded = try session.loadStack(services: services)
        if quiet { return }
        let text = render(loaded)
        guard let output else { return try session.output.write(text) }
        try FileSystem.replaceFile(output, with: Array(text.utf8), mode: 0o644)
    }

    private func render(_ loaded: LoadedStack) -> String {
        let names: [String]
        if onlyServices {
            names = loaded.stack.services.keys.sorted()
        } else if onlyVolumes {
            names = loaded.stack.volumes.keys.sorted()
        } else if onlyImages {
            names = Set(loaded.stack.services.values.map(\.image)).sorted()
        } else {
            let text = loaded.render(format == .yaml ? .yaml : .json)
            return text.hasSuffix("\n") ? text : text + "\n"
        }
        return names.map { harmless($0) + "\n" }.joined()
    }
}
