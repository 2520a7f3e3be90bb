import ArgumentParser
import CLinux
import EngineClient
import Glibc
import Images
import LinuxSystem

struct SaveCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case docker = "docker-archive"
        case oci = "oci-archive"
        case folder = "oci-dir"
    }

    static let configuration = CommandConfiguration(
        commandName: "save", abstract: "Save images in one archive.",
        usage: "gantry save [<global options>] [<options>] <image> ...",
        discussion: """
            A name without a tag stands for all of its tags, an id for the image without
            its names.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "File to write, or folder for oci-dir, instead of standard output.")
    var output: String?

    @Option(help: "Form of the archive.")
    var format = Format.docker

    @Argument(help: "Names or ids.")
    var images: [String]

    func run() throws {
        let session = Session(global)
        if format == .folder, output == nil {
            throw CommandFailure.usage("a folder cannot go to standard output", hint: "use `--output FOLDER`")
        }
        if output == nil, session.output.isTerminal {
            throw CommandFailure.usage(
                "cowardly refusing to save to a terminal", hint: "use `--output FILE`, or `> FILE`")
        }
        let wire = format == .docker ? Format.docker : .oci
        let stream = try session.engine().saveImages(images, format: wire.rawValue)
        let first = try stream.receiveHead()
        do {
            switch (output, format) {
            case (let folder?, .folder): try saveFolder(folder, first, stream)
            case (let path?, _): try saveFile(path, first, stream)
            case (nil, _): try copy(first, stream, to: STDOUT_FILENO, path: nil)
            }
        } catch EngineClientError.cut {
            throw CommandFailure(
                code: "image.save", "the engine could not write the whole archive",
                hint: "`gantry image verify` tells whether the images are damaged, the engine's log what happened")
        }
    }

    private func saveFolder(_ folder: String, _ first: [UInt8], _ stream: EngineStream) throws {
        var pending: [UInt8]? = first
        var failure: (any Error)?
        do {
            try OCILayoutFolder.unpack(into: folder) {
                if let bytes = pending {
                    pending = nil
                    if !bytes.isEmpty { return bytes }
                }
                do {
                    return try stream.receive()
                } catch {
                    failure = error
                    throw error
                }
            }
        } catch {
            throw failure ?? error
        }
    }

    /// Under another name until it is whole. What is no plain file, as a pipe, is written as it is.
    private func saveFile(_ path: String, _ first: [UInt8], _ stream: EngineStream) throws {
        var status = stat()
        if stat(path, &status) == 0, gantry_is_regular(status.st_mode) != 1 {
            let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o600)
            return try copy(first, stream, to: file.raw, path: path)
        }
        let temporary = "\(FileSystem.parent(of: path))/.\(FileSystem.lastComponent(of: path)).\(getpid())"
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            throw CommandFailure(code: "image.save", "\(path) cannot be written: \(error)")
        }
        do {
            try copy(first, stream, to: file.raw, path: path)
            try check("rename", path: path) { rename(temporary, path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private func copy(_ first: [UInt8], _ stream: EngineStream, to descriptor: Int32, path: String?) throws {
        try write(first, to: descriptor, path)
        while let bytes = try stream.receive() { try write(bytes, to: descriptor, path) }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String?) throws(SystemError) {
        var offset = 0
        while offset < bytes.count {
            offset += try check("write", path: path) {
                bytes.withUnsafeBytes {
                    Glibc.write(descriptor, $0.baseAddress.map { $0 + offset }, $0.count - offset)
                }
            }
        }
    }
}
