import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem
import Testing

@testable import ImageBuild

/// A folder of the test's own, gone at its end.
final class Tree {
    let path: String
    let root: SharedDescriptor

    init() throws {
        var template = Array("/tmp/gantry-build-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", code: errno) }
        path = String(cString: made)
        root = SharedDescriptor(try FileDescriptor.open(path, O_PATH | O_DIRECTORY))
    }

    deinit {
        do {
            try FileSystem.removeTree(path)
        } catch {
            print("left behind: \(path): \(error)")
        }
    }

    func at(_ name: String) -> String { "\(path)/\(name)" }

    @discardableResult
    func file(_ name: String, _ text: String = "", mode: mode_t = 0o644) throws -> Self {
        try file(name, Array(text.utf8), mode: mode)
    }

    @discardableResult
    func file(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o644) throws -> Self {
        try FileSystem.makeDirectories(FileSystem.parent(of: at(name)), mode: 0o755)
        let file = try FileDescriptor.open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
        try file.writeAll(bytes)
        let raw = file.raw
        try check("fchmod") { fchmod(raw, mode) }
        return self
    }

    @discardableResult
    func folder(_ name: String, mode: mode_t = 0o755) throws -> Self {
        try FileSystem.makeDirectories(at(name), mode: 0o755)
        try check("chmod") { chmod(at(name), mode) }
        return self
    }

    @discardableResult
    func link(_ name: String, to target: String) throws -> Self {
        try FileSystem.makeDirectories(FileSystem.parent(of: at(name)), mode: 0o755)
        try check("symlink", path: name) { symlink(target, at(name)) }
        return self
    }

    func own(_ name: String, _ uid: UInt32, _ gid: UInt32) throws { try check("lchown") { lchown(at(name), uid, gid) } }

    func setModified(_ name: String, _ seconds: Int) throws {
        let times = [timespec](repeating: timespec(tv_sec: seconds, tv_nsec: 0), count: 2)
        try check("utimensat") { utimensat(AT_FDCWD, at(name), times, AT_SYMLINK_NOFOLLOW) }
    }

    func status(_ name: String) throws -> stat {
        var status = stat()
        try check("lstat", path: name) { lstat(at(name), &status) }
        return status
    }

    func text(_ name: String) throws -> String {
        String(decoding: try FileSystem.readFile(at(name)), as: UTF8.self)
    }

    func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat(at(name), &status) == 0
    }

    /// Permissions in octal, owner and group.
    func attributes(_ name: String) throws -> String {
        let status = try status(name)
        return String(status.st_mode & 0o7777, radix: 8) + " \(status.st_uid):\(status.st_gid)"
    }

    /// Every path below, sorted: folders end in `/`, links in their target, other files in what is in them.
    func listing(_ folder: String = "") throws -> [String] {
        var found: [String] = []
        for name in try FileSystem.list(at(folder)) {
            let name = folder.isEmpty ? name : "\(folder)/\(name)"
            switch try status(name).st_mode & S_IFMT {
            case S_IFDIR: found += ["\(name)/"] + (try listing(name))
            case S_IFLNK:
                var target = [CChar](repeating: 0, count: 4096)
                let count = try check("readlink") { readlink(at(name), &target, 4095) }
                found.append(
                    "\(name) -> \(String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))")
            case S_IFREG: found.append("\(name)=\(try text(name))")
            default: found.append("\(name)?")
            }
        }
        return found
    }

    func source(ignoring patterns: String? = nil, keepsOwners: Bool = false) throws -> CopySource {
        let ignore = try patterns.map { try IgnorePatterns(parsing: Array($0.utf8)) }
        return CopySource(root: root, ignore: ignore, name: "the build context", keepsOwners: keepsOwners)
    }
}

/// `COPY FILES DESTINATION` from one tree to another.
func copy(
    _ files: String..., to destination: String, from source: CopySource, into image: Tree,
    _ change: (inout CopyJob) -> Void = { _ in }
) throws {
    var job = CopyJob(files: files, destination: destination)
    change(&job)
    try CopySelection(job, from: source).copy(into: image.root)
}

func digest(
    _ files: String..., from source: CopySource, index: DigestIndex? = nil, _ change: (inout CopyJob) -> Void = { _ in }
) throws -> Digest {
    var job = CopyJob(files: files, destination: "/x/")
    change(&job)
    return try CopySelection(job, from: source).digest(index)
}

/// The text of the build error that `body` ends with.
func failure(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        return "\(error)"
    }
}

func hex(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8.filter { $0 > 0x20 })
    return stride(from: 0, to: digits.count, by: 2).compactMap { start in
        UInt8(String(decoding: digits[start..<start + 2], as: UTF8.self), radix: 16)
    }
}
