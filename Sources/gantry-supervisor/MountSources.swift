import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// What of a container's mounts is made on the host's side, before the clone: the trees that are bound, which stay
/// peers of the host's mounts where a propagation asks for it, which a user namespace could not reach, and whose ids
/// only the host's root may map. The child inherits them as detached mounts.
struct MountSources {
    enum Source {
        case none
        case tree(Int32)
        /// The source is a symbolic link, to be made again.
        case link(String)
    }

    private(set) var sources: [Source] = []
    /// The root where it is made here; -1 leaves it to the child.
    private(set) var root: Int32 = -1
    /// One of each device of the plan for a container with a user namespace of its own, where the kernel makes none;
    /// -1 leaves it to the child.
    private(set) var devices: [Int32] = []
    let changesUser: Bool

    init(_ plan: ContainerPlan, _ namespaces: Namespaces) throws(SetupFailure) {
        changesUser = namespaces.changesUser
        let joinedUser = namespaces.joined(CLONE_NEWUSER)
        do {
            for mount in plan.mounts {
                sources.append(
                    try step("mount \(mount.target)") { () throws(SystemError) in
                        if mount.kind == .bind { return try Self.open(mount, joinedUser: joinedUser) }
                        return changesUser ? try Self.makeForeign(mount, namespaces) : .none
                    })
            }
            if changesUser, !plan.devices.isEmpty { devices = DeviceSources.make(plan) }
            root = try step("mount the root") { () throws(SystemError) in
                try Self.openRoot(plan, joinedUser: joinedUser)
            }
        } catch {
            closeDescriptors()
            throw error
        }
    }

    var descriptors: [Int32] {
        sources.compactMap { if case .tree(let tree) = $0 { tree } else { nil } } + (root >= 0 ? [root] : [])
            + devices.filter { $0 >= 0 }
    }

    func closeDescriptors() { for descriptor in descriptors { close(descriptor) } }

    // MARK: - Binds

    private static func open(_ mount: MountPlan, joinedUser: Int32) throws(SystemError) -> Source {
        if mount.behaviour.contains(.copySymlink), let target = readLink(mount.source) { return .link(target) }
        let isLink = mount.behaviour.contains(.noFollowSource)
        let tree = FileDescriptor(
            owning: try check("open_tree", path: mount.source) {
                isLink
                    ? gantry_open_tree_clone_link(mount.source, mount.recursive ? 1 : 0)
                    : gantry_open_tree_clone(AT_FDCWD, mount.source, mount.recursive ? 1 : 0)
            })
        if let map = mount.idMap {
            try mapIDs(tree, map, joinedUser: joinedUser, recursive: mount.idMapRecursive, path: mount.source)
        }
        try MountSetup.setAttributes(tree, mount, path: mount.source)
        return .tree(tree.take())
    }

    /// A new user namespace's root may not mount what shows a network or ipc namespace that is not its own: we do.
    private static func makeForeign(_ mount: MountPlan, _ namespaces: Namespaces) throws(SystemError) -> Source {
        let flag: Int32
        switch (mount.kind, mount.source) {
        case (.kernel, "sysfs"): flag = CLONE_NEWNET
        case (.fileSystem, "mqueue"): flag = CLONE_NEWIPC
        default: return .none
        }
        guard !namespaces.makes(flag) else { return .none }
        let other = namespaces.joined(flag)
        let own = FileDescriptor(
            owning: try check("open", path: "/proc/self/ns") {
                gantry_open("/proc/self/ns/\(flag == CLONE_NEWNET ? "net" : "ipc")", O_RDONLY | O_CLOEXEC, 0)
            })
        let ownRaw = own.raw
        // A namespace we may not enter belongs to a user namespace that is joined too: its root may mount it.
        guard other < 0 || setns(other, flag) == 0 else { return .none }
        defer { if other >= 0 { setns(ownRaw, flag) } }
        return .tree(try MountSetup.make(mount.source, mount.parameters, attributes: mount.attributesSet).take())
    }

    private static func readLink(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// mount_setattr(2), "ID-mapped mounts". Only the host's root may, and not on every file system.
    private static func mapIDs(
        _ tree: borrowing FileDescriptor, _ map: IDMapPlan, joinedUser: Int32, recursive: Bool, path: String
    ) throws(SystemError) {
        let namespace = try userNamespace(map, joinedUser: joinedUser)
        let (raw, user) = (tree.raw, namespace.raw)
        do throws(SystemError) {
            try check("mount_setattr", path: path) { gantry_mount_idmap(raw, recursive ? 1 : 0, user) }
        } catch {
            let reason =
                switch error.code {
                case EINVAL: "the file system does not support mapped ids, or they are mapped already:"
                case EPERM: "only the host's root may map the ids of this file system:"
                default: error.call
                }
            throw SystemError(reason, path: path, code: error.code)
        }
    }

    /// One with these maps, or the one that is joined.
    private static func userNamespace(_ map: IDMapPlan, joinedUser: Int32) throws(SystemError) -> FileDescriptor {
        guard map.isEmpty else { return try UserNamespace.make(map) }
        return FileDescriptor(owning: try check("fcntl") { gantry_fcntl(joinedUser, F_DUPFD_CLOEXEC, 0) })
    }

    // MARK: - Root

    private static func openRoot(_ plan: ContainerPlan, joinedUser: Int32) throws(SystemError) -> Int32 {
        switch plan.root {
        case .directory(let path):
            let tree = FileDescriptor(
                owning: try check("open_tree", path: path) { gantry_open_tree_clone(AT_FDCWD, path, 1) })
            let raw = tree.raw
            // What the container mounts during the set-up must not come out: shared is set afterwards.
            let isSlave = plan.rootPropagation == UInt64(MS_SLAVE)
            try check("mount_setattr", path: path) {
                gantry_mount_setattr(raw, 1, 0, 0, UInt64(isSlave ? MS_SLAVE : MS_PRIVATE))
            }
            return tree.take()
        case .overlay(let lower, let upper, let work, let volatile, let userExtended):
            guard plan.idMap != nil || joinedUser >= 0 else { return -1 }
            let namespace = try userNamespace(
                plan.idMap ?? IDMapPlan(users: [], groups: []), joinedUser: joinedUser)
            return try openMapped(
                lower, upper: upper, work: work, place: "\(plan.directory)/\(ContainerFile.mountPoint)", namespace,
                flags: RootSetup.overlayFlags(volatile: volatile, userExtended: userExtended))
        }
    }

    /// overlayfs works on its layers as who mounted it. On a mapped layer only who is in the map may make files.
    private static func asRoot(
        of namespace: borrowing FileDescriptor, _ body: () throws(SystemError) -> Void
    ) throws(SystemError) {
        guard let root = try UserNamespace.root(of: namespace) else {
            throw SystemError("a writable layer needs a map with an id 0", code: EINVAL)
        }
        gantry_set_file_ids(root.user, root.group)
        defer {
            gantry_set_file_ids(geteuid(), getegid())
            _ = gantry_restore_effective()
        }
        try check("capset") { gantry_restore_effective() }
        try body()
    }

    /// Layers belong to the host's ids; each is shown with the container's, the writable one too, so that what is
    /// written reads the same with any other map. overlayfs takes layers only from mounts of the caller's namespace
    /// (before Linux 6.15), hence a namespace of our own and a place to attach them for a moment.
    private static func openMapped(
        _ lower: [String], upper: String, work: String, place: String, _ namespace: borrowing FileDescriptor,
        flags: String
    ) throws(SystemError) -> Int32 {
        let parent = FileSystem.parent(of: upper)
        guard FileSystem.parent(of: work) == parent else {
            throw SystemError("upper and work folder are not side by side", path: upper, code: EINVAL)
        }
        try check("unshare") { unshare(Int32(CLONE_NEWNS)) }
        try check("mount", path: "/") { mount(nil, "/", nil, UInt(MS_REC | MS_SLAVE), nil) }
        var opened: [Int32] = []
        defer { for descriptor in opened { close(descriptor) } }
        let user = namespace.raw
        for path in lower + [parent] {
            let tree = FileDescriptor(
                owning: try check("open_tree", path: path) { gantry_open_tree_clone(AT_FDCWD, path, 0) })
            let raw = tree.raw
            try check("mount_setattr, which maps the layer's ids,", path: path) {
                gantry_mount_idmap(raw, 0, user)
            }
            try check("mount_setattr", path: path) { gantry_mount_setattr(raw, 0, 0, 0, UInt64(MS_PRIVATE)) }
            try MountSetup.attach(tree, to: try FileDescriptor.open(place, O_PATH | O_DIRECTORY), path: place)
            opened.append(tree.take())
        }
        let writable = FileDescriptor(owning: opened.removeLast())
        for path in [upper, work] {
            opened.append(
                try writable.open(at: FileSystem.lastComponent(of: path), O_PATH | O_DIRECTORY | O_NOFOLLOW).take())
        }
        try asRoot(of: namespace) { () throws(SystemError) in
            try RootSetup.mountOverlay(opened, at: place, flags: flags)
        }
        let root = FileDescriptor(
            owning: try check("open_tree", path: place) { gantry_open_tree_clone(AT_FDCWD, place, 0) })
        // Until nothing is mounted there any more.
        while umount2(place, Int32(MNT_DETACH)) == 0 {}
        return root.take()
    }
}
