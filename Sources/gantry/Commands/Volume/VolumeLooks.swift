import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct VolumeList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List volumes.", usage: "gantry volume ls [<global options>] [<options>]",
        aliases: ["list"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Only names.")
    var quiet = false

    @Option(
        name: [.customShort("f"), .customLong("filter")],
        help: "name=, driver=, label= or dangling=true|false; may be repeated.")
    var filters: [String] = []

    @Option(help: ArgumentHelp(stringLiteral: ListFormat.help))
    var format = "table"

    func run() throws {
        let session = Session(global)
        let format = try ListFormat(format)
        let filters = try filterValues(filters, example: "dangling=true or label=team")
        let volumes = try session.engine().volumes(filters: filters)
        if quiet { return try session.output.write(volumes.map { harmless($0.Name) + "\n" }.joined()) }
        try session.output.write(try listing(volumes).render(format))
    }

    private func listing(_ volumes: [VolumeInspect]) -> Listing {
        Listing(
            columns: [("Driver", "DRIVER"), ("Name", "VOLUME NAME")],
            headings: [
                ("Availability", "AVAILABILITY"), ("Group", "GROUP"), ("Labels", "LABELS"), ("Links", "LINKS"),
                ("Mountpoint", "MOUNTPOINT"), ("Scope", "SCOPE"), ("Size", "SIZE"), ("Status", "STATUS"),
            ],
            rows: volumes.map(row))
    }

    /// As `docker volume ls --format json`: every value is text, and what is not known there is not known here.
    private func row(_ volume: VolumeInspect) -> JSONText {
        let labels = volume.Labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return .object([
            ("Availability", .string("N/A")), ("Driver", .string(volume.Driver)), ("Group", .string("N/A")),
            ("Labels", .string(labels.joined(separator: ","))), ("Links", .string("N/A")),
            ("Mountpoint", .string(volume.Mountpoint)), ("Name", .string(volume.Name)),
            ("Scope", .string(volume.Scope)), ("Size", .string("N/A")), ("Status", .string("N/A")),
        ])
    }
}

struct VolumeInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show all of volumes, as JSON.",
        usage: "gantry volume inspect [<global options>] [-f <template>] <volume> ...")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "json, on one line, or a Go template.")
    var format: String?

    @Argument(help: "Names.")
    var volumes: [String]

    func run() throws {
        let session = Session(global)
        let engine = try session.engine()
        try inspect(volumes, format: format, strict: true, session) { document(try engine.volume($0)) }
    }

    private func document(_ volume: VolumeInspect) -> JSONText {
        func map(_ values: [String: String]) -> JSONText {
            .object(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
        }
        return .object([
            ("CreatedAt", .string(volume.CreatedAt)), ("Driver", .string(volume.Driver)),
            ("Labels", map(volume.Labels)), ("Mountpoint", .string(volume.Mountpoint)),
            ("Name", .string(volume.Name)), ("Options", map(volume.Options)), ("Scope", .string(volume.Scope)),
        ])
    }
}
