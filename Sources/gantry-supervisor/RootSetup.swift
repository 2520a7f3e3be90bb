import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// From the copy of the host's mounts that a new mount namespace starts with to the container's root.
enum RootSetup {
    /// - Parameter mountsMade: what is to be done before the root is changed.
    static func perform(
        _ plan: ContainerPlan, _ sources: MountSources, mountsMade: () throws(SetupFailure) -> Void = {}
    ) throws(SetupFailure) {
        try step("detach from the host's mounts") { () throws(SystemError) in
            // Slave: mounts of the host still arrive where a volume asks for it, nothing of ours goes back.
            try check("mount", path: "/") { mount(nil, "/", nil, UInt(MS_REC | MS_SLAVE), nil) }
        }
        // Another user namespace's root cannot reach our folders: it mounts over the host's root, which it leaves.
        let place = sources.changesUser ? "/" : "\(plan.directory)/\(ContainerFile.mountPoint)"
        let staged = try step("stage files") { () throws(SystemError) in
            try MountSetup.stage(plan.files, at: place)
        }
        let root = try step("mount the root") { () throws(SystemError) in
            try mountRoot(plan.root, made: sources.root, at: rootPlace(plan, place))
        }
        var setup = MountSetup(root: root, changesUser: sources.changesUser)
        for (index, mount) in plan.mounts.enumerated() { try setup.perform(mount, sources.sources[index]) }
        try setup.place(plan.files, from: staged)
        if plan.makesDefaultDevices {
            try step("make the default devices") { () throws(SystemError) in
                try Devices.makeDefaults(
                    in: try setup.root.openOrMakeInRoot("/dev", isDirectory: true, strict: true))
            }
        }
        for (index, device) in plan.devices.enumerated() {
            try step("make \(device.path)") { () throws(SystemError) in
                let made = index < sources.devices.count ? sources.devices[index] : -1
                try Devices.make(device, made: made, root: setup.root)
            }
        }
        try writeSysctls(plan.sysctls, root: setup.root)
        if plan.process.createDirectory {
            try step("make the working directory \(plan.process.directory)") { () throws(SystemError) in
                _ = try setup.root.openOrMakeInRoot(plan.process.directory, isDirectory: true)
            }
        }
        try setup.mask(plan.maskedPaths)
        try setup.makeReadOnly(plan.readOnlyPaths)
        try setup.finishReadOnly()
        try mountsMade()
        try step("enter the root") { () throws(SystemError) in
            try enter(setup.root, readOnly: plan.readOnlyRoot)
            guard plan.rootPropagation != 0 else { return }
            let raw = setup.root.raw
            try check("mount_setattr", path: "/") {
                gantry_mount_setattr(raw, plan.rootPropagationRecursive ? 1 : 0, 0, 0, plan.rootPropagation)
            }
        }
    }

    /// Hooks look for the root where the specification says it is: there it covers itself.
    private static func rootPlace(_ plan: ContainerPlan, _ place: String) -> String {
        guard case .directory(let path) = plan.root, !plan.hooks.isEmpty else { return place }
        return path
    }

    private static func mountRoot(
        _ root: RootPlan, made: Int32, at place: String
    ) throws(SystemError) -> FileDescriptor {
        if made >= 0 {
            let tree = FileDescriptor(owning: made)
            try MountSetup.attach(tree, to: try FileDescriptor.open(place, O_PATH | O_DIRECTORY), path: place)
            return tree
        }
        guard case .overlay(let lower, let upper, let work, let volatile, let userExtended) = root else {
            throw SystemError("mount", path: place, code: EBADF)
        }
        var opened: [Int32] = []
        defer { for descriptor in opened { close(descriptor) } }
        for path in lower + [upper, work] {
            opened.append(try FileDescriptor.open(path, O_PATH | O_DIRECTORY).take())
        }
        try mountOverlay(opened, at: place, flags: overlayFlags(volatile: volatile, userExtended: userExtended))
        return try FileDescriptor.open(place, O_PATH | O_DIRECTORY)
    }

    static func overlayFlags(volatile: Bool, userExtended: Bool) -> String {
        (volatile ? ",volatile" : "") + (userExtended ? ",userxattr" : "")
    }

    /// The option string is limited to a page, and colons and commas in paths would need escapes: layers are named by
    /// descriptor, relative to /proc/self/fd. The numbers also tell the container nothing of the host's paths.
    ///
    /// - Parameter layers: the lower ones from the topmost down, then the upper and the work folder.
    static func mountOverlay(_ layers: [Int32], at place: String, flags: String) throws(SystemError) {
        try check("chdir", path: "/proc/self/fd") { chdir("/proc/self/fd") }
        let lower = layers.dropLast(2).map { "\($0)" }.joined(separator: ":")
        let ends = layers.suffix(2).map { "\($0)" }
        let options = "lowerdir=\(lower),upperdir=\(ends.first ?? ""),workdir=\(ends.last ?? "")\(flags)"
        try check("mount overlay", path: place) { mount("overlay", place, "overlay", 0, options) }
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
