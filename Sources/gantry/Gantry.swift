import ArgumentParser
import Glibc
import LinuxSystem
import StackModel

/// The command line.
@main
struct Gantry: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gantry",
        abstract: "Run stacks of containers from a Compose file, and keep them running.",
        usage: "gantry [<global options>] <command> [<options>]",
        discussion: """
            Global options, before or after the command:
              -f, --file <file>           Stack file; repeat to override
              -p, --project-name <name>   Project name
              --project-directory <dir>   Folder that relative paths start from
              --profile <profile>         Profile to enable; repeatable
              --env-file <file>           Variables for the stack file; repeatable
              -H, --host <host>           The engine: unix:///path, ssh://user@machine,
                                          tcp://machine:port
              --tlsverify                 Talk to tcp:// hosts by TLS (DOCKER_TLS_VERIFY);
                                          --tlscacert, --tlscert, --tlskey <file>
              --progress <mode>           auto, tty, plain, quiet, json
              --ansi <when>               auto, always, never (also NO_COLOR)
              --strict                    Unsupported parts of the file are errors
              --all-resources             Keep what no service uses

            The host is taken from --host, GANTRY_HOST or DOCKER_HOST, and is
            unix:///run/gantry.sock otherwise, or for a user who is not root
            unix://$XDG_RUNTIME_DIR/gantry/gantry.sock. The engine is started when a
            command needs it and none answers; GANTRY_NO_AUTOSTART=1 prevents that.
            """,
        version: "gantry \(gantryVersion)",
        groupedSubcommands: [
            CommandGroup(
                name: "Stack",
                subcommands: [
                    UpCommand.self, DownCommand.self, WatchCommand.self, WaitCommand.self, ConfigCommand.self,
                    GraphCommand.self, DashboardCommand.self, ScaleCommand.self, ListCommand.self, SchemaCommand.self,
                ]),
            CommandGroup(
                name: "Updates",
                subcommands: [
                    PlanCommand.self, ShowCommand.self, ApplyCommand.self, ReconcileCommand.self, DriftCommand.self,
                    HistoryCommand.self, RollbackCommand.self, RolloutCommand.self, PromoteCommand.self,
                    AbortCommand.self,
                ]),
            CommandGroup(
                name: "Containers",
                subcommands: [
                    PsCommand.self, LogsCommand.self, ExecCommand.self, RunCommand.self, StartCommand.self,
                    StopCommand.self, RestartCommand.self, KillCommand.self, PortCommand.self, CopyCommand.self,
                    DiffCommand.self, ExportCommand.self, CommitCommand.self,
                ]),
            CommandGroup(name: "Jobs", subcommands: [JobCommand.self]),
            CommandGroup(name: "Networks", subcommands: [NetworkCommand.self]),
            CommandGroup(name: "Volumes", subcommands: [VolumeCommand.self]),
            CommandGroup(
                name: "Images",
                subcommands: [
                    BuildCommand.self, PullCommand.self, PushCommand.self, LoadCommand.self, SaveCommand.self,
                    ImportCommand.self,
                    ImagesCommand.self, RmiCommand.self, TagCommand.self, ImageCommand.self,
                    LoginCommand.self, LogoutCommand.self,
                ]),
            CommandGroup(
                name: "Engine",
                subcommands: engineCommands + [
                    SystemCommand.self, BuilderCommand.self, DoctorCommand.self, VersionCommand.self, DialCommand.self,
                ]),
        ])

    static func main() { Glibc.exit(runCommandLine(Array(CommandLine.arguments.dropFirst()))) }
}

/// Parses and runs; the result is the exit code.
func runCommandLine(_ arguments: [String]) -> Int32 {
    let arguments = moveGlobalOptions(arguments).map { dockerFlags[$0] ?? $0 }
    var command: any ParsableCommand
    do {
        command = try parse(arguments)
    } catch {
        return reportParsing(error, arguments)
    }
    ProgramFacts.command = "gantry " + type(of: command)._commandName
    do {
        try command.run()
        return 0
    } catch {
        if let failure = failure(for: error) { return report(failure.told(apartFrom: arguments)) }
        // What the parser itself says, from within a command: help, or that the arguments do not fit together.
        return reportParsing(error, arguments)
    }
}

/// Flags with a value, as Docker's parser takes them, where somebody is likely to write one.
private let dockerFlags = [
    "--pause=true": "--pause", "-p=true": "--pause", "--pause=false": "--no-pause", "-p=false": "--no-pause",
    "--prune=true": "--prune", "--prune=false": "--no-prune",
]

/// Goes straight to the subcommand, which saves every run the root's own round of parsing; the root is left with help,
/// its version and what is no command.
func parse(_ arguments: [String]) throws -> any ParsableCommand {
    let types = Gantry.configuration.groupedSubcommands.lazy.flatMap(\.subcommands)
    guard let name = arguments.first, let type = types.first(where: { $0._commandName == name }) else {
        return try Gantry.parseAsRoot(arguments)
    }
    return try type.parseAsRoot(Array(arguments.dropFirst()))
}

private func reportParsing(_ error: any Error, _ arguments: [String]) -> Int32 {
    if Gantry.exitCode(for: error) == .success {
        let text = Gantry.fullMessage(for: error)
        return write(text.hasSuffix("\n") ? text : text + "\n", to: STDOUT_FILENO) ? 0 : 1
    }
    let message = Gantry.message(for: error)
    guard Gantry.exitCode(for: error) == .validationFailure else {
        return report(CommandFailure(code: "internal", message))
    }
    return report(usageFailure(message, arguments).told(apartFrom: arguments))
}

extension CommandFailure {
    /// With `--detailed-exitcode` 2 says that there are changes, so a wrong command line must be something else.
    func told(apartFrom arguments: [String]) -> CommandFailure {
        guard exitCode == 2, !diagnostics.isEmpty, arguments.contains("--detailed-exitcode") else { return self }
        return CommandFailure(diagnostics, exitCode: StackExitCode.invalid.rawValue)
    }
}

/// A wrong command line: what is wrong, and where help is.
func usageFailure(_ message: String, _ arguments: [String]) -> CommandFailure {
    let commands = (Gantry.configuration.subcommands + Gantry.configuration.groupedSubcommands.flatMap(\.subcommands))
        .flatMap { [$0._commandName] + $0.configuration.aliases }
    guard let first = arguments.first, !first.hasPrefix("-"), first != "help" else {
        return .usage(lowercasedStart(message), hint: "`gantry --help` shows how it is used")
    }
    if commands.contains(first) {
        if let form = optionForms.first(where: { message.contains("is invalid for '\($0.option) ") }) {
            return .usage(lowercasedStart(message), hint: form.hint)
        }
        return .usage(lowercasedStart(message), hint: "`gantry \(first) --help` shows how it is used")
    }
    let near = nearestName(to: first, among: commands).map { "did you mean `gantry \($0)`? " } ?? ""
    return .usage("there is no command '\(first)'", hint: near + "`gantry --help` lists the commands")
}

/// How values are written that the parser only calls invalid.
private let optionForms: [(option: String, hint: String)] =
    ["--timeout", "--wait-timeout", "--lock-timeout"].map { ($0, "a time is written 90, 90s or 1m30s") } + [
        (
            "--report",
            "a report is written KIND=FILE; the kinds are "
                + ReportTarget.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        ), ("--scale", "a scale is written SERVICE=NUMBER"),
    ]

/// Diagnostics begin in lower case; names such as `GANTRY_HOST` stay.
func lowercasedStart(_ text: String) -> String {
    guard let first = text.first, let second = text.dropFirst().first, !second.isUppercase else { return text }
    return first.lowercased() + text.dropFirst()
}

private func report(_ failure: CommandFailure) -> Int32 {
    let environment = processEnvironment()
    let console = Console(descriptor: STDERR_FILENO, ansi: .auto, environment: environment)
    for diagnostic in distinct(failure.diagnostics) {
        guard write(diagnosticText(diagnostic, color: console.color), to: STDERR_FILENO) else { break }
    }
    let ci = CIEnvironment(environment)
    if ci.system == .github {
        // Whether anybody hears of it makes no difference to the exit code.
        let places = FilePlaces(ci, workingDirectory: currentDirectory())
        _ = write(annotations(failure.diagnostics, places), to: STDERR_FILENO)
    }
    return failure.exitCode
}

/// Each once: all replicas of a service fail with the same words.
func distinct(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
    var counts: [(diagnostic: Diagnostic, count: Int)] = []
    for diagnostic in diagnostics {
        if let index = counts.firstIndex(where: { $0.diagnostic == diagnostic }) {
            counts[index].count += 1
        } else {
            counts.append((diagnostic, 1))
        }
    }
    return counts.enumerated().map { index, each in
        var diagnostic = each.diagnostic
        if each.count > 1 { diagnostic.message += " (\(each.count) times)" }
        // The same advice stands once, after all that it is for.
        if index + 1 < counts.count, counts[index + 1].diagnostic.hint == diagnostic.hint { diagnostic.hint = nil }
        return diagnostic
    }
}

/// `false`: nobody can be told, and that nobody can be told neither.
private func write(_ text: String, to descriptor: Int32) -> Bool {
    do {
        try Console(descriptor: descriptor, ansi: .never, environment: [:]).write(text)
        return true
    } catch {
        return false
    }
}
