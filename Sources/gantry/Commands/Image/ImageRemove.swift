import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct ImageRemoveOptions: ParsableArguments {
    @Flag(
        name: [.short, .long], help: "Also with several names, or used by stopped containers: then only the names go.")
    var force = false

    @Flag(name: .customLong("no-prune"), help: "Keep parents without a name; there is nothing of the kind here.")
    var noPrune = false

    @Argument(help: "Names or ids.")
    var images: [String]

    func run(_ global: GlobalOptions) throws {
        let session = Session(global)
        let engine = try session.engine()
        try forEach(images) { image in
            do throws(EngineClientError) {
                let deletions = try engine.removeImage(image, force: force, noPrune: noPrune)
                try write(deletions, session)
            } catch {
                guard force, case .refused(404, _) = error else { throw error }
                // As Docker's: told, and no failure.
                try session.show(failure(for: error)?.diagnostics ?? [])
            }
        }
    }

    private func write(_ deletions: [ImageDeletion], _ session: Session) throws(EngineClientError) {
        do {
            try session.output.write(deletionsText(deletions, capitalized: true))
        } catch {
            throw .system(error)
        }
    }
}

struct RmiCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rmi", abstract: "Remove images, or names of images.",
        usage: "gantry rmi [<global options>] [<options>] <image> ...")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup var options: ImageRemoveOptions

    func run() throws { try options.run(global) }
}

struct ImageRm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove images, or names of images.",
        usage: "gantry image rm [<global options>] [<options>] <image> ...", aliases: ["remove"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup var options: ImageRemoveOptions

    func run() throws { try options.run(global) }
}

struct ImagePrune: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove the images that nothing uses.",
        usage: "gantry image prune [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "All that no container uses, not only those without a name.")
    var all = false

    @Flag(name: [.short, .long], help: "Do not ask.")
    var force = false

    @Option(name: .customLong("filter"), help: "label=KEY[=VALUE], label!=KEY[=VALUE] or until=AGE; may be repeated.")
    var filters: [String] = []

    func run() throws {
        let session = Session(global)
        var filters = try filterValues(filters, example: "until=24h or label=team")
        if all { filters["dangling"] = ["false"] }
        if !force {
            try confirmRemoval("WARNING! This will remove \(prunedImages(all: all)).", session)
        }
        let reply = try session.engine().pruneImages(filters: filters)
        let deletions = reply.ImagesDeleted ?? []
        var text = ""
        if !deletions.isEmpty { text = "Deleted Images:\n" + deletionsText(deletions, capitalized: false) + "\n" }
        try session.output.write(text + reclaimedText(reply.SpaceReclaimed))
    }
}

struct TagCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Give an image one more name.",
        usage: "gantry tag [<global options>] <image> <new name>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Argument(help: "Name or id.")
    var image: String

    @Argument(help: ArgumentHelp("NAME[:TAG].", valueName: "new name"))
    var name: String

    func run() throws { try Session(global).engine().tagImage(image, as: name) }
}

/// As Docker asks.
func prunedImages(all: Bool) -> String {
    all ? "all images without at least one container associated to them" : "all dangling images"
}

/// `Untagged: NAME` and `Deleted: ID`, a line each.
func deletionsText(_ deletions: [ImageDeletion], capitalized: Bool) -> String {
    deletions.map { deletion in
        let word = deletion.Untagged == nil ? "deleted" : "untagged"
        let what = deletion.Untagged ?? deletion.Deleted ?? ""
        return "\(capitalized ? word.prefix(1).uppercased() + word.dropFirst() : word): \(harmless(what))\n"
    }.joined()
}

/// What a prune says last.
func reclaimedText(_ bytes: Int64) -> String { "Total reclaimed space: \(humanSize(bytes: bytes))\n" }
