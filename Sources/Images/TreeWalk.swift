import CLinux
import Glibc
import LinuxSystem

/// One object of a tree, as `lstat(2)` and `listxattr(2)` tell it.
struct TreeObject {
    /// Relative to the tree's top, without slashes at either end; empty is the top itself.
    var path: [UInt8]
    var status: stat
    /// Of a symbolic link.
    var target: [UInt8] = []
    /// Sorted by name.
    var attributes: [(name: [UInt8], value: [UInt8])] = []

    var type: mode_t { status.st_mode & S_IFMT }
    var isWhiteout: Bool { type == S_IFCHR && status.st_rdev == 0 }

    func attribute(_ name: String) -> [UInt8]? {
        attributes.first { $0.name.elementsEqual(name.utf8) }?.value
    }
}

/// Walks a tree that Gantry owns, parents first, names of a folder in the order of their bytes. Links are not followed;
/// every step is from a folder's descriptor, so depth is bounded by the open files, not by path length.
struct TreeWalk {
    /// Deeper trees cannot be made through paths of 4,096 bytes.
    private static let depthMax = 2_100

    /// - Parameter toleratesLoss: somebody works in the tree: what vanishes between two looks is passed over.
    static func visit(
        _ root: String, toleratesLoss: Bool = false,
        _ body: (TreeObject, _ parent: Int32, _ name: CPath) throws(ImageError) -> Void
    ) throws(ImageError) {
        let top = try converting { () throws(SystemError) in
            try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        }
        let dot = CPath(".".utf8)
        try body(try object([], in: top.raw, dot), top.raw, dot)
        // A list, not the thread's stack: who made the tree decides how deep it is.
        var levels = [try Level(SharedDescriptor(top), [])]
        while let level = levels.last {
            guard let name = level.names.popFirst() else {
                levels.removeLast()
                continue
            }
            do throws(ImageError) {
                guard let below = try visit(name, in: level, body) else { continue }
                levels.append(below)
            } catch {
                guard toleratesLoss, error.isLoss else { throw error }
            }
            guard levels.count < depthMax else { throw .damaged("a layer's tree is too deep") }
        }
    }

    /// A folder whose content is being visited.
    private final class Level {
        let folder: SharedDescriptor
        let path: [UInt8]
        var names: ArraySlice<[UInt8]>

        init(_ folder: SharedDescriptor, _ path: [UInt8]) throws(ImageError) {
            self.folder = folder
            self.path = path
            names = try folderNames(folder.raw, path: path)[...]
        }
    }

    private static func visit(
        _ name: [UInt8], in level: Level, _ body: (TreeObject, Int32, CPath) throws(ImageError) -> Void
    ) throws(ImageError) -> Level? {
        let path = level.path.isEmpty ? name : level.path + [UInt8(ascii: "/")] + name
        let (folder, name) = (level.folder.raw, CPath(name))
        let object = try object(path, in: folder, name)
        try body(object, folder, name)
        guard object.type == S_IFDIR else { return nil }
        let raw = name.withPointer { gantry_openat(folder, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else { throw ImageError(SystemError("openat", path: quoted(path), code: errno)) }
        return try Level(SharedDescriptor(FileDescriptor(owning: raw)), path)
    }

    private static func object(_ path: [UInt8], in folder: Int32, _ name: CPath) throws(ImageError) -> TreeObject {
        let raw = name.withPointer { gantry_openat(folder, $0, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else { throw ImageError(SystemError("openat", path: quoted(path), code: errno)) }
        return try TreeObject(descriptor: FileDescriptor(owning: raw), path: path)
    }
}

extension TreeObject {
    /// The extended attributes of what an `O_PATH` descriptor stands for, sorted by name; none where there cannot be
    /// any. One that goes between the calls is left out, and one that may not be read, unless it is what the file's
    /// program is allowed (capabilities(7)). `listxattr(2)`.
    static func attributes(_ raw: Int32, path: [UInt8]) throws(ImageError) -> [(name: [UInt8], value: [UInt8])] {
        // They cannot be read through O_PATH itself; its magic link leads to the object.
        let magic = "/proc/self/fd/\(raw)"
        func failure(_ call: String) -> ImageError { ImageError(SystemError(call, path: quoted(path), code: errno)) }
        // Most objects have none, which the length alone says.
        let needed = listxattr(magic, nil, 0)
        if needed == 0 || needed < 0 && errno == EOPNOTSUPP { return [] }
        var list = [CChar](repeating: 0, count: attributeByteCountMax)
        let count = needed < 0 ? needed : listxattr(magic, &list, list.count)
        guard count >= 0 else { throw failure("listxattr") }
        var found: [(name: [UInt8], value: [UInt8])] = []
        var value = [UInt8](repeating: 0, count: attributeByteCountMax)
        for name in list[..<count].map({ UInt8(bitPattern: $0) }).split(separator: 0) {
            let read = CPath(name).withPointer { getxattr(magic, $0, &value, value.count) }
            if read >= 0 {
                found.append((Array(name), Array(value[..<read])))
                continue
            }
            let isForbidden = errno == EACCES || errno == EPERM || errno == EOPNOTSUPP
            if errno == ENODATA || isForbidden && !name.elementsEqual("security.capability".utf8) { continue }
            throw failure("getxattr")
        }
        return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    /// XATTR_LIST_MAX and XATTR_SIZE_MAX (linux/limits.h).
    private static let attributeByteCountMax = 64 << 10
}

extension ImageError {
    /// What was listed is gone, or is something else by now.
    fileprivate var isLoss: Bool {
        guard case .system(let error) = self else { return false }
        return [ENOENT, ENOTDIR, ELOOP, ENODATA, EINVAL].contains(error.code)
    }
}
