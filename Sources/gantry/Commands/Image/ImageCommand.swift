import ArgumentParser

/// `gantry image …`: everything about images; the most used have short forms of their own.
struct ImageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "List, move, check and remove images.",
        usage: "gantry image <command> [<global options>] [<options>]",
        subcommands: [
            ImageLs.self, ImageBuildCommand.self, PullCommand.self, PushCommand.self, LoadCommand.self,
            SaveCommand.self, ImportCommand.self,
            TagCommand.self, ImageHistory.self, ImageInspectCommand.self, ImageVerify.self, ImageRm.self,
            ImagePrune.self,
        ])
}

/// What a command makes of several images in turn: all of them are tried, and what failed is told at the end.
func forEach(
    _ names: [String], _ body: (String) throws -> Void
) throws {
    var problems = CommandFailure([])
    for name in names {
        do {
            try body(name)
        } catch {
            guard let failure = failure(for: error) else { throw error }
            problems.diagnostics += failure.diagnostics
            problems.exitCode = max(problems.exitCode, failure.exitCode)
        }
    }
    if !problems.diagnostics.isEmpty { throw problems }
}

/// Asks before something is removed for good.
func confirmRemoval(_ warning: String, _ session: Session) throws {
    guard session.errors.isTerminal else {
        throw CommandFailure.usage("nobody is there to be asked", hint: "say -f to remove without being asked")
    }
    try session.errors.write("\(warning)\nAre you sure you want to continue? [y/N] ")
    let answer = readLine()?.lowercased() ?? ""
    if answer != "y", answer != "yes" { throw CommandFailure([], exitCode: 1) }
}

/// `KEY=VALUE` filters to lists by key; `label!=x` has the key `label!`.
func filterValues(_ arguments: [String], example: String) throws(CommandFailure) -> [String: [String]] {
    var result: [String: [String]] = [:]
    for argument in arguments {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
            throw .usage("'\(argument)' is no filter", hint: "write KEY=VALUE, for example \(example)")
        }
        result[String(argument[..<equals]), default: []].append(String(argument[argument.index(after: equals)...]))
    }
    return result
}
