import Glibc
import LinuxSystem

/// A folder of the test's own, gone at its end.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/gantry-registry-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", code: errno) }
        path = String(cString: made)
    }

    deinit {
        do {
            try FileSystem.removeTree(path)
        } catch {
            print("left behind: \(path): \(error)")
        }
    }

    /// Writes a file and the folders above it; the whole path.
    @discardableResult
    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        let file = "\(path)/\(name)"
        try FileSystem.makeDirectories(FileSystem.parent(of: file))
        try FileSystem.replaceFile(file, with: text.utf8, mode: mode)
        return file
    }
}
