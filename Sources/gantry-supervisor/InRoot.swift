import CLinux
import Glibc
import LinuxSystem

/// Paths of the container, resolved with the container's root as the root: links cannot lead out (`openat2(2)`,
/// RESOLVE_IN_ROOT), magic links are refused.
enum InRoot {
    private static let linksMax = 40
    private static let directoryMode: mode_t = 0o755
    private static let fileMode: mode_t = 0o644

    /// An O_PATH descriptor of `path`; with `strict` no link may be on the way.
    static func open(
        _ root: borrowing FileDescriptor, _ path: String, strict: Bool = false, flags: Int32 = O_PATH
    ) throws(SystemError) -> FileDescriptor {
        try root.openInRoot(path, flags, resolve: strict ? Int32(RESOLVE_NO_SYMLINKS) : 0)
    }

    /// As `open`, and makes what is missing: directories on the way, then a directory or an empty file.
    static func openOrMake(
        _ root: borrowing FileDescriptor, _ path: String, directory: Bool, strict: Bool = false, depth: Int = 0
    ) throws(SystemError) -> FileDescriptor {
        do {
            return try open(root, path, strict: strict)
        } catch {
            guard error.code == ENOENT, depth < linksMax else { throw error }
        }
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        let name = FileSystem.lastComponent(of: trimmed)
        guard name != "..", name != ".", !name.isEmpty else { throw SystemError("openat2", path: path, code: ENOENT) }
        let parentPath = FileSystem.parent(of: trimmed)
        let parent = try openOrMake(root, parentPath, directory: true, strict: strict, depth: depth + 1)
        let made = make(name, in: parent, directory: directory)
        if made != 0, errno == EEXIST, !strict, let link = readLink(name, in: parent) {
            // A link whose target is missing: make the target, still inside the root.
            let target = link.hasPrefix("/") ? link : "\(parentPath)/\(link)"
            return try openOrMake(root, target, directory: directory, depth: depth + 1)
        }
        guard made == 0 || errno == EEXIST else { throw SystemError("mkdirat", path: path, code: errno) }
        return try open(root, path, strict: strict)
    }

    private static func make(_ name: String, in parent: borrowing FileDescriptor, directory: Bool) -> Int32 {
        let raw = parent.raw
        let previous = Glibc.umask(0)
        defer { _ = Glibc.umask(previous) }
        return directory ? mkdirat(raw, name, directoryMode) : mknodat(raw, name, S_IFREG | fileMode, 0)
    }

    static func readLink(_ name: String, in parent: borrowing FileDescriptor) -> String? {
        let raw = parent.raw
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
            count = buffer.withMemoryRebound(to: CChar.self) {
                guard let start = $0.baseAddress else { return 0 }
                return max(readlinkat(raw, name, start, $0.count), 0)
            }
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    static func status(_ descriptor: borrowing FileDescriptor) throws(SystemError) -> stat {
        let raw = descriptor.raw
        var status = stat()
        try check("fstat") { fstat(raw, &status) }
        return status
    }

    /// The magic number of the file system it is on, `statfs(2)`.
    static func fileSystem(_ descriptor: borrowing FileDescriptor) throws(SystemError) -> Int {
        let raw = descriptor.raw
        var status = statfs()
        try check("fstatfs") { fstatfs(raw, &status) }
        return Int(status.f_type)
    }

    /// A regular file's content, for files a container controls: no FIFO, device or endless file gets us stuck.
    static func readRegularFile(
        _ root: borrowing FileDescriptor, _ path: String, byteCountMax: Int
    ) throws(SystemError) -> [UInt8] {
        let place = try open(root, path)
        guard gantry_is_regular(try status(place).st_mode) != 0 else {
            throw SystemError("read", path: path, code: EINVAL)
        }
        // Opened again to read: it may have been exchanged meanwhile, hence O_NONBLOCK and the second look.
        let file = try open(root, path, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard gantry_is_regular(try status(file).st_mode) != 0 else {
            throw SystemError("read", path: path, code: EINVAL)
        }
        return try file.readAll(byteCountMax: byteCountMax)
    }
}
