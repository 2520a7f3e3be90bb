import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct ImageInspectCommand: ParsableCommand {
    /// Docker's order; what else there is follows by name.
    private static let firstMembers = [
        "Id", "RepoTags", "RepoDigests", "Parent", "Comment", "Created", "Author", "Config", "Architecture", "Variant",
        "Os", "Size", "VirtualSize", "GraphDriver", "RootFS",
    ]

    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show all of images, as JSON.",
        usage: "gantry image inspect [<global options>] [-f <template>] <image> ...")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "json, on one line, or a Go template.")
    var format: String?

    @Argument(help: "Names or ids.")
    var images: [String]

    func run() throws {
        let session = Session(global)
        let engine = try session.engine()
        try inspect(images, format: format, strict: false, session) {
            try JSONText(parsing: try engine.imageDocument($0), first: Self.firstMembers)
        }
    }
}

struct ImageHistory: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show how an image was made, newest step first.",
        usage: "gantry image history [<global options>] [<options>] <image>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup var looks: ImageHistoryLooks

    @Argument(help: "Name or id.")
    var image: String

    func run() throws { try looks.show(image, Session(global)) }
}

/// How `history` shows the steps of an image.
struct ImageHistoryLooks: ParsableArguments {
    @Flag(name: [.short, .long], help: "Only ids.")
    var quiet = false

    @Flag(name: .customLong("no-trunc"), help: "Show ids and commands in full length.")
    var noTruncation = false

    @Option(help: "Sizes and ages for people; with false bytes and times.")
    var human = true

    @Option(help: ArgumentHelp(stringLiteral: ListFormat.help))
    var format = "table"

    func show(_ image: String, _ session: Session) throws {
        let format = try ListFormat(format)
        let steps = try session.engine().imageHistory(image)
        let looks = ImageLooks(now: wallClockNow(), truncating: !noTruncation)
        if quiet {
            let ids = steps.map { ($0.Id.hasPrefix("<") ? $0.Id : looks.id($0.Id)) + "\n" }
            return try session.output.write(ids.joined())
        }
        try session.output.write(try looks.history(steps, human: human).render(format))
    }
}

struct ImageVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check that images on disk are what they were when they came.",
        usage: "gantry image verify [<global options>] [-q] [<image> ...]",
        discussion: """
            Reads every layer, and unpacks each once more to compare paths, modes, owners,
            times, attributes and content. Ends with 1 when something has changed.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Only what is wrong.")
    var quiet = false

    @Argument(help: "Names or ids; all images when none is named.")
    var images: [String] = []

    func run() throws {
        let session = Session(global)
        let engine = try session.engine()
        let names = try images.isEmpty ? engine.images().map { $0.RepoTags.first ?? $0.Id } : images
        try forEach(names) { name in
            let reply = try engine.verifyImage(name)
            if reply.Problems.isEmpty {
                if !quiet { try session.output.write("\(harmless(name)): ok\n") }
                return
            }
            try session.output.write(
                "\(harmless(name)): damaged\n" + reply.Problems.map { "  \(harmless($0))\n" }.joined())
            throw CommandFailure(
                code: "image.damaged", "image \(name) is not as it came",
                hint: "remove it with `gantry rmi`, and load or pull it again")
        }
    }
}
