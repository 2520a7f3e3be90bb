import CLinux
import Glibc
import LinuxSystem

/// Roots may be files that editors replace, may be missing, go, and come back: the folders above them are watched too,
/// for themselves (moved, removed) and the nearest that exists for the next name on the way to the root.
extension WatchedTree {
    private static let selfMask = Int32(IN_DELETE_SELF) | Int32(IN_MOVE_SELF)
    private static let entryMask = Int32(IN_CREATE) | Int32(IN_DELETE) | Int32(IN_MOVED_FROM) | Int32(IN_MOVED_TO)
    private static let contentMask = Int32(IN_MODIFY) | Int32(IN_CLOSE_WRITE) | Int32(IN_ATTRIB)

    /// Watches what is above a root.
    mutating func anchor(_ root: String) throws(FileWatchError) {
        let above = foldersAbove(root)
        // What cannot be looked at cannot be watched either.
        let isFolder = { (path: String) in (try? FileStamp(path, followsLink: true))?.isFolder == true }
        let present = above.prefix(while: isFolder)
        for (index, path) in present.enumerated() {
            var mask = Self.selfMask
            if index == present.count - 1 {
                mask |= Self.entryMask
                if !isFolder(root) { mask |= Self.contentMask }
            }
            do throws(FileWatchError) {
                anchors[try inotify.add(path, mask), default: []].insert(path)
            } catch {
                // A folder that must not be read, or is gone by now, tells nothing; the others still do.
                guard case .system = error else { throw error }
            }
        }
    }

    /// Whether the roots are to be looked at.
    mutating func handleAnchor(_ event: InotifyEvent) -> Bool {
        guard let paths = anchors[event.watch] else { return false }
        if event.has(IN_IGNORED) || event.has(IN_MOVE_SELF) || event.has(IN_DELETE_SELF) {
            anchors[event.watch] = nil
            if !event.has(IN_IGNORED), !isUsed(event.watch) { inotify.remove(event.watch) }
            return true
        }
        guard let name = event.name else { return false }
        return paths.contains { waysToRoots.contains(joined($0, name)) }
    }

    mutating func lookAtRoots() throws(FileWatchError) {
        for root in roots {
            try anchor(root)
            try look(at: root, isFirst: false)
        }
    }

    /// Enters a root that is there, or is another than before; leaves one that is gone.
    mutating func look(at root: String, isFirst: Bool) throws(FileWatchError) {
        let stamp: FileStamp?
        do throws(SystemError) { stamp = try FileStamp(root, followsLink: true) } catch {
            // It may be there: what is known of it stays.
            return note(.system(error))
        }
        let states = states(of: root)
        let (parent, name) = (FileSystem.parent(of: root), FileSystem.lastComponent(of: root))
        if let stamp, stamp.isFolder {
            let isSame = rootStamps[root].map(stamp.isSameObject) ?? false
            if isSame, folders[root]?.watch != nil { return }
            if !isFirst {
                leave(root)
                // The file that was here is gone.
                if folders[parent]?.known[name]?.isFolder == false { mark(root, states) }
            }
            rootStamps[root] = stamp
            return try enter(root, states, isFirst: isFirst)
        }
        if rootStamps.removeValue(forKey: root) != nil { leave(root) }
        if isFirst, let stamp {
            folders[parent, default: Folder()].known[name] = stamp
        } else {
            mark(root, states)
        }
    }
}
