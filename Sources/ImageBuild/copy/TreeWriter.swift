import CLinux
import Glibc
import Images
import LinuxSystem

/// Makes what a walk tells below one folder of an image's tree. Names are made and opened in the folder they belong
/// to, which is held by descriptor; no link is followed.
final class TreeWriter {
    private static let attemptsMax = 16
    private let selection: CopySelection
    private let top: SharedDescriptor
    private var levels: [Level] = []
    /// Files with more than one name, and where the first of them went, below `top`.
    private var linked: [FileStamp: [UInt8]] = [:]

    private struct Level {
        var folder: SharedDescriptor
        var entry: SelectedEntry
        /// Of one that was there before, which were its.
        var oldTimes: [timespec]?
    }

    init(_ selection: CopySelection, in top: SharedDescriptor) {
        self.selection = selection
        self.top = top
    }

    /// - Parameter newName: of a file that is named differently at the destination.
    func write(_ entry: SelectedEntry, as newName: [UInt8]?) throws(BuildError) {
        let parent = levels.last?.folder ?? top
        let name = newName.map { CPath($0) } ?? entry.name
        switch entry.type {
        case S_IFDIR: try enter(entry, name, in: parent)
        case S_IFREG: try writeFile(entry, name, in: parent, isNamed: newName != nil)
        case S_IFLNK:
            let target = CPath(try selection.source.linkTarget(entry))
            try make("symlinkat", entry, name, in: parent) { link in
                target.withPointer { symlinkat($0, parent.raw, link) }
            }
            try setAttributes(entry, name, in: parent)
        case S_IFSOCK where !selection.source.keepsOwners:
            let raw = try create(entry, name, in: parent)
            try finish(FileDescriptor(owning: raw), entry, attributes: [])
        case S_IFCHR where entry.status.st_rdev == 0:
            throw .refused("\(shown(entry)) is the device 0:0, which would hide files of the image")
        default:
            try make("mknodat", entry, name, in: parent) {
                mknodat(parent.raw, $0, entry.type | 0o600, entry.status.st_rdev)
            }
            try setAttributes(entry, name, in: parent)
        }
    }

    /// A file of the Dockerfile's own.
    func write(_ bytes: [UInt8], as name: [UInt8]) throws(BuildError) {
        var status = stat()
        status.st_mode = S_IFREG | mode_t(CopySelection.inlineMode)
        clock_gettime(CLOCK_REALTIME, &status.st_mtim)
        let text = CPath(name)
        let entry = SelectedEntry(path: name, status: status, folder: top, name: text)
        let file = FileDescriptor(owning: try create(entry, text, in: top))
        try building { () throws(SystemError) in try file.writeAll(bytes) }
        // Nobody's but 0:0 or whom --chown says.
        try finish(file, entry, owner: selection.job.owner ?? (0, 0), attributes: [])
    }

    // MARK: - Folders

    private func enter(_ entry: SelectedEntry, _ name: CPath, in parent: SharedDescriptor) throws(BuildError) {
        let made = name.withPointer { mkdirat(parent.raw, $0, 0o700) }
        let code = errno
        guard made == 0 || code == EEXIST else {
            throw BuildError(SystemError("mkdir", path: shown(entry), code: code))
        }
        let raw = name.withPointer { gantry_openat(parent.raw, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else {
            let code = errno
            guard code == ENOTDIR || code == ELOOP else {
                throw BuildError(SystemError("openat", path: shown(entry), code: code))
            }
            throw .conflict(
                "cannot copy folder \(shown(entry)) over what is no folder: the image has a file or a link there")
        }
        let folder = SharedDescriptor(FileDescriptor(owning: raw))
        var status = stat()
        try building { () throws(SystemError) in _ = try check("fstat") { fstat(raw, &status) } }
        levels.append(
            Level(folder: folder, entry: entry, oldTimes: made == 0 ? nil : [status.st_atim, status.st_mtim]))
    }

    /// All of the folder entered last is there.
    func leave() throws(BuildError) {
        guard let level = levels.popLast() else { return }
        let raw = level.folder.raw
        if level.entry.isImplied, let oldTimes = level.oldTimes {
            let mode = mode_t(selection.permissions(of: level.entry.status))
            try building { () throws(SystemError) in
                try check("fchmod", path: shown(level.entry)) { fchmod(raw, mode) }
                try check("futimens", path: shown(level.entry)) { futimens(raw, oldTimes) }
            }
            return
        }
        let attributes = try level.entry.opened.map { opened throws(BuildError) in
            try FileAttributes.read(opened.raw, level.entry.path)
        }
        try setAttributes(raw, level.entry, selection.owner(of: level.entry.status), attributes ?? [])
    }

    // MARK: - Files

    private func writeFile(
        _ entry: SelectedEntry, _ name: CPath, in parent: SharedDescriptor, isNamed: Bool
    ) throws(BuildError) {
        let stamp = FileStamp(entry.status)
        if entry.status.st_nlink > 1, let first = linked[stamp], try link(entry, to: first, name, in: parent) { return }
        let original = try selection.source.openFile(entry)
        let file = FileDescriptor(owning: try create(entry, name, in: parent))
        let (from, to) = (original.raw, file.raw)
        let (size, blocks) = (Int(entry.status.st_size), Int(entry.status.st_blocks))
        let copied: Int
        do throws(SystemError) {
            copied = try ContentCopy.copy(from: from, to: to, byteCount: size, blockCount: blocks)
        } catch {
            throw BuildError(SystemError(error.call, path: shown(entry), code: error.code))
        }
        let attributes = try FileAttributes.read(from, entry.path)
        var status = stat()
        try building { () throws(SystemError) in _ = try check("fstat") { fstat(from, &status) } }
        guard copied == size, FileStamp(status) == stamp else { throw selection.source.changed(entry.path) }
        try finish(file, entry, attributes: attributes)
        if entry.status.st_nlink > 1, !isNamed { linked[stamp] = entry.path }
    }

    /// False where the first name is gone, or the file has as many as it may have.
    private func link(
        _ entry: SelectedEntry, to first: [UInt8], _ name: CPath, in parent: SharedDescriptor
    ) throws(BuildError) -> Bool {
        let resolve = UInt64(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
        let raw = CPath(first).withPointer {
            gantry_openat2(top.raw, $0, UInt64(O_PATH | O_NOFOLLOW | O_CLOEXEC), 0, resolve)
        }
        guard raw >= 0 else { return false }
        let file = FileDescriptor(owning: raw)
        let magic = "/proc/self/fd/\(file.raw)"
        do {
            try make("linkat", entry, name, in: parent) {
                linkat(AT_FDCWD, magic, parent.raw, $0, AT_SYMLINK_FOLLOW)
            }
        } catch {
            guard case .system(let error) = error, error.code == EMLINK else { throw error }
            return false
        }
        return true
    }

    private func create(_ entry: SelectedEntry, _ name: CPath, in parent: SharedDescriptor) throws(BuildError) -> Int32
    {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        return try make("open", entry, name, in: parent) { gantry_openat(parent.raw, $0, flags, 0o600) }
    }

    /// Makes something in place of what has its name, unless that is a folder.
    @discardableResult
    private func make(
        _ call: String, _ entry: SelectedEntry, _ name: CPath, in parent: SharedDescriptor,
        _ body: (UnsafePointer<CChar>) -> Int32
    ) throws(BuildError) -> Int32 {
        for attempt in 1... {
            let result = name.withPointer(body)
            let code = errno
            if result >= 0 { return result }
            if code == EINTR { continue }
            guard code == EEXIST, attempt < Self.attemptsMax else {
                throw BuildError(SystemError(call, path: shown(entry), code: code))
            }
            if name.withPointer({ unlinkat(parent.raw, $0, 0) }) == 0 { continue }
            switch errno {
            case ENOENT: continue
            // POSIX says EPERM, Linux EISDIR.
            case EISDIR, EPERM: throw .conflict("cannot replace a folder of the image with the file \(shown(entry))")
            case let code: throw BuildError(SystemError("unlinkat", path: shown(entry), code: code))
            }
        }
        preconditionFailure("make: endless loop left")
    }

    // MARK: - Attributes

    private func finish(
        _ file: consuming FileDescriptor, _ entry: SelectedEntry, attributes: [ExtendedAttribute]
    ) throws(BuildError) {
        try finish(file, entry, owner: selection.owner(of: entry.status), attributes: attributes)
    }

    private func finish(
        _ file: consuming FileDescriptor, _ entry: SelectedEntry, owner: (uid: UInt32, gid: UInt32),
        attributes: [ExtendedAttribute]
    ) throws(BuildError) {
        try setAttributes(file.raw, entry, owner, attributes)
    }

    /// Owner first: chown(2) takes set-user-ID bits and capabilities away.
    private func setAttributes(
        _ raw: Int32, _ entry: SelectedEntry, _ owner: (uid: UInt32, gid: UInt32), _ attributes: [ExtendedAttribute]
    ) throws(BuildError) {
        let mode = mode_t(selection.permissions(of: entry.status))
        try building { () throws(SystemError) in
            try check("fchown", path: shown(entry)) { fchown(raw, owner.uid, owner.gid) }
            try check("fchmod", path: shown(entry)) { fchmod(raw, mode) }
        }
        for attribute in attributes {
            let result = CPath(attribute.name).withPointer {
                fsetxattr(raw, $0, attribute.value, attribute.value.count, 0)
            }
            let code = errno
            if result == 0 || (!attribute.isRequired && (code == EOPNOTSUPP || code == EPERM)) { continue }
            throw BuildError(SystemError("setxattr", path: shown(entry), code: code))
        }
        let times = [timespec](repeating: entry.status.st_mtim, count: 2)
        try building { () throws(SystemError) in _ = try check("futimens") { futimens(raw, times) } }
    }

    /// Of a link, a pipe, a device or a socket that was just made: held as itself, and checked to be it.
    private func setAttributes(_ entry: SelectedEntry, _ name: CPath, in parent: SharedDescriptor) throws(BuildError) {
        let raw = name.withPointer { gantry_openat(parent.raw, $0, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else { throw BuildError(SystemError("openat", path: shown(entry), code: errno)) }
        let made = FileDescriptor(owning: raw)
        let object = made.raw
        let owner = selection.owner(of: entry.status)
        let mode = mode_t(selection.permissions(of: entry.status))
        let times = [timespec](repeating: entry.status.st_mtim, count: 2)
        try building { () throws(SystemError) in
            var status = stat()
            try check("fstat") { fstat(object, &status) }
            guard status.st_mode & S_IFMT == entry.type else {
                throw SystemError("openat", path: shown(entry), code: EEXIST)
            }
            try check("fchown", path: shown(entry)) { fchownat(object, "", owner.uid, owner.gid, AT_EMPTY_PATH) }
            if entry.type != S_IFLNK {
                try check("fchmod", path: shown(entry)) { chmod("/proc/self/fd/\(object)", mode) }
            }
            try check("utimensat", path: shown(entry)) { utimensat(object, "", times, AT_EMPTY_PATH) }
        }
    }

    private func shown(_ entry: SelectedEntry) -> String { quoted(entry.path) }
}
