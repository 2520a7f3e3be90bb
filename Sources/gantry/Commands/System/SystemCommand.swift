import ArgumentParser
import EngineClient
import EngineWire

/// `gantry system …`: what the engine takes on the disk.
struct SystemCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "system", abstract: "Show what the engine takes on the disk, and free some.",
        usage: "gantry system <command> [<global options>] [<options>]",
        subcommands: [SystemDF.self, SystemPrune.self])
}

struct SystemDF: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "df", abstract: "Show what images, containers, volumes and builds take.",
        usage: "gantry system df [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Each image, container and volume.")
    var verbose = false

    @Option(help: ArgumentHelp(stringLiteral: ListFormat.help))
    var format = "table"

    func run() throws {
        let session = Session(global)
        let format = try ListFormat(format)
        let usage = try session.engine().diskUsage()
        let looks = DiskUsageLooks(usage: usage, now: wallClockNow())
        guard verbose else { return try session.output.write(try looks.summary.render(format)) }
        switch format {
        case .table: try session.output.write(try looks.verboseText())
        case .json: try session.output.write(looks.verboseJSON.text + "\n")
        case .template(let template), .tableTemplate(let template):
            try session.output.write(
                harmless(try template.render(looks.verboseJSON, strict: true), .paragraphs) + "\n")
        }
    }
}

struct SystemPrune: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove what nothing uses: containers, networks, images, build cache.",
        usage: "gantry system prune [<global options>] [<options>]",
        discussion: """
            Containers and networks of a stack that is up belong to it and stay, also those
            that have ended.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "All images that no container uses, not only those without a name.")
    var all = false

    @Flag(help: "Also anonymous volumes.")
    var volumes = false

    @Flag(name: [.short, .long], help: "Do not ask.")
    var force = false

    @Option(name: .customLong("filter"), help: "label=KEY[=VALUE], label!=KEY[=VALUE] or until=AGE; may be repeated.")
    var filters: [String] = []

    func run() throws {
        let session = Session(global)
        let filters = try filterValues(filters, example: "until=24h or label=team")
        if volumes, filters["until"] != nil {
            throw CommandFailure.usage("the filter until is not for --volumes", hint: "leave one of them out")
        }
        if !force { try confirmRemoval(warning, session) }
        let engine = try session.engine()
        let containers = try engine.pruneContainers(filters: filters)
        try write("Deleted Containers:", containers.ContainersDeleted ?? [], session)
        try write("Deleted Networks:", try engine.pruneNetworks(filters: filters), session)
        var reclaimed = containers.SpaceReclaimed
        if volumes {
            let reply = try engine.pruneVolumes(filters: filters)
            try write("Deleted Volumes:", reply.VolumesDeleted ?? [], session)
            reclaimed += reply.SpaceReclaimed
        }
        var imageFilters = filters
        if all { imageFilters["dangling"] = ["false"] }
        let images = try engine.pruneImages(filters: imageFilters)
        let deletions = images.ImagesDeleted ?? []
        if !deletions.isEmpty {
            try session.output.write("Deleted Images:\n" + deletionsText(deletions, capitalized: false) + "\n")
        }
        // Its filter knows ages only.
        let builds = try engine.pruneBuilds(all: all, keepStorage: nil, filters: filters.filter { $0.key == "until" })
        try write("Deleted build cache objects:", builds.CachesDeleted ?? [], session)
        try session.output.write(reclaimedText(reclaimed + images.SpaceReclaimed + builds.SpaceReclaimed))
    }

    private var warning: String {
        var lines = ["all stopped containers that no stack keeps", "all networks not used by at least one container"]
        if volumes { lines.append("all anonymous volumes not used by at least one container") }
        lines.append(prunedImages(all: all))
        lines.append(all ? "all build cache" : "unused build cache")
        return "WARNING! This will remove:\n" + lines.map { "  - \($0)\n" }.joined()
    }

    private func write(_ heading: String, _ names: [String], _ session: Session) throws {
        guard !names.isEmpty else { return }
        try session.output.write(heading + "\n" + names.map { harmless($0) + "\n" }.joined() + "\n")
    }
}
