import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// What becomes of an archive's entries when they are extracted.
public struct ExtractionOptions: Sendable {
    public enum Owner: Equatable, Sendable {
        /// Whom the archive says.
        case archive
        case fixed(user: UInt32, group: UInt32)
        /// Whoever extracts.
        case own
    }

    public var owner = Owner.archive
    /// A folder takes no other kind's place, and nothing a folder's (Docker's `noOverwriteDirNonDir`).
    public var keepsKinds = false
    /// Setuid and setgid bits and extended attributes, capabilities among them.
    public var keepsPrivileges = true
    /// Device nodes; else they are left out.
    public var makesDevices = true
    /// A character device 0:0, overlayfs's whiteout, removes what is in its place instead of being made.
    public var whiteoutsRemove = false
    /// Links in the destination are followed, with the root as theirs; else one on the way is an error.
    public var followsLinks = true
    /// Archives packed with xz and bzip2 are read, too.
    public var allowsAnyPacking = false
    /// New name of an entry and of a hard link's target, both counted from the destination; nil: as it is.
    public var rename: (@Sendable ([UInt8]) -> [UInt8]?)?

    public init() {}

    /// For folders of the host: what a container sent must not become privileged here, nor lead anywhere.
    public static var distrusting: ExtractionOptions {
        var options = ExtractionOptions()
        options.owner = .own
        options.keepsKinds = true
        options.keepsPrivileges = false
        options.makesDevices = false
        options.followsLinks = false
        return options
    }
}

/// Extracts a tar into a folder whose owner may be hostile, from who may be hostile.
///
/// Nothing that exists is opened for writing, but for a file that is a mount of its own, whose content is replaced;
/// everything else is made anew in its folder, which is held by descriptor.
public final class TreeExtraction {
    private static let entryCountMax = 10_000_000
    private static let attemptsMax = 16
    private let place: ExtractionPlace
    private let options: ExtractionOptions
    private let isRoot = geteuid() == 0
    private var entryCount = 0
    private var folders: [(path: [UInt8], mode: mode_t, times: [timespec])] = []
    /// Links the archive brought: nothing of it goes through them.
    private var links: Set<[UInt8]> = []
    /// Names of what was left out.
    public private(set) var skipped: [String] = []
    /// Bytes of file content.
    public private(set) var byteCount: UInt64 = 0

    /// - Parameter folder: absolute in `root`.
    public init(root: SharedDescriptor, folder: String, options: ExtractionOptions) {
        let base = folder.utf8.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
        place = ExtractionPlace(
            root: root, base: Array(base.joined(separator: [UInt8(ascii: "/")])), followsLinks: options.followsLinks)
        self.options = options
    }

    /// Whether a descriptor, read from where it stands, is a tar with at least one entry, plain or packed by any of
    /// gzip, zstd, xz and bzip2.
    public static func isArchive(_ descriptor: Int32) -> Bool {
        do throws(ImageError) {
            return try reader(of: DescriptorSource(descriptor: descriptor), allowsAnyPacking: true).next() != nil
        } catch {
            return false
        }
    }

    private static func reader(of source: any ByteSource, allowsAnyPacking: Bool) throws(ImageError) -> TarReader {
        try TarReader(try decoded(allowsAnyPacking ? withoutOtherPacking(source) : PeekedSource(source)))
    }

    /// From a descriptor, plain or packed by gzip or zstd.
    public func extract(from descriptor: Int32) throws(CopyError) {
        try extract(DescriptorSource(descriptor: descriptor))
    }

    /// From pieces; an empty one is the end.
    public func extract(pieces: @escaping () throws(ImageError) -> [UInt8]) throws(CopyError) {
        try extract(PieceSource(pieces))
    }

    private func extract(_ source: any ByteSource) throws(CopyError) {
        let reader = try reading { () throws(ImageError) in
            try Self.reader(of: source, allowsAnyPacking: options.allowsAnyPacking)
        }
        while let header = try reading({ () throws(ImageError) in try reader.next() }) {
            entryCount += 1
            guard entryCount <= Self.entryCountMax else {
                throw .archive("bad archive: more than \(Self.entryCountMax) entries")
            }
            let entry = try reading { () throws(ImageError) in
                try TarEntry(header, takesWhiteouts: options.whiteoutsRemove)
            }
            try apply(entry, reader)
        }
        try finishFolders()
    }

    // MARK: - Entries

    private func apply(_ entry: TarEntry, _ reader: TarReader) throws(CopyError) {
        var entry = entry
        if let rename = options.rename {
            guard let renamed = rename(entry.path.bytes) else {
                throw .archive("bad archive: entry \(quoted(entry.path.bytes)) was not asked for")
            }
            entry.path = try reading { () throws(ImageError) in try EntryPath(cleaning: renamed) }
        }
        if entry.path.isRoot {
            guard entry.kind == .directory else {
                throw .conflict("cannot overwrite the destination folder with a file")
            }
            return  // The destination keeps its own attributes, as with Docker.
        }
        try checkWay(entry.path)
        if options.whiteoutsRemove, entry.kind == .characterDevice, entry.device == 0 {
            return try remove(entry.path)
        }
        let parent = try place.folder(entry.path.parent)
        let name = CPath(entry.path.name)
        guard try makeRoom(entry, name, parent) else { return try replaceContent(entry, name, parent, reader) }
        switch entry.kind {
        case .file: try makeFile(entry, name, parent, reader)
        case .directory: try makeFolder(entry, name, parent)
        default: try copying { () throws(SystemError) in try makeOther(entry, name, parent) }
        }
    }

    /// Removes what is there, with all below it but other file systems. Nothing there is as good.
    private func remove(_ path: EntryPath) throws(CopyError) {
        let name = CPath(path.name)
        do throws(SystemError) {
            let parent = try place.open(path.parent, O_PATH | O_DIRECTORY)
            guard !KernelFileSystem.contains(parent.raw) else {
                throw SystemError("unlinkat", path: quoted(path.bytes), code: EPERM)
            }
            guard let present = try place.status(name, in: parent) else { return }
            place.forgetFolder()
            if gantry_is_directory(present.st_mode) != 0 {
                try checkUnmounted(name, parent)
                return try TreeRemoval.remove(name, in: parent.raw)
            }
            _ = try name.attempt("unlinkat") { unlinkat(parent.raw, $0, 0) }
        } catch {
            guard error.code != ENOENT, error.code != ENOTDIR else { return }
            guard error.code != EXDEV, error.code != EBUSY else {
                throw .conflict("\(quoted(path.bytes)) is not removed: something is mounted there")
            }
            throw CopyError(error)
        }
    }

    /// EXDEV for a folder that something is mounted on: emptying that would be more than was asked for.
    private func checkUnmounted(_ name: CPath, _ parent: SharedDescriptor) throws(SystemError) {
        let flags = UInt64(O_PATH | O_NOFOLLOW | O_CLOEXEC)
        let raw = try name.attempt("openat2") {
            gantry_openat2(parent.raw, $0, flags, 0, UInt64(RESOLVE_NO_XDEV))
        }
        _ = FileDescriptor(owning: raw)
    }

    /// A tree has nothing behind its own links: an archive that does wants to write elsewhere.
    private func checkWay(_ path: EntryPath) throws(CopyError) {
        guard !links.isEmpty else { return }
        var prefix: [UInt8] = []
        for component in path.parent.split(separator: UInt8(ascii: "/")) {
            if !prefix.isEmpty { prefix.append(UInt8(ascii: "/")) }
            prefix += component
            guard !links.contains(prefix) else {
                throw .archive("bad archive: entry \(quoted(path.bytes)) is behind a link of the archive")
            }
        }
    }

    /// Removes what is in the way. False: it is a mounted file, whose content is to be replaced.
    private func makeRoom(_ entry: TarEntry, _ name: CPath, _ parent: SharedDescriptor) throws(CopyError) -> Bool {
        links.remove(entry.path.bytes)
        guard let present = try copying({ () throws(SystemError) in try place.status(name, in: parent) }) else {
            return true
        }
        let isFolder = gantry_is_directory(present.st_mode) != 0
        if options.keepsKinds, isFolder != (entry.kind == .directory) {
            let what = name.quotedText
            throw .conflict(
                isFolder
                    ? "cannot overwrite directory \(what) with non-directory"
                    : "cannot overwrite non-directory \(what) with directory")
        }
        if isFolder, entry.kind == .directory { return true }
        place.forgetFolder()
        do {
            if isFolder {
                try checkUnmounted(name, parent)
                try TreeRemoval.remove(name, in: parent.raw)
            } else {
                _ = try name.attempt("unlinkat") { unlinkat(parent.raw, $0, 0) }
            }
        } catch {
            if error.code == ENOENT { return true }
            guard error.code != EXDEV else {
                throw .conflict("\(quoted(entry.path.bytes)) is not replaced: something is mounted there")
            }
            let isFile = gantry_is_regular(present.st_mode) != 0 && entry.kind == .file
            guard error.code == EBUSY, isFile, options.followsLinks else { throw CopyError(error) }
            return false
        }
        return true
    }

    /// `/etc/hosts` and other files that are mounted into a container: opened as what they were seen to be.
    private func replaceContent(
        _ entry: TarEntry, _ name: CPath, _ parent: SharedDescriptor, _ reader: TarReader
    ) throws(CopyError) {
        let file = try copying { () throws(SystemError) in
            let pinned = try place.pin(name, in: parent, type: S_IFREG)
            let raw = pinned.raw
            return try FileDescriptor.open("/proc/self/fd/\(raw)", O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY)
        }
        try fill(file, entry, reader)
    }

    private func makeFile(
        _ entry: TarEntry, _ name: CPath, _ parent: SharedDescriptor, _ reader: TarReader
    ) throws(CopyError) {
        let file = FileDescriptor(
            owning: try copying { () throws(SystemError) in
                try creating("openat", name, parent) {
                    gantry_openat(parent.raw, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
                }
            })
        try fill(file, entry, reader)
        try copying { () throws(SystemError) in
            try setAttributes(entry, file, mode: entry.mode)
            let raw = file.raw
            try check("futimens") { futimens(raw, entry.times) }
        }
    }

    /// Somebody may make something of the name again and again, but not for ever.
    @discardableResult
    private func creating(
        _ call: String, _ name: CPath, _ parent: SharedDescriptor, _ body: (UnsafePointer<CChar>) -> Int32
    ) throws(SystemError) -> Int32 {
        for attempt in 1... {
            do {
                return try name.attempt(call, body)
            } catch {
                guard error.code == EEXIST, attempt < Self.attemptsMax else { throw error }
                // A folder stays: EISDIR says what is wrong.
                _ = try name.attempt("unlinkat") { unlinkat(parent.raw, $0, 0) }
            }
        }
        preconditionFailure("creating: endless loop left")
    }

    private func fill(_ file: borrowing FileDescriptor, _ entry: TarEntry, _ reader: TarReader) throws(CopyError) {
        let raw = file.raw
        var written: Int64 = 0
        while let block = try reading({ () throws(ImageError) in try reader.block() }) {
            let (end, overflow) = block.offset.addingReportingOverflow(Int64(block.bytes.count))
            guard block.offset >= 0, !overflow, end <= entry.byteCount else {
                throw .archive("bad archive: entry \(quoted(entry.path.bytes)) has data beyond its size")
            }
            var done = 0
            while done < block.bytes.count {
                done += try copying { () throws(SystemError) in
                    try check("pwrite", path: quoted(entry.path.bytes)) {
                        pwrite(
                            raw, block.bytes.baseAddress.map { $0 + done }, block.bytes.count - done,
                            Int(block.offset) + done)
                    }
                }
            }
            written = max(written, end)
            byteCount += UInt64(block.bytes.count)
        }
        guard written < entry.byteCount else { return }
        try copying { () throws(SystemError) in
            _ = try check("ftruncate") { ftruncate(raw, Int(entry.byteCount)) }
        }
    }

    private func makeFolder(_ entry: TarEntry, _ name: CPath, _ parent: SharedDescriptor) throws(CopyError) {
        try copying { () throws(SystemError) in
            do throws(SystemError) {
                _ = try name.attempt("mkdirat") { mkdirat(parent.raw, $0, 0o700) }
            } catch {
                guard error.code == EEXIST else { throw error }
            }
            let folder = FileDescriptor(
                owning: try name.attempt("openat") {
                    gantry_openat(parent.raw, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
                })
            // Until all that belongs into it is there, its owner must be able to write to it.
            try setAttributes(entry, folder, mode: isRoot ? entry.mode : entry.mode | 0o700)
        }
        folders.append((entry.path.bytes, allowed(entry.mode), entry.times))
    }

    private func makeOther(_ entry: TarEntry, _ name: CPath, _ parent: SharedDescriptor) throws(SystemError) {
        var type: mode_t = S_IFIFO
        switch entry.kind {
        case .symlink(let target):
            let target = CPath(target)
            try creating("symlinkat", name, parent) { link in
                target.withPointer { symlinkat($0, parent.raw, link) }
            }
            links.insert(entry.path.bytes)
            type = S_IFLNK
        case .hardlink(let target): return try makeHardLink(entry, to: target, name, parent)
        case .fifo: try creating("mkfifoat", name, parent) { mkfifoat(parent.raw, $0, 0o600) }
        case .characterDevice, .blockDevice:
            guard options.makesDevices else {
                return skipped.append(String(decoding: entry.path.bytes, as: UTF8.self))
            }
            type = entry.kind == .blockDevice ? S_IFBLK : S_IFCHR
            try creating("mknodat", name, parent) { mknodat(parent.raw, $0, type | 0o600, entry.device) }
        case .file, .directory: return
        }
        let made = try place.pin(name, in: parent, type: type)
        try setAttributes(entry, made, mode: type == S_IFLNK ? nil : entry.mode)
        let raw = made.raw
        try check("utimensat") { utimensat(raw, "", entry.times, AT_EMPTY_PATH) }
    }

    /// To an earlier entry; the target is not followed when it is a link itself.
    private func makeHardLink(
        _ entry: TarEntry, to target: [UInt8], _ name: CPath, _ parent: SharedDescriptor
    ) throws(SystemError) {
        let path: EntryPath
        let failure = SystemError("hard link to \(quoted(target))", code: EXDEV)
        do {
            var cleaned = try EntryPath(cleaning: target)
            if let rename = options.rename {
                guard let renamed = rename(cleaned.bytes) else { throw failure }
                cleaned = try EntryPath(cleaning: renamed)
            }
            path = cleaned
            try checkWay(path)
        } catch {
            throw failure
        }
        guard !path.isRoot else { throw failure }
        let targetParent = try place.open(path.parent, O_PATH | O_DIRECTORY)
        let targetName = CPath(path.name)
        guard let status = try place.status(targetName, in: targetParent),
            gantry_is_directory(status.st_mode) == 0
        else { throw SystemError("hard link to \(quoted(target))", code: ENOENT) }
        try creating("linkat", name, parent) { link in
            targetName.withPointer { linkat(targetParent.raw, $0, parent.raw, link, 0) }
        }
    }

    // MARK: - Attributes

    private func allowed(_ mode: mode_t) -> mode_t { options.keepsPrivileges ? mode : mode & 0o1777 }

    /// Owner first: chown(2) takes the setuid bits and capabilities away. `mode` is nil for what has none.
    private func setAttributes(
        _ entry: TarEntry, _ object: borrowing FileDescriptor, mode: mode_t?
    ) throws(SystemError) {
        let raw = object.raw
        switch options.owner {
        case .own: break
        case .archive: try check("chown") { fchownat(raw, "", entry.uid, entry.gid, AT_EMPTY_PATH) }
        case .fixed(let user, let group): try check("chown") { fchownat(raw, "", user, group, AT_EMPTY_PATH) }
        }
        // The magic link leads to the object itself, also from an O_PATH descriptor.
        let magic = "/proc/self/fd/\(raw)"
        if let mode { try check("chmod", path: quoted(entry.path.bytes)) { chmod(magic, allowed(mode)) } }
        guard options.keepsPrivileges else { return }
        for attribute in entry.attributes {
            let result = CPath(attribute.name).withPointer {
                setxattr(magic, $0, attribute.value, attribute.value.count, 0)
            }
            let code = errno
            if result == 0 || (!attribute.isRequired && (code == EOPNOTSUPP || code == EPERM)) { continue }
            throw SystemError("setxattr", path: quoted(entry.path.bytes), code: code)
        }
    }

    /// When nothing is written below any more. One that was replaced since is passed over.
    private func finishFolders() throws(CopyError) {
        for entry in folders.reversed() {
            try copying { () throws(SystemError) in
                do throws(SystemError) {
                    let folder = try place.open(entry.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                    if !isRoot { try check("fchmod") { fchmod(folder.raw, entry.mode) } }
                    try check("futimens") { futimens(folder.raw, entry.times) }
                } catch {
                    guard [ENOENT, ENOTDIR, ELOOP].contains(error.code) else { throw error }
                }
            }
        }
    }
}
