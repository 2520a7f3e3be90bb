import ArgumentParser
import EngineClient
import EngineWire
import StackFile

/// `gantry builder …`: what builds keep.
struct BuilderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "builder", abstract: "Build images, and remove what builds keep.",
        usage: "gantry builder <command> [<global options>] [<options>]",
        subcommands: [ImageBuildCommand.self, BuilderPrune.self])
}

struct BuilderPrune: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Forget what builds keep for later ones.",
        usage: "gantry builder prune [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Also what images share, and folders of cache mounts.")
    var all = false

    @Flag(name: [.short, .long], help: "Do not ask.")
    var force = false

    @Option(name: .customLong("filter"), help: "until=AGE: only what was not used for so long.")
    var filters: [String] = []

    @Option(help: "Size that may stay, such as 10g.")
    var keepStorage: String?

    func run() throws {
        let session = Session(global)
        let filters = try filterValues(filters, example: "until=24h")
        let kept = try keepStorage.map { text in
            guard let bytes = parseBytes(text) else {
                throw CommandFailure.usage("'\(text)' is no size", hint: "write a number and a unit, such as 10g")
            }
            return bytes
        }
        let what = all ? "all build cache" : "all dangling build cache"
        if !force { try confirmRemoval("WARNING! This will remove \(what).", session) }
        let reply = try session.engine().pruneBuilds(all: all, keepStorage: kept, filters: filters)
        let deleted = reply.CachesDeleted ?? []
        if !deleted.isEmpty {
            let lines = deleted.map { harmless($0) + "\n" }.joined()
            try session.output.write("Deleted build cache objects:\n\(lines)\n")
        }
        try session.output.write(reclaimedText(reply.SpaceReclaimed))
    }
}
