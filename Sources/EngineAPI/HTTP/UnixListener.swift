import CLinux
import Glibc
import LinuxSystem

/// Makes, or takes over from systemd, the listening socket.
enum UnixListener {
    /// What is at a path, to know later whether it is still ours.
    struct Identity: Equatable, Sendable {
        var device: dev_t
        var inode: ino_t
    }

    private static let acceptedByteCountMax = 100
    private static let probePauseMilliseconds = 100

    /// A listening socket at `path`, mode 0660. The path appears when the socket listens and has its mode: it is made
    /// under another name and renamed, which also replaces a socket that nobody listens on. Folders are made with 0711.
    static func make(path: String, group: UInt32?) throws -> FileDescriptor {
        guard path.utf8.count <= acceptedByteCountMax else { throw HTTPServerError.pathTooLong(path: path) }
        let folder = FileSystem.parent(of: path)
        try FileSystem.makeDirectories(folder, mode: 0o711)
        // Of two engines starting at once, the second must find the first one listening. Released with the descriptor.
        let lock = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
        let lockRaw = lock.raw
        try check("flock", path: folder) { flock(lockRaw, LOCK_EX) }
        try checkIsFree(path)
        let socket = try open()
        let temporary = path + ".new"
        unlink(temporary)  // Left by a start that was cut short; when it cannot go, bind says so.
        do {
            let raw = socket.raw
            try withAddress(temporary) { address, length in
                _ = try check("bind", path: path) { bind(raw, address, length) }
            }
            if let group { try check("chown", path: path) { chown(temporary, uid_t.max, group) } }
            try check("chmod", path: path) { chmod(temporary, 0o660) }
            try check("listen", path: path) { listen(raw, HTTPLimits.listenBacklog) }
            try check("rename", path: path) { rename(temporary, path) }
            return socket
        } catch {
            unlink(temporary)  // Best effort: the error that matters is the one on its way out.
            throw error
        }
    }

    /// Removes the socket file when it is still the one that was there after `make`.
    static func remove(path: String, identity: Identity) {
        // A path that cannot be examined is gone or no longer ours.
        if let present = try? identify(path), present == identity { unlink(path) }
    }

    /// The first descriptor systemd passed to this process, if it did (sd_listen_fds(3)).
    static func activationDescriptor(_ environment: (String) -> String?, processID: Int32) -> Int32? {
        let firstDescriptor: Int32 = 3  // SD_LISTEN_FDS_START
        guard let owner = environment("LISTEN_PID").flatMap({ Int32($0) }), owner == processID,
            let count = environment("LISTEN_FDS").flatMap({ Int32($0) }), count > 0
        else { return nil }
        return firstDescriptor
    }

    /// Takes over `raw` when it is a listening Unix stream socket.
    static func adopt(_ raw: Int32) throws -> FileDescriptor {
        func option(_ name: Int32) -> Int32? {
            var value: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            return getsockopt(raw, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
        }
        guard option(SO_ACCEPTCONN) == 1, option(SO_DOMAIN) == AF_UNIX,
            option(SO_TYPE) == Int32(SOCK_STREAM.rawValue)
        else { throw HTTPServerError.unusableActivationSocket }
        try check("fcntl") { fcntl(raw, F_SETFD, FD_CLOEXEC) }
        return FileDescriptor(owning: raw)
    }

    private static func open() throws(SystemError) -> FileDescriptor {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        return FileDescriptor(owning: try check("socket") { socket(AF_UNIX, type, 0) })
    }

    private static func checkIsFree(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw HTTPServerError.notASocket(path: path) }
        // A child of an engine that was killed may have its socket until it executes its program.
        var left = ExclusiveLock.patienceMilliseconds
        while true {
            let probe = try open()
            let raw = probe.raw
            let code = withAddress(path) { address, length in connect(raw, address, length) == 0 ? 0 : errno }
            if code == ECONNREFUSED || code == ENOENT { return }
            // EAGAIN: somebody listens, and the queue of connections is full.
            guard code == 0 || code == EAGAIN else { throw SystemError("connect", path: path, code: code) }
            guard left > 0 else { throw HTTPServerError.addressInUse(path: path) }
            left -= probePauseMilliseconds
            usleep(UInt32(probePauseMilliseconds) * 1_000)
        }
    }

    static func identify(_ path: String) throws(SystemError) -> Identity {
        var status = stat()
        try check("lstat", path: path) { lstat(path, &status) }
        return Identity(device: status.st_dev, inode: status.st_ino)
    }

    private static func withAddress<Result>(
        _ path: String, _ body: (__CONST_SOCKADDR_ARG, socklen_t) throws -> Result
    ) rethrows -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            target.copyBytes(from: path.utf8.prefix(target.count - 1))
        }
        return try withUnsafePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body(__CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
