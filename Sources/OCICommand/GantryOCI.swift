import ArgumentParser
import ContainerRuntime
import Glibc
import LinuxSystem

/// Gantry's runtime as an OCI runtime command: the command line of runc, for engines that call one.
struct GantryOCI: ParsableCommand {
    static let version = "0.1.0"
    /// The newest specification this runtime was written for.
    static let specification = "1.3.0"

    static let configuration = CommandConfiguration(
        commandName: "gantry-oci",
        abstract: "Run one OCI container: an OCI runtime for Docker, containerd and Podman.",
        usage: "gantry-oci [<global options>] <command> [<options>] [<container>]",
        discussion: """
            Global options, before the command:
              --root <dir>              State of containers (default: /run/gantry-oci,
                                        or $XDG_RUNTIME_DIR/gantry-oci for a plain user)
              --log <file>              Also write messages there
              --log-format <format>     text, json
              --debug                   Say more
              --cgroup-manager <name>   cgroupfs, disabled
              --rootless <when>         auto, true, false
            """,
        subcommands: [
            CreateCommand.self, StartCommand.self, RunCommand.self, StateCommand.self, KillCommand.self,
            DeleteCommand.self, ExecCommand.self, ListCommand.self, PsCommand.self, PauseCommand.self,
            ResumeCommand.self, UpdateCommand.self, EventsCommand.self, FeaturesCommand.self, SpecCommand.self,
        ])
}

/// A command that knows the options before its name.
protocol OCICommand: ParsableCommand {
    func run(_ context: Context) throws
}

/// What went wrong, for the one who called.
struct OCIError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// Ends the program with a code of the container's.
struct ContainerExit: Error { var code: Int32 }

/// The program `gantry-oci`.
public enum Program {
    /// Carries out the command line, then exits with its code.
    public static func main() -> Never {
        // A caller that does not read our output, or a hook that does not read its input, is no reason to die.
        signal(SIGPIPE, SIG_IGN)
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    private static func run(_ arguments: [String]) -> Int32 {
        let globals: GlobalOptions
        let rest: [String]
        do {
            (globals, rest) = try GlobalOptions.take(from: arguments)
        } catch {
            return report("\(error)", Log(nil, .text))
        }
        if globals.version {
            print("gantry-oci version \(GantryOCI.version)\nspec: \(GantryOCI.specification)")
            return 0
        }
        let log = Log(globals.log, globals.logFormat)
        do {
            let command = try parse(rest)
            guard let command = command as? any OCICommand else {
                // Help and what is no command.
                var command = command
                try command.run()
                return 0
            }
            try command.run(try Context(globals, log))
            return 0
        } catch let exit as ContainerExit {
            return exit.code
        } catch let error as OCIError {
            return report(error.description, log)
        } catch let error as RuntimeError {
            return report(engineWords(error), log)
        } catch let error as SystemError {
            return report(error.description, log)
        } catch {
            return reportParsing(error, log)
        }
    }

    /// Engines look for a few words of the Go runtime's to tell that a program is missing or forbidden: moby
    /// `translateContainerdStartErr`, docker `run`, podman `define.ExitCode`.
    static func engineWords(_ error: RuntimeError) -> String {
        var text = error.description
        for words in ["No such file or directory", "Permission denied"] {
            guard let range = text.firstRange(of: words) else { continue }
            text.replaceSubrange(range, with: words.lowercased())
        }
        if case .executableNotFound = error, !text.contains("/") {
            return "\(text): executable file not found in $PATH"
        }
        return text
    }

    private static func parse(_ arguments: [String]) throws -> any ParsableCommand {
        guard let name = arguments.first,
            let type = GantryOCI.configuration.subcommands.first(where: { $0._commandName == name })
        else { return try GantryOCI.parseAsRoot(arguments) }
        return try type.parseAsRoot(Array(arguments.dropFirst()))
    }

    private static func reportParsing(_ error: any Error, _ log: Log) -> Int32 {
        guard GantryOCI.exitCode(for: error) != .success else {
            print(GantryOCI.fullMessage(for: error))
            return 0
        }
        return report(GantryOCI.message(for: error), log)
    }

    private static func report(_ message: String, _ log: Log) -> Int32 {
        log.write(.error, message)
        writeError("gantry-oci: \(message)\n")
        return 1
    }
}

func writeError(_ text: String) {
    let bytes = Array(text.utf8)
    // Where nobody can be told, nobody can be told that either.
    _ = write(STDERR_FILENO, bytes, bytes.count)
}
