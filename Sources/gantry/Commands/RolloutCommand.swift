import ArgumentParser
import EngineClient
import EngineWire
import StackModel

/// `gantry rollout`.
struct RolloutCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollout", abstract: "Look at an update that is under way, and steer it.",
        subcommands: [
            RolloutStatus.self, PromoteCommand.self, RolloutPause.self, RolloutResume.self, AbortCommand.self,
        ])
}

/// What the commands that steer have in common.
struct RolloutOptions: ParsableArguments {
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var options: RunOptions

    func carryOut(_ verb: RolloutVerb, services: [String] = [], _ session: Session) throws {
        try session.reporting(options) { run in
            let target = try session.target(services: [])
            run.concerns(target.name, target.stack)
            let timeout = waiting.timeout?.nanoseconds
            let request = RolloutRequest(services: services, wait: waiting.wait, waitTimeout: timeout)
            try run.complete(run.engine().rollout(verb, stack: target.name, request), timeout: timeout)
        }
    }
}

struct RolloutStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how far the update of each service is.",
        usage: "gantry rollout status [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "table, json, or a Go template.")
    var format = "table"

    func run() throws {
        let format = try ListFormat(format)
        let session = Session(global, file)
        let reply = try session.engine().rollout(stack: try session.target(services: []).name)
        try session.output.write(rolloutListing(reply).render(format))
    }
}

struct PromoteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote", abstract: "Go on with an update whose canaries are found good.",
        usage: "gantry promote [<global options>] [<options>] [<service> ...]",
        discussion: "Canaries are what x-gantry.rollout.canary of a service asks for.")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions
    @OptionGroup var options: RolloutOptions

    @Argument(help: "Services; otherwise all whose canaries wait.")
    var services: [String] = []

    func run() throws { try options.carryOut(.promote, services: services, Session(global, file)) }
}

struct AbortCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "End an update that is under way, and return to the last stable revision.",
        usage: "gantry abort [<global options>] [<options>]",
        discussion: "Replicas that were not replaced yet are not touched.")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions
    @OptionGroup var options: RolloutOptions

    func run() throws { try options.carryOut(.abort, Session(global, file)) }
}

struct RolloutPause: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Replace nothing more; what is begun is ended.",
        usage: "gantry rollout pause [<global options>]",
        discussion: "Holds until `gantry rollout resume`, or until another stack is applied.")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    func run() throws {
        let session = Session(global, file)
        let name = try session.target(services: []).name
        try session.complete(
            session.engine().rollout(.pause, stack: name, RolloutRequest(wait: false)),
            about: ProgressSubject(stackName: name))
    }
}

struct RolloutResume: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Go on with an update that is paused.",
        usage: "gantry rollout resume [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions
    @OptionGroup var options: RolloutOptions

    func run() throws { try options.carryOut(.resume, Session(global, file)) }
}
