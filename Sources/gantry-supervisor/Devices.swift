import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The container's /dev.
enum Devices {
    private static let defaults: [(name: String, major: UInt32, minor: UInt32)] = [
        ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
    ]
    private static let links: [(name: String, target: String)] = [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"), ("core", "/proc/kcore"),
    ]

    /// A fresh tmpfs with the default nodes. An image whose /dev is a link is refused (CVE-2026-41579): everything is
    /// made through the tmpfs's own descriptor.
    static func mount(_ mount: MountPlan, root: borrowing FileDescriptor) throws(SystemError) -> Int32 {
        let target = try root.openOrMakeInRoot(mount.target, isDirectory: true, strict: true)
        let folder = try MountSetup.make(
            "tmpfs", mount.parameters, attributes: mount.attributesSet & ~UInt64(MOUNT_ATTR_RDONLY))
        try MountSetup.attach(folder, to: target, path: mount.target)
        try makeDefaults(in: folder)
        return folder.take()
    }

    static func makeDefaults(in folder: borrowing FileDescriptor) throws(SystemError) {
        let raw = folder.raw
        _ = umask(0)
        for device in defaults {
            try makeNode(
                DevicePlan(kind: .character, path: "/dev/\(device.name)", major: device.major, minor: device.minor),
                name: device.name, in: folder)
        }
        for link in links {
            if symlinkat(link.target, raw, link.name) != 0, errno != EEXIST {
                throw SystemError("symlinkat", path: link.name, code: errno)
            }
        }
    }

    /// A device of the plan.
    /// - Parameter made: a detached mount of the node; -1: the kernel is asked for one.
    static func make(_ device: DevicePlan, made: Int32, root: borrowing FileDescriptor) throws(SystemError) {
        _ = umask(0)
        let parent = try root.openOrMakeInRoot(FileSystem.parent(of: device.path), isDirectory: true, strict: true)
        let name = FileSystem.lastComponent(of: device.path)
        guard made >= 0 else { return try makeNode(device, name: name, in: parent) }
        try bind(FileDescriptor(owning: made), device, name: name, in: parent)
    }

    private static func makeNode(
        _ device: DevicePlan, name: String, in folder: borrowing FileDescriptor
    ) throws(SystemError) {
        let raw = folder.raw
        let type: mode_t
        switch device.kind {
        case .character: type = S_IFCHR
        case .block: type = S_IFBLK
        case .fifo: type = S_IFIFO
        }
        let number = device.kind == .fifo ? 0 : gantry_makedev(device.major, device.minor)
        if mknodat(raw, name, type | mode_t(device.mode & 0o777), number) != 0 {
            // In a user namespace the kernel makes no devices: the host's node is bound instead.
            if errno == EPERM { return try bindFromHost(device, name: name, in: folder) }
            guard errno == EEXIST else { throw SystemError("mknodat", path: device.path, code: errno) }
        }
        let node = try folder.open(at: name, O_PATH | O_NOFOLLOW)
        let status = try InRoot.status(node)
        guard status.st_mode & S_IFMT == type, device.kind == .fifo || status.st_rdev == number else {
            throw SystemError("mknodat", path: device.path, code: EEXIST)
        }
        let nodeRaw = node.raw
        if status.st_mode & 0o777 != mode_t(device.mode & 0o777) {
            // It was there before. The descriptor allows no fchmod(2), its link in /proc does.
            try check("chmod", path: device.path) { chmod("/proc/self/fd/\(nodeRaw)", mode_t(device.mode & 0o777)) }
        }
        guard device.uid != status.st_uid || device.gid != status.st_gid else { return }
        try check("fchownat", path: device.path) {
            fchownat(nodeRaw, "", device.uid, device.gid, AT_EMPTY_PATH)
        }
    }

    private static func bindFromHost(
        _ device: DevicePlan, name: String, in folder: borrowing FileDescriptor
    ) throws(SystemError) {
        let tree = FileDescriptor(
            owning: try check("open_tree", path: device.path) { gantry_open_tree_clone(AT_FDCWD, device.path, 0) })
        let status = try InRoot.status(tree)
        let type: mode_t = device.kind == .block ? S_IFBLK : S_IFCHR
        guard status.st_mode & S_IFMT == type, status.st_rdev == gantry_makedev(device.major, device.minor) else {
            throw SystemError("no such node on the host", path: device.path, code: ENODEV)
        }
        try bind(tree, device, name: name, in: folder)
    }

    private static func bind(
        _ tree: borrowing FileDescriptor, _ device: DevicePlan, name: String, in folder: borrowing FileDescriptor
    ) throws(SystemError) {
        let raw = folder.raw
        if mknodat(raw, name, S_IFREG | 0o666, 0) != 0, errno != EEXIST {
            throw SystemError("mknodat", path: device.path, code: errno)
        }
        let target = try folder.open(at: name, O_PATH | O_NOFOLLOW)
        try MountSetup.attach(tree, to: target, path: device.path)
    }

    /// The host's /dev/null, looked at before it is trusted to cover files (CVE-2025-31133).
    static func hostNull() throws(SystemError) -> FileDescriptor {
        let null = try FileDescriptor.open("/dev/null", O_PATH | O_NOFOLLOW)
        let status = try InRoot.status(null)
        guard gantry_is_character_device(status.st_mode) != 0, status.st_rdev == gantry_makedev(1, 3) else {
            throw SystemError("open", path: "/dev/null", code: ENODEV)
        }
        return null
    }
}
