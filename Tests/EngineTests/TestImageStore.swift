import Glibc
import Images
import LinuxSystem

/// A store in memory that makes images of nothing.
final class TestImageStore {
    private let folder: String
    private let store: ImageStore

    init() throws {
        var template = Array("/dev/shm/gantry-engine-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        store = try ImageStore(root: "\(folder)/images")
    }

    // A folder that is left shows in /dev/shm; a test's end has nobody to tell.
    deinit { try? FileSystem.removeTree(folder) }

    func image(_ names: [String]) throws -> Image {
        let path = "\(folder)/empty.tar"
        try FileSystem.replaceFile(path, with: [UInt8](repeating: 0, count: 1024))
        let file = try FileDescriptor.open(path, O_RDONLY)
        return try store.importTree(from: file.raw, references: try names.map { try ImageReference(parsing: $0) })
    }
}
