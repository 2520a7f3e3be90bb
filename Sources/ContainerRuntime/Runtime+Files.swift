import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

extension Runtime {
    private static let mountInfoByteCountMax = 16 << 20

    /// Gives the injected files of a running container (configs, secrets) new content in place: their mounts, which are
    /// read-only for the container, stay. Owner and mode stay too. Nothing is written when one of them is not there.
    ///
    /// A reader never finds a file empty: the new bytes go over the old ones, then the length is set.
    ///
    /// - Parameter files: by their paths in the container and their new bytes.
    public func replaceFiles(directory: String, _ files: [InjectedFile]) throws(RuntimeError) {
        let view = try view(directory: directory, mounts: .all)
        try purpose("write the container's files") { () throws(SystemError) in
            let hostDevices = try Self.mountedDevices()
            var targets: [SharedDescriptor] = []
            for file in files {
                let found = try view.root.duplicate().openInRoot(file.path, O_PATH)
                try Self.checkInjected(found, path: file.path, hostDevices: hostDevices)
                targets.append(SharedDescriptor(found))
            }
            for (file, target) in zip(files, targets) { try Self.overwrite(target, with: file.bytes, in: view) }
        }
    }

    /// The container may have moved folders about: what stands at the path now must not be a file of the host's that it
    /// was given to read. Injected files are on a tmpfs that is mounted nowhere on the host.
    private static func checkInjected(
        _ file: borrowing FileDescriptor, path: String, hostDevices: Set<String>
    ) throws(SystemError) {
        let raw = file.raw
        var status = stat()
        try check("fstat", path: path) { fstat(raw, &status) }
        var system = statfs()
        try check("fstatfs", path: path) { fstatfs(raw, &system) }
        let device = "\(gantry_major(status.st_dev)):\(gantry_minor(status.st_dev))"
        guard status.st_mode & S_IFMT == S_IFREG, Int(system.f_type) == Int(TMPFS_MAGIC),
            !hostDevices.contains(device)
        else {
            throw SystemError("find the file", path: path, code: ESTALE)
        }
    }

    /// `major:minor` of everything mounted where the engine is, proc_pid_mountinfo(5).
    private static func mountedDevices() throws(SystemError) -> Set<String> {
        let bytes = try FileSystem.readFile("/proc/thread-self/mountinfo", byteCountMax: mountInfoByteCountMax)
        let fields = bytes.split(separator: UInt8(ascii: "\n")).map { $0.split(separator: UInt8(ascii: " ")) }
        return Set(fields.compactMap { $0.count > 2 ? String(decoding: $0[2], as: UTF8.self) : nil })
    }

    private static func overwrite(
        _ target: SharedDescriptor, with bytes: [UInt8], in view: ContainerView
    ) throws(SystemError) {
        // Its own number means nothing in the container's /proc, so the host's is held before.
        let descriptors = SharedDescriptor(try FileDescriptor.open("/proc/self/fd", O_PATH | O_DIRECTORY))
        try NamedThread.run("gantry-files") { () throws(SystemError) in
            let mounts = view.namespace.raw
            try check("unshare") { unshare(CLONE_FS) }
            try check("setns") { setns(mounts, CLONE_NEWNS) }
            let tree = FileDescriptor(
                owning: try check("open_tree") { gantry_open_tree_clone(target.raw, "", 0) })
            let raw = tree.raw
            try check("mount_setattr") { gantry_mount_setattr(raw, 0, 0, UInt64(MOUNT_ATTR_RDONLY), 0) }
            let file = try descriptors.duplicate().open(at: "\(raw)", O_WRONLY)
            try file.writeAll(bytes)
            let written = file.raw
            try check("ftruncate") { ftruncate(written, off_t(bytes.count)) }
        }.get()
    }
}
