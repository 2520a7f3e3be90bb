import ArgumentParser
import EngineClient
import EngineWire
import Glibc
import StackModel

struct ExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run a command in a running container.",
        usage: "gantry exec [<global options>] [<options>] <service> <command> ...")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: [.short, .long], help: "Do not wait for it.")
    var detach = false

    @Option(name: [.short, .customLong("env")], help: "Environment variable, NAME=VALUE; may be repeated.")
    var environment: [String] = []

    @Option(name: [.short, .long], help: "User, or USER:GROUP.")
    var user: String?

    @Option(name: [.short, .customLong("workdir")], help: "Working directory in the container.")
    var workingDirectory: String?

    @Flag(name: [.customShort("T"), .customLong("no-tty")], help: "No terminal, even when there is one here.")
    var noTerminal = false

    @Flag(name: [.customShort("t"), .customLong("tty")], help: .hidden)
    var terminal = false

    @Flag(name: [.short, .long], help: .hidden)
    var interactive = false

    @Option(help: "Number of the service's container (default: the lowest that runs).")
    var index: Int?

    @Flag(help: "With all privileges.")
    var privileged = false

    @Argument(parsing: .captureForPassthrough, help: "Service, command and its arguments.")
    var words: [String]

    func run() throws {
        try requestHelp(words, self)
        let session = Session(global, file)
        try withRunFailures { try run(session) }
    }

    private func run(_ session: Session) throws {
        let (service, command) = try serviceAndCommand(words)
        guard !command.isEmpty else { throw CommandFailure.usage("exec needs a command to run in '\(service)'") }
        let stack = try session.projectName()
        let client = try session.engine()
        let container = try chooseContainer(try client.containers(stack: stack), service: service, index: index)
        let tty = !noTerminal && !detach && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
        let exec = try client.createExec(container.id, request(command, tty: tty))
        if detach { return try client.startExecDetached(exec, tty: tty) }
        let signals = try SignalSource(endingSignals + [SIGWINCH])
        let output = try client.startExec(exec, tty: tty)
        let first = try output.receiveHead()
        let process = AttachedProcess(
            output: output, tty: tty, input: STDIN_FILENO, standardOutput: session.output,
            standardError: session.errors, resize: { try client.resizeExec(exec, $0) }, signal: { _ in false })
        let end = try runAttached(process, first, signals)
        if case .signalled(let signal) = end { throw CommandFailure([], exitCode: 128 + signal) }
        throw CommandFailure([], exitCode: Int32(truncatingIfNeeded: try client.inspectExec(exec).ExitCode ?? 0))
    }

    func request(_ command: [String], tty: Bool) -> ExecCreateRequest {
        var request = ExecCreateRequest(Cmd: command)
        request.Env = environment.isEmpty ? nil : environment
        request.User = user
        request.WorkingDir = workingDirectory
        request.Tty = tty
        request.AttachStdin = !detach
        request.AttachStdout = !detach
        request.AttachStderr = !detach
        request.Privileged = privileged
        return request
    }
}

/// The words take in every unknown option, also the parser's own for help.
func requestHelp(_ words: [String], _ command: some ParsableCommand) throws {
    if let first = words.first, first == "-h" || first == "--help" { throw CleanExit.helpRequest(command) }
}

/// The words after the options: a service, and what is to run. A `--` between options and words is dropped.
func serviceAndCommand(_ words: [String]) throws(CommandFailure) -> (service: String, command: [String]) {
    let words = words.first == "--" ? words.dropFirst() : words[...]
    guard let service = words.first else { throw .usage("a service is missing") }
    if service.hasPrefix("-") { throw .usage("unknown option '\(service)'") }
    return (service, Array(words.dropFirst()))
}

/// The running container of a service with this number, or with the lowest.
func chooseContainer(
    _ containers: [ContainerStatus], service: String, index: Int?
) throws(CommandFailure) -> ContainerStatus {
    let own = containers.filter { $0.service == service && !$0.oneOff }.sorted { $0.number < $1.number }
    guard !own.isEmpty else { throw noSuchService(service, known: containers.map(\.service)) }
    let running = own.filter { $0.state == .running && (index == nil || $0.number == index) }
    if let container = running.first { return container }
    let name = index.map { "container \($0) of service '\(service)'" } ?? "service '\(service)'"
    throw CommandFailure(
        code: "service.not-running", "\(name) is not running", hint: "`gantry ps -a` shows what it did")
}

/// Runs with the terminal in raw mode when the process has one; it is restored on every way out.
func runAttached(
    _ process: AttachedProcess, _ first: [StreamFrame], _ signals: SignalSource
) throws -> AttachedProcess.End {
    guard process.tty else {
        try process.show(first)
        return try process.run(signals)
    }
    return try withRawTerminal(STDIN_FILENO) {
        if let size = terminalSize(STDOUT_FILENO) { try process.resize(size) }
        try process.show(first)
        return try process.run(signals)
    }
}

/// Failures of Gantry's own have code 125 in `run` and `exec`, as with Docker; 126 and 127 say that the command cannot
/// be run or was not found.
func withRunFailures(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch {
        guard var ending = failure(for: error) else { throw error }
        // What has no words is the process's own code.
        let isGeneral = ending.exitCode == 1 || ending.exitCode == StackExitCode.invalid.rawValue
        if !ending.diagnostics.isEmpty, isGeneral {
            ending.exitCode = runFailureCode(ending.diagnostics)
        }
        throw ending
    }
}

/// The exit code for a process that could not be started.
func runFailureCode(_ diagnostics: [Diagnostic]) -> Int32 {
    let codes = Set(diagnostics.map(\.code))
    if codes.contains("container.command-not-found") { return 127 }
    return codes.contains("container.command-not-executable") ? 126 : 125
}
