import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// A container's file system with its mounts, held by descriptors: mounts stay as long as this does, whatever becomes
/// of the container. Nothing of it can be reached by a path of ours.
public struct ContainerView: Sendable {
    /// `O_PATH`, of the root of the container's mount namespace: not of its init, which may have changed its root.
    public let root: SharedDescriptor
    /// Keeps the mounts where they are.
    let namespace: SharedDescriptor

    init(root: consuming FileDescriptor, namespace: consuming FileDescriptor) {
        self.root = SharedDescriptor(root)
        self.namespace = SharedDescriptor(namespace)
    }
}

/// Which of a running container's mounts are to be seen.
public enum ViewedMounts: Sendable {
    case all
    /// The root's alone: what lies under the others, as in the image and the container's own layer.
    case rootOnly
}

extension Runtime {
    /// The file system of a running container as its processes have it.
    public func view(directory: String, mounts: ViewedMounts) throws(RuntimeError) -> ContainerView {
        let state = try runningState(directory)
        let process = try openProcess(state.initPID, start: state.initStart, directory)
        let namespace = try purpose("open the container's mounts") { () throws(SystemError) in
            try FileDescriptor.open("/proc/\(state.initPID)/ns/mnt", O_RDONLY)
        }
        // The process is still the one it was, so the namespace is its own.
        let raw = process.raw
        guard gantry_pidfd_send_signal(raw, 0) == 0 else { throw .notRunning(directory: directory) }
        return try purpose("look into the container") { () throws(SystemError) in
            try NamedThread.run("gantry-view") { () throws(SystemError) in
                let namespace = try namespace.duplicate()
                let mountsRaw = namespace.raw
                try check("unshare") { unshare(CLONE_FS) }
                // setns(2): the thread's root becomes the namespace's, on which the container's root is mounted.
                try check("setns") { setns(mountsRaw, CLONE_NEWNS) }
                switch mounts {
                case .all:
                    return ContainerView(
                        root: try FileDescriptor.open("/", O_PATH | O_DIRECTORY), namespace: namespace)
                case .rootOnly:
                    let tree = try check("open_tree", path: "/") { gantry_open_tree_clone(AT_FDCWD, "/", 0) }
                    return ContainerView(root: FileDescriptor(owning: tree), namespace: namespace)
                }
            }.get()
        }
    }
}

/// A file system made of layers and mounts for a container that does not run.
public struct StoppedRoot: Sendable {
    public struct Bind: Sendable {
        public var source: String
        /// Absolute in the container.
        public var target: String
        public var recursive: Bool
        public var access: Access

        public enum Access: Sendable {
            case writable
            case readOnly
            /// What is mounted below the source is as it was.
            case readOnlyAtTop
        }

        public init(source: String, target: String, recursive: Bool, access: Access) {
            self.source = source
            self.target = target
            self.recursive = recursive
            self.access = access
        }
    }

    /// Topmost first.
    public var lower: [String]
    public var upper: String
    public var work: String
    /// The layers' marks are `user.overlay.*`.
    public var userExtended: Bool
    public var binds: [Bind] = []
    public var isReadOnly = false
    /// Nothing of what is written reaches `upper`, which may be another mount's meanwhile: it is one more lower layer,
    /// and mount points are made in memory.
    public var isThrowaway: Bool
    /// An empty folder of ours to mount on; nobody else sees the mount.
    public var place: String

    public init(
        lower: [String], upper: String, work: String, userExtended: Bool, isThrowaway: Bool, place: String
    ) {
        self.lower = lower
        self.upper = upper
        self.work = work
        self.userExtended = userExtended
        self.isThrowaway = isThrowaway
        self.place = place
    }

    /// Mounts it in a namespace of its own, whose root it becomes.
    public func open() throws(SystemError) -> ContainerView {
        try NamedThread.run("gantry-view") { () throws(SystemError) in try openHere() }.get()
    }

    private func openHere() throws(SystemError) -> ContainerView {
        try check("unshare") { unshare(CLONE_FS | CLONE_NEWNS) }
        // Slave: what the host unmounts meanwhile is not held by us, and nothing of ours goes back.
        try check("mount", path: "/") { mount(nil, "/", nil, UInt(MS_REC | MS_SLAVE), nil) }
        let namespace = try FileDescriptor.open("/proc/thread-self/ns/mnt", O_RDONLY)
        // Before anything is mounted over what they are under.
        let sources = try binds.map { bind throws(SystemError) in try source(of: bind) }
        try mountRoot()
        let root = try FileDescriptor.open(place, O_PATH | O_DIRECTORY)
        for (bind, source) in zip(binds, sources) {
            guard let source else { continue }
            try attach(source, bind, root)
        }
        let raw = root.raw
        if isReadOnly {
            try check("mount_setattr", path: "/") { gantry_mount_setattr(raw, 0, UInt64(MOUNT_ATTR_RDONLY), 0, 0) }
        }
        // The host's mounts go; the container's are left.
        try check("fchdir") { fchdir(raw) }
        try check("pivot_root") { gantry_pivot_root(".", ".") }
        try check("umount2") { umount2(".", Int32(MNT_DETACH)) }
        return ContainerView(root: try FileDescriptor.open("/", O_PATH | O_DIRECTORY), namespace: namespace)
    }

    /// A folder or file that a container is given; nil when there is none.
    private func source(of bind: Bind) throws(SystemError) -> SharedDescriptor? {
        let raw = gantry_open_tree_clone(AT_FDCWD, bind.source, bind.recursive ? 1 : 0)
        guard raw >= 0 else {
            let code = errno
            if code == ENOENT { return nil }
            throw SystemError("open_tree", path: bind.source, code: code)
        }
        let tree = FileDescriptor(owning: raw)
        if bind.access != .writable {
            try check("mount_setattr", path: bind.source) {
                gantry_mount_setattr(raw, bind.access == .readOnly ? 1 : 0, UInt64(MOUNT_ATTR_RDONLY), 0, 0)
            }
        }
        return SharedDescriptor(tree)
    }

    private func mountRoot() throws(SystemError) {
        var layers: [SharedDescriptor] = []
        for path in (isThrowaway ? [upper] : []) + lower {
            layers.append(SharedDescriptor(try FileDescriptor.open(path, O_PATH | O_DIRECTORY)))
        }
        var (upper, work) = (upper, work)
        if isThrowaway {
            try check("mount", path: place) { mount("tmpfs", place, "tmpfs", 0, "mode=0755") }
            (upper, work) = ("\(place)/upper", "\(place)/work")
            try FileSystem.makeDirectories(upper, mode: 0o755)
            try FileSystem.makeDirectories(work)
        }
        for path in [upper, work] {
            layers.append(SharedDescriptor(try FileDescriptor.open(path, O_PATH | O_DIRECTORY)))
        }
        // By descriptor: paths may hold colons and commas, and the option string is limited to a page.
        try check("chdir", path: "/proc/self/fd") { chdir("/proc/self/fd") }
        let names = layers.map { "\($0.raw)" }
        let ends = names.suffix(2)
        let options =
            "lowerdir=\(names.dropLast(2).joined(separator: ":")),upperdir=\(ends.first ?? ""),"
            + "workdir=\(ends.last ?? "")" + (userExtended ? ",userxattr" : "")
        try check("mount overlay", path: place) { mount("overlay", place, "overlay", 0, options) }
        try check("chdir", path: "/") { chdir("/") }
        withExtendedLifetime(layers) {}
    }

    private func attach(
        _ source: SharedDescriptor, _ bind: Bind, _ root: borrowing FileDescriptor
    ) throws(SystemError) {
        var status = stat()
        try check("fstat", path: bind.source) { fstat(source.raw, &status) }
        let isFolder = gantry_is_directory(status.st_mode) != 0
        let target = try root.openOrMakeInRoot(bind.target, isDirectory: isFolder)
        let raw = target.raw
        try check("move_mount", path: bind.target) { gantry_move_mount(source.raw, raw) }
    }
}
