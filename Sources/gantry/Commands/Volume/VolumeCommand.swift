import ArgumentParser
import EngineClient
import EngineWire
import StackModel

/// `gantry volume …`: volumes beside those of stacks.
struct VolumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume", abstract: "Make, list and remove volumes.",
        usage: "gantry volume <command> [<global options>] [<options>]",
        subcommands: [
            VolumeCreate.self, VolumeInspectCommand.self, VolumeList.self, VolumePrune.self, VolumeRemove.self,
        ])
}

struct VolumeCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a volume; its name is printed.",
        usage: "gantry volume create [<global options>] [<options>] [<name>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "local: a folder of the engine's.")
    var driver = "local"

    @Option(name: [.customShort("o"), .customLong("opt")], help: "Option of the driver, KEY=VALUE; may be repeated.")
    var options: [String] = []

    @Option(name: .customLong("label"), help: "Label, KEY[=VALUE]; may be repeated.")
    var labels: [String] = []

    @Argument(help: "Name of the volume; without one it is anonymous.")
    var name: String?

    func run() throws {
        let session = Session(global)
        let request = VolumeCreateRequest(
            Name: name, Driver: driver, DriverOpts: try pairs(options, "--opt"), Labels: try pairs(labels, "--label"))
        try session.output.write(harmless(try session.engine().createVolume(request).Name) + "\n")
    }
}

struct VolumeRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove volumes and what is in them.",
        usage: "gantry volume rm [<global options>] [-f] <volume> ...", aliases: ["remove"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "One that does not exist is no error.")
    var force = false

    @Argument(help: "Names.")
    var volumes: [String]

    func run() throws {
        let session = Session(global)
        let engine = try session.engine()
        var problems: [Diagnostic] = []
        for volume in volumes {
            do throws(EngineClientError) {
                try engine.removeVolume(volume, force: force)
            } catch {
                problems += failure(for: error)?.diagnostics ?? []
                continue
            }
            try session.output.write(harmless(volume) + "\n")
        }
        if !problems.isEmpty { throw CommandFailure(problems) }
    }
}

struct VolumePrune: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove the anonymous volumes that no container uses.",
        usage: "gantry volume prune [<global options>] [-a] [-f] [--filter <key=value>] ...",
        discussion: "Volumes of a stack that is up belong to it and stay.")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Also those with a name.")
    var all = false

    @Flag(name: [.short, .long], help: "Do not ask.")
    var force = false

    @Option(name: .customLong("filter"), help: "label=KEY[=VALUE] or label!=KEY[=VALUE]; may be repeated.")
    var filters: [String] = []

    func run() throws {
        let session = Session(global)
        var filters = try filterValues(filters, example: "label=team")
        if all { filters["all"] = ["true"] }
        if !force {
            let what = all ? "all volumes" : "anonymous volumes"
            try confirmRemoval("WARNING! This will remove \(what) not used by at least one container.", session)
        }
        let reply = try session.engine().pruneVolumes(filters: filters)
        let names = reply.VolumesDeleted ?? []
        if !names.isEmpty {
            try session.output.write("Deleted Volumes:\n" + names.map { harmless($0) + "\n" }.joined() + "\n")
        }
        try session.output.write(reclaimedText(reply.SpaceReclaimed))
    }
}
