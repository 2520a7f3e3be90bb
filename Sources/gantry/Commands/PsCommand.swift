import ArgumentParser
import EngineClient
import EngineWire
import StackFile
import StackModel

struct PsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List a stack's containers.",
        usage: "gantry ps [<global options>] [<options>] [<service> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: [.short, .long], help: "Also those that do not run.")
    var all = false

    @Flag(name: [.short, .long], help: "Only ids.")
    var quiet = false

    @Flag(name: .customLong("services"), help: "Only names of services.")
    var onlyServices = false

    @Flag(name: .customLong("no-trunc"), help: "Show commands in full length.")
    var noTruncation = false

    @Option(help: "Form of the output.")
    var format = OutputFormat.table

    @Argument(help: "Services; all when none is named.")
    var services: [String] = []

    func run() throws {
        let session = Session(global, file)
        let stack = try session.projectName()
        let containers = selectContainers(
            try session.engine().containers(stack: stack), services: services, all: all)
        if let missing = services.first(where: { name in !containers.contains { $0.service == name } }), !all {
            try requireService(missing, stack, session)
        }
        try session.output.write(render(containers))
    }

    private func render(_ containers: [ContainerStatus]) -> String {
        if quiet { return containers.map { $0.id + "\n" }.joined() }
        if onlyServices { return Set(containers.map(\.service)).sorted().map { harmless($0) + "\n" }.joined() }
        switch format {
        case .table: return renderContainers(containers, now: wallClockNow(), truncating: !noTruncation)
        case .json: return renderContainersJSON(containers, now: wallClockNow())
        }
    }

    /// A service without a running container is fine; one that does not exist is a slip of the user's.
    private func requireService(_ service: String, _ stack: String, _ session: Session) throws {
        let known = try session.engine().containers(stack: stack).map(\.service)
        if known.contains(service) { return }
        if session.hasStackFile, try session.loadStack().stack.services[service] != nil { return }
        throw noSuchService(service, known: known)
    }
}

/// Those that `ps` lists, by service and number. Without `all`: what runs or is about to.
func selectContainers(_ containers: [ContainerStatus], services: [String], all: Bool) -> [ContainerStatus] {
    containers.filter { container in
        guard services.isEmpty || services.contains(container.service) else { return false }
        switch container.state {
        case .running, .restarting, .paused: return true
        case .created, .exited, .dead: return all
        }
    }.sorted {
        ($0.service, $0.oneOff ? 1 : 0, $0.number, $0.name) < ($1.service, $1.oneOff ? 1 : 0, $1.number, $1.name)
    }
}

func noSuchService(_ service: String, known: [String]) -> CommandFailure {
    let names = Set(known).sorted()
    let hint =
        names.isEmpty
        ? "the stack has no containers: start it with `gantry up -d`"
        : "its services are \(names.joined(separator: ", "))"
    return CommandFailure(code: "service.not-found", "there is no service '\(service)' in the stack", hint: hint)
}
