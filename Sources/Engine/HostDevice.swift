import CLinux
import Glibc
import LinuxSystem
import StackModel

/// A device node of the host that a service asks for.
struct HostDevice {
    /// `c` or `b`.
    var type: String
    var major: Int64
    var minor: Int64
    var mode: UInt32
    var uid: UInt32
    var gid: UInt32

    init(path: String) throws(EngineError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .system(SystemError("stat", path: path, code: errno)) }
        switch status.st_mode & S_IFMT {
        case S_IFCHR: type = "c"
        case S_IFBLK: type = "b"
        default: throw .badRequest("\(path) is no device")
        }
        major = Int64(gantry_major(status.st_rdev))
        minor = Int64(gantry_minor(status.st_rdev))
        mode = UInt32(status.st_mode & 0o777)
        (uid, gid) = (status.st_uid, status.st_gid)
    }
}
