import Glibc

/// A lock on an open file (flock(2)) that the kernel frees with its holder.
public enum ExclusiveLock {
    /// A holder that was killed may have left a child between fork(2) and execve(2), which has all its descriptors for
    /// some milliseconds more, longer on a busy machine.
    public static let patienceMilliseconds = 2_000
    private static let pauseMilliseconds = 20

    /// False when somebody holds it, and goes on holding it.
    ///
    /// - Throws: `SystemError` for what is no lock that somebody has.
    public static func take(_ file: borrowing FileDescriptor) throws(SystemError) -> Bool {
        let raw = file.raw
        var left = patienceMilliseconds
        while flock(raw, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw SystemError("flock", code: errno) }
            guard left > 0 else { return false }
            left -= pauseMilliseconds
            usleep(UInt32(pauseMilliseconds) * 1_000)
        }
        return true
    }
}
