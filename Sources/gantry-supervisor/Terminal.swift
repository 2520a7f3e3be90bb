import CLinux
import Glibc
import LinuxSystem

/// The container's terminal: a pair from its own devpts, so that it is a terminal of the container for every tool.
enum Terminal {
    /// In the child, inside the container's root. The master goes to the supervisor; the other side is answered.
    static func make(
        root: borrowing FileDescriptor, socket: Int32, uid: uid_t, rows: UInt16, columns: UInt16
    ) throws(SystemError) -> FileDescriptor {
        let master = try root.openInRoot(
            "/dev/pts/ptmx", O_RDWR | O_NOCTTY, resolve: Int32(RESOLVE_NO_SYMLINKS))
        let raw = master.raw
        // devpts(4): its ptmx is inode 2, device 5:2. Anything else is a trap laid in a shared /dev (CVE-2025-52565).
        let status = try InRoot.status(master)
        guard try InRoot.fileSystem(master) == Int(DEVPTS_SUPER_MAGIC), status.st_rdev == gantry_makedev(5, 2) else {
            throw SystemError("open", path: "/dev/pts/ptmx", code: ENODEV)
        }
        try check("TIOCSPTLCK") { gantry_pty_unlock(raw) }
        let terminal = FileDescriptor(owning: try check("TIOCGPTPEER") { gantry_pty_peer(raw) })
        let terminalRaw = terminal.raw
        try check("fchown") { fchown(terminalRaw, uid, gid_t.max) }
        if rows > 0 || columns > 0 { try check("TIOCSWINSZ") { gantry_pty_resize(terminalRaw, rows, columns) } }
        try check("sendmsg") { gantry_send_descriptor(socket, raw) }
        return terminal
    }

    /// Binds the terminal over /dev/console.
    static func bindConsole(_ terminal: borrowing FileDescriptor, root: borrowing FileDescriptor) throws(SystemError) {
        let folder = try root.openInRoot("/dev", O_PATH | O_DIRECTORY, resolve: Int32(RESOLVE_NO_SYMLINKS))
        let raw = folder.raw
        if mknodat(raw, "console", S_IFREG | 0o600, 0) != 0, errno != EEXIST {
            throw SystemError("mknodat", path: "/dev/console", code: errno)
        }
        let target = try folder.open(at: "console", O_PATH | O_NOFOLLOW)
        try MountSetup.attach(try MountSetup.clone(terminal.raw), to: target, path: "/dev/console")
    }

    /// Makes it the controlling terminal of the caller's new session and its three standard streams.
    static func takeOver(_ terminal: Int32) throws(SystemError) {
        try check("TIOCSCTTY") { gantry_pty_control(terminal) }
        for stream in Int32(0)...2 { try check("dup2") { dup2(terminal, stream) } }
    }
}
