import CLinux
import EngineClient
import Glibc
import Images
import LinuxSystem

/// Held while a project's files are watched: two that copy and restart at once disturb each other. flock(2), which the
/// kernel ends with the process, however that ends.
final class WatchLock {
    private static let pidByteCountMax = 32
    private let path: String
    private let file: FileDescriptor

    /// - Parameters:
    ///   - host: where the project is; another engine may have one of the same name.
    ///   - folder: made when it is missing; nobody else may write to it.
    init(project: String, host: EngineHost, folder: String) throws {
        try FileSystem.makeDirectories(folder, mode: 0o700)
        guard StandardPaths.isOwnFolder(folder, geteuid()) == true else { throw EngineHostError.unsafeFolder(folder) }
        let name = Digest.sha256(of: Array("\(host.name)\0\(project)".utf8)).hex
        let path = "\(folder)/\(name).lock"
        let file = try Self.take(path, project)
        let raw = file.raw
        try check("ftruncate", path: path) { ftruncate(raw, 0) }
        try file.writeAll(Array("\(getpid())\n".utf8))
        self.path = path
        self.file = file
    }

    /// While it is still held: who has opened the file meanwhile sees that it has gone.
    deinit { unlink(path) }

    private static func take(_ path: String, _ project: String) throws -> FileDescriptor {
        while true {
            let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
            let raw = file.raw
            do throws(SystemError) {
                try check("flock", path: path) { flock(raw, LOCK_EX | LOCK_NB) }
            } catch {
                guard error.code == EWOULDBLOCK else { throw error }
                throw CommandFailure(
                    code: "watch.running",
                    "the files of project '\(project)' are watched already\(try holder(file))",
                    hint: "end that first; it may be a `gantry watch` or a `gantry up --watch`")
            }
            var status = stat()
            try check("fstat", path: path) { fstat(raw, &status) }
            if status.st_nlink > 0 { return file }
        }
    }

    /// Empty when it has not said so yet.
    private static func holder(_ file: borrowing FileDescriptor) throws(SystemError) -> String {
        let text = String(decoding: try file.read(upTo: pidByteCountMax), as: UTF8.self)
        return text.hasSuffix("\n") ? ", by process \(text.dropLast())" : ""
    }
}
