import ArgumentParser
import EngineClient
import EngineWire
import StackModel

// The verbs that change running containers and nothing else.

struct StartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Start stopped containers.",
        usage: "gantry start [<global options>] [<options>] [<service> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Argument(help: "Services; all when none is named.")
    var services: [String] = []

    func run() throws { try perform(.start, Session(global, file), ServicesRequest(services: services)) }
}

struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop containers, and keep them stopped.",
        usage: "gantry stop [<global options>] [<options>] [<service> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(name: [.short, .long], help: "Seconds that containers get to stop.")
    var timeout: Int?

    @Argument(help: "Services; all when none is named.")
    var services: [String] = []

    func run() throws {
        let request = ServicesRequest(services: services, timeout: try nanoseconds(timeout))
        try perform(.stop, Session(global, file), request)
    }
}

struct RestartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Stop and start containers.",
        usage: "gantry restart [<global options>] [<options>] [<service> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(name: [.short, .long], help: "Seconds that containers get to stop.")
    var timeout: Int?

    @Argument(help: "Services; all when none is named.")
    var services: [String] = []

    func run() throws {
        let request = ServicesRequest(services: services, timeout: try nanoseconds(timeout))
        try perform(.restart, Session(global, file), request)
    }
}

struct KillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Send a signal to containers.",
        usage: "gantry kill [<global options>] [<options>] [<service> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(name: [.short, .long], help: "Name or number of the signal.")
    var signal = "SIGKILL"

    @Argument(help: "Services; all when none is named.")
    var services: [String] = []

    func run() throws {
        try perform(.kill, Session(global, file), ServicesRequest(services: services, signal: signal))
    }
}

private func perform(_ verb: StackVerb, _ session: Session, _ request: ServicesRequest) throws {
    let stack = try session.projectName()
    try session.complete(
        session.engine().perform(verb, stack: stack, request), about: ProgressSubject(stackName: stack))
}
