import CLinux
import Glibc

/// An owned file descriptor, closed when it goes out of scope.
public struct FileDescriptor: ~Copyable, Sendable {
    /// The number, for passing to a system call; valid only while this value lives.
    public let raw: Int32

    public init(owning raw: Int32) { self.raw = raw }

    // close(2) answers EIO or EINTR only after the descriptor is gone: there is nothing to do about either.
    deinit { close(raw) }

    /// Hands the descriptor over to the caller, who must close it.
    public consuming func take() -> Int32 {
        let raw = raw
        discard self
        return raw
    }

    /// A second descriptor of the same open file, close-on-exec (`F_DUPFD_CLOEXEC`).
    public borrowing func duplicate() throws(SystemError) -> FileDescriptor {
        let raw = raw
        return FileDescriptor(owning: try check("fcntl") { gantry_fcntl(raw, F_DUPFD_CLOEXEC, 0) })
    }

    /// Opens `path` close-on-exec. Only for paths we own: for paths under a container's control use `openBeneath`.
    public static func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try check("open", path: path) { gantry_open(path, flags | O_CLOEXEC, mode) })
    }

    /// Opens `path` relative to this directory, close-on-exec.
    public borrowing func open(at path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemError) -> FileDescriptor
    {
        let raw = raw
        return FileDescriptor(
            owning: try check("openat", path: path) { gantry_openat(raw, path, flags | O_CLOEXEC, mode) })
    }

    /// Opens `path` with this directory as its root: absolute links and `..` stay inside (`RESOLVE_IN_ROOT`), and
    /// magic links are refused. `openat2(2)`. EAGAIN (a rename raced with the look-up) is tried again, 64 times at most.
    public borrowing func openInRoot(
        _ path: String, _ flags: Int32, mode: mode_t = 0, resolve: Int32 = 0
    ) throws(SystemError) -> FileDescriptor {
        let raw = raw
        let how = UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) | UInt64(resolve)
        let attemptsMax = 64
        for attempt in 1... {
            do {
                return FileDescriptor(
                    owning: try check("openat2", path: path) {
                        gantry_openat2(raw, path, UInt64(flags | O_CLOEXEC), UInt64(mode), how)
                    })
            } catch {
                guard error.code == EAGAIN, attempt < attemptsMax else { throw error }
            }
        }
        preconditionFailure("openInRoot: endless loop left")
    }
}

/// A file descriptor with shared ownership, for places a non-copyable value cannot go (closures, collections).
public final class SharedDescriptor: Sendable {
    private let descriptor: FileDescriptor
    public init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
    public var raw: Int32 { descriptor.raw }
}
