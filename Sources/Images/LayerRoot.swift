import CLinux
import Glibc
import LinuxSystem

/// Descriptor calls confined to one folder: a layer being unpacked. Parents are resolved by `openat2(2)` with the
/// folder as root, last components are never followed, so no name or link of an archive reaches anything outside.
final class LayerRoot {
    let root: FileDescriptor
    /// Where displaced folders go: a rename instead of a removal. Not reachable from the root.
    private let discards: FileDescriptor
    private var discardCount = 0
    private let overlay: OverlayAttributes
    /// Folders that the archive only implies.
    private(set) var impliedFolders: [[UInt8]] = []
    private(set) var impliedNameByteCount = 0
    /// What a remembered name takes besides its bytes, about.
    static let nameOverhead = 64
    /// The parent of the entry before: most entries share it.
    private var cachedParent: (path: [UInt8], folder: SharedDescriptor)?
    /// The group of that parent, if known: what is made in it belongs to our own group then, whether or not the
    /// folder or the mount hand their group down (setgid, `grpid`).
    private(set) var cachedParentGroup: gid_t?

    init(root: String, discards: String, overlay: OverlayAttributes) throws(ImageError) {
        do throws(SystemError) {
            self.root = try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY)
            self.discards = try FileDescriptor.open(discards, O_PATH | O_DIRECTORY)
        } catch {
            throw ImageError(error)
        }
        self.overlay = overlay
    }

    /// A call on `path`, which becomes text only when there is an error to tell.
    @discardableResult
    func attempt<Result: SignedInteger>(
        _ call: String, _ path: CPath, _ body: (UnsafePointer<CChar>) -> Result
    ) throws(SystemError) -> Result {
        try path.attempt(call, body)
    }

    private func openInRoot(_ path: [UInt8], _ flags: Int32) throws(SystemError) -> SharedDescriptor {
        let rootRaw = root.raw
        let resolve = UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        let raw = try attempt("openat2", path.isEmpty ? CPath(".".utf8) : CPath(path)) {
            gantry_openat2(rootRaw, $0, UInt64(flags | O_CLOEXEC), 0, resolve)
        }
        return SharedDescriptor(FileDescriptor(owning: raw))
    }

    // MARK: - Folders on the way

    /// The folder `path`, through links that stay in the root; made with mode 0755 where missing and `creating`, also
    /// in place of a whiteout unless `keepingWhiteouts`.
    func folder(
        _ path: [UInt8], creating: Bool, keepingWhiteouts: Bool = false
    ) throws(SystemError) -> SharedDescriptor {
        if let cachedParent, cachedParent.path == path { return cachedParent.folder }
        let found: SharedDescriptor
        do {
            found = try openInRoot(path, O_PATH | O_DIRECTORY)
        } catch {
            guard creating, error.code == ENOENT || error.code == ENOTDIR else { throw error }
            found = try makeFolders(path, keepingWhiteouts: keepingWhiteouts)
        }
        cachedParent = (path, found)
        var status = stat()
        cachedParentGroup = fstat(found.raw, &status) == 0 ? status.st_gid : nil
        return found
    }

    /// The parent may be another folder by now, or of another group.
    func forgetParent() { (cachedParent, cachedParentGroup) = (nil, nil) }

    private func makeFolders(_ path: [UInt8], keepingWhiteouts: Bool) throws(SystemError) -> SharedDescriptor {
        var current = try openInRoot([], O_PATH | O_DIRECTORY)
        var prefix: [UInt8] = []
        for component in path.split(separator: UInt8(ascii: "/")) {
            if !prefix.isEmpty { prefix.append(UInt8(ascii: "/")) }
            prefix += component
            do {
                current = try openInRoot(prefix, O_PATH | O_DIRECTORY)
            } catch {
                switch error.code {
                case ENOENT: try makeFolder(CPath(component), in: current)
                case ENOTDIR where !keepingWhiteouts: try replaceWhiteout(CPath(component), in: current)
                default: throw error
                }
                impliedFolders.append(prefix)
                impliedNameByteCount += prefix.count + Self.nameOverhead
                current = try openInRoot(prefix, O_PATH | O_DIRECTORY)
            }
        }
        return current
    }

    /// EEXIST when a link that leads nowhere has the name.
    private func makeFolder(_ name: CPath, in parent: SharedDescriptor) throws(SystemError) {
        try attempt("mkdirat", name) { mkdirat(parent.raw, $0, 0o755) }
        // The umask may have taken bits away.
        try attempt("fchmodat", name) { fchmodat(parent.raw, $0, 0o755, 0) }
    }

    /// A folder that appears where this layer hid one must not show the lower layers' content.
    private func replaceWhiteout(_ name: CPath, in parent: SharedDescriptor) throws(SystemError) {
        guard let status = try status(name, in: parent), isWhiteout(status) else {
            throw SystemError("openat2", path: name.quotedText, code: ENOTDIR)
        }
        try attempt("unlinkat", name) { unlinkat(parent.raw, $0, 0) }
        try makeFolder(name, in: parent)
        try markOpaque(name, in: parent)
    }

    // MARK: - What is there

    /// nil when there is nothing of that name.
    func status(_ name: CPath, in parent: SharedDescriptor) throws(SystemError) -> stat? {
        var status = stat()
        do {
            try attempt("fstatat", name) { fstatat(parent.raw, $0, &status, AT_SYMLINK_NOFOLLOW) }
            return status
        } catch {
            guard error.code == ENOENT else { throw error }
            return nil
        }
    }

    func isWhiteout(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0 }

    /// Makes something at `name`, in place of what is there; true when that was a whiteout.
    @discardableResult
    func make(
        _ call: String, _ name: CPath, in parent: SharedDescriptor, _ body: (UnsafePointer<CChar>) -> Int32
    ) throws(SystemError) -> Bool {
        do {
            try attempt(call, name, body)
            return false
        } catch {
            guard error.code == EEXIST else { throw error }
        }
        let wasWhiteout = try displace(name, in: parent)
        try attempt(call, name, body)
        return wasWhiteout
    }

    private func displace(_ name: CPath, in parent: SharedDescriptor) throws(SystemError) -> Bool {
        guard let status = try status(name, in: parent) else { return false }
        let type = status.st_mode & S_IFMT
        // Paths that led through it no longer do.
        if type == S_IFDIR || type == S_IFLNK { forgetParent() }
        if type == S_IFDIR {
            let discardsRaw = discards.raw
            discardCount += 1
            let aside = "\(discardCount)"
            try attempt("renameat", name) { renameat(parent.raw, $0, discardsRaw, aside) }
        } else {
            try attempt("unlinkat", name) { unlinkat(parent.raw, $0, 0) }
        }
        return isWhiteout(status)
    }

    // MARK: - Marks and times of folders

    /// Marks a folder so that overlayfs shows nothing of it from lower layers.
    func markOpaque(_ name: CPath, in parent: SharedDescriptor) throws(SystemError) {
        let raw = try attempt("openat", name) {
            gantry_openat(parent.raw, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        let folder = FileDescriptor(owning: raw)
        let attribute = overlay.rawValue + "opaque"
        let folderRaw = folder.raw
        try check("fsetxattr", path: attribute) { fsetxattr(folderRaw, attribute, "y", 1, 0) }
    }

    /// For when nothing is written below any more. A folder replaced since is passed over.
    func setFolderTimes(_ path: [UInt8], _ times: [timespec]) throws(SystemError) {
        do {
            let folder = try openInRoot(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try check("futimens") { futimens(folder.raw, times) }
        } catch {
            guard error.code == ENOENT || error.code == ENOTDIR || error.code == ELOOP else { throw error }
        }
    }
}
