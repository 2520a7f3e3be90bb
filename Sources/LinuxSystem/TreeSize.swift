import CLinux
import Glibc

extension FileSystem {
    /// Folders in folders that are counted; each takes a descriptor while it is read.
    private static let sizeDepthMax = 128

    /// Bytes of file content below `path`, as `du --apparent-size` counts the files: each inode once, nothing that is
    /// mounted there, and no link is followed, so that a container may change the tree meanwhile. 0 when there is
    /// nothing.
    public static func treeByteCount(_ path: String) throws(SystemError) -> UInt64 {
        guard exists(path) else { return 0 }
        let folder = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        var status = stat()
        let raw = folder.raw
        try check("fstat", path: path) { fstat(raw, &status) }
        var counting = TreeCounting(device: status.st_dev)
        counting.add(folder.take(), depth: sizeDepthMax)
        return counting.byteCount
    }
}

private struct TreeCounting {
    let device: dev_t
    var byteCount: UInt64 = 0
    private var seen: Set<ino_t> = []

    init(device: dev_t) { self.device = device }

    /// Takes the descriptor over. What vanishes while it is looked at counts nothing.
    mutating func add(_ descriptor: Int32, depth: Int) {
        guard let stream = fdopendir(descriptor) else {
            close(descriptor)
            return
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            var copy = entry.pointee.d_name
            let name = withUnsafeBytes(of: &copy) { Array($0.prefix { $0 != 0 }.map { CChar(bitPattern: $0) }) + [0] }
            if name == [46, 0] || name == [46, 46, 0] { continue }
            var status = stat()
            guard fstatat(dirfd(stream), name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_dev == device else {
                continue
            }
            if gantry_is_directory(status.st_mode) == 1 {
                guard depth > 0 else { continue }
                let inner = name.withUnsafeBufferPointer {
                    gantry_openat(dirfd(stream), $0.baseAddress, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
                }
                if inner >= 0 { add(inner, depth: depth - 1) }
            } else if status.st_nlink == 1 || seen.insert(status.st_ino).inserted {
                byteCount &+= UInt64(clamping: status.st_size)
            }
        }
    }
}
