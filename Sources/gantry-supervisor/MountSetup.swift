import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Makes the mounts of a container in its own mount namespace, before pivot_root. Targets are resolved inside the root
/// and mounted on by descriptor, so that no exchanged link can move a mount elsewhere (CVE-2021-30465 and its like).
struct MountSetup: ~Copyable {
    /// Names directly in /proc that may be mounted over: what lxcfs provides.
    private static let procTargets: Set<String> = [
        "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
        "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/net/dev",
    ]

    let root: FileDescriptor

    func perform(_ mount: MountPlan) throws(SetupFailure) {
        try step("mount \(mount.target)") { () throws(SystemError) in
            switch mount.kind {
            case .bind: try bind(mount)
            case .fileSystem: try fileSystem(mount)
            case .kernel: try kernel(mount)
            case .devices: try Devices.mount(mount, root: root)
            case .cgroups: try cgroups(mount)
            }
        }
    }

    // MARK: - Kinds

    private func bind(_ mount: MountPlan) throws(SystemError) {
        let tree = FileDescriptor(
            owning: try check("open_tree", path: mount.source) {
                gantry_open_tree_clone(AT_FDCWD, mount.source, mount.recursive ? 1 : 0)
            })
        try Self.setAttributes(tree, mount)
        let isDirectory = gantry_is_directory(try InRoot.status(tree).st_mode) != 0
        let target = try InRoot.openOrMake(root, mount.target, directory: isDirectory)
        try Self.refuseProc(target, mount.target)
        try Self.attach(tree, to: target, path: mount.target)
    }

    private static func setAttributes(_ tree: borrowing FileDescriptor, _ mount: MountPlan) throws(SystemError) {
        let raw = tree.raw
        try check("mount_setattr", path: mount.source) {
            gantry_mount_setattr(
                raw, mount.attributesRecursive ? 1 : 0, mount.attributesSet, mount.attributesClear, 0)
        }
        guard mount.propagation != 0 else { return }
        try check("mount_setattr", path: mount.source) {
            gantry_mount_setattr(raw, mount.propagationRecursive ? 1 : 0, 0, 0, mount.propagation)
        }
    }

    private func fileSystem(_ mount: MountPlan) throws(SystemError) {
        let target = try InRoot.openOrMake(root, mount.target, directory: true)
        try Self.refuseProc(target, mount.target)
        var parameters = mount.parameters
        if mount.source == "tmpfs", !parameters.contains(where: { $0.key == "mode" }) {
            let mode = try InRoot.status(target).st_mode & 0o7777
            parameters.append(MountParameter("mode", String(mode, radix: 8)))
        }
        let made = try Self.make(mount.source, parameters, attributes: mount.attributesSet)
        try Self.attach(made, to: target, path: mount.target)
    }

    /// proc and sysfs go on a real directory only: an image's link must not carry them elsewhere (CVE-2019-19921).
    private func kernel(_ mount: MountPlan) throws(SystemError) {
        let target = try InRoot.openOrMake(root, mount.target, directory: true, strict: true)
        do {
            let made = try Self.make(mount.source, mount.parameters, attributes: mount.attributesSet)
            try Self.attach(made, to: target, path: mount.target)
        } catch {
            // A user namespace that does not own the network namespace may not mount sysfs: show the host's, read-only.
            guard mount.source == "sysfs", error.code == EPERM else { throw error }
            let tree = FileDescriptor(
                owning: try check("open_tree", path: "/sys") { gantry_open_tree_clone(AT_FDCWD, "/sys", 1) })
            let raw = tree.raw
            try check("mount_setattr", path: "/sys") {
                gantry_mount_setattr(raw, 1, UInt64(MOUNT_ATTR_RDONLY), 0, 0)
            }
            try Self.attach(tree, to: target, path: mount.target)
        }
    }

    /// The container's view of its cgroups. Inside a cgroup namespace each hierarchy is mounted afresh.
    private func cgroups(_ mount: MountPlan) throws(SystemError) {
        let target = try InRoot.openOrMake(root, mount.target, directory: true, strict: true)
        if mount.parameters.isEmpty {
            let made = try Self.make("cgroup2", [], attributes: mount.attributesSet)
            return try Self.attach(made, to: target, path: mount.target)
        }
        let folder = try Self.make(
            "tmpfs", [MountParameter("mode", "755"), MountParameter("size", "64k")],
            attributes: mount.attributesSet & ~UInt64(MOUNT_ATTR_RDONLY))
        try Self.attach(folder, to: target, path: mount.target)
        let raw = folder.raw
        for hierarchy in mount.parameters {
            let name = hierarchy.value ?? hierarchy.key
            _ = umask(0)
            try check("mkdirat", path: name) { mkdirat(raw, name, 0o755) }
            let place = try folder.open(at: name, O_PATH | O_DIRECTORY | O_NOFOLLOW)
            let options = hierarchy.key.split(separator: ",").map { option -> MountParameter in
                let parts = option.split(separator: "=", maxSplits: 1)
                return parts.count == 2
                    ? MountParameter(String(parts[0]), String(parts[1])) : MountParameter(String(option))
            }
            let made = try Self.make(options.isEmpty ? "cgroup2" : "cgroup", options, attributes: mount.attributesSet)
            try Self.attach(made, to: place, path: "\(mount.target)/\(name)")
        }
        if mount.attributesSet & UInt64(MOUNT_ATTR_RDONLY) != 0 {
            try check("mount_setattr", path: mount.target) {
                gantry_mount_setattr(raw, 0, UInt64(MOUNT_ATTR_RDONLY), 0, 0)
            }
        }
    }

    // MARK: - Masked and read-only paths

    /// Files are covered by /dev/null, directories by one empty read-only tmpfs. Missing paths are skipped.
    func mask(_ paths: [String]) throws(SetupFailure) {
        guard !paths.isEmpty else { return }
        let null = try step("open /dev/null") { () throws(SystemError) in try Devices.hostNull() }
        var empty: Int32 = -1
        defer { if empty >= 0 { close(empty) } }
        for path in paths {
            try step("mask \(path)") { () throws(SystemError) in
                guard let target = try openIfPresent(path) else { return }
                if gantry_is_directory(try InRoot.status(target).st_mode) == 0 {
                    try Self.attach(try Self.clone(null.raw), to: target, path: path)
                } else if empty < 0 {
                    let made = try Self.make(
                        "tmpfs", [MountParameter("nr_blocks", "1"), MountParameter("nr_inodes", "1")],
                        attributes: UInt64(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
                    )
                    try Self.attach(made, to: target, path: path)
                    empty = made.take()
                } else {
                    try Self.attach(try Self.clone(empty), to: target, path: path)
                }
            }
        }
    }

    func makeReadOnly(_ paths: [String]) throws(SetupFailure) {
        for path in paths {
            try step("make \(path) read-only") { () throws(SystemError) in
                guard let target = try openIfPresent(path) else { return }
                let tree = try Self.clone(target.raw, recursive: true)
                let raw = tree.raw
                try check("mount_setattr", path: path) {
                    gantry_mount_setattr(raw, 1, UInt64(MOUNT_ATTR_RDONLY), 0, 0)
                }
                try Self.attach(tree, to: target, path: path)
            }
        }
    }

    private func openIfPresent(_ path: String) throws(SystemError) -> FileDescriptor? {
        do {
            return try InRoot.open(root, path)
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR || error.code == EACCES { return nil }
            throw error
        }
    }

    // MARK: - Files of the plan

    /// Makes the plan's files on a tmpfs that is attached at `place`, a path of the host that only this namespace
    /// sees covered, and that pivot_root leaves behind. Answers the tmpfs.
    static func stage(_ files: [FilePlan], at place: String) throws(SystemError) -> FileDescriptor {
        let staging = try make(
            "tmpfs", [MountParameter("mode", "700")],
            attributes: UInt64(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC))
        let target = try FileDescriptor.open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW)
        try attach(staging, to: target, path: place)
        for (index, file) in files.enumerated() {
            let written = try staging.open(at: "\(index)", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            try written.writeAll(file.bytes)
            let raw = written.raw
            try check("fchown", path: file.path) { fchown(raw, file.uid, file.gid) }
            try check("fchmod", path: file.path) { fchmod(raw, mode_t(file.mode & 0o7777)) }
        }
        return staging
    }

    /// Binds each staged file read-only over its target.
    func place(_ files: [FilePlan], from staging: borrowing FileDescriptor) throws(SetupFailure) {
        for (index, file) in files.enumerated() {
            try step("place \(file.path)") { () throws(SystemError) in
                let raw = staging.raw
                let tree = FileDescriptor(
                    owning: try check("open_tree", path: file.path) { gantry_open_tree_clone(raw, "\(index)", 0) })
                let treeRaw = tree.raw
                try check("mount_setattr", path: file.path) {
                    gantry_mount_setattr(treeRaw, 0, UInt64(MOUNT_ATTR_RDONLY), 0, UInt64(MS_PRIVATE))
                }
                let target = try InRoot.openOrMake(root, file.path, directory: false)
                try Self.refuseProc(target, file.path)
                try Self.attach(tree, to: target, path: file.path)
            }
        }
    }

    // MARK: - Primitives

    /// A new, detached file system.
    static func make(
        _ type: String, _ parameters: [MountParameter], attributes: UInt64
    ) throws(SystemError) -> FileDescriptor {
        let context = FileDescriptor(owning: try check("fsopen", path: type) { fsopen(type, UInt32(FSOPEN_CLOEXEC)) })
        let raw = context.raw
        for parameter in parameters {
            try check("fsconfig \(parameter.key)", path: type) {
                guard let value = parameter.value else { return gantry_fsconfig_flag(raw, parameter.key) }
                return gantry_fsconfig_string(raw, parameter.key, value)
            }
        }
        try check("fsconfig", path: type) { gantry_fsconfig_create(raw) }
        return FileDescriptor(
            owning: try check("fsmount", path: type) { fsmount(raw, UInt32(FSMOUNT_CLOEXEC), UInt32(attributes)) })
    }

    static func clone(_ descriptor: Int32, recursive: Bool = false) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try check("open_tree") { gantry_open_tree_clone(descriptor, "", recursive ? 1 : 0) })
    }

    static func attach(
        _ mount: borrowing FileDescriptor, to target: borrowing FileDescriptor, path: String
    ) throws(SystemError) {
        let (from, to) = (mount.raw, target.raw)
        try check("move_mount", path: path) { gantry_move_mount(from, to) }
    }

    /// Nothing of the user's goes into /proc: a process would trust it (CVE-2019-16884).
    private static func refuseProc(_ target: borrowing FileDescriptor, _ path: String) throws(SystemError) {
        guard try InRoot.fileSystem(target) == Int(PROC_SUPER_MAGIC), !procTargets.contains(path) else { return }
        throw SystemError("mount inside /proc", path: path, code: EPERM)
    }
}
