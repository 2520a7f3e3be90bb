import ArgumentParser
import EngineClient
import EngineWire
import Glibc
import StackFile
import StackModel

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a one-off command in a new container of a service.",
        usage: "gantry run [<global options>] [<options>] <service> [<command> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: .customLong("rm"), help: "Remove the container when it ends.")
    var remove = false

    @Flag(name: [.short, .long], help: "Do not wait for it; print its name.")
    var detach = false

    @Option(name: [.short, .customLong("env")], help: "Environment variable, NAME=VALUE or NAME; may be repeated.")
    var environment: [String] = []

    @Option(name: [.short, .long], help: "User, or USER:GROUP.")
    var user: String?

    @Option(name: [.short, .customLong("workdir")], help: "Working directory in the container.")
    var workingDirectory: String?

    @Flag(name: [.customShort("T"), .customLong("no-tty")], help: "No terminal, even when there is one here.")
    var noTerminal = false

    @Flag(name: [.customShort("t"), .customLong("tty")], help: .hidden)
    var terminal = false

    @Flag(name: [.short, .long], inversion: .prefixedNo, help: "Give it standard input.")
    var interactive = true

    @Option(help: "Program to run instead of the image's entrypoint.")
    var entrypoint: String?

    @Option(help: "Name of the container.")
    var name: String?

    @Flag(name: .customLong("no-deps"), help: "Do not start the services it depends on.")
    var noDependencies = false

    @Flag(help: "Build the image before the container is made.")
    var build = false

    @Flag(name: [.customShort("P"), .long], help: "Publish the service's ports.")
    var servicePorts = false

    @Option(name: [.short, .customLong("label")], help: "Label, NAME=VALUE; may be repeated.")
    var labels: [String] = []

    @Argument(parsing: .captureForPassthrough, help: "Service, and a command instead of the service's.")
    var words: [String]

    func run() throws {
        try requestHelp(words, self)
        let session = Session(global, file)
        try withRunFailures { try run(session) }
    }

    private func run(_ session: Session) throws {
        let (service, command) = try serviceAndCommand(words)
        let stack = try session.loadStack(services: [service]).stack
        guard stack.services[service] != nil else { throw noSuchService(service, known: Array(stack.services.keys)) }
        try StackBuild(stack: stack, session: session)
            .ensure([service], dependencies: !noDependencies, build ? .always : .missing)
        let client = try session.engine()
        let tty = !noTerminal && !detach && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
        let request = request(stack, service, command, tty: tty, environment: session.environment)
        let container = try client.run(request)
        if detach {
            try client.start(container.id)
            return try session.output.write(container.name + "\n")
        }
        try attach(container, tty: tty, client, session)
    }

    private func attach(_ container: RunReply, tty: Bool, _ client: EngineClient, _ session: Session) throws {
        let signals = try SignalSource(endingSignals + [SIGWINCH])
        // Attached before it starts, so that no output is missed. The wait is sent before it too, so that the engine
        // knows of it long before `--rm` takes the container away.
        let output = try client.attach(container.id, stdin: interactive, raw: tty)
        let first = try output.receiveHead()
        let wait = try client.openWait(container.id)
        try client.start(container.id)
        let process = AttachedProcess(
            output: output, tty: tty, input: interactive ? STDIN_FILENO : nil, standardOutput: session.output,
            standardError: session.errors, resize: { try client.resizeContainer(container.id, $0) },
            signal: { signal in
                try client.kill(container.id, signal: signalName(signal))
                return true
            })
        _ = try runAttached(process, first, signals)
        throw CommandFailure([], exitCode: Int32(truncatingIfNeeded: try client.exitCode(of: wait)))
    }

    func request(
        _ stack: Stack, _ service: String, _ command: [String], tty: Bool, environment own: [String: String]
    ) -> RunRequest {
        var request = RunRequest(stack: stack, service: service)
        request.command = command.isEmpty ? nil : command
        request.entrypoint = entrypoint.map { [$0] }
        for variable in environment {
            let parts = variable.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            // A name alone takes the value it has here, and is unset when it has none.
            request.environment.updateValue(parts.count > 1 ? parts[1] : own[parts[0]], forKey: parts[0])
        }
        request.user = user
        request.workingDirectory = workingDirectory
        request.name = name
        request.tty = tty
        request.stdinOpen = interactive && !detach
        request.servicePorts = servicePorts
        request.noDependencies = noDependencies
        request.remove = remove
        for label in labels {
            let parts = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            request.labels[parts[0]] = parts.count > 1 ? parts[1] : ""
        }
        return request
    }
}
