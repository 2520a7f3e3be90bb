import ArgumentParser
import EngineClient
import EngineWire
import LinuxSystem
import StackModel

struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show the output of containers.",
        usage: "gantry logs [<global options>] [<options>] [<service> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: LongFileOptions

    @Flag(name: [.short, .long], help: "Go on with new output, also of containers that start later.")
    var follow = false

    @Option(name: [.customShort("n"), .long], help: "Lines from the end of each log, or all.")
    var tail = "all"

    @Flag(name: [.short, .long], help: "Times before the lines.")
    var timestamps = false

    @Option(help: "Only from this time on: RFC 3339, seconds since 1970, or as in 10m.")
    var since: String?

    @Option(help: "Only up to this time.")
    var until: String?

    @Flag(help: "No colours.")
    var noColor = false

    @Flag(help: "No names before the lines.")
    var noLogPrefix = false

    @Argument(help: "Services; all when none is named.")
    var services: [String] = []

    func run() throws {
        let session = Session(global, file)
        let selection = try self.selection(now: wallClockNow())
        let stack = try session.projectName()
        let client = try session.engine()
        let containers = selectContainers(try client.containers(stack: stack), services: services, all: true)
        if let missing = services.first(where: { name in !containers.contains { $0.service == name } }) {
            throw noSuchService(missing, known: try client.containers(stack: stack).map(\.service))
        }
        let style = LogStyle(
            prefix: !noLogPrefix, color: session.output.color && !noColor, terminal: session.output.isTerminal)
        guard follow else {
            return try mergeLogs(containers, client, selection, style: style, console: session.output)
        }
        try followLogs(
            LogFollower(
                client: client, stack: stack, services: services, selection: selection, style: style,
                console: session.output, saysEnds: false))
    }

    func selection(now: Moment) throws(CommandFailure) -> LogSelection {
        LogSelection(
            follow: follow, tail: try tailCount(), timestamps: timestamps, since: try moment(since, "--since", now),
            until: try moment(until, "--until", now))
    }

    private func tailCount() throws(CommandFailure) -> Int? {
        if tail == "all" { return nil }
        guard let count = Int(tail), count >= 0 else { throw .usage("--tail takes a number of lines, or all") }
        return count
    }

    private func moment(_ text: String?, _ option: String, _ now: Moment) throws(CommandFailure) -> String? {
        guard let text else { return nil }
        guard let moment = Moment(argument: text, now: now) else {
            throw .usage(
                "\(option) cannot read '\(text)' as a time",
                hint: "write 2026-01-31T10:00:00Z, seconds since 1970, or a time before now such as 10m")
        }
        return moment.unixText
    }

    /// Ctrl-C ends it as it ends any program: there is nothing to clean up.
    private func followLogs(_ logs: LogFollower) throws {
        try logs.start()
        while !logs.isAtEnd {
            var waited = logs.descriptors.map { Waited($0) }
            try wait(for: &waited, milliseconds: nil)
            try logs.advance(readable: Set(waited.filter(\.readable).map(\.descriptor)))
        }
    }
}
