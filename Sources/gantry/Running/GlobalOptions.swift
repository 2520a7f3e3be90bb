import ArgumentParser
import EngineClient

enum ProgressMode: String, CaseIterable, ExpressibleByArgument {
    case auto, tty, plain, quiet, json

    /// Also buildx's name for lines of JSON.
    init?(argument: String) { self.init(rawValue: argument == "rawjson" ? "json" : argument) }
}
enum AnsiMode: String, CaseIterable, ExpressibleByArgument { case auto, always, never }
enum OutputFormat: String, CaseIterable, ExpressibleByArgument { case table, json }

/// How `tcp://` hosts are talked to, as Docker's command line has it. In no command's help: docs/remote.md has them.
struct TLSOptions: ParsableArguments {
    @Flag(help: .hidden)
    var tls = false

    @Flag(help: .hidden)
    var tlsverify = false

    @Option(help: .hidden)
    var tlscacert: String?

    @Option(help: .hidden)
    var tlscert: String?

    @Option(help: .hidden)
    var tlskey: String?

    var client: ClientTLS {
        ClientTLS(isOn: tls, verifies: tlsverify, authority: tlscacert, certificate: tlscert, key: tlskey)
    }
}

/// Options that every command takes, before or after its name.
struct GlobalOptions: ParsableArguments {
    @Option(name: [.customShort("p"), .customLong("project-name")], help: "Project name.")
    var projectName: String?

    @Option(help: "Folder that relative paths start from (default: the first stack file's).")
    var projectDirectory: String?

    @Option(name: .customLong("profile"), help: "Profile to enable; may be repeated.")
    var profiles: [String] = []

    @Option(name: .customLong("env-file"), help: "File with variables for the stack file; may be repeated.")
    var envFiles: [String] = []

    @Option(
        name: [.customShort("H"), .customLong("host")],
        help: "The engine: unix:///path of its socket, ssh://user@machine, or tcp://machine:port with --tlsverify.")
    var host: String?

    @OptionGroup(visibility: .hidden) var tls: TLSOptions

    @Option(help: "How progress is shown: auto, tty, plain, quiet, json.")
    var progress: ProgressMode?

    @Option(help: "When to use colours and cursor movement: auto, always, never.")
    var ansi: AnsiMode?

    @Flag(help: "Treat what the stack file says and Gantry does not do as an error.")
    var strict = false

    @Flag(help: "Keep networks, volumes, configs and secrets that no service uses.")
    var allResources = false
}

/// For commands whose `-p` means something else.
struct LongGlobalOptions: ParsableArguments {
    @Option(help: "Project name.")
    var projectName: String?

    @Option(help: "Folder that relative paths start from (default: the first stack file's).")
    var projectDirectory: String?

    @Option(name: .customLong("profile"), help: "Profile to enable; may be repeated.")
    var profiles: [String] = []

    @Option(name: .customLong("env-file"), help: "File with variables for the stack file; may be repeated.")
    var envFiles: [String] = []

    @Option(
        name: [.customShort("H"), .customLong("host")],
        help: "The engine: unix:///path of its socket, ssh://user@machine, or tcp://machine:port with --tlsverify.")
    var host: String?

    @OptionGroup(visibility: .hidden) var tls: TLSOptions

    @Option(help: "How progress is shown: auto, tty, plain, quiet, json.")
    var progress: ProgressMode?

    @Option(help: "When to use colours and cursor movement: auto, always, never.")
    var ansi: AnsiMode?

    @Flag(help: "Treat what the stack file says and Gantry does not do as an error.")
    var strict = false

    @Flag(help: "Keep networks, volumes, configs and secrets that no service uses.")
    var allResources = false

    var options: GlobalOptions {
        var options = GlobalOptions()
        (options.projectName, options.projectDirectory) = (projectName, projectDirectory)
        (options.profiles, options.envFiles) = (profiles, envFiles)
        (options.host, options.progress, options.ansi) = (host, progress, ansi)
        options.tls = tls
        (options.strict, options.allResources) = (strict, allResources)
        return options
    }
}

/// The stack files.
protocol StackFileOptions {
    var files: [String] { get }
}

struct FileOptions: ParsableArguments, StackFileOptions {
    @Option(name: [.customShort("f"), .customLong("file")], help: "Stack file; may be repeated, later ones override.")
    var files: [String] = []
}

/// For commands whose `-f` means something else.
struct LongFileOptions: ParsableArguments, StackFileOptions {
    @Option(name: .customLong("file"), help: "Stack file; may be repeated, later ones override.")
    var files: [String] = []
}

/// One option that may stand before the name of the subcommand.
private struct GlobalOption {
    var short: Character?
    var long: String
    var takesValue = true
}

private let globalOptions = [
    GlobalOption(short: "f", long: "--file"), GlobalOption(short: "p", long: "--project-name"),
    GlobalOption(short: "H", long: "--host"), GlobalOption(long: "--project-directory"),
    GlobalOption(long: "--profile"), GlobalOption(long: "--env-file"), GlobalOption(long: "--progress"),
    GlobalOption(long: "--ansi"), GlobalOption(long: "--strict", takesValue: false),
    GlobalOption(long: "--all-resources", takesValue: false), GlobalOption(long: "--tls", takesValue: false),
    GlobalOption(long: "--tlsverify", takesValue: false), GlobalOption(long: "--tlscacert"),
    GlobalOption(long: "--tlscert"), GlobalOption(long: "--tlskey"),
]

/// Commands that have subcommands and are clients of the engine.
private let groupCommands: Set<String> = [
    NetworkCommand._commandName, ImageCommand._commandName, SystemCommand._commandName, BuilderCommand._commandName,
    JobCommand._commandName, RolloutCommand._commandName,
]

/// Moves the options before the subcommand behind it, in their long form, where the subcommand reads them; so
/// `gantry -f a.yaml logs -f` means what it means with Docker Compose. Nothing is left when there is no subcommand.
func moveGlobalOptions(_ arguments: [String]) -> [String] {
    var moved: [String] = []
    var index = 0
    while index < arguments.count {
        let argument = arguments[index]
        guard argument.hasPrefix("-"), argument != "-", argument != "--" else {
            // `help` has no options of its own.
            let rest = arguments[(index + 1)...]
            if argument == "help" { return [argument] + rest }
            guard groupCommands.contains(argument) else { return [argument] + moved + rest }
            // What has subcommands has them read the options, also those between the two names.
            return [argument] + movedBehindName(moved, Array(rest))
        }
        guard let option = takeGlobalOption(arguments, &index) else { return Array(arguments[index...]) }
        moved += option
        // A value is missing: the parser says so.
        if index > arguments.count { return moved }
    }
    return []
}

/// A subcommand's name, and behind it the options that were before it; without a name, everything as it is.
private func movedBehindName(_ options: [String], _ arguments: [String]) -> [String] {
    var (moved, index) = (options, 0)
    while index < arguments.count, arguments[index].hasPrefix("-") {
        guard let option = takeGlobalOption(arguments, &index) else { return options + arguments }
        moved += option
    }
    guard index < arguments.count else { return options + arguments }
    return [arguments[index]] + moved + arguments[(index + 1)...]
}

/// The option at `index` in its long form, with its value; `index` is then behind it. `nil`: it is none of these.
private func takeGlobalOption(_ arguments: [String], _ index: inout Int) -> [String]? {
    guard let (option, inlineValue) = globalOption(arguments[index]) else { return nil }
    index += 1
    if let inlineValue { return [option.long, inlineValue] }
    guard option.takesValue else { return [option.long] }
    index += 1
    return index <= arguments.count ? [option.long, arguments[index - 1]] : [option.long]
}

private func globalOption(_ argument: String) -> (GlobalOption, value: String?)? {
    for option in globalOptions {
        if argument == option.long { return (option, nil) }
        if option.takesValue, argument.hasPrefix(option.long + "=") {
            return (option, String(argument.dropFirst(option.long.count + 1)))
        }
        guard let short = option.short, argument.hasPrefix("-\(short)") else { continue }
        let rest = argument.dropFirst(2)
        if rest.isEmpty { return (option, nil) }
        return (option, String(rest.hasPrefix("=") ? rest.dropFirst() : rest))
    }
    return nil
}
