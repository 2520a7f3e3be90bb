import ArgumentParser
import EngineClient
import EngineWire

struct VersionCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument { case text, json }

    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show the version of this program, and of the engine when it runs.",
        usage: "gantry version [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(help: "Form of the output.")
    var format = Format.text

    @Flag(help: "Only this program's.")
    var client = false

    @Flag(help: "Only this program's number.")
    var short = false

    func run() throws {
        let session = Session(global)
        if short { return try session.output.write(gantryVersion + "\n") }
        let server = client ? nil : try session.runningEngine()?.version()
        let text = renderVersion(server, onlyClient: client, format)
        try session.output.write(text)
    }
}

/// Output of `gantry version`; `server` is `nil` when no engine runs.
func renderVersion(_ server: VersionReply?, onlyClient: Bool, _ format: VersionCommand.Format) -> String {
    switch format {
    case .json:
        let reply = server.map { server in
            JSONText.object([
                ("Version", .string(server.Version)), ("ApiVersion", .string(server.ApiVersion)),
                ("MinAPIVersion", .string(server.MinAPIVersion)), ("Os", .string(server.Os)),
                ("Arch", .string(server.Arch)), ("KernelVersion", .string(server.KernelVersion)),
                ("Rootless", .bool(server.Rootless ?? false)),
            ])
        }
        let client = JSONText.object([("Version", .string(gantryVersion))])
        return JSONText.object([("Client", client), ("Server", reply ?? .null)]).text + "\n"
    case .text:
        var text = "gantry \(gantryVersion)\n"
        if let server {
            let platform =
                "\(server.Os)/\(server.Arch), kernel \(server.KernelVersion)"
                + (server.Rootless == true ? ", rootless" : "")
            text += harmless("engine \(server.Version) (API \(server.ApiVersion), \(platform))") + "\n"
        } else if !onlyClient {
            text += "engine not running\n"
        }
        return text
    }
}
