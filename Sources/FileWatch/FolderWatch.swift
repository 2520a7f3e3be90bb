import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Tells in which of several folders something happened to files of interest. Not of what is below these folders. Ends
/// with `cancel` or with its last reference.
public final class FolderWatch: Sendable {
    private let inotify: Inotify
    private let stop: SharedDescriptor
    /// By the kernel's number.
    private let folders = Mutex<[Int32: Folder]>([:])
    private static let readsMax = 1 << 10

    private struct Folder: Sendable {
        var path: String
        var key: String
    }

    /// Calls `onNews` from a thread of its own with the keys of the folders.
    ///
    /// - Parameters:
    ///   - settleMilliseconds: what is waited after the first piece of news for more to come.
    ///   - isOfInterest: by a file's name in its folder.
    public init(
        threadName: String, settleMilliseconds: Int32, isOfInterest: @escaping @Sendable (String) -> Bool,
        _ onNews: @escaping @Sendable (Set<String>) -> Void
    ) throws(FileWatchError) {
        inotify = try Inotify()
        do throws(SystemError) {
            stop = SharedDescriptor(
                FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) }))
            let (inotify, stop) = (inotify, stop)
            try NamedThread.start(threadName) { [weak self] in
                while Self.isReadable(inotify.raw, unless: stop.raw, settleMilliseconds) {
                    guard let keys = self?.news(isOfInterest) else { return }
                    if !keys.isEmpty { onNews(keys) }
                }
            }
        } catch {
            throw .system(error)
        }
    }

    deinit { cancel() }

    public func cancel() {
        // Fails only when the counter is full: then the thread is told already.
        _ = eventfd_write(stop.raw, 1)
    }

    /// Watches a folder too; one that is watched already gets the new key.
    ///
    /// - Parameter mask: `IN_MODIFY` and its like.
    public func add(_ path: String, key: String, mask: Int32) throws(FileWatchError) {
        try folders.withLock { folders throws(FileWatchError) in
            folders[try inotify.add(path, mask)] = Folder(path: path, key: key)
        }
    }

    /// Watches these folders, by their paths, and no others; answers those that cannot be watched.
    public func watchOnly(_ paths: Set<String>, mask: Int32) -> [(path: String, error: FileWatchError)] {
        let known = folders.withLock { folders in
            for (number, folder) in folders where !paths.contains(folder.path) {
                inotify.remove(number)
                folders[number] = nil
            }
            return Set(folders.values.map(\.path))
        }
        var failures: [(path: String, error: FileWatchError)] = []
        for path in paths.subtracting(known).sorted() {
            do throws(FileWatchError) { try add(path, key: path, mask: mask) } catch { failures.append((path, error)) }
        }
        return failures
    }

    private static func isReadable(_ events: Int32, unless stop: Int32, _ settle: Int32) -> Bool {
        var entries = [stop, events].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        repeat {
            entries[0].revents = 0
            entries[1].revents = 0
            // The only failure that is not a programming error is EINTR: then it is waited again.
        } while poll(&entries, 2, -1) < 0
        if entries[0].revents != 0 { return false }
        var end = [pollfd(fd: stop, events: Int16(POLLIN), revents: 0)]
        return poll(&end, 1, settle) <= 0
    }

    /// Everything there is to read, as keys.
    private func news(_ isOfInterest: (String) -> Bool) -> Set<String> {
        var keys: Set<String> = []
        for _ in 0..<Self.readsMax {
            // What cannot be read now is there the next time.
            guard let events = try? inotify.read(), !events.isEmpty else { break }
            folders.withLock { folders in
                for event in events {
                    if event.has(Int32(IN_Q_OVERFLOW)) {
                        keys.formUnion(folders.values.map(\.key))
                    } else if let folder = folders[event.watch] {
                        if event.has(Int32(IN_IGNORED)) { folders[event.watch] = nil }
                        if event.name.map(isOfInterest) ?? true { keys.insert(folder.key) }
                    }
                }
            }
        }
        return keys
    }
}
