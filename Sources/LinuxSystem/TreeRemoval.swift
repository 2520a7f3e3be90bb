import CLinux
import Glibc

/// Removes trees that others filled, such as archives and containers: names are bytes, not text, and trees may be
/// deeper than a thread's stack, or than there are descriptors to hold the way down. What is mounted in one is not
/// entered. What somebody else removes meanwhile is as good as removed.
public enum TreeRemoval {
    /// Folders on the way down that are held by descriptor; the way back into those below is their `..`, which must
    /// still be the folder that it was.
    private static let heldMax = 32
    /// Of a tree that is not ours alone.
    private static let roundsMax = 1000

    /// Removes the tree at `path`, which Gantry owns, without following links. A missing path is no error.
    public static func remove(_ path: String) throws(SystemError) {
        let parent: FileDescriptor
        do {
            parent = try FileDescriptor.open(FileSystem.parent(of: path), O_PATH | O_DIRECTORY)
        } catch {
            if error.code == ENOENT { return }
            throw error
        }
        let name = CPath(FileSystem.lastComponent(of: path).utf8)
        while try !removeRound(name, in: parent.raw) {}
    }

    /// Removes what `parent` has at `name`, which its owner may change meanwhile: who keeps adding to it is given up
    /// on.
    public static func remove(_ name: CPath, in parent: Int32) throws(SystemError) {
        for _ in 0..<roundsMax where try removeRound(name, in: parent) { return }
        throw SystemError("unlinkat", path: name.text, code: ENOTEMPTY)
    }

    /// False when somebody moved folders meanwhile, so that another round is needed.
    private static func removeRound(_ name: CPath, in parent: Int32) throws(SystemError) -> Bool {
        if try unlinkFile(name, in: parent) { return true }
        let folder: FileDescriptor
        do { folder = try openFolder(name, in: parent) } catch {
            if error.code == ENOENT { return true }
            throw error
        }
        guard try empty(folder, name) else { return false }
        try removeFolder(name, in: parent)
        return true
    }

    /// A folder that is being emptied, on the way from the top to where we are.
    private struct Level {
        /// In its parent.
        let name: CPath
        let device: dev_t
        let number: ino_t
        var left: [CPath]
        /// While it is not where we are: `nil` below `heldMax`.
        var held: SharedDescriptor?

        init(_ folder: borrowing FileDescriptor, _ name: CPath) throws(SystemError) {
            let status = try TreeRemoval.status(of: folder, name)
            self.name = name
            (device, number) = (status.st_dev, status.st_ino)
            // A folder that was removed while it is open has no entries, says getdents(2).
            do { left = try folder.names() } catch {
                guard error.code == ENOENT else { throw error }
                left = []
            }
        }

        func isSame(_ status: stat) -> Bool { status.st_dev == device && status.st_ino == number }
    }

    private static func empty(_ top: consuming FileDescriptor, _ name: CPath) throws(SystemError) -> Bool {
        var levels = [try Level(top, name)]
        let device = levels[0].device
        var folder = SharedDescriptor(top)
        while let here = levels.indices.last {
            let raw = folder.raw
            if let name = levels[here].left.popLast() {
                if try unlinkFile(name, in: raw) { continue }
                let child: FileDescriptor
                do { child = try openChild(name, in: raw) } catch {
                    if error.code == ENOENT { continue }
                    throw error
                }
                let level = try Level(child, name)
                guard level.device == device else { throw SystemError("removeTree", path: name.text, code: EXDEV) }
                if here < heldMax { levels[here].held = folder }
                levels.append(level)
                folder = SharedDescriptor(child)
                continue
            }
            let done = levels.removeLast()
            guard let above = levels.indices.last else { return true }
            if let held = levels[above].held {
                (folder, levels[above].held) = (held, nil)
            } else {
                let parent: FileDescriptor
                do { parent = try openFolder(CPath("..".utf8), in: raw) } catch {
                    if error.code == ENOENT { return false }
                    throw error
                }
                guard levels[above].isSame(try status(of: parent, done.name)) else { return false }
                folder = SharedDescriptor(parent)
            }
            try removeFolder(done.name, in: folder.raw)
        }
        return true
    }

    /// One that is empty, or gone.
    private static func removeFolder(_ name: CPath, in parent: Int32) throws(SystemError) {
        do { try attempt("rmdir", name) { unlinkat(parent, $0, AT_REMOVEDIR) } } catch {
            guard error.code == ENOENT else { throw error }
        }
    }

    /// False when it is a folder.
    private static func unlinkFile(_ name: CPath, in parent: Int32) throws(SystemError) -> Bool {
        if name.withPointer({ unlinkat(parent, $0, 0) }) == 0 { return true }
        switch errno {
        case ENOENT: return true
        // POSIX says EPERM, Linux EISDIR.
        case EISDIR, EPERM: return false
        case let code: throw SystemError("unlinkat", path: name.text, code: code)
        }
    }

    /// EXDEV for what is mounted, also of the same file system.
    private static func openChild(_ name: CPath, in parent: Int32) throws(SystemError) -> FileDescriptor {
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        return FileDescriptor(
            owning: try attempt("openat2", name) { gantry_openat2(parent, $0, flags, 0, UInt64(RESOLVE_NO_XDEV)) })
    }

    private static func openFolder(_ name: CPath, in parent: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try attempt("openat", name) {
                gantry_openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
            })
    }

    private static func status(of folder: borrowing FileDescriptor, _ name: CPath) throws(SystemError) -> stat {
        let raw = folder.raw
        var status = stat()
        try attempt("fstat", name) { _ in fstat(raw, &status) }
        return status
    }

    @discardableResult
    private static func attempt(
        _ call: String, _ path: CPath, _ body: (UnsafePointer<CChar>) -> Int32
    ) throws(SystemError) -> Int32 {
        let result = path.withPointer(body)
        let code = errno
        guard result >= 0 else { throw SystemError(call, path: path.text, code: code) }
        return result
    }
}
