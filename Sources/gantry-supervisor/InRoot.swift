import CLinux
import Glibc
import LinuxSystem

/// Paths of the container, resolved with the container's root as the root: links cannot lead out (`openat2(2)`,
/// RESOLVE_IN_ROOT), magic links are refused.
enum InRoot {
    /// An O_PATH descriptor of `path`; with `strict` no link may be on the way.
    static func open(
        _ root: borrowing FileDescriptor, _ path: String, strict: Bool = false, flags: Int32 = O_PATH
    ) throws(SystemError) -> FileDescriptor {
        try root.openInRoot(path, flags, resolve: strict ? Int32(RESOLVE_NO_SYMLINKS) : 0)
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
