import ArgumentParser
import CLinux
import EngineClient
import Glibc
import Images
import LinuxSystem
import StackModel
import Synchronization

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Load images from an archive: of `docker save`, or an OCI layout.",
        usage: "gantry load [<global options>] [<options>]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "File, or folder of an OCI layout, to read instead of standard input.")
    var input: String?

    @Flag(name: [.short, .long], help: "Say only what went wrong.")
    var quiet = false

    func run() throws {
        let session = Session(global)
        let archive = try ArchiveInput(input)
        var failures: [Diagnostic] = []
        var lines: [String] = []
        try session.engine().loadImages(from: archive.descriptor, length: archive.length) { message in
            switch message {
            case .text(let text): lines.append(text)
            case .failed(let text): failures.append(Diagnostic(code: "image.load", text))
            }
        }
        if let failure = archive.failure { throw failure }
        if !quiet { try session.output.write(harmless(lines.joined(), .paragraphs)) }
        guard failures.isEmpty else { throw CommandFailure(failures) }
    }
}

/// What is sent to the engine: a file, standard input, or a folder as a tar.
struct ArchiveInput: ~Copyable {
    let descriptor: FileDescriptor
    /// Bytes, of a file that is read from its beginning.
    let length: UInt64?
    private let outcome: Outcome?

    /// Why the folder could not be read; known once the engine has answered.
    var failure: ImageError? { outcome?.failure.withLock { $0 } }

    private final class Outcome: Sendable { let failure = Mutex<ImageError?>(nil) }

    /// - Parameters:
    ///   - path: `nil` and `-` are standard input.
    ///   - takesFolder: whether a folder is an OCI layout, or an error.
    init(_ path: String?, takesFolder: Bool = true) throws {
        guard let path, path != "-" else {
            if isatty(STDIN_FILENO) == 1 {
                throw CommandFailure.usage("there is no archive to read", hint: "use `--input FILE`, or `< FILE`")
            }
            descriptor = FileDescriptor(owning: try check("fcntl") { gantry_fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) })
            (length, outcome) = (nil, nil)
            return
        }
        let file = try FileDescriptor.open(path, O_RDONLY)
        var status = stat()
        let raw = file.raw
        try check("fstat", path: path) { fstat(raw, &status) }
        guard gantry_is_directory(status.st_mode) == 1 else {
            descriptor = file
            length = gantry_is_regular(status.st_mode) == 1 ? UInt64(max(0, status.st_size)) : nil
            outcome = nil
            return
        }
        guard takesFolder else {
            throw CommandFailure.usage(
                "\(path) is a folder", hint: "use `tar -C '\(path)' -c . | gantry import - NAME`")
        }
        let outcome = Outcome()
        descriptor = try Self.layoutStream(path, outcome)
        (length, self.outcome) = (nil, outcome)
    }

    /// A thread of its own writes the folder's files into a pipe.
    private static func layoutStream(_ folder: String, _ outcome: Outcome) throws -> FileDescriptor {
        var ends: [Int32] = [-1, -1]
        try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
        let reader = FileDescriptor(owning: ends[0])
        let writer = SharedDescriptor(FileDescriptor(owning: ends[1]))
        signal(SIGPIPE, SIG_IGN)
        try NamedThread.start("gantry-layout") {
            do throws(ImageError) {
                try OCILayoutFolder.archive(folder, to: writer.raw)
            } catch {
                // Nobody reads on: the engine says why.
                if case .system(let cause) = error, cause.code == EPIPE { return }
                outcome.failure.withLock { $0 = error }
            }
        }
        return reader
    }
}
