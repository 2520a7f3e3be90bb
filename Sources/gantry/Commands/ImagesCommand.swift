import ArgumentParser
import EngineClient
import EngineWire

struct ImagesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "List the engine's images.",
        usage: "gantry images [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Only ids.")
    var quiet = false

    @Option(help: "Form of the output.")
    var format = OutputFormat.table

    func run() throws {
        let session = Session(global)
        let images = try session.engine().images().sorted { ($1.Created, $0.Id) < ($0.Created, $1.Id) }
        try session.output.write(render(images))
    }

    private func render(_ images: [ImageSummary]) -> String {
        if quiet { return images.map { shortImageId($0.Id) + "\n" }.joined() }
        let now = wallClockNow()
        return format == .table ? renderImages(images, now: now) : renderImagesJSON(images, now: now)
    }
}
