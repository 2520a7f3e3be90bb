import EngineClient
import FileWatch
import Glibc
import Images
import LinuxSystem

/// Sends files into one container, in one request: whiteouts for what is to go, then what is to come. Works on stopped
/// containers too, and needs no program in the image.
struct FileSync {
    let client: EngineClient
    let container: String

    /// Modes stay; everything belongs to the container's user, or to who owns it here where it has none. What is gone
    /// meanwhile is left out: the next batch says so.
    func send(_ sync: WatchActions.Sync) throws {
        try client.extract(container, path: "/", keepsKinds: true, ownedByUser: true, whiteoutsRemove: true) { send in
            try withoutActuallyEscaping(send) { send in
                let sending = ArchiveSending(send)
                let tree = TreeArchive(sink: { bytes throws(ImageError) in try sending.take(bytes) })
                do {
                    for removal in sync.removals { try tree.addRemoval(of: Self.name(removal)) }
                    for copy in sync.copies { try add(copy, to: tree) }
                    try tree.finish()
                } catch {
                    try sending.rethrow(error)
                }
            }
        }
    }

    private func add(_ copy: PathMapping, to tree: TreeArchive) throws {
        let object: FileDescriptor
        do throws(SystemError) { object = try open(copy) } catch {
            // ELOOP: a link has taken the place of a folder on the way.
            guard [ENOENT, ENOTDIR, ELOOP].contains(error.code) else { throw error }
            return
        }
        try tree.addAlone(object, as: Self.name(copy))
    }

    /// What a rule names itself may be a link, below it none is followed.
    private func open(_ copy: PathMapping) throws(SystemError) -> FileDescriptor {
        let root = try FileDescriptor.open(copy.root, O_PATH)
        guard let below = pathBelow(copy.root, copy.host), !below.isEmpty else { return root }
        return try openBelow(SharedDescriptor(root), below)
    }

    /// Counted from the root.
    private static func name(_ mapping: PathMapping) -> [UInt8] { Array(mapping.container.utf8.drop { $0 == 0x2f }) }
}
