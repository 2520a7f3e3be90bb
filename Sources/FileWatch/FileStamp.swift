import CLinux
import Glibc
import LinuxSystem

/// What tells that a file is another than before, or has other content: stat(2) without what reading changes.
struct FileStamp: Equatable, Sendable {
    private var device: UInt64
    private var number: UInt64
    private var mode: mode_t
    private var owner: UInt64
    /// Of a folder, all zero: they change with what is in it. Times are nanoseconds since 1970, modulo 2^64.
    private var byteCount: Int64 = 0
    private var modified: Int64 = 0
    private var changed: Int64 = 0

    var isFolder: Bool { mode & S_IFMT == S_IFDIR }

    /// Whether one takes the other's place: a folder a file's, a link a folder's.
    func isSameKind(as other: FileStamp) -> Bool { mode & S_IFMT == other.mode & S_IFMT }

    func isSameObject(as other: FileStamp) -> Bool { device == other.device && number == other.number }

    /// `nil`: nothing is there. Throws when that cannot be told.
    init?(_ path: String, followsLink: Bool = false) throws(SystemError) {
        var status = stat()
        do throws(SystemError) {
            try check("fstatat", path: path) {
                fstatat(AT_FDCWD, path, &status, followsLink ? 0 : AT_SYMLINK_NOFOLLOW)
            }
        } catch {
            guard error.isAbsence else { throw error }
            return nil
        }
        self.init(status)
    }

    /// What is at `path` below a root, where no link leads there; `nil` and errors as above.
    init?(_ path: String, below root: SharedDescriptor) throws(SystemError) {
        var status = stat()
        do throws(SystemError) {
            let object = try openBelow(root, path)
            let raw = object.raw
            try check("fstatat", path: path) { fstatat(raw, "", &status, AT_EMPTY_PATH) }
        } catch {
            guard error.isAbsence else { throw error }
            return nil
        }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
        mode = status.st_mode
        owner = UInt64(status.st_uid) << 32 | UInt64(status.st_gid)
        guard !isFolder else { return }
        byteCount = Int64(status.st_size)
        modified = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
        changed = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
    }
}

/// A folder's entries.
struct FolderListing {
    var entries: [(name: String, isFolder: Bool)] = []
    /// Whether there are names that are no UTF-8.
    var hasOtherNames = false

    init(_ path: String) throws(SystemError) {
        guard let stream = opendir(path) else { throw SystemError("opendir", path: path, code: errno) }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if bytes.elementsEqual(".".utf8) || bytes.elementsEqual("..".utf8) { continue }
            guard let name = String(validating: bytes, as: UTF8.self) else {
                hasOtherNames = true
                continue
            }
            let type = Int32(entry.pointee.d_type)
            var isFolder = type == Int32(DT_DIR)
            if type == Int32(DT_UNKNOWN) { isFolder = try FileStamp(joined(path, name))?.isFolder == true }
            entries.append((name, isFolder))
        }
    }
}

extension SystemError {
    /// Whether nothing is there, as opposed to nothing that can be looked at. A link in a folder's place has nothing in
    /// it.
    var isAbsence: Bool { [ENOENT, ENOTDIR, ELOOP].contains(code) }
}

/// Holds (`O_PATH`) what is at `path` below a root, itself when it is a link; `ELOOP` when a link is on the way.
public func openBelow(_ root: SharedDescriptor, _ path: String) throws(SystemError) -> FileDescriptor {
    try root.duplicate().openInRoot(path, O_PATH | O_NOFOLLOW, resolve: Int32(RESOLVE_NO_SYMLINKS))
}
