import CLinux
import Glibc

/// Removes trees that others filled, such as archives and containers: names are bytes, not text, and trees may be
/// deeper than a thread's stack, or than there are descriptors to hold the way down. Other file systems that are
/// mounted in one are not entered.
public enum TreeRemoval {
    /// Folders below this depth are moved up to the top of the tree first.
    private static let depthMax = 32
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

    /// False when folders were moved up, so that another round is needed; each round is `depthMax` levels of the tree.
    private static func removeRound(_ name: CPath, in parent: Int32) throws(SystemError) -> Bool {
        if try unlinkFile(name, in: parent) { return true }
        let folder = try openFolder(name, in: parent)
        var movedCount = 0
        let top = Top(raw: folder.raw, device: try device(of: folder, name))
        try empty(folder, top: top, depth: 1, movedCount: &movedCount)
        if movedCount > 0 { return false }
        try attempt("rmdir", name) { unlinkat(parent, $0, AT_REMOVEDIR) }
        return true
    }

    private struct Top {
        let raw: Int32
        let device: dev_t
    }

    private static func empty(
        _ folder: borrowing FileDescriptor, top: Top, depth: Int, movedCount: inout Int
    ) throws(SystemError) {
        let raw = folder.raw
        for name in try names(in: folder) {
            if try unlinkFile(name, in: raw) { continue }
            if depth < depthMax {
                let child = try openFolder(name, in: raw)
                guard try device(of: child, name) == top.device else {
                    throw SystemError("removeTree", path: name.text, code: EXDEV)
                }
                try empty(child, top: top, depth: depth + 1, movedCount: &movedCount)
            } else if name.withPointer({ unlinkat(raw, $0, AT_REMOVEDIR) }) != 0 {
                try moveUp(name, from: raw, to: top.raw, &movedCount)
                continue
            }
            if depth < depthMax { try attempt("rmdir", name) { unlinkat(raw, $0, AT_REMOVEDIR) } }
        }
    }

    private static func moveUp(_ name: CPath, from: Int32, to top: Int32, _ movedCount: inout Int) throws(SystemError) {
        while true {
            movedCount += 1
            let upper = ".gantry-removed-\(movedCount)"
            if name.withPointer({ renameat2(from, $0, top, upper, UInt32(RENAME_NOREPLACE)) }) == 0 { return }
            let code = errno
            guard code == EEXIST else { throw SystemError("renameat2", path: name.text, code: code) }
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

    private static func openFolder(_ name: CPath, in parent: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try attempt("openat", name) {
                gantry_openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
            })
    }

    private static func device(of folder: borrowing FileDescriptor, _ name: CPath) throws(SystemError) -> dev_t {
        let raw = folder.raw
        var status = stat()
        try attempt("fstat", name) { _ in fstat(raw, &status) }
        return status.st_dev
    }

    private static func names(in folder: borrowing FileDescriptor) throws(SystemError) -> [CPath] {
        let raw = try folder.duplicate().take()
        guard let stream = fdopendir(raw) else {
            let code = errno
            close(raw)
            throw SystemError("fdopendir", code: code)
        }
        defer { closedir(stream) }
        var found: [CPath] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) { found.append(CPath(name)) }
        }
        return found
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
