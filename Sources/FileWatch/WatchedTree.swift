import CLinux
import Glibc
import LinuxSystem

/// Paths that changed since the last time.
public struct FileChanges: Equatable, Sendable {
    /// New, or with other content or attributes; sorted, so that a folder stands before what is in it.
    public var changed: [String] = []
    /// Gone, sorted, each with all that counted below it, since a scope may have only that: see `topmost`. Also what
    /// something of another kind has replaced, which is in `changed`, too.
    public var removed: [String] = []
    /// What is not watched although it should be.
    public var problems: [FileWatchError] = []

    public init(changed: [String] = [], removed: [String] = [], problems: [FileWatchError] = []) {
        self.changed = changed
        self.removed = removed
        self.problems = problems
    }

    public var isEmpty: Bool { changed.isEmpty && removed.isEmpty && problems.isEmpty }
}

/// Watched folders, and what was last told of what is in them.
///
/// Events say where to look, never what there is: paths they name are kept as `dirty`, and `take` compares each with
/// what is known of it. So nothing depends on the order of events, and what came and went in between is not told.
struct WatchedTree: Sendable {
    struct Folder: Sendable {
        /// `nil`: not watched, kept for `known` until the next `take`.
        var watch: Int32?
        /// What was told of each entry that counts.
        var known: [String: FileStamp] = [:]
        /// Folders in it that are watched.
        var subfolders: Set<String> = []
        /// For each scope; `nil`: the folder is not in it.
        var states: [WatchScope.State?] = []
    }

    static let mask =
        Int32(IN_CREATE) | Int32(IN_DELETE) | Int32(IN_MOVED_FROM) | Int32(IN_MOVED_TO) | Int32(IN_CLOSE_WRITE)
        | Int32(IN_MODIFY) | Int32(IN_ATTRIB) | Int32(IN_DELETE_SELF) | Int32(IN_MOVE_SELF) | Int32(IN_EXCL_UNLINK)
    private static let problemCountMax = 100

    let scopes: [WatchScope]
    /// Each root once.
    let roots: [String]
    var inotify: Inotify
    var folders: [String: Folder] = [:]
    /// More than one path when a folder is mounted twice, or was moved and seen before the event.
    private var pathsOfWatch: [Int32: [String]] = [:]
    /// Folders above the roots, see `anchor`.
    var anchors: [Int32: Set<String>] = [:]
    /// Every folder above a root, and the roots.
    let waysToRoots: Set<String>
    var rootStamps: [String: FileStamp] = [:]
    private(set) var dirty: Set<String> = []
    /// What the last `take` could not look at; it is dirty still.
    private var unseen: Set<String> = []
    /// Grows with every look that is due, so that what does not count is told from what does.
    private(set) var noteCount = 0
    /// Folders that are not watched any more since the last `take`.
    private var left: Set<String> = []
    private var problems: [FileWatchError] = []

    init(_ scopes: [WatchScope]) throws(FileWatchError) {
        self.scopes = scopes
        roots = Set(scopes.map(\.root)).sorted()
        waysToRoots = Set(roots.flatMap { [$0] + foldersAbove($0) })
        inotify = try Inotify()
        for root in roots {
            try anchor(root)
            try look(at: root, isFirst: true)
        }
    }

    /// Files that count, as they were last told.
    var knownFiles: [String] {
        folders.flatMap { path, folder in
            folder.known.compactMap { $0.value.isFolder ? nil : joined(path, $0.key) }
        }.sorted()
    }

    // MARK: - Events

    /// Looks at what has happened; throws when nothing can be watched any more.
    mutating func handle(_ events: [InotifyEvent]) throws(FileWatchError) {
        var concernsRoots = false
        for event in events {
            // What follows was lost or belongs to the old instance.
            if event.has(IN_Q_OVERFLOW) { return try startAnew() }
            if handleAnchor(event) { concernsRoots = true }
            if event.has(IN_IGNORED) {
                for path in pathsOfWatch.removeValue(forKey: event.watch) ?? [] {
                    forget(path)
                    if roots.contains(path) { concernsRoots = true }
                }
            } else if let name = event.name {
                for path in pathsOfWatch[event.watch] ?? [] { entryChanged(name, in: path, event) }
            }
        }
        // Once for all of them: a file that is a root has one for each write.
        if concernsRoots { noting { (tree: inout Self) throws(FileWatchError) in try tree.lookAtRoots() } }
    }

    private mutating func forget(_ path: String) {
        folders[path]?.watch = nil
        left.insert(path)
    }

    private mutating func entryChanged(_ name: String, in folder: String, _ event: InotifyEvent) {
        guard let states = folders[folder]?.states else { return }
        let path = joined(folder, name)
        let own = self.states(of: path, in: states)
        mark(path, own)
        guard event.has(IN_ISDIR) else { return }
        if event.has(IN_MOVED_FROM) || event.has(IN_DELETE) { leave(path) }
        if event.has(IN_MOVED_TO) || event.has(IN_CREATE) {
            leave(path)
            folders[folder]?.subfolders.insert(name)
            noting { (tree: inout Self) throws(FileWatchError) in try tree.enter(path, own, isFirst: false) }
        }
    }

    /// Events were lost: all is watched anew and compared.
    private mutating func startAnew() throws(FileWatchError) {
        inotify = try Inotify()
        (pathsOfWatch, anchors, rootStamps) = ([:], [:], [:])
        for (path, folder) in folders {
            folders[path]?.watch = nil
            folders[path]?.subfolders = []
            left.insert(path)
            for name in folder.known.keys { suspect(joined(path, name)) }
        }
        noting { (tree: inout Self) throws(FileWatchError) in try tree.lookAtRoots() }
    }

    /// What goes wrong later is told with the changes.
    mutating func noting(_ body: (inout Self) throws(FileWatchError) -> Void) {
        do throws(FileWatchError) { try body(&self) } catch { note(error) }
    }

    mutating func note(_ problem: FileWatchError) {
        if problems.count < Self.problemCountMax, !problems.contains(problem) { problems.append(problem) }
        noteCount &+= 1
    }

    // MARK: - Folders

    func states(of path: String) -> [WatchScope.State?] {
        scopes.map { isOrIsBelow(path, $0.root) ? $0.state(of: path) : nil }
    }

    private func states(of path: String, in parent: [WatchScope.State?]) -> [WatchScope.State?] {
        zip(scopes, parent).map { scope, state in
            if let state { return scope.state(of: path, in: state) }
            return path == scope.root ? scope.state(of: path) : nil
        }
    }

    private func isWanted(_ states: [WatchScope.State?]) -> Bool {
        zip(scopes, states).contains { scope, state in state.map(scope.isWanted) ?? false }
    }

    private func canSkip(_ path: String, _ states: [WatchScope.State?]) -> Bool {
        zip(scopes, states).allSatisfy { scope, state in state.map { scope.canSkip(path, $0) } ?? true }
    }

    mutating func mark(_ path: String, _ states: [WatchScope.State?]) {
        if isWanted(states) { suspect(path) }
    }

    private mutating func suspect(_ path: String) {
        dirty.insert(path)
        noteCount &+= 1
    }

    /// Watches a folder and all below it, each before it is looked at: what is made meanwhile is seen twice, not never.
    ///
    /// - Parameter isFirst: what is there is known from now on; else it is news.
    mutating func enter(_ top: String, _ states: [WatchScope.State?], isFirst: Bool) throws(FileWatchError) {
        var waiting = [(path: top, states: states)]
        while let (path, states) = waiting.popLast() {
            guard folders[path]?.watch == nil, !canSkip(path, states) else { continue }
            guard let listing = try open(path, states) else { continue }
            for (name, isFolder) in listing.entries {
                let child = joined(path, name)
                let own = self.states(of: child, in: states)
                if isWanted(own) {
                    if isFirst { learn(name, in: path) } else { suspect(child) }
                }
                guard isFolder, !canSkip(child, own) else { continue }
                folders[path]?.subfolders.insert(name)
                waiting.append((child, own))
            }
            if listing.hasOtherNames { note(.system(SystemError("name that is no UTF-8", path: path, code: EILSEQ))) }
        }
    }

    /// What is there from the start; what cannot be looked at is news when it can.
    private mutating func learn(_ name: String, in folder: String) {
        let path = joined(folder, name)
        do throws(SystemError) { folders[folder]?.known[name] = try FileStamp(path) } catch { suspect(path) }
    }

    /// `nil`: it is gone, which an event will tell or has told, or must not be read.
    private mutating func open(
        _ path: String, _ states: [WatchScope.State?]
    ) throws(FileWatchError) -> FolderListing? {
        do throws(FileWatchError) {
            // A rule's own path may be a link, what is below it is not followed.
            let watch = try inotify.add(path, Self.mask | (roots.contains(path) ? 0 : Int32(IN_DONT_FOLLOW)))
            folders[path, default: Folder()].watch = watch
            folders[path]?.states = states
            if pathsOfWatch[watch]?.contains(path) != true { pathsOfWatch[watch, default: []].append(path) }
            for name in folders[path]?.known.keys.map(\.self) ?? [] { suspect(joined(path, name)) }
            do throws(SystemError) { return try FolderListing(path) } catch { throw .system(error) }
        } catch {
            guard case .system(let cause) = error else { throw error }
            if !cause.isAbsence { note(error) }
            return nil
        }
    }

    /// Ends the watches of a folder and of all below it; what was known there is looked at again.
    mutating func leave(_ top: String) {
        var waiting = [top]
        while let path = waiting.popLast() {
            guard let folder = folders[path] else { continue }
            if let watch = folder.watch {
                pathsOfWatch[watch]?.removeAll { $0 == path }
                if pathsOfWatch[watch]?.isEmpty == true {
                    pathsOfWatch[watch] = nil
                    if anchors[watch] == nil { inotify.remove(watch) }
                }
            }
            forget(path)
            folders[path]?.subfolders = []
            for name in folder.known.keys { suspect(joined(path, name)) }
            waiting += folder.subfolders.map { joined(path, $0) }
        }
    }

    /// Whether nobody else needs a watch.
    func isUsed(_ watch: Int32) -> Bool { pathsOfWatch[watch] != nil }

    // MARK: - Changes

    var hasNews: Bool { !dirty.isEmpty || !problems.isEmpty }

    /// What is different from the last time, looked at now.
    mutating func take() -> FileChanges {
        var changes = FileChanges()
        let held = roots.map { ($0, Self.hold($0)) }
        var (stillDirty, causes): (Set<String>, Set<Int32>) = ([], [])
        for path in dirty {
            let (parent, name) = (FileSystem.parent(of: path), FileSystem.lastComponent(of: path))
            let stamp: FileStamp?
            do throws(SystemError) { stamp = try Self.stamp(of: path, held) } catch {
                // It counts as it was told, until a look with the next changes. One word for each cause is enough.
                stillDirty.insert(path)
                if !unseen.contains(path), causes.insert(error.code).inserted { note(.system(error)) }
                continue
            }
            let before = folders[parent]?.known[name]
            guard stamp != before else { continue }
            folders[parent, default: Folder()].known[name] = stamp
            if stamp != nil { changes.changed.append(path) }
            if let before, stamp?.isSameKind(as: before) != true { changes.removed.append(path) }
            if folders[parent]?.watch == nil { left.insert(parent) }
        }
        for path in left where folders[path]?.watch == nil && folders[path]?.known.isEmpty == true {
            folders[path] = nil
        }
        changes.problems = problems
        (dirty, unseen, left, problems) = (stillDirty, stillDirty, [], [])
        changes.changed.sort()
        changes.removed.sort()
        return changes
    }

    /// `nil`: it is not there.
    private static func hold(_ root: String) -> Result<SharedDescriptor?, SystemError> {
        do throws(SystemError) {
            return .success(SharedDescriptor(try FileDescriptor.open(root, O_PATH)))
        } catch {
            return error.isAbsence ? .success(nil) : .failure(error)
        }
    }

    /// Below the innermost root, without following links: a folder that a link has replaced has nothing in it.
    private static func stamp(
        of path: String, _ roots: [(path: String, held: Result<SharedDescriptor?, SystemError>)]
    ) throws(SystemError) -> FileStamp? {
        let around = roots.filter { isOrIsBelow(path, $0.path) }.max { $0.path.utf8.count < $1.path.utf8.count }
        guard let around, let below = pathBelow(around.path, path) else { return nil }
        if below.isEmpty { return try FileStamp(path, followsLink: true) }
        guard let root = try around.held.get() else { return nil }
        return try FileStamp(below, below: root)
    }

}
