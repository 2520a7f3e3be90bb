import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Notices when somebody writes to a setting of a bridge that the kernel sends no event about (`route_localnet`).
/// inotify(7) sees writes through the same mount of /proc, which are those of sysctl(8) and of scripts.
public final class SettingsWatch: Sendable {
    private struct Entry: Sendable {
        /// Keeps the kernel's inode of the file, which the watch is on.
        var file: SharedDescriptor
        var watch: Int32
    }

    private let events: SharedDescriptor
    private let stop: SharedDescriptor
    private let entries = Mutex<[String: Entry]>([:])
    private static let readByteCount = 4096

    /// Calls `onChange` from a thread of its own until `cancel`.
    public init(_ onChange: @escaping @Sendable () -> Void) throws(NetworkError) {
        (events, stop) = try system { () throws(SystemError) in
            let events = FileDescriptor(
                owning: try check("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK)) })
            let stop = FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) })
            return (SharedDescriptor(events), SharedDescriptor(stop))
        }
        let (events, stop) = (events, stop)
        try startDetachedThread(named: "settings-watch") { Self.run(events, stop, onChange) }
    }

    deinit { cancel() }

    public func cancel() {
        // Fails only when the counter is full: then the thread is told already.
        _ = eventfd_write(stop.raw, 1)
    }

    private static func run(_ events: SharedDescriptor, _ stop: SharedDescriptor, _ onChange: () -> Void) {
        var buffer = [UInt8](repeating: 0, count: readByteCount)
        while true {
            var entries = [stop.raw, events.raw].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            // The only failure that is not a programming error is EINTR: then we wait again.
            guard poll(&entries, nfds_t(entries.count), -1) > 0 else { continue }
            if entries[0].revents != 0 { return }
            // Which file it was is of no interest: all of them are looked at.
            while read(events.raw, &buffer, buffer.count) > 0 {}
            onChange()
        }
    }

    /// Watches these bridges and no others; one that is not there is left for the next time.
    public func setBridges(_ names: [String]) {
        let wanted = Set(names)
        let events = events.raw
        entries.withLock { entries in
            for (name, entry) in entries where !wanted.contains(name) || Self.isStale(entry, name) {
                // Gone already when its interface is.
                _ = inotify_rm_watch(events, entry.watch)
                entries[name] = nil
            }
            for name in wanted where entries[name] == nil {
                let path = SystemControls.path(.ipv4, name, "route_localnet")
                // An interface that is not there yet has no settings: it is asked for again once it is made.
                guard let file = try? FileDescriptor.open(path, O_RDONLY) else { continue }
                let watch = inotify_add_watch(events, path, UInt32(IN_MODIFY))
                if watch >= 0 { entries[name] = Entry(file: SharedDescriptor(file), watch: watch) }
            }
        }
    }

    /// The interface was made anew under the same name.
    private static func isStale(_ entry: Entry, _ name: String) -> Bool {
        var (known, present) = (stat(), stat())
        let path = SystemControls.path(.ipv4, name, "route_localnet")
        guard fstat(entry.file.raw, &known) == 0, stat(path, &present) == 0 else { return true }
        return known.st_ino != present.st_ino
    }
}
