import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show a stack's revisions, or how an image was made; newest first.",
        usage: "gantry history [<global options>] [<options>] [<image>]",
        discussion: """
            Without an image: what the stack was, each time that it was changed. A
            revision is stable when every service reached its goal with it; `gantry
            rollback` goes back to the last stable one.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions
    @OptionGroup var looks: ImageHistoryLooks

    @Argument(help: "Name or id of an image.")
    var image: String?

    func run() throws {
        let session = Session(global, file)
        if let image { return try looks.show(image, session) }
        let format = try ListFormat(looks.format)
        let name = try session.target(services: []).name
        let revisions = Array(try session.engine().revisions(stack: name).reversed())
        if looks.quiet { return try session.output.write(revisions.map { "\($0.number)\n" }.joined()) }
        try session.output.write(
            revisionListing(revisions, now: wallClockNow(), human: looks.human).render(format))
    }
}

struct RollbackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Return a stack to what it was before.",
        usage: "gantry rollback [<global options>] [<options>]",
        discussion: """
            Replicas that differ are replaced as the services' rollback_config says.
            Nothing else is touched, volumes and their data least of all.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "Number of a revision; otherwise the last stable one before the present.")
    var to: Int?

    @OptionGroup var waiting: WaitOptions
    @OptionGroup var options: RunOptions

    func run() throws {
        let session = Session(global, file)
        try session.reporting(options) { run in
            let target = try session.target(services: [])
            run.concerns(target.name, target.stack)
            let timeout = waiting.timeout?.nanoseconds
            let request = RollbackRequest(to: to, wait: waiting.wait, waitTimeout: timeout)
            try run.complete(run.engine().rollback(stack: target.name, request), timeout: timeout)
        }
    }
}
