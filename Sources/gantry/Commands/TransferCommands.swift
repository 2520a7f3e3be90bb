import ArgumentParser
import EngineClient
import Images
import Registry
import StackModel

struct PullCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Get an image from its registry.",
        usage: "gantry pull [<global options>] [<options>] <image>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Say only the image's name.")
    var quiet = false

    @Option(help: "OS/ARCHITECTURE[/VARIANT] instead of this machine's.")
    var platform: String?

    @Argument(help: "NAME[:TAG] or NAME@DIGEST.")
    var image: String

    func run() throws {
        let session = Session(global)
        let reference = try ImageReference(parsing: image)
        if let platform { _ = try ImagePlatform(parsing: platform) }
        let printer = TransferPrinter(mode: quiet ? .quiet : session.progressMode, console: session.errors)
        try session.engine().pullImage(
            reference.canonical, platform: platform, registryAuth: registryAuth(reference, session.environment)
        ) { try printer.show($0) }
        guard printer.failures.isEmpty else { throw CommandFailure(printer.failures) }
        try session.output.write(reference.canonical + "\n")
    }
}

struct PushCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Send an image to its registry.",
        usage: "gantry push [<global options>] [<options>] <image>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Say only what went wrong.")
    var quiet = false

    @Argument(help: "NAME[:TAG]; the name says where to.")
    var image: String

    func run() throws {
        let session = Session(global)
        let reference = try ImageReference(parsing: image)
        let printer = TransferPrinter(mode: quiet ? .quiet : session.progressMode, console: session.errors)
        try session.engine().pushImage(
            reference.canonical, registryAuth: registryAuth(reference, session.environment)
        ) { try printer.show($0) }
        guard printer.failures.isEmpty else { throw CommandFailure(printer.failures) }
    }
}

/// The user's credentials for the engine, which runs as somebody else.
func registryAuth(_ reference: ImageReference, _ environment: [String: String]) throws -> String? {
    let files = CredentialFiles(environment: environment)
    let credential = try files.credential(host: reference.registry, repository: reference.repository)
    return credential?.registryAuthHeader(host: reference.registry)
}
