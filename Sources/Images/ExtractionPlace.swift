import CLinux
import Glibc
import LinuxSystem

/// Where files are extracted to: a folder below a root that others may change at any time. Folders are resolved by
/// `openat2(2)` each time they are needed and held by descriptor; last components are never followed.
final class ExtractionPlace {
    /// A rename or mount raced with the look-up.
    private static let attemptsMax = 64
    private let root: SharedDescriptor
    /// The destination, counted from the root, without slashes at either end.
    private let base: [UInt8]
    private let resolve: UInt64
    private var cached: (path: [UInt8], folder: SharedDescriptor)?

    /// - Parameter followsLinks: links on the way are followed, with the root as theirs; else they are errors.
    init(root: SharedDescriptor, base: [UInt8], followsLinks: Bool) {
        self.root = root
        self.base = base
        let common = UInt64(RESOLVE_NO_MAGICLINKS)
        resolve =
            common | (followsLinks ? UInt64(RESOLVE_IN_ROOT) : UInt64(RESOLVE_BENEATH) | UInt64(RESOLVE_NO_SYMLINKS))
    }

    func forgetFolder() { cached = nil }

    func open(_ path: [UInt8], _ flags: Int32) throws(SystemError) -> SharedDescriptor {
        let full = base.isEmpty ? path : path.isEmpty ? base : base + [UInt8(ascii: "/")] + path
        let text = full.isEmpty ? CPath(".".utf8) : CPath(full)
        let (rootRaw, resolve) = (root.raw, resolve)
        for attempt in 1... {
            do {
                let raw = try text.attempt("openat2") {
                    gantry_openat2(rootRaw, $0, UInt64(flags | O_CLOEXEC), 0, resolve)
                }
                return SharedDescriptor(FileDescriptor(owning: raw))
            } catch {
                guard error.code == EAGAIN, attempt < Self.attemptsMax else { throw error }
            }
        }
        preconditionFailure("open: endless loop left")
    }

    /// The folder `path` of the destination, made with mode 0755 where it is missing.
    func folder(_ path: [UInt8]) throws(CopyError) -> SharedDescriptor {
        if let cached, cached.path == path { return cached.folder }
        let found = try copying { () throws(SystemError) in
            do throws(SystemError) {
                return try open(path, O_PATH | O_DIRECTORY)
            } catch {
                guard error.code == ENOENT, !path.isEmpty else { throw error }
                return try makeFolders(path)
            }
        }
        guard !KernelFileSystem.contains(found.raw) else {
            throw .refused("\(quoted(path)) is in a file system of the kernel's: nothing is written there")
        }
        cached = (path, found)
        return found
    }

    private func makeFolders(_ path: [UInt8]) throws(SystemError) -> SharedDescriptor {
        var current = try open([], O_PATH | O_DIRECTORY)
        var prefix: [UInt8] = []
        for component in path.split(separator: UInt8(ascii: "/")) {
            if !prefix.isEmpty { prefix.append(UInt8(ascii: "/")) }
            prefix += component
            do {
                current = try open(prefix, O_PATH | O_DIRECTORY)
            } catch {
                guard error.code == ENOENT else { throw error }
                let (parent, name) = (current, CPath(component))
                _ = try name.attempt("mkdirat") { mkdirat(parent.raw, $0, 0o755) }
                current = try open(prefix, O_PATH | O_DIRECTORY)
            }
        }
        return current
    }

    /// nil when there is nothing of that name.
    func status(_ name: CPath, in parent: SharedDescriptor) throws(SystemError) -> stat? {
        var status = stat()
        do {
            _ = try name.attempt("fstatat") { fstatat(parent.raw, $0, &status, AT_SYMLINK_NOFOLLOW) }
            return status
        } catch {
            guard error.code == ENOENT else { throw error }
            return nil
        }
    }

    /// What was just made at `name`, held as itself: EEXIST when something of another type has its place.
    func pin(_ name: CPath, in parent: SharedDescriptor, type: mode_t) throws(SystemError) -> FileDescriptor {
        let pinned = FileDescriptor(
            owning: try name.attempt("openat") {
                gantry_openat(parent.raw, $0, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
            })
        var status = stat()
        let raw = pinned.raw
        try check("fstat") { fstat(raw, &status) }
        guard status.st_mode & S_IFMT == type else { throw SystemError("openat", path: name.quotedText, code: EEXIST) }
        return pinned
    }
}
