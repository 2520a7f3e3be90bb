import CLinux
import Glibc
import LinuxSystem

/// Removes trees that came out of archives: names are bytes, not text, and trees may be deeper than there are
/// descriptors to hold the way down.
enum TreeRemoval {
    /// Folders below this depth are moved up to the top of the tree first.
    private static let depthMax = 32
    /// Of a tree that is not ours alone.
    private static let roundsMax = 1000

    /// Removes the tree at `path`, which Gantry owns, without following links. A missing path is no error.
    static func remove(_ path: String) throws(SystemError) {
        let parent = try FileDescriptor.open(FileSystem.parent(of: path), O_PATH | O_DIRECTORY)
        let name = CPath(FileSystem.lastComponent(of: path).utf8)
        while try !removeRound(name, in: parent.raw) {}
    }

    /// Removes what `parent` has at `name`, which its owner may change meanwhile: who keeps adding to it is given up
    /// on.
    static func remove(_ name: CPath, in parent: Int32) throws(SystemError) {
        for _ in 0..<roundsMax where try removeRound(name, in: parent) { return }
        throw SystemError("unlinkat", path: name.quotedText, code: ENOTEMPTY)
    }

    /// False when folders were moved up, so that another round is needed; each round is `depthMax` levels of the tree.
    private static func removeRound(_ name: CPath, in parent: Int32) throws(SystemError) -> Bool {
        if try unlinkFile(name, in: parent) { return true }
        let folder = try openFolder(name, in: parent)
        var movedCount = 0
        try empty(folder, top: folder.raw, depth: 1, movedCount: &movedCount)
        if movedCount > 0 { return false }
        try attempt("rmdir", name) { unlinkat(parent, $0, AT_REMOVEDIR) }
        return true
    }

    private static func empty(
        _ folder: borrowing FileDescriptor, top: Int32, depth: Int, movedCount: inout Int
    ) throws(SystemError) {
        let raw = folder.raw
        for name in try names(in: folder) {
            if try unlinkFile(name, in: raw) { continue }
            if depth < depthMax {
                try empty(openFolder(name, in: raw), top: top, depth: depth + 1, movedCount: &movedCount)
            } else if name.withPointer({ unlinkat(raw, $0, AT_REMOVEDIR) }) != 0 {
                try moveUp(name, from: raw, to: top, &movedCount)
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
            guard code == EEXIST else { throw SystemError("renameat2", path: name.quotedText, code: code) }
        }
    }

    /// False when it is a folder.
    private static func unlinkFile(_ name: CPath, in parent: Int32) throws(SystemError) -> Bool {
        if name.withPointer({ unlinkat(parent, $0, 0) }) == 0 { return true }
        switch errno {
        case ENOENT: return true
        // POSIX says EPERM, Linux EISDIR.
        case EISDIR, EPERM: return false
        case let code: throw SystemError("unlinkat", path: name.quotedText, code: code)
        }
    }

    private static func openFolder(_ name: CPath, in parent: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try attempt("openat", name) {
                gantry_openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
            })
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
        guard result >= 0 else { throw SystemError(call, path: path.quotedText, code: code) }
        return result
    }
}
