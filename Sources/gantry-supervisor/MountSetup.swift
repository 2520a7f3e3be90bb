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
    /// The container's root is not the host's.
    let changesUser: Bool
    /// Mounts that become read-only once all targets on them are made.
    private var readOnlyLater: [Int32] = []

    init(root: consuming FileDescriptor, changesUser: Bool) {
        self.root = root
        self.changesUser = changesUser
    }

    mutating func perform(_ mount: MountPlan, _ source: MountSources.Source) throws(SetupFailure) {
        try step("mount \(mount.target)") { () throws(SystemError) in
            switch mount.kind {
            case .bind: try bind(mount, source)
            case .fileSystem: try fileSystem(mount, source)
            case .kernel: try kernel(mount, source)
            case .devices: delayReadOnly(mount, try Devices.mount(mount, root: root))
            case .cgroups: try cgroups(mount)
            case .cgroupFolders: try cgroupFolders(mount)
            case .remount: try remount(mount)
            }
        }
    }

    private mutating func delayReadOnly(_ mount: MountPlan, _ made: Int32) {
        if mount.attributesSet & UInt64(MOUNT_ATTR_RDONLY) != 0 { readOnlyLater.append(made) } else { close(made) }
    }

    mutating func finishReadOnly() throws(SetupFailure) {
        for made in readOnlyLater {
            let made = FileDescriptor(owning: made)
            let raw = made.raw
            try step("make a mount read-only") { () throws(SystemError) in
                try check("mount_setattr") { gantry_mount_setattr(raw, 0, UInt64(MOUNT_ATTR_RDONLY), 0, 0) }
            }
        }
        readOnlyLater = []
    }

    // MARK: - Kinds

    private func bind(_ mount: MountPlan, _ source: MountSources.Source) throws(SystemError) {
        switch source {
        case .none: throw SystemError("open_tree", path: mount.source, code: EBADF)
        case .link(let content): try makeLink(content, at: mount.target)
        case .tree(let raw):
            let tree = FileDescriptor(owning: raw)
            let isDirectory = gantry_is_directory(try InRoot.status(tree).st_mode) != 0
            let target: FileDescriptor =
                if mount.behaviour.contains(.noFollowTarget), let link = try openLink(mount.target) {
                    link
                } else {
                    try root.openOrMakeInRoot(mount.target, isDirectory: isDirectory)
                }
            try Self.refuseProc(target, mount.target)
            try Self.attach(tree, to: target, path: mount.target)
        }
    }

    /// The target itself where it is a symbolic link.
    private func openLink(_ path: String) throws(SystemError) -> FileDescriptor? {
        do {
            let target = try InRoot.open(root, path, flags: O_PATH | O_NOFOLLOW)
            guard gantry_is_symlink(try InRoot.status(target).st_mode) != 0 else { return nil }
            return target
        } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    private func makeLink(_ content: String, at path: String) throws(SystemError) {
        let parent = try root.openOrMakeInRoot(FileSystem.parent(of: path), isDirectory: true)
        try Self.refuseProc(parent, path)
        let (raw, name) = (parent.raw, FileSystem.lastComponent(of: path))
        guard symlinkat(content, raw, name) != 0 else { return }
        let code = errno
        // The same link is what was asked for.
        guard code == EEXIST, readLink(name, in: parent) == content else {
            throw SystemError("symlinkat", path: path, code: code)
        }
    }

    /// Attributes of one mount, then of its tree, then the propagation.
    static func setAttributes(
        _ tree: borrowing FileDescriptor, _ mount: MountPlan, path: String
    ) throws(SystemError) {
        try change(tree, set: mount.attributesSet, clear: mount.attributesClear, recursive: false, path: path)
        try change(tree, set: mount.treeAttributesSet, clear: mount.treeAttributesClear, recursive: true, path: path)
        guard mount.propagation != 0 else { return }
        let raw = tree.raw
        try check("mount_setattr", path: path) {
            gantry_mount_setattr(raw, mount.propagationRecursive ? 1 : 0, 0, 0, mount.propagation)
        }
    }

    /// Inside a user namespace, what the host has forbidden stays forbidden: mount_namespaces(7), "locked" flags.
    private static func change(
        _ tree: borrowing FileDescriptor, set: UInt64, clear: UInt64, recursive: Bool, path: String
    ) throws(SystemError) {
        guard set != 0 || clear != 0 else { return }
        let raw = tree.raw
        if gantry_mount_setattr(raw, recursive ? 1 : 0, set, clear, 0) == 0 { return }
        guard errno == EPERM else { throw SystemError("mount_setattr", path: path, code: errno) }
        let lockable = UInt64(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
        let times = UInt64(MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME)
        try check("mount_setattr", path: path) {
            gantry_mount_setattr(raw, recursive ? 1 : 0, set & ~times, clear & ~(lockable | times), 0)
        }
    }

    private mutating func fileSystem(_ mount: MountPlan, _ source: MountSources.Source) throws(SystemError) {
        let target = try root.openOrMakeInRoot(mount.target, isDirectory: true)
        try Self.refuseProc(target, mount.target)
        if case .tree(let raw) = source {
            return try Self.attach(FileDescriptor(owning: raw), to: target, path: mount.target)
        }
        var parameters = mount.parameters
        if mount.source == "tmpfs", !parameters.contains(where: { $0.key == "mode" }) {
            let mode = try InRoot.status(target).st_mode & 0o7777
            parameters.append(MountParameter("mode", String(mode, radix: 8)))
        }
        let made: FileDescriptor
        do {
            made = try Self.make(
                mount.source, parameters, attributes: mount.attributesSet & ~UInt64(MOUNT_ATTR_RDONLY))
        } catch {
            made = try substitute(mount, parameters, error)
        }
        if mount.behaviour.contains(.copyUp) { try copyUp(mount.target, into: made) }
        var later = mount
        (later.attributesSet, later.attributesClear) = (0, 0)
        try Self.setAttributes(made, later, path: mount.target)
        try Self.attach(made, to: target, path: mount.target)
        delayReadOnly(mount, made.take())
    }

    /// What a user namespace may not mount with these ids.
    private func substitute(
        _ mount: MountPlan, _ parameters: [MountParameter], _ error: SystemError
    ) throws(SystemError) -> FileDescriptor {
        if mount.source == "devpts", error.code == EINVAL, parameters.contains(where: { $0.key == "gid" }) {
            // The group of terminals has no id in here.
            return try Self.make(
                mount.source, parameters.filter { $0.key != "gid" },
                attributes: mount.attributesSet & ~UInt64(MOUNT_ATTR_RDONLY))
        }
        throw error
    }

    private func copyUp(_ path: String, into made: borrowing FileDescriptor) throws(SystemError) {
        let below = try InRoot.open(root, path, flags: O_RDONLY | O_DIRECTORY)
        // The mount's own descriptor is one for paths only.
        try TreeCopy().copyContents(of: below, into: try made.open(at: ".", O_RDONLY | O_DIRECTORY))
    }

    /// mount(8), "remount": of the mount, and with parameters of its file system.
    private func remount(_ mount: MountPlan) throws(SystemError) {
        let target = try InRoot.open(root, mount.target)
        try Self.setAttributes(target, mount, path: mount.target)
        guard !mount.parameters.isEmpty else { return }
        let targetRaw = target.raw
        let context = FileDescriptor(owning: try check("fspick", path: mount.target) { gantry_fspick(targetRaw) })
        let raw = context.raw
        try Self.configure(context, mount.parameters, path: mount.target)
        try check("fsconfig", path: mount.target) { gantry_fsconfig_reconfigure(raw) }
    }

    /// proc and sysfs go on a real directory only: an image's link must not carry them elsewhere (CVE-2019-19921).
    private func kernel(_ mount: MountPlan, _ source: MountSources.Source) throws(SystemError) {
        let target = try root.openOrMakeInRoot(mount.target, isDirectory: true, strict: true)
        if case .tree(let raw) = source {
            return try Self.attach(FileDescriptor(owning: raw), to: target, path: mount.target)
        }
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
        let target = try root.openOrMakeInRoot(mount.target, isDirectory: true, strict: true)
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

    /// The container's own folders, where it has no cgroup namespace to see the whole from.
    private func cgroupFolders(_ mount: MountPlan) throws(SystemError) {
        var target = try root.openOrMakeInRoot(mount.target, isDirectory: true, strict: true)
        if mount.parameters.contains(where: { $0.value != nil }) {
            let folder = try Self.make(
                "tmpfs", [MountParameter("mode", "755"), MountParameter("size", "64k")], attributes: 0)
            try Self.attach(folder, to: target, path: mount.target)
            target = folder
        }
        for hierarchy in mount.parameters {
            let tree = FileDescriptor(
                owning: try check("open_tree", path: hierarchy.key) {
                    gantry_open_tree_clone(AT_FDCWD, hierarchy.key, 0)
                })
            try Self.change(tree, set: mount.attributesSet, clear: 0, recursive: false, path: hierarchy.key)
            guard let name = hierarchy.value else {
                try Self.attach(tree, to: target, path: mount.target)
                continue
            }
            let raw = target.raw
            _ = umask(0)
            try check("mkdirat", path: name) { mkdirat(raw, name, 0o755) }
            let place = try target.open(at: name, O_PATH | O_DIRECTORY | O_NOFOLLOW)
            try Self.attach(tree, to: place, path: "\(mount.target)/\(name)")
        }
        if mount.parameters.contains(where: { $0.value != nil }) {
            try Self.change(target, set: mount.attributesSet, clear: 0, recursive: false, path: mount.target)
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

    /// Makes the plan's files on a tmpfs that is attached at `place` for a moment. Answers a detached mount of each.
    static func stage(_ files: [FilePlan], at place: String) throws(SystemError) -> [Int32] {
        guard !files.isEmpty else { return [] }
        let staging = try make(
            "tmpfs", [MountParameter("mode", "700")],
            attributes: UInt64(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC))
        let target = try FileDescriptor.open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW)
        try attach(staging, to: target, path: place)
        let folder = staging.raw
        var staged: [Int32] = []
        for (index, file) in files.enumerated() {
            let written = try staging.open(at: "\(index)", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            try written.writeAll(file.bytes)
            let raw = written.raw
            try check("fchown", path: file.path) { fchown(raw, file.uid, file.gid) }
            try check("fchmod", path: file.path) { fchmod(raw, mode_t(file.mode & 0o7777)) }
            let tree = FileDescriptor(
                owning: try check("open_tree", path: file.path) { gantry_open_tree_clone(folder, "\(index)", 0) })
            let treeRaw = tree.raw
            try check("mount_setattr", path: file.path) {
                gantry_mount_setattr(treeRaw, 0, UInt64(MOUNT_ATTR_RDONLY), 0, UInt64(MS_PRIVATE))
            }
            staged.append(tree.take())
        }
        try check("umount2", path: place) { umount2(place, Int32(MNT_DETACH)) }
        return staged
    }

    /// Binds each staged file over its target.
    func place(_ files: [FilePlan], from staged: [Int32]) throws(SetupFailure) {
        for (file, tree) in zip(files, staged) {
            try step("place \(file.path)") { () throws(SystemError) in
                let tree = FileDescriptor(owning: tree)
                let target = try root.openOrMakeInRoot(file.path, isDirectory: false)
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
        try configure(context, parameters, path: type)
        try check("fsconfig", path: type) { gantry_fsconfig_create(raw) }
        return FileDescriptor(
            owning: try check("fsmount", path: type) { fsmount(raw, UInt32(FSMOUNT_CLOEXEC), UInt32(attributes)) })
    }

    private static func configure(
        _ context: borrowing FileDescriptor, _ parameters: [MountParameter], path: String
    ) throws(SystemError) {
        let raw = context.raw
        for parameter in parameters {
            try check("fsconfig \(parameter.key)", path: path) {
                guard let value = parameter.value else { return gantry_fsconfig_flag(raw, parameter.key) }
                return gantry_fsconfig_string(raw, parameter.key, value)
            }
        }
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
