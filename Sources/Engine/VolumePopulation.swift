import CLinux
import Images
import LinuxSystem

/// Copies what an image has at a path into a new volume.
///
/// The image's layers are merged by an overlay mount that is never attached anywhere: only this process's descriptor
/// leads into it, and it is gone with the descriptor.
struct VolumePopulation {
    /// Layer folders, top first.
    var layers: [String]
    /// Absolute path in the image.
    var target: String
    /// The volume's folder; emptied first, since a copy that was cut off is started again.
    var volume: String
    /// The layers' marks are `user.overlay.*`.
    var userAttributes = false

    func run() throws(SystemError) {
        try empty()
        let root = try openImage()
        let source: FileDescriptor
        do {
            source = try root.openInRoot(target, O_RDONLY | O_DIRECTORY)
        } catch {
            // Nothing there, or no folder: an empty volume is what Docker makes too.
            if error.code == ENOENT || error.code == ENOTDIR { return }
            throw error
        }
        let destination = try FileDescriptor.open(volume, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try TreeCopy().copyContents(of: source, into: destination)
    }

    private func empty() throws(SystemError) {
        for name in try FileSystem.list(volume) { try FileSystem.removeTree("\(volume)/\(name)") }
    }

    private func openImage() throws(SystemError) -> FileDescriptor {
        guard layers.count > 1 else {
            return try FileDescriptor.open(layers.first ?? "/nonexistent", O_RDONLY | O_DIRECTORY)
        }
        let context = FileDescriptor(owning: try check("fsopen") { fsopen("overlay", UInt32(FSOPEN_CLOEXEC)) })
        let raw = context.raw
        for layer in layers {
            try check("fsconfig", path: layer) {
                fsconfig(raw, UInt32(FSCONFIG_SET_STRING.rawValue), "lowerdir+", layer, 0)
            }
        }
        if userAttributes {
            try check("fsconfig userxattr") {
                fsconfig(raw, UInt32(FSCONFIG_SET_FLAG.rawValue), "userxattr", nil, 0)
            }
        }
        try check("fsconfig") { fsconfig(raw, UInt32(FSCONFIG_CMD_CREATE.rawValue), nil, nil, 0) }
        return FileDescriptor(
            owning: try check("fsmount") { fsmount(raw, UInt32(FSMOUNT_CLOEXEC), UInt32(MOUNT_ATTR_RDONLY)) })
    }
}
