import ArgumentParser
import EngineClient
import EngineWire
import StackFile
import StackModel

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Act on changes of files as the services' watch rules say.",
        usage: "gantry watch [<global options>] [<options>] [<service> ...]",
        discussion: """
            The rules are those of `develop.watch` in the stack file: changed files are
            copied into the containers, services are built, replaced or restarted, commands
            run.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(help: "Do not start the services before watching.")
    var noUp = false

    @Flag(inversion: .prefixedNo, help: "Remove images that have lost their name to rebuilt ones.")
    var prune = true

    @Flag(help: "Do not show how builds go on.")
    var quiet = false

    @Argument(help: "Services to watch, with what they depend on; all when none is named.")
    var services: [String] = []

    func run() throws {
        let session = Session(global, file)
        let stack = try session.loadStack(services: services).stack
        let rules = try WatchRules(stack, services: services)
        let client = try session.engine()
        let signals = try SignalSource(endingSignals)
        let rebuild = ServiceRebuild(session: session, client: client, stack: stack, quiet: quiet, prunes: prune)
        // From before the start: what changes meanwhile is not lost.
        let watch = try WatchSession(session, client, rules, rebuild, signals)
        let signal: Int32
        do {
            if !noUp { try start(session, client, rebuild, signals) }
            try watch.begin()
            signal = try watch.run()
        } catch let interruption as WatchInterruption {
            signal = interruption.signal
        }
        try watch.say(.disabled)
        throw CommandFailure([], exitCode: 128 + signal)
    }

    private func start(
        _ session: Session, _ client: EngineClient, _ rebuild: ServiceRebuild, _ signals: SignalSource
    ) throws {
        let stack = rebuild.stack
        try rebuild.buildForStart(try WatchRules.chosen(services, stack))
        let stream = try client.apply(stack: stack.name, ApplyRequest(stack: stack, services: services))
        let subject = ProgressSubject(stackName: stack.name, stack: stack, services: services, client: client)
        switch try follow(stream, session.progressPrinter(about: subject), signals) {
        case .done: break
        case .failed(let diagnostics): throw CommandFailure(diagnostics)
        case .interrupted(let signal): throw WatchInterruption(signal: signal)
        }
    }
}
