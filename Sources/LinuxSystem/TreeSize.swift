import CLinux
import Glibc

extension FileSystem {
    /// Folders in folders that are counted; each takes a descriptor while it is read.
    private static let sizeDepthMax = 128

    /// Bytes of file content below `path`, as `du --apparent-size` counts the files: each inode once, nothing that is
    /// mounted there, and no link is followed, so that a container may change the tree meanwhile. 0 when there is
    /// nothing.
    public static func treeByteCount(_ path: String) throws(SystemError) -> UInt64 {
        let folder: FileDescriptor
        do {
            folder = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch {
            // Also what went while it was looked for.
            if error.code == ENOENT { return 0 }
            throw error
        }
        var status = stat()
        let raw = folder.raw
        try check("fstat", path: path) { fstat(raw, &status) }
        var counting = TreeCounting(device: status.st_dev)
        counting.add(folder, depth: sizeDepthMax)
        return counting.byteCount
    }
}

private struct TreeCounting {
    let device: dev_t
    var byteCount: UInt64 = 0
    private var seen: Set<ino_t> = []

    init(device: dev_t) { self.device = device }

    /// What vanishes while it is looked at counts nothing.
    mutating func add(_ folder: borrowing FileDescriptor, depth: Int) {
        let raw = folder.raw
        // Of a folder that cannot be read nothing is known.
        for name in (try? folder.names()) ?? [] {
            var status = stat()
            guard name.withPointer({ fstatat(raw, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0, status.st_dev == device
            else { continue }
            if gantry_is_directory(status.st_mode) == 1 {
                guard depth > 0 else { continue }
                let inner = name.withPointer {
                    gantry_openat(raw, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
                }
                if inner >= 0 { add(FileDescriptor(owning: inner), depth: depth - 1) }
            } else if status.st_nlink == 1 || seen.insert(status.st_ino).inserted {
                byteCount &+= UInt64(clamping: status.st_size)
            }
        }
    }
}
