import CLinux
import Glibc
import Images
import LinuxSystem

/// Makes a folder and those above it that are missing, links followed as if `root` were the root. What is there stays
/// as it is; what is made gets the owner and mode 0755.
func makeFolders(_ path: String, owner: (uid: UInt32, gid: UInt32), in root: SharedDescriptor) throws(BuildFailure) {
    var prefix = ""
    var parent = try folder("/", in: root)
    for part in CopyPath.absolute(path).split(separator: "/").map(String.init) {
        prefix += "/" + part
        let raw = parent.raw
        if let found = try existing(prefix, in: root) {
            parent = found
            continue
        }
        try calling { () throws(SystemError) in
            try check("mkdirat", path: prefix) { mkdirat(raw, part, 0o755) }
            try check("fchownat", path: prefix) { fchownat(raw, part, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) }
            // The umask took something away.
            let made = try FileDescriptor.open("/proc/self/fd/\(raw)/\(part)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let madeRaw = made.raw
            try check("fchmod", path: prefix) { fchmod(madeRaw, 0o755) }
        }
        parent = try folder(prefix, in: root)
    }
}

private func folder(_ path: String, in root: SharedDescriptor) throws(BuildFailure) -> SharedDescriptor {
    try calling { () throws(SystemError) in
        let whole = try root.duplicate()
        return SharedDescriptor(try whole.openInRoot(path, O_PATH | O_DIRECTORY))
    }
}

/// nil when there is nothing; a dangling link is an error, as for mkdir(1).
private func existing(_ path: String, in root: SharedDescriptor) throws(BuildFailure) -> SharedDescriptor? {
    do throws(SystemError) {
        let whole = try root.duplicate()
        return SharedDescriptor(try whole.openInRoot(path, O_PATH | O_DIRECTORY))
    } catch {
        if error.code == ENOENT { return nil }
        guard error.code == ENOTDIR else { throw .system(error) }
        throw BuildFailure.failed("not-a-folder", "\(path) is there, and it is not a folder")
    }
}
