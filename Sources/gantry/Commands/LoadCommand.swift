import ArgumentParser
import CLinux
import EngineClient
import Glibc
import LinuxSystem
import StackModel

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Load images from an archive: of `docker save`, or an OCI layout.",
        usage: "gantry load [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "File to read instead of standard input.")
    var input: String?

    @Flag(name: [.short, .long], help: "Say only what went wrong.")
    var quiet = false

    func run() throws {
        let session = Session(global)
        let archive = try openArchive()
        var status = stat()
        let raw = archive.raw
        try check("fstat", path: input) { fstat(raw, &status) }
        // Of a file that is read from its beginning the length is known.
        let length = input != nil && gantry_is_regular(status.st_mode) == 1 ? UInt64(max(0, status.st_size)) : nil
        var failures: [Diagnostic] = []
        var lines: [String] = []
        try session.engine().loadImages(from: archive, length: length) { message in
            switch message {
            case .text(let text): lines.append(text)
            case .failed(let text): failures.append(Diagnostic(code: "image.load", text))
            }
        }
        if !quiet { try session.output.write(harmless(lines.joined(), .paragraphs)) }
        guard failures.isEmpty else { throw CommandFailure(failures) }
    }

    private func openArchive() throws -> FileDescriptor {
        if let input { return try FileDescriptor.open(input, O_RDONLY) }
        if isatty(STDIN_FILENO) == 1 {
            throw CommandFailure.usage("there is no archive to read", hint: "use `--input FILE`, or `< FILE`")
        }
        return FileDescriptor(owning: try check("fcntl") { gantry_fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) })
    }
}
