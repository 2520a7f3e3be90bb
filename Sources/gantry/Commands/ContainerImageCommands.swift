import ArgumentParser
import CLinux
import EngineClient
import EngineWire
import Glibc
import Images
import LinuxSystem
import StackModel

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a container's files, without its volumes, as a tar.",
        usage: "gantry export [<global options>] [<options>] <container or service>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(name: [.short, .long], help: "File to write instead of standard output.")
    var output: String?

    @Option(help: "Number of the service's container.")
    var index: Int?

    @Argument(help: "Container or service.")
    var container: String

    func run() throws {
        let session = Session(global, file)
        guard output != nil || isatty(STDOUT_FILENO) == 0 else {
            throw CommandFailure.usage(
                "an archive is nothing for a terminal", hint: "use `--output FILE`, or `> FILE`")
        }
        let id = try NamedContainers.find(container, index: index, session).first
        let archive = try session.engine().export(id)
        guard let output else { return try writeArchive(archive, to: STDOUT_FILENO) }
        try write(archive, to: output)
    }

    /// A file has the name only once it is whole; devices and pipes are written to as they are.
    private func write(_ archive: ArchiveStream, to path: String) throws {
        var status = stat()
        if stat(path, &status) == 0, gantry_is_regular(status.st_mode) == 0 {
            let file = SharedDescriptor(try FileDescriptor.open(path, O_WRONLY))
            return try writeArchive(archive, to: file.raw)
        }
        let temporary = "\(path).tmp.\(getpid())"
        do {
            let file = SharedDescriptor(try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600))
            try writeArchive(archive, to: file.raw)
            try check("rename", path: path) { rename(temporary, path) }
        } catch {
            unlink(temporary)  // Best effort: the error that matters is the one on its way out.
            throw error
        }
    }
}

struct CommitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "commit", abstract: "Make an image of a container's changes.",
        usage: "gantry commit [<global options>] [<options>] <container or service> [<name>[:<tag>]]")

    @OptionGroup(visibility: .hidden) var global: LongGlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(name: [.short, .long], help: "Who made it, for example \"Ann <ann@example.org>\".")
    var author: String?

    @Option(name: [.short, .long], help: "What it is.")
    var message: String?

    @Option(name: [.short, .long], help: "Dockerfile instruction to apply to the image; may be repeated.")
    var change: [String] = []

    @Option(help: "Number of the service's container.")
    var index: Int?

    @Flag(
        name: [.short, .long], inversion: .prefixedNo,
        help: "Let the container stand still meanwhile.")
    var pause = true

    @Argument(help: "Container or service.")
    var container: String

    @Argument(help: "What the image is called; without it has only an id.")
    var image: String?

    func run() throws {
        let session = Session(global.options, file)
        var request = CommitRequest()
        if let image {
            let reference = try ImageReference(parsing: image)
            guard reference.digest == nil else {
                throw CommandFailure.usage("'\(image)' has a digest, which only the image itself can give it")
            }
            (request.repository, request.tag) = (reference.familiarName, reference.tag)
        }
        (request.author, request.comment, request.changes) = (author, message, change)
        request.pause = pause
        let id = try NamedContainers.find(container, index: index, session).first
        try session.output.write(try session.engine().commit(id, request) + "\n")
    }
}
