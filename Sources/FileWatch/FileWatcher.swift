import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Watches files and folders by inotify(7), from a thread of its own, so that nothing is missed while the caller acts
/// on what was told before.
///
/// Folders are watched with all below them, but for links, which are watched as such, and what every scope ignores.
/// New folders are watched at once; roots may be missing and come and go. Reading does not show as a change.
public final class FileWatcher: Sendable {
    /// Docker Compose's quiet moment is half a second; an editor's save takes a few milliseconds.
    public static let standardTimer = ChangeTimer(quietMilliseconds: 100, longestMilliseconds: 2_000)
    /// So many changed paths are told without waiting for more.
    static let pathCountMax = 100_000

    private let core: Core

    /// Everything is watched when it returns.
    public init(_ scopes: [WatchScope], timer: ChangeTimer = FileWatcher.standardTimer) throws(FileWatchError) {
        core = try Core(try WatchedTree(scopes), timer)
        let core = core
        do throws(SystemError) {
            try NamedThread.start("file-watch") { core.run() }
        } catch {
            throw .system(error)
        }
    }

    deinit { core.stop.raise() }

    /// Readable when `take` has something to tell; for poll(2).
    public var descriptor: Int32 { core.ready.raw }

    /// What has changed and was not told yet; `nil` when it is not time for it. Throws when watching has ended.
    public func take() throws(FileWatchError) -> FileChanges? { try core.take() }

    /// The files (all but folders) in a root that count, as they were when last told; the root itself when it is one.
    public func knownFiles(in root: String) -> [String] {
        core.state.withLock { $0.tree.knownFiles }.filter { isOrIsBelow($0, root) }
    }
}

/// What the thread works on.
private final class Core: Sendable {
    struct State: Sendable {
        var tree: WatchedTree
        var timer: ChangeTimer
        var isDue = false
        var failure: FileWatchError?
    }

    let state: Mutex<State>
    let ready: EventCounter
    let stop: EventCounter

    init(_ tree: WatchedTree, _ timer: ChangeTimer) throws(FileWatchError) {
        state = Mutex(State(tree: tree, timer: timer))
        do throws(SystemError) {
            (ready, stop) = (try EventCounter(), try EventCounter())
        } catch {
            throw .system(error)
        }
        // What could not be watched at the start is told at once.
        let hasProblems = state.withLock { state in
            state.isDue = state.tree.hasNews
            return state.isDue
        }
        if hasProblems { ready.raise() }
    }

    func run() {
        while true {
            let (raw, remaining) = state.withLock { state in
                (state.tree.inotify.raw, state.isDue ? nil : state.timer.remaining(at: monotonicMilliseconds()))
            }
            var entries = [stop.raw, raw].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            let timeout = remaining.map { Int32(clamping: $0) } ?? -1
            // The only failure that is not a programming error is EINTR: then there is nothing to read.
            guard poll(&entries, nfds_t(entries.count), timeout) >= 0 else { continue }
            if entries[0].revents != 0 { return }
            let (isNewlyDue, isOver) = state.withLock { state in
                let wasDue = state.isDue
                Self.advance(&state)
                return (state.isDue && !wasDue, state.failure != nil)
            }
            if isNewlyDue { ready.raise() }
            if isOver { return }
        }
    }

    private static func advance(_ state: inout State) {
        let noteCount = state.tree.noteCount
        do throws(FileWatchError) {
            let events: [InotifyEvent]
            do throws(SystemError) { events = try state.tree.inotify.read() } catch { throw .system(error) }
            try state.tree.handle(events)
            if state.tree.noteCount != noteCount { state.timer.note(at: monotonicMilliseconds()) }
        } catch {
            state.failure = error
            state.isDue = true
        }
        let isFull = state.tree.dirty.count >= FileWatcher.pathCountMax
        if isFull || state.timer.remaining(at: monotonicMilliseconds()) == 0 { state.isDue = true }
    }

    func take() throws(FileWatchError) -> FileChanges? {
        try state.withLock { (state: inout State) throws(FileWatchError) -> FileChanges? in
            ready.clear()
            guard state.isDue else { return nil }
            if let failure = state.failure { throw failure }
            state.isDue = false
            state.timer.reset()
            let changes = state.tree.take()
            return changes.isEmpty ? nil : changes
        }
    }
}

/// eventfd(2): readable from `raise` to `clear`.
private final class EventCounter: Sendable {
    private let descriptor: SharedDescriptor

    init() throws(SystemError) {
        descriptor = SharedDescriptor(
            FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }))
    }

    var raw: Int32 { descriptor.raw }

    /// Fails only when the counter is full: then it is readable already.
    func raise() { _ = eventfd_write(raw, 1) }

    func clear() {
        var value: eventfd_t = 0
        // Fails only when nothing was raised.
        _ = eventfd_read(raw, &value)
    }
}
