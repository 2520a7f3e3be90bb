import ArgumentParser
import CLinux
import EngineClient
import EngineWire
import Glibc
import Images
import LinuxSystem
import StackModel

struct CopyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cp", abstract: "Copy files and folders into containers, and out of them.",
        usage: """
            gantry cp [<options>] <container or service>:<path> <path>|-
            gantry cp [<options>] <path>|- <container or service>:<path>
            """,
        discussion: """
            `<folder>/.` is what is in a folder, `<folder>/` can only be a folder, and `-`
            is a tar on standard input or output. A path in a container counts from its
            root. Without --index files go into every container of a service, and come
            from the lowest.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(
        name: [.short, .long],
        help: "Owners: into a container its user, out of it (as root) those in it, with setuid bits.")
    var archive = false

    @Flag(name: [.customShort("L"), .long], help: "Copy what a link of that path leads to.")
    var followLink = false

    @Flag(name: [.short, .long], help: "Say only what went wrong.")
    var quiet = false

    @Option(help: "Number of the service's container.")
    var index: Int?

    @Flag(help: "Also containers that `run` made.")
    var all = false

    @Argument(help: "What to copy.")
    var source: String

    @Argument(help: "Where to.")
    var destination: String

    func run() throws {
        let session = Session(global, file)
        switch (CopyPlace(source), CopyPlace(destination)) {
        case (.container(let name, let path), .local(let local)):
            let container = try find(name, session).first
            try CopyOut(session: session, container: container, name: name, options: options).run(path, to: local)
        case (.local(let local), .container(let name, let path)):
            let containers = try find(name, session).references
            guard local != "-" || containers.count == 1 else {
                throw CommandFailure.usage(
                    "standard input can be read once, and '\(name)' has \(containers.count) containers",
                    hint: "choose one with --index")
            }
            for container in containers {
                try CopyIn(session: session, container: container, name: name, options: options).run(local, to: path)
            }
        case (.container, .container):
            throw CommandFailure.usage(
                "copying between containers is not supported",
                hint: "pipe it: `gantry cp A:PATH - | gantry cp - B:FOLDER`")
        case (.local, .local):
            throw CommandFailure.usage("one of the two paths must be in a container", hint: "write CONTAINER:PATH")
        }
    }

    private func find(_ name: String, _ session: Session) throws -> NamedContainers {
        try NamedContainers.find(name, index: index, includesOneOff: all, session)
    }

    private var options: CopyOptions { CopyOptions(archive: archive, followLink: followLink, quiet: quiet) }
}

/// What both directions take.
struct CopyOptions {
    var archive: Bool
    var followLink: Bool
    var quiet: Bool
}

/// A path here, counted from the root, with what it ends with.
func absoluteLocalPath(_ path: String, _ folder: String) -> String {
    CopyPath.keepingEnd(of: path, on: CopyPath.clean(path.hasPrefix("/") ? path : "\(folder)/\(path)"))
}

/// Into a container.
struct CopyIn {
    let session: Session
    let container: String
    let name: String
    let options: CopyOptions

    func run(_ local: String, to path: String) throws {
        let engine = try session.engine()
        let destination = try destination(path, engine)
        if local == "-" { return try sendStandardInput(engine, destination) }
        let absolute = absoluteLocalPath(local, session.workingDirectory)
        let follows = options.followLink || CopyPath.assertsFolder(absolute)
        let object = SharedDescriptor(try FileDescriptor.open(absolute, O_PATH | (follows ? 0 : O_NOFOLLOW)))
        var status = stat()
        try check("fstat", path: absolute) { fstat(object.raw, &status) }
        let plan = try CopyPlan(
            from: CopyEnd(path: absolute, isFolder: gantry_is_directory(status.st_mode) != 0), to: destination)
        var byteCount: Int64 = 0
        try engine.extract(container, path: plan.folder, keepsKinds: true, ownedByUser: options.archive) { send in
            try withoutActuallyEscaping(send) { send in
                let sending = ArchiveSending(send)
                let tree = TreeArchive(sink: { bytes throws(ImageError) in try sending.take(bytes) })
                do {
                    try tree.add(object, as: Array(plan.newName.utf8))
                    try tree.finish()
                } catch {
                    try sending.rethrow(error)
                }
                byteCount = sending.byteCount
            }
        }
        try report(byteCount, path)
    }

    /// The folder or file there, links followed.
    private func destination(_ path: String, _ engine: EngineClient) throws -> CopyEnd {
        var end = CopyEnd(path: path)
        var stat = try engine.pathStat(container, path: pathOrRoot(path))
        if let link = stat, link.isLink {
            end.path = link.linkTarget
            stat = try engine.pathStat(container, path: pathOrRoot(end.path))
        }
        // An answer without a body does not say which of the two is missing.
        if stat == nil, try engine.pathStat(container, path: "/") == nil {
            throw CommandFailure(code: "container.not-found", "no such container: \(name)")
        }
        end.exists = stat != nil
        end.isFolder = stat?.isFolder == true
        if let stat, !stat.isFolder, !stat.isFile {
            throw CommandFailure(
                code: "copy.conflict", "destination '\(name):\(path)' must be a directory or a regular file")
        }
        return end
    }

    private func sendStandardInput(_ engine: EngineClient, _ destination: CopyEnd) throws {
        guard isatty(STDIN_FILENO) == 0 else { throw CommandFailure.usage("there is no archive to read") }
        guard destination.isFolder else {
            throw CommandFailure(
                code: "copy.no-directory", "destination '\(name):\(destination.path)' must be a directory")
        }
        let pieceByteCount = 256 << 10
        let input = FileDescriptor(owning: try check("fcntl") { gantry_fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) })
        let shared = SharedDescriptor(input)
        try engine.extract(
            container, path: pathOrRoot(destination.path), keepsKinds: true, ownedByUser: options.archive
        ) { send in
            while true {
                let piece = try shared.duplicate().read(upTo: pieceByteCount)
                if piece.isEmpty { return }
                guard try piece.withUnsafeBytes({ try send($0) }) else { return }
            }
        }
    }

    private func report(_ byteCount: Int64, _ path: String) throws {
        guard !options.quiet else { return }
        let place = harmless("\(name):\(path)")
        try session.errors.write("Successfully copied \(humanSize(bytes: byteCount)) to \(place)\n")
    }
}

private func pathOrRoot(_ path: String) -> String { path.isEmpty ? "/" : path }

/// Out of a container, which may be hostile: `ExtractionOptions.distrusting`.
struct CopyOut {
    let session: Session
    let container: String
    let name: String
    let options: CopyOptions

    func run(_ path: String, to local: String) throws {
        let engine = try session.engine()
        var path = path
        var asked: String?
        if options.followLink, let stat = try engine.pathStat(container, path: pathOrRoot(path)), stat.isLink {
            (path, asked) = CopyPlan.following(path, to: stat.linkTarget)
        }
        if local == "-" {
            guard isatty(STDOUT_FILENO) == 0 else {
                throw CommandFailure.usage("an archive is nothing for a terminal", hint: "redirect it: `> FILE.tar`")
            }
            let (_, archive) = try engine.archive(container, path: pathOrRoot(path))
            return try writeArchive(archive, to: STDOUT_FILENO)
        }
        let absolute = absoluteLocalPath(local, session.workingDirectory)
        let destination = try localDestination(absolute)
        let (stat, archive) = try engine.archive(container, path: pathOrRoot(path))
        let plan = try CopyPlan(
            from: CopyEnd(path: CopyPath.absolute(path), isFolder: stat.isFolder, name: asked), to: destination)
        var extraction = ExtractionOptions.distrusting
        extraction.rename = plan.rename
        if options.archive {
            extraction.keepsPrivileges = true
            if geteuid() == 0 { extraction.owner = .archive }
        }
        let folder = SharedDescriptor(try FileDescriptor.open(plan.folder, O_PATH | O_DIRECTORY))
        let tree = TreeExtraction(root: folder, folder: "/", options: extraction)
        let byteCount = try extract(archive, tree)
        try report(byteCount, absolute, tree.skipped)
    }

    /// Where it leads, links followed (ten at most, as with Docker); what is not there must have a folder to be in.
    private func localDestination(_ path: String) throws -> CopyEnd {
        let linksMax = 10
        var end = CopyEnd(path: path)
        var status = stat()
        var linkCount = 0
        while lstat(end.path, &status) == 0, gantry_is_symlink(status.st_mode) != 0 {
            linkCount += 1
            guard linkCount <= linksMax else { throw SystemError("lstat", path: path, code: ELOOP) }
            var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let target = end.path
            let count = try check("readlink", path: target) {
                bytes.withUnsafeMutableBytes { buffer in
                    buffer.baseAddress.map { readlink(target, $0, buffer.count) } ?? -1
                }
            }
            let link = String(decoding: bytes[..<count], as: UTF8.self)
            end.path = link.hasPrefix("/") ? link : CopyPath.join(CopyPath.split(end.path).folder, link)
        }
        if lstat(end.path, &status) != 0 {
            let code = errno
            guard code == ENOENT else { throw SystemError("lstat", path: end.path, code: code) }
            let parent = CopyPath.split(end.path).folder
            guard stat(parent, &status) == 0, gantry_is_directory(status.st_mode) != 0 else {
                throw CommandFailure(code: "copy.no-directory", "directory '\(parent)' does not exist")
            }
            end.exists = false
            return end
        }
        end.isFolder = gantry_is_directory(status.st_mode) != 0
        guard end.isFolder || gantry_is_regular(status.st_mode) != 0 else {
            throw CommandFailure(code: "copy.conflict", "destination '\(path)' must be a directory or a regular file")
        }
        return end
    }

    private func extract(_ archive: ArchiveStream, _ tree: TreeExtraction) throws -> Int64 {
        var byteCount: Int64 = 0
        var failure: EngineClientError?
        do {
            try tree.extract { () throws(ImageError) in
                do throws(EngineClientError) {
                    let piece = try archive.next() ?? []
                    byteCount += Int64(piece.count)
                    return piece
                } catch {
                    failure = error
                    throw .archive(why: "it was cut off")
                }
            }
            // What follows the archive's end tells whether the engine could finish it.
            while try archive.next() != nil {}
        } catch {
            throw failure ?? error
        }
        return byteCount
    }

    private func report(_ byteCount: Int64, _ path: String, _ skipped: [String]) throws {
        if let first = skipped.first {
            let more = skipped.count > 1 ? " and \(skipped.count - 1) more" : ""
            try session.show([
                Diagnostic(.warning, code: "copy.device", "device nodes are left out: '\(first)'\(more)")
            ])
        }
        guard !options.quiet else { return }
        try session.errors.write("Successfully copied \(humanSize(bytes: byteCount)) to \(harmless(path))\n")
    }
}

/// Sends an archive to where the user wants it, as it comes.
func writeArchive(_ archive: ArchiveStream, to descriptor: Int32) throws {
    while let piece = try archive.next() {
        var done = 0
        while done < piece.count {
            done += try check("write", path: "the archive") {
                piece.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
            }
        }
    }
}
