import CLinux
import Glibc

/// Copies a tree through descriptors: nothing is opened by a path that the tree's owner could bend. Keeps owner, mode,
/// times, extended attributes, links and devices; sockets are left out, as they mean nothing without their process.
public struct TreeCopy {
    private static let depthMax = 1024
    private static let attributeBytesMax = 64 << 10

    public init() {}

    /// Copies what is inside `source` into `destination`, then gives `destination` the attributes of `source`.
    public func copyContents(
        of source: borrowing FileDescriptor, into destination: borrowing FileDescriptor
    ) throws(SystemError) {
        try copyDirectory(source, destination, depth: 0)
    }

    private func copyDirectory(
        _ source: borrowing FileDescriptor, _ destination: borrowing FileDescriptor, depth: Int
    ) throws(SystemError) {
        guard depth < Self.depthMax else { throw SystemError("copy", code: ELOOP) }
        for name in try FileSystem.list("/proc/self/fd/\(source.raw)") {
            try copyEntry(name, source, destination, depth: depth)
        }
        try copyAttributes(from: source, to: destination)
    }

    private func copyEntry(
        _ name: String, _ source: borrowing FileDescriptor, _ destination: borrowing FileDescriptor, depth: Int
    ) throws(SystemError) {
        let from = source.raw
        let to = destination.raw
        var status = stat()
        try check("fstatat", path: name) { fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            try check("mkdirat", path: name) { mkdirat(to, name, 0o700) }
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
            try copyDirectory(
                try source.open(at: name, flags), try destination.open(at: name, flags), depth: depth + 1)
        case S_IFREG:
            let file = try source.open(at: name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            let copy = try destination.open(at: name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            let (size, blocks) = (Int(status.st_size), Int(status.st_blocks))
            _ = try ContentCopy.copy(from: file.raw, to: copy.raw, byteCount: size, blockCount: blocks)
            try copyAttributes(from: file, to: copy)
        case S_IFLNK:
            try copyLink(name, from: from, to: to, status)
        case S_IFCHR, S_IFBLK, S_IFIFO:
            try check("mknodat", path: name) { mknodat(to, name, status.st_mode, status.st_rdev) }
            try check("fchownat", path: name) { fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) }
        default: break
        }
    }

    private func copyLink(_ name: String, from: Int32, to: Int32, _ status: stat) throws(SystemError) {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        try check("readlinkat", path: name) { readlinkat(from, name, &target, Int(PATH_MAX)) }
        try check("symlinkat", path: name) { symlinkat(target, to, name) }
        try check("fchownat", path: name) { fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) }
    }

    /// Owner before mode: a change of owner clears the setuid bits.
    private func copyAttributes(
        from source: borrowing FileDescriptor, to destination: borrowing FileDescriptor
    ) throws(SystemError) {
        let from = source.raw
        let to = destination.raw
        var status = stat()
        try check("fstat") { fstat(from, &status) }
        try check("fchown") { fchown(to, status.st_uid, status.st_gid) }
        try check("fchmod") { fchmod(to, status.st_mode & 0o7777) }
        try copyExtendedAttributes(from, to)
        let times = [status.st_atim, status.st_mtim]
        try check("futimens") { futimens(to, times) }
    }

    private func copyExtendedAttributes(_ from: Int32, _ to: Int32) throws(SystemError) {
        var names = [CChar](repeating: 0, count: Self.attributeBytesMax)
        let length = flistxattr(from, &names, names.count)
        guard length > 0 else { return }  // None, or a file system without them.
        for slice in names.prefix(length).split(separator: 0) {
            let name = String(decoding: slice.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            // Overlayfs's own marks describe layers, not the files in a volume.
            if name.hasPrefix("trusted.overlay.") { continue }
            var value = [UInt8](repeating: 0, count: Self.attributeBytesMax)
            let size = try check("fgetxattr", path: name) { fgetxattr(from, name, &value, value.count) }
            try check("fsetxattr", path: name) { fsetxattr(to, name, value, size, 0) }
        }
    }
}
