import ArgumentParser
import EngineClient
import Images
import StackModel

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make an image from the tar of a root file system.",
        usage: "gantry import [<global options>] [<options>] <file>|- [<name>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(
        name: [.short, .customLong("change")],
        help: "Instruction of a Dockerfile, as 'CMD [\"sh\"]' or 'ENV A=b'; may be repeated.")
    var changes: [String] = []

    @Option(name: [.short, .long], help: "Comment in the image's history.")
    var message: String?

    @Argument(help: "Tar, also packed with gzip or zstd; - is standard input.")
    var file: String

    @Argument(help: "NAME[:TAG] of the image.")
    var name: String?

    func run() throws {
        let session = Session(global)
        if file.contains("://") {
            throw CommandFailure.usage(
                "nothing is fetched from URLs", hint: "use `curl -L '\(file)' | gantry import - \(name ?? "NAME")`")
        }
        // Told before anything is sent.
        if let name { _ = try ImageReference(parsing: name) }
        var defaults = ContainerDefaults()
        for change in changes { try ConfigInstruction(parsing: change).apply(to: &defaults) }
        let archive = try ArchiveInput(file, takesFolder: false)
        var failures: [Diagnostic] = []
        var ids: [String] = []
        try session.engine().importImage(
            from: archive.descriptor, length: archive.length, name: name, message: message, changes: changes
        ) { line in
            switch line {
            case .text(let text): ids.append(text)
            case .failed(let text): failures.append(Diagnostic(code: "image.import", text))
            }
        }
        guard failures.isEmpty else { throw CommandFailure(failures) }
        try session.output.write(ids.map { harmless($0) + "\n" }.joined())
    }
}
