import CLinux
import Glibc

extension FileDescriptor {
    private static let linksMax = 40
    private static let directoryMode: mode_t = 0o755
    private static let fileMode: mode_t = 0o644

    /// An `O_PATH` descriptor of `path` with this directory as its root, as `openInRoot`; what is missing is made:
    /// directories on the way, the target of a link without one, then a directory or an empty file.
    ///
    /// Changes the umask meanwhile, which is the thread's own only after `unshare(CLONE_FS)`: for a process with one
    /// thread, or a thread that has done so.
    /// - Parameter strict: no link may be on the way.
    public borrowing func openOrMakeInRoot(
        _ path: String, isDirectory: Bool, strict: Bool = false
    ) throws(SystemError) -> FileDescriptor {
        try openOrMake(path, isDirectory, strict: strict, depth: 0)
    }

    private borrowing func openOrMake(
        _ path: String, _ isDirectory: Bool, strict: Bool, depth: Int
    ) throws(SystemError) -> FileDescriptor {
        let resolve = strict ? Int32(RESOLVE_NO_SYMLINKS) : 0
        do {
            return try openInRoot(path, O_PATH, resolve: resolve)
        } catch {
            guard error.code == ENOENT, depth < Self.linksMax else { throw error }
        }
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        let name = FileSystem.lastComponent(of: trimmed)
        guard name != "..", name != ".", !name.isEmpty else { throw SystemError("openat2", path: path, code: ENOENT) }
        let parentPath = FileSystem.parent(of: trimmed)
        let parent = try openOrMake(parentPath, true, strict: strict, depth: depth + 1)
        let made = Self.make(name, in: parent.raw, isDirectory: isDirectory)
        if made != 0, errno == EEXIST, !strict, let link = readLink(name, in: parent) {
            // A link whose target is missing: make the target, still inside the root.
            let target = link.hasPrefix("/") ? link : "\(parentPath)/\(link)"
            return try openOrMake(target, isDirectory, strict: false, depth: depth + 1)
        }
        guard made == 0 || errno == EEXIST else { throw SystemError("mkdirat", path: path, code: errno) }
        return try openInRoot(path, O_PATH, resolve: resolve)
    }

    private static func make(_ name: String, in parent: Int32, isDirectory: Bool) -> Int32 {
        let previous = Glibc.umask(0)
        defer { _ = Glibc.umask(previous) }
        return isDirectory ? mkdirat(parent, name, directoryMode) : mknodat(parent, name, S_IFREG | fileMode, 0)
    }
}

/// What a symbolic link says; `nil` for anything else.
public func readLink(_ name: String, in parent: borrowing FileDescriptor) -> String? {
    let raw = parent.raw
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
        count = buffer.withMemoryRebound(to: CChar.self) {
            guard let start = $0.baseAddress else { return 0 }
            return max(readlinkat(raw, name, start, $0.count), 0)
        }
    }
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
}
