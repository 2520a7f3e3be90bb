import CLinux
import Glibc
import Synchronization

/// What tells that a file is still the one that was read: any change of content, owner, mode or attributes gives it
/// another `ctime` (inode(7)).
struct FileStamp: Hashable, Sendable {
    var device: UInt64
    var number: UInt64
    var byteCount: Int64
    var modified: Int64
    var changed: Int64
    var mode: UInt32

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
        byteCount = Int64(status.st_size)
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        mode = status.st_mode
    }

    init(device: UInt64, number: UInt64, byteCount: Int64, modified: Int64, changed: Int64, mode: UInt32) {
        self.device = device
        self.number = number
        self.byteCount = byteCount
        self.modified = modified
        self.changed = changed
        self.mode = mode
    }

    /// Since 1970; what does not fit (beyond the year 2262) wraps, and still differs.
    static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

/// What a digest was made of, so that a copy can tell that it sees the same.
final class SelectionWitness: Sendable {
    private let stamps = Mutex<[FileStamp]?>(nil)

    var value: [FileStamp]? { stamps.withLock { $0 } }
    func set(_ value: [FileStamp]) { stamps.withLock { $0 = value } }
}
