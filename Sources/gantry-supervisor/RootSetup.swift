import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// From the copy of the host's mounts that a new mount namespace starts with to the container's root.
enum RootSetup {
    /// - Parameter mountsMade: what is to be done before the root is changed.
    static func perform(
        _ plan: ContainerPlan, mountsMade: () throws(SetupFailure) -> Void = {}
    ) throws(SetupFailure) {
        try step("detach from the host's mounts") { () throws(SystemError) in
            // Slave: mounts of the host still arrive where a volume asks for it, nothing of ours goes back.
            try check("mount", path: "/") { mount(nil, "/", nil, UInt(MS_REC | MS_SLAVE), nil) }
        }
        let place = "\(plan.directory)/\(ContainerFile.mountPoint)"
        var staging: FileDescriptor?
        if !plan.files.isEmpty {
            staging = try step("stage files") { () throws(SystemError) in
                try MountSetup.stage(plan.files, at: place)
            }
        }
        let root = try step("mount the root") { () throws(SystemError) in try mountRoot(plan.root, at: place) }
        let setup = MountSetup(root: root)
        for mount in plan.mounts { try setup.perform(mount) }
        if let staging { try setup.place(plan.files, from: staging) }
        for device in plan.devices {
            try step("make \(device.path)") { () throws(SystemError) in try Devices.make(device, root: setup.root) }
        }
        try writeSysctls(plan.sysctls, root: setup.root)
        if plan.process.createDirectory {
            try step("make the working directory \(plan.process.directory)") { () throws(SystemError) in
                _ = try InRoot.openOrMake(setup.root, plan.process.directory, directory: true)
            }
        }
        try setup.mask(plan.maskedPaths)
        try setup.makeReadOnly(plan.readOnlyPaths)
        try mountsMade()
        try step("enter the root") { () throws(SystemError) in
            try enter(setup.root, readOnly: plan.readOnlyRoot)
        }
    }

    private static func mountRoot(_ root: RootPlan, at place: String) throws(SystemError) -> FileDescriptor {
        switch root {
        case .directory(let path):
            let tree = FileDescriptor(
                owning: try check("open_tree", path: path) { gantry_open_tree_clone(AT_FDCWD, path, 1) })
            let raw = tree.raw
            try check("mount_setattr", path: path) { gantry_mount_setattr(raw, 1, 0, 0, UInt64(MS_PRIVATE)) }
            // On itself: hooks look for the root where the specification says it is.
            try MountSetup.attach(tree, to: try FileDescriptor.open(path, O_PATH | O_DIRECTORY), path: path)
            return tree
        case .overlay(let lower, let upper, let work, let volatile, let userExtended):
            try mountOverlay(
                lower: lower, upper: upper, work: work, at: place,
                flags: (volatile ? ",volatile" : "") + (userExtended ? ",userxattr" : ""))
            return try FileDescriptor.open(place, O_PATH | O_DIRECTORY)
        }
    }

    /// The option string is limited to a page, and colons and commas in paths would need escapes: layers are named by
    /// descriptor, relative to /proc/self/fd. The numbers also tell the container nothing of the host's paths.
    private static func mountOverlay(
        lower: [String], upper: String, work: String, at place: String, flags: String
    ) throws(SystemError) {
        var opened: [Int32] = []
        defer { for descriptor in opened { close(descriptor) } }
        for path in lower + [upper, work] {
            opened.append(try FileDescriptor.open(path, O_PATH | O_DIRECTORY).take())
        }
        try check("chdir", path: "/proc/self/fd") { chdir("/proc/self/fd") }
        let lowers = opened.dropLast(2).map { "\($0)" }.joined(separator: ":")
        let options = "lowerdir=\(lowers),upperdir=\(opened[lower.count]),workdir=\(opened[lower.count + 1])\(flags)"
        try check("mount overlay", path: upper) { mount("overlay", place, "overlay", 0, options) }
        try check("chdir", path: "/") { chdir("/") }
    }

    private static func writeSysctls(
        _ sysctls: [MountParameter], root: borrowing FileDescriptor
    ) throws(SetupFailure) {
        for sysctl in sysctls {
            try step("set sysctl \(sysctl.key)") { () throws(SystemError) in
                let file = try root.openInRoot(
                    "/proc/sys/\(sysctl.key)", O_WRONLY, resolve: Int32(RESOLVE_NO_SYMLINKS))
                guard try InRoot.fileSystem(file) == Int(PROC_SUPER_MAGIC) else {
                    throw SystemError("open", path: sysctl.key, code: EXDEV)
                }
                try file.writeAll(Array((sysctl.value ?? "").utf8))
            }
        }
    }

    /// pivot_root(2) onto itself: the old root ends up on top of the new one and is detached from there.
    private static func enter(_ root: borrowing FileDescriptor, readOnly: Bool) throws(SystemError) {
        let raw = root.raw
        if readOnly {
            try check("mount_setattr", path: "/") { gantry_mount_setattr(raw, 0, UInt64(MOUNT_ATTR_RDONLY), 0, 0) }
        }
        try check("fchdir", path: "/") { fchdir(raw) }
        try check("pivot_root") { gantry_pivot_root(".", ".") }
        try check("umount2") { umount2(".", Int32(MNT_DETACH)) }
        try check("chdir", path: "/") { chdir("/") }
    }
}
