import ArgumentParser
import EngineClient
import EngineWire

struct ImageListOptions: ParsableArguments {
    @Flag(name: [.short, .long], help: "Also what builds leave between; there is nothing of the kind here.")
    var all = false

    @Flag(name: [.short, .long], help: "Only ids.")
    var quiet = false

    @Flag(name: .customLong("no-trunc"), help: "Show ids in full length.")
    var noTruncation = false

    @Flag(help: "Show digests.")
    var digests = false

    @Option(
        name: [.customShort("f"), .customLong("filter")],
        help: "reference=, dangling=true|false, label=, before=, since= or until=; may be repeated.")
    var filters: [String] = []

    @Option(help: ArgumentHelp(stringLiteral: ListFormat.help))
    var format = "table"

    @Argument(help: "NAME[:TAG], also with * and ?.")
    var reference: String?

    func run(_ global: GlobalOptions) throws {
        let session = Session(global)
        let format = try ListFormat(format)
        var filters = try filterValues(filters, example: "dangling=true or reference='web*'")
        if let reference { filters["reference", default: []].append(reference) }
        let images = try session.engine().images(filters: filters)
        try session.output.write(try render(images, format))
    }

    private func render(_ images: [ImageSummary], _ format: ListFormat) throws(CommandFailure) -> String {
        let looks = ImageLooks(now: wallClockNow(), truncating: !noTruncation, digests: digests)
        if quiet {
            // As Docker's: a line for each name, as in the table.
            return imageRows(images, digests: digests).map { looks.id($0.image.Id) + "\n" }.joined()
        }
        return try looks.listing(images).render(format)
    }
}

struct ImagesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "List the engine's images.",
        usage: "gantry images [<global options>] [<options>] [<name>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup var options: ImageListOptions

    func run() throws { try options.run(global) }
}

struct ImageLs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the engine's images.",
        usage: "gantry image ls [<global options>] [<options>] [<name>]", aliases: ["list"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup var options: ImageListOptions

    func run() throws { try options.run(global) }
}
