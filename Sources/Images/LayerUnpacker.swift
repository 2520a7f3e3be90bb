import CLinux
import Glibc
import LinuxSystem

/// Writes a layer's entries below a `LayerRoot`.
final class LayerUnpacker {
    private let root: LayerRoot
    private let options: ImageStoreOptions
    private let hasOwnUmask: Bool
    private let (user, group) = (geteuid(), getegid())
    private var entryCount = 0
    private var folderTimes: [(path: [UInt8], times: [timespec])] = []
    private var folderNameByteCount = 0
    /// Sizes of the files as a reader sees them, holes and all.
    private var apparentByteCount: UInt64 = 0
    /// Bytes of file content written.
    private(set) var byteCount: UInt64 = 0

    /// Both folders must exist; what is displaced ends up in `discards`, on the same file system.
    /// With `hasOwnUmask` the calling thread's umask is 0, and files get their modes as they are made.
    init(
        folder: String, discards: String, options: ImageStoreOptions, hasOwnUmask: Bool = false
    ) throws(ImageError) {
        root = try LayerRoot(root: folder, discards: discards, overlay: options.overlayAttributes)
        self.hasOwnUmask = hasOwnUmask
        self.options = options
    }

    /// Everything in a tar; `isCancelled` is asked before each entry.
    func unpack(_ source: any ByteSource, isCancelled: () -> Bool = { false }) throws(ImageError) {
        let reader = try TarReader(source)
        while let header = try reader.next() {
            guard !isCancelled() else { throw .archive(why: "unpacking was given up") }
            entryCount += 1
            let entry = try TarEntry(header)
            if entry.kind == .file { apparentByteCount = apparentByteCount.addingClamped(entry.byteCount) }
            try checkLimits()
            try apply(entry, reader)
        }
        try checkLimits()
        // What the archive does not say must not depend on when it was unpacked: equal layers are equal trees.
        let epoch = [timespec](repeating: timespec(tv_sec: 0, tv_nsec: 0), count: 2)
        folderTimes = ([[]] + root.impliedFolders).map { (path: $0, times: epoch) } + folderTimes
        for entry in folderTimes {
            try describing(entry.path) { () throws(SystemError) in try root.setFolderTimes(entry.path, entry.times) }
        }
    }

    private func checkLimits() throws(ImageError) {
        let limits = options.limits
        guard entryCount + root.impliedFolders.count <= limits.layerEntryCountMax else {
            throw .archive(why: "a layer has more than \(limits.layerEntryCountMax) entries")
        }
        guard folderNameByteCount + root.impliedNameByteCount <= limits.folderNameByteCountMax else {
            throw .archive(why: "the names of a layer's folders have more than \(limits.folderNameByteCountMax) bytes")
        }
        guard apparentByteCount <= limits.layerByteCountMax else {
            throw .archive(why: "the files of a layer have more than \(limits.layerByteCountMax) bytes")
        }
    }

    private func remember(_ path: [UInt8], _ times: [timespec]) {
        folderTimes.append((path, times))
        folderNameByteCount += path.count + LayerRoot.nameOverhead
    }

    /// Errors that only the archive's content can have caused are told as such.
    private func describing<Result>(
        _ path: [UInt8], _ body: () throws(SystemError) -> Result
    ) throws(ImageError) -> Result {
        do {
            return try body()
        } catch {
            switch error.code {
            case ELOOP, EXDEV, ENOTDIR, EISDIR, EEXIST, ENOENT, ENAMETOOLONG, EINVAL, EFBIG, EMLINK, E2BIG, ERANGE:
                throw .archive(why: "entry \(quoted(path)): \(error.call): \(error.reason)")
            default:
                throw ImageError(SystemError(error.call, path: quoted(path), code: error.code))
            }
        }
    }

    private func apply(_ entry: TarEntry, _ reader: TarReader) throws(ImageError) {
        let whiteout = try Whiteout(path: entry.path)
        var made: FileDescriptor?
        try describing(entry.path.bytes) { () throws(SystemError) in
            if let whiteout {
                try apply(whiteout, entry)
            } else if entry.path.isRoot {
                try applyToRoot(entry)
            } else {
                made = try make(entry)
            }
        }
        // Content comes outside: errors of reading are none of the file system's.
        if let file = made.take() { try fill(file, entry, reader) }
    }

    /// A file's descriptor is handed back to be filled.
    private func make(_ entry: TarEntry) throws(SystemError) -> FileDescriptor? {
        let parent = try root.folder(entry.path.parent, creating: true)
        let name = CPath(entry.path.name)
        switch entry.kind {
        case .file: return try makeFile(entry, name, parent)
        case .directory: try makeFolder(entry, name, parent)
        case .symlink(let target):
            let target = CPath(target)
            try root.make("symlinkat", name, in: parent) { link in
                target.withPointer { symlinkat($0, parent.raw, link) }
            }
            try setAttributes(entry, of: name, in: parent)
        case .hardlink(let target): try makeHardlink(entry, to: target, name, parent)
        case .fifo:
            try root.make("mkfifoat", name, in: parent) { mkfifoat(parent.raw, $0, 0o600) }
            try setAttributes(entry, of: name, in: parent)
        case .characterDevice, .blockDevice:
            if options.skipsDevices { return nil }
            let type: mode_t = entry.kind == .blockDevice ? S_IFBLK : S_IFCHR
            try root.make("mknodat", name, in: parent) { mknodat(parent.raw, $0, type | 0o600, entry.device) }
            try setAttributes(entry, of: name, in: parent)
        }
        return nil
    }

    // MARK: - Whiteouts and the root

    private func apply(_ whiteout: Whiteout, _ entry: TarEntry) throws(SystemError) {
        if whiteout == .bookkeeping { return }
        let parent: SharedDescriptor
        do {
            parent = try root.folder(entry.path.parent, creating: true, keepingWhiteouts: true)
        } catch {
            // Where this layer has something else than a folder, nothing of lower ones is left to hide: umoci writes
            // whiteouts below what it replaced.
            guard error.code == ENOTDIR else { throw error }
            return
        }
        guard case .hides(let hidden) = whiteout else { return try root.markOpaque(CPath(".".utf8), in: parent) }
        let name = CPath(hidden)
        guard let status = try root.status(name, in: parent) else {
            _ = try root.attempt("mknodat", name) { mknodat(parent.raw, $0, S_IFCHR, 0) }
            // Nobody sees it, but equal layers shall be equal trees.
            try root.attempt("utimensat", name) { utimensat(parent.raw, $0, entry.times, AT_SYMLINK_NOFOLLOW) }
            return
        }
        // What this layer brings itself stays (image-spec layer.md); a folder just must not merge with the hidden one.
        if gantry_is_directory(status.st_mode) != 0 { try root.markOpaque(name, in: parent) }
    }

    private func applyToRoot(_ entry: TarEntry) throws(SystemError) {
        guard entry.kind == .directory else { throw SystemError("root", code: ENOTDIR) }
        try setAttributes(entry, ofDescriptor: root.root.raw)
        root.forgetParent()
        remember([], entry.times)
    }

    // MARK: - Kinds of entries

    private func makeFile(
        _ entry: TarEntry, _ name: CPath, _ parent: SharedDescriptor
    ) throws(SystemError) -> FileDescriptor {
        var raw: Int32 = -1
        let mode = hasOwnUmask ? entry.mode & 0o777 : 0o600
        try root.make("openat", name, in: parent) {
            raw = gantry_openat(parent.raw, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
            return raw
        }
        return FileDescriptor(owning: raw)
    }

    /// Whether a file just made in the folder of the entry before belongs to whom the entry says, without a chown.
    private func isOwn(_ entry: TarEntry) -> Bool {
        entry.uid == user && entry.gid == group && root.cachedParentGroup == group
    }

    private func fill(_ file: consuming FileDescriptor, _ entry: TarEntry, _ reader: TarReader) throws(ImageError) {
        let raw = file.raw
        let name = CPath(entry.path.name)
        var written: Int64 = 0
        while let block = try reader.block() {
            let (end, overflow) = block.offset.addingReportingOverflow(Int64(block.bytes.count))
            guard block.offset >= 0, !overflow, end <= entry.byteCount else {
                throw .archive(why: "entry \(quoted(entry.path.bytes)) has data beyond its size")
            }
            if block.bytes.isEmpty { continue }
            try describing(entry.path.bytes) { () throws(SystemError) in
                try write(block.bytes, at: block.offset, to: raw, name)
            }
            written = max(written, end)
            byteCount += UInt64(block.bytes.count)
        }
        try describing(entry.path.bytes) { () throws(SystemError) in
            // The tail of a sparse file is a hole too.
            if written < entry.byteCount {
                try root.attempt("ftruncate", name) { _ in ftruncate(raw, Int(entry.byteCount)) }
            }
            let entry = owned(entry)
            let isOwn = isOwn(entry)
            if !isOwn { try root.attempt("fchown", name) { _ in fchown(raw, entry.uid, entry.gid) } }
            // The special bits only now: writing takes them away.
            if !isOwn || !hasOwnUmask || entry.mode & 0o7000 != 0 {
                try root.attempt("fchmod", name) { _ in fchmod(raw, entry.mode) }
            }
            if !entry.attributes.isEmpty { try setExtendedAttributes(entry) { fsetxattr(raw, $0, $1, $2, 0) } }
            try root.attempt("futimens", name) { _ in futimens(raw, entry.times) }
        }
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, at offset: Int64, to raw: Int32, _ name: CPath
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try root.attempt("pwrite", name) { _ in
                pwrite(raw, bytes.baseAddress.map { $0 + done }, bytes.count - done, Int(offset) + done)
            }
        }
    }

    /// A folder met again merges, and takes the last entry's attributes.
    private func makeFolder(_ entry: TarEntry, _ name: CPath, _ parent: SharedDescriptor) throws(SystemError) {
        let status = try root.status(name, in: parent)
        if status.map({ gantry_is_directory($0.st_mode) == 0 }) ?? true {
            let wasWhiteout = try root.make("mkdirat", name, in: parent) { mkdirat(parent.raw, $0, 0o700) }
            if wasWhiteout { try root.markOpaque(name, in: parent) }
        }
        let raw = try root.attempt("openat", name) {
            gantry_openat(parent.raw, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        let folder = FileDescriptor(owning: raw)
        // A folder met again may be the cached parent, and get another group here.
        if status != nil { root.forgetParent() }
        try setAttributes(entry, ofDescriptor: folder.raw)
        remember(entry.path.bytes, entry.times)
    }

    /// The target is looked up in this layer only, and not followed when it is itself a link.
    private func makeHardlink(
        _ entry: TarEntry, to target: [UInt8], _ name: CPath, _ parent: SharedDescriptor
    ) throws(SystemError) {
        let path: EntryPath
        do {
            path = try EntryPath(cleaning: target)
        } catch {
            throw SystemError("hard link to \(quoted(target))", code: EXDEV)
        }
        guard !path.isRoot else { throw SystemError("hard link to the root", code: EISDIR) }
        let targetParent = try root.folder(path.parent, creating: false)
        let targetName = CPath(path.name)
        guard let status = try root.status(targetName, in: targetParent) else {
            throw SystemError("hard link to \(quoted(target))", code: ENOENT)
        }
        guard gantry_is_directory(status.st_mode) == 0 else {
            throw SystemError("hard link to \(quoted(target))", code: EISDIR)
        }
        // Already the same file, perhaps under the same name: making room for the link would remove its target.
        if let present = try root.status(name, in: parent), present.st_ino == status.st_ino { return }
        try root.make("linkat", name, in: parent) { link in
            targetName.withPointer { linkat(targetParent.raw, $0, parent.raw, link, 0) }
        }
        try setLinkAttributes(entry, of: name, in: parent, status)
    }

    /// The last entry of a file says what it is, as with Docker and Podman; nearly always that is what it was.
    private func setLinkAttributes(
        _ entry: TarEntry, of name: CPath, in parent: SharedDescriptor, _ status: stat
    ) throws(SystemError) {
        let isLink = status.st_mode & S_IFMT == S_IFLNK
        let wanted = owned(entry)
        let isSame =
            status.st_uid == wanted.uid && status.st_gid == wanted.gid
            && (isLink || status.st_mode & 0o7777 == wanted.mode) && wanted.attributes.isEmpty
            && status.st_mtim.tv_sec == wanted.times[1].tv_sec && status.st_mtim.tv_nsec == wanted.times[1].tv_nsec
        if isSame { return }
        var entry = entry
        if isLink { entry.kind = .symlink(target: []) }
        try setAttributes(entry, of: name, in: parent)
    }

    // MARK: - Attributes

    /// Mode after owner: chown(2) clears the setuid bits. Extended attributes last: it clears capabilities, too.
    private func setAttributes(_ entry: TarEntry, ofDescriptor raw: Int32) throws(SystemError) {
        let name = CPath(entry.path.name)
        let entry = owned(entry)
        try root.attempt("fchown", name) { _ in fchown(raw, entry.uid, entry.gid) }
        try root.attempt("fchmod", name) { _ in fchmod(raw, entry.mode) }
        if !entry.attributes.isEmpty { try setExtendedAttributes(entry) { fsetxattr(raw, $0, $1, $2, 0) } }
    }

    private func owned(_ entry: TarEntry) -> TarEntry {
        guard options.ownsEverything else { return entry }
        var owned = entry
        (owned.uid, owned.gid) = (0, 0)
        return owned
    }

    /// For what is better not opened: links, devices, fifos.
    private func setAttributes(_ entry: TarEntry, of name: CPath, in parent: SharedDescriptor) throws(SystemError) {
        let entry = owned(entry)
        try root.attempt("fchownat", name) { fchownat(parent.raw, $0, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) }
        if case .symlink = entry.kind {
            // A link has no mode of its own.
        } else {
            try root.attempt("fchmodat", name) { fchmodat(parent.raw, $0, entry.mode, 0) }
        }
        if !entry.attributes.isEmpty {
            let raw = try root.attempt("openat", name) {
                gantry_openat(parent.raw, $0, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
            }
            let object = FileDescriptor(owning: raw)
            // An O_PATH descriptor's magic link leads to the object itself, link or not.
            let path = "/proc/self/fd/\(object.raw)"
            try setExtendedAttributes(entry) { setxattr(path, $0, $1, $2, 0) }
        }
        try root.attempt("utimensat", name) { utimensat(parent.raw, $0, entry.times, AT_SYMLINK_NOFOLLOW) }
    }

    private func setExtendedAttributes(
        _ entry: TarEntry, _ set: (UnsafePointer<CChar>, UnsafePointer<UInt8>, Int) -> Int32
    ) throws(SystemError) {
        for attribute in entry.attributes {
            do {
                try root.attempt("setxattr", CPath(attribute.name)) { set($0, attribute.value, attribute.value.count) }
            } catch {
                let isRefused = error.code == EOPNOTSUPP || error.code == EPERM
                guard isRefused, !attribute.isRequired else { throw error }
            }
        }
    }
}

extension UInt64 {
    fileprivate func addingClamped(_ other: Int64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(UInt64(clamping: other))
        return overflow ? .max : sum
    }
}
