import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// Writes one layer's tar into a folder. Every name is resolved with the folder as its root (`openat2(2)`,
/// `RESOLVE_IN_ROOT`) and the last component is never followed, so that no entry, link or race leads outside.
final class LayerUnpacker {
    private let root: FileDescriptor
    private let options: ImageStoreOptions
    private var entryCount = 0
    private(set) var byteCount: UInt64 = 0
    /// Folders' times are set last: making entries in them changes them.
    private var folderTimes: [(path: EntryPath, times: [timespec])] = []

    init(folder: String, options: ImageStoreOptions) throws(ImageError) {
        root = try converting { () throws(SystemError) -> FileDescriptor in
            try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
        }
        self.options = options
    }

    func unpack(_ source: any ByteSource) throws(ImageError) {
        let reader = try TarReader(source, format: .tar)
        while let entry = try reader.next() {
            entryCount += 1
            guard entryCount <= options.limits.layerEntryCountMax else {
                throw .archive(why: "a layer has more than \(options.limits.layerEntryCountMax) entries")
            }
            try unpack(entry, reader)
        }
        for (path, times) in folderTimes.reversed() {
            try inParent(of: path) { parent, name throws(SystemError) in
                let set = { name.withPointer { utimensat(parent, $0, times, AT_SYMLINK_NOFOLLOW) } }
                // An entry after it may have taken the folder's place.
                if set() != 0, errno != ENOENT { throw SystemError("utimensat", code: errno) }
            }
        }
    }

    private func unpack(_ entry: OpaquePointer, _ reader: TarReader) throws(ImageError) {
        let path = try EntryPath(cleaning: entryBytes(archive_entry_pathname(entry)))
        if path.isRoot { return try applyToRoot(entry) }
        switch try Whiteout(path: path) {
        case .bookkeeping: return
        case .opaque: return try makeOpaque(path)
        case .hides(let name): return try hide(name, path)
        case nil: break
        }
        if archive_entry_hardlink(entry) != nil { return try link(entry, path) }
        switch archive_entry_filetype(entry) {
        case S_IFDIR: try makeFolder(entry, path)
        case S_IFREG: try writeFile(entry, path, reader)
        case S_IFLNK: try makeSymlink(entry, path)
        case S_IFCHR, S_IFBLK, S_IFIFO: try makeNode(entry, path)
        default: throw .archive(why: "entry \(quoted(path.bytes)) is of an unknown kind")
        }
    }

    // MARK: - Places

    /// Runs `body` with the entry's parent folder, made when it is missing, and the last component's name.
    private func inParent(
        of path: EntryPath, _ body: (Int32, CPath) throws(SystemError) -> Void
    ) throws(ImageError) {
        do throws(SystemError) {
            let parent = try openFolder(path.parent)
            try body(parent.raw, CPath(path.name))
        } catch {
            throw described(error, path)
        }
    }

    private func described(_ error: SystemError, _ path: EntryPath) -> ImageError {
        let named = SystemError(error.call, path: quoted(path.bytes), code: error.code)
        switch error.code {
        case ELOOP, EXDEV, ENOTDIR, EISDIR: return .archive(why: "entry \(quoted(path.bytes)): \(named.reason)")
        default: return ImageError(named)
        }
    }

    private func openFolder(_ bytes: [UInt8]) throws(SystemError) -> FileDescriptor {
        let flags = O_RDONLY | O_DIRECTORY
        if bytes.isEmpty { return try root.duplicate() }
        do {
            return try open(bytes, flags)
        } catch {
            guard error.code == ENOENT else { throw error }
        }
        // Archives may leave out an entry's folders.
        let components = bytes.split(separator: UInt8(ascii: "/"))
        let above = try openFolder(Array(components.dropLast().joined(separator: [UInt8(ascii: "/")])))
        let name = CPath(components.last ?? [])
        let aboveRaw = above.raw
        do {
            try check("mkdirat") { name.withPointer { mkdirat(aboveRaw, $0, 0o755) } }
        } catch {
            guard error.code == EEXIST else { throw error }
        }
        return try open(bytes, flags)
    }

    private func open(_ bytes: [UInt8], _ flags: Int32) throws(SystemError) -> FileDescriptor {
        let path = CPath(bytes)
        let rootRaw = root.raw
        let resolve = UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        return FileDescriptor(
            owning: try check("openat2") {
                path.withPointer { gantry_openat2(rootRaw, $0, UInt64(flags | O_CLOEXEC), 0, resolve) }
            })
    }

    /// Takes away what stands in an entry's place: the last of several entries of a name wins.
    private func clear(_ parent: Int32, _ name: CPath) throws(SystemError) {
        if name.withPointer({ unlinkat(parent, $0, 0) }) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw SystemError("unlinkat", code: errno) }
        let text = name.withPointer { String(cString: $0) }
        try FileSystem.removeTree("/proc/self/fd/\(parent)/\(text)")
    }

    // MARK: - Kinds of entries

    private func makeFolder(_ entry: OpaquePointer, _ path: EntryPath) throws(ImageError) {
        try inParent(of: path) { parent, name throws(SystemError) in
            var status = stat()
            let exists = name.withPointer { fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) } == 0
            if !exists || gantry_is_directory(status.st_mode) == 0 {
                try clear(parent, name)
                try check("mkdirat") { name.withPointer { mkdirat(parent, $0, 0o700) } }
            }
            let folder = FileDescriptor(
                owning: try check("openat") {
                    name.withPointer {
                        gantry_openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
                    }
                })
            try applyAttributes(entry, to: folder.raw)
        }
        folderTimes.append((path, times(entry)))
    }

    private func applyToRoot(_ entry: OpaquePointer) throws(ImageError) {
        guard archive_entry_filetype(entry) == S_IFDIR else { throw .archive(why: "the root is no folder") }
        try converting { () throws(SystemError) in try applyAttributes(entry, to: root.raw) }
    }

    private func writeFile(_ entry: OpaquePointer, _ path: EntryPath, _ reader: TarReader) throws(ImageError) {
        var made: FileDescriptor?
        try inParent(of: path) { parent, name throws(SystemError) in
            try clear(parent, name)
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
            made = FileDescriptor(
                owning: try check("openat") { name.withPointer { gantry_openat(parent, $0, flags, 0o600) } })
        }
        guard let file = made.take() else { return }
        let raw = file.raw
        try copyContent(entry, path, reader, to: raw)
        do throws(SystemError) {
            try applyAttributes(entry, to: raw)
            let times = times(entry)
            try check("futimens") { futimens(raw, times) }
        } catch {
            throw described(error, path)
        }
    }

    private func copyContent(
        _ entry: OpaquePointer, _ path: EntryPath, _ reader: TarReader, to raw: Int32
    ) throws(ImageError) {
        while let block = try reader.block() {
            byteCount += UInt64(block.bytes.count)
            var done = 0
            while done < block.bytes.count {
                do throws(SystemError) {
                    done += try check("pwrite") {
                        pwrite(
                            raw, block.bytes.baseAddress.map { $0 + done }, block.bytes.count - done,
                            Int(block.offset) + done)
                    }
                } catch {
                    throw described(error, path)
                }
            }
        }
        let size = archive_entry_size(entry)
        guard size >= 0, UInt64(size) <= options.limits.layerByteCountMax else {
            throw .archive(why: "entry \(quoted(path.bytes)) is too large")
        }
        // The tail of a sparse file is a hole too.
        do throws(SystemError) { try check("ftruncate") { ftruncate(raw, Int(size)) } } catch {
            throw described(error, path)
        }
    }

    private func makeSymlink(_ entry: OpaquePointer, _ path: EntryPath) throws(ImageError) {
        let target = CPath(entryBytes(archive_entry_symlink(entry)))
        let times = times(entry)
        let (uid, gid) = owner(entry)
        try inParent(of: path) { parent, name throws(SystemError) in
            try clear(parent, name)
            try check("symlinkat") { target.withPointer { to in name.withPointer { symlinkat(to, parent, $0) } } }
            try check("fchownat") { name.withPointer { fchownat(parent, $0, uid, gid, AT_SYMLINK_NOFOLLOW) } }
            try check("utimensat") { name.withPointer { utimensat(parent, $0, times, AT_SYMLINK_NOFOLLOW) } }
        }
    }

    /// A hard link to a file of this layer: found without following its last component, so a link to a link stays one.
    private func link(_ entry: OpaquePointer, _ path: EntryPath) throws(ImageError) {
        let target = try EntryPath(cleaning: entryBytes(archive_entry_hardlink(entry)))
        guard !target.isRoot else { throw .archive(why: "entry \(quoted(path.bytes)) is a hard link to the root") }
        if target == path { return }
        try inParent(of: path) { parent, name throws(SystemError) in
            let targetParent = try openFolder(target.parent)
            let targetName = CPath(target.name)
            let from = targetParent.raw
            var status = stat()
            try check("fstatat") { targetName.withPointer { fstatat(from, $0, &status, AT_SYMLINK_NOFOLLOW) } }
            try clear(parent, name)
            try check("linkat") {
                targetName.withPointer { old in name.withPointer { linkat(from, old, parent, $0, 0) } }
            }
        }
    }

    private func makeNode(_ entry: OpaquePointer, _ path: EntryPath) throws(ImageError) {
        let type = archive_entry_filetype(entry)
        if options.skipsDevices, type != S_IFIFO { return }
        let device = type == S_IFIFO ? 0 : archive_entry_rdev(entry)
        // A character device 0:0 is overlayfs's whiteout: as an entry it would hide what lies below.
        guard type == S_IFIFO || device != 0 else { throw .archive(why: "entry \(quoted(path.bytes)) is device 0:0") }
        let mode = archive_entry_perm(entry)
        let times = times(entry)
        let (uid, gid) = owner(entry)
        try inParent(of: path) { parent, name throws(SystemError) in
            try clear(parent, name)
            try check("mknodat") { name.withPointer { mknodat(parent, $0, type | mode, device) } }
            try check("fchownat") { name.withPointer { fchownat(parent, $0, uid, gid, AT_SYMLINK_NOFOLLOW) } }
            // mknodat obeys the umask, and a change of owner clears the setuid bits.
            try check("fchmodat") { name.withPointer { fchmodat(parent, $0, mode, 0) } }
            try check("utimensat") { name.withPointer { utimensat(parent, $0, times, AT_SYMLINK_NOFOLLOW) } }
        }
    }

    // MARK: - Whiteouts

    private func hide(_ hidden: [UInt8], _ path: EntryPath) throws(ImageError) {
        let place = try EntryPath(cleaning: path.parent + [UInt8(ascii: "/")] + hidden)
        try inParent(of: place) { parent, name throws(SystemError) in
            try clear(parent, name)
            try check("mknodat") { name.withPointer { mknodat(parent, $0, S_IFCHR, 0) } }
        }
    }

    private func makeOpaque(_ path: EntryPath) throws(ImageError) {
        do throws(SystemError) {
            let folder = try openFolder(path.parent)
            let raw = folder.raw
            let name = "\(options.overlayAttributes.rawValue)opaque"
            try check("fsetxattr") { fsetxattr(raw, name, "y", 1, 0) }
        } catch {
            throw described(error, path)
        }
    }

    // MARK: - Attributes

    private func owner(_ entry: OpaquePointer) -> (uid: uid_t, gid: gid_t) {
        (uid_t(truncatingIfNeeded: archive_entry_uid(entry)), gid_t(truncatingIfNeeded: archive_entry_gid(entry)))
    }

    private func times(_ entry: OpaquePointer) -> [timespec] {
        let modified = timespec(
            tv_sec: archive_entry_mtime(entry), tv_nsec: max(0, min(999_999_999, archive_entry_mtime_nsec(entry))))
        return [modified, modified]
    }

    /// Owner first: changing it clears the setuid bits and capabilities.
    private func applyAttributes(_ entry: OpaquePointer, to raw: Int32) throws(SystemError) {
        let (uid, gid) = owner(entry)
        try check("fchown") { fchown(raw, uid, gid) }
        let mode = archive_entry_perm(entry)
        try check("fchmod") { fchmod(raw, mode) }
        archive_entry_xattr_reset(entry)
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK {
            guard let name, isAllowed(String(cString: name)) else { continue }
            if fsetxattr(raw, name, value, size, 0) != 0, errno != EOPNOTSUPP {
                throw SystemError("fsetxattr", code: errno)
            }
        }
    }

    /// Overlayfs's own marks must not come from an image: they would redirect and hide across layers.
    private func isAllowed(_ name: String) -> Bool {
        !name.hasPrefix(OverlayAttributes.trusted.rawValue) && !name.hasPrefix(OverlayAttributes.user.rawValue)
    }
}
