import CLinux
import Glibc
import Synchronization

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
    /// magic links are refused. `openat2(2)`. EAGAIN (a rename raced with the look-up) is retried, 64 times at most.
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

    public func duplicate() throws(SystemError) -> FileDescriptor { try descriptor.duplicate() }
}

/// A descriptor that one thread may close while others use it: uses after the close do nothing.
public final class ClosableDescriptor: Sendable {
    private let state: Mutex<SharedDescriptor?>

    public init(_ descriptor: consuming FileDescriptor) { state = Mutex(SharedDescriptor(descriptor)) }

    /// The last holder of `descriptor`: others would keep it open.
    public init(holding descriptor: SharedDescriptor) { state = Mutex(descriptor) }

    /// Closes it as soon as no use is under way.
    public func close() { state.withLock { $0 = nil } }

    /// Writes every byte; `false` when it is closed or nobody reads. A broken pipe raises no signal where SIGPIPE is
    /// ignored, as in the engine.
    public func writeAll(_ bytes: [UInt8], from start: Int = 0) -> Bool {
        guard let descriptor = state.withLock({ $0 }) else { return false }
        var offset = start
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor.raw, $0.baseAddress.map { $0 + offset }, $0.count - offset)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                var event = pollfd(fd: descriptor.raw, events: Int16(POLLOUT), revents: 0)
                // Whatever it answers, the write tells.
                poll(&event, 1, -1)
                continue
            }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }

    /// Of a pipe: the kernel holds up to `byteCount` bytes (rounded; less where the user may have no more, pipe(7)),
    /// and
    /// `writeAvailable` does not wait.
    public func preparePipe(byteCount: Int32) {
        guard let descriptor = state.withLock({ $0 }) else { return }
        // A smaller pipe does, too.
        _ = fcntl(descriptor.raw, F_SETPIPE_SZ, byteCount)
        let flags = fcntl(descriptor.raw, F_GETFL)
        if flags >= 0 { _ = fcntl(descriptor.raw, F_SETFL, flags | O_NONBLOCK) }
    }

    /// Writes what there is room for at once and answers how much that was; `nil` when it is closed or nobody reads.
    public func writeAvailable(_ bytes: [UInt8]) -> Int? {
        guard let descriptor = state.withLock({ $0 }) else { return nil }
        let count = bytes.withUnsafeBytes { write(descriptor.raw, $0.baseAddress, $0.count) }
        if count < 0 { return errno == EAGAIN || errno == EINTR ? 0 : nil }
        return count
    }
}
