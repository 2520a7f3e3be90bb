import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Tells followers of logs that there may be something new. One inotify(7) serves them all: the kernel gives a user 128
/// of these as a rule, and others need them too. A folder is watched only while somebody waits for it, and for one
/// change: a container that writes all the time costs nothing beyond what is read of it.
final class LogNews: Sendable {
    /// One wait, from before the last look at the log on.
    struct Ticket: Sendable {
        fileprivate let number: Int
        fileprivate let folder: String
        /// The kernel watches no more folders: the time has to do.
        fileprivate let isPolling: Bool
    }

    private static let pollInterval = Duration.milliseconds(100)
    private static let bufferByteCount = 16 << 10
    private static let mask = UInt32(IN_MODIFY | IN_CREATE | IN_MOVED_TO) | UInt32(IN_ONESHOT)
    private static let eventByteCount = MemoryLayout<inotify_event>.size

    private struct State {
        /// By folder and ticket: `nil` where nobody has begun to wait yet.
        var waiters: [String: [Int: CheckedContinuation<Void, Never>?]] = [:]
        /// By the kernel's number of a watch.
        var folders: [Int32: String] = [:]
        var lastTicket = 0
    }

    private let state = Mutex(State())
    private let notifier: SharedDescriptor

    init(_ poller: Poller) throws(SystemError) {
        notifier = SharedDescriptor(
            FileDescriptor(
                owning: try check("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK)) }))
        try poller.watch(try notifier.duplicate(), once: false) { [weak self] in self?.drain() }
    }

    /// What happens in the folder from here on ends the wait that follows.
    func arm(_ folder: String) -> Ticket {
        state.withLock { state in
            state.lastTicket += 1
            let watch = inotify_add_watch(notifier.raw, folder, Self.mask)
            if watch >= 0 { state.folders[watch] = folder }
            state.waiters[folder, default: [:]].updateValue(nil, forKey: state.lastTicket)
            return Ticket(number: state.lastTicket, folder: folder, isPolling: watch < 0)
        }
    }

    /// Nobody will wait with it.
    func disarm(_ ticket: Ticket) { take(ticket)?.resume() }

    /// Returns after a change, or when the task is cancelled. Once for each ticket.
    func wait(_ ticket: Ticket) async {
        guard !ticket.isPolling else {
            disarm(ticket)
            // Cancelled: the caller looks for that itself.
            try? await Task.sleep(for: Self.pollInterval)
            return
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    guard !Task.isCancelled, state.waiters[ticket.folder]?[ticket.number] != nil else { return false }
                    state.waiters[ticket.folder]?.updateValue(continuation, forKey: ticket.number)
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            disarm(ticket)
        }
        disarm(ticket)
    }

    /// Something else than the log's files has changed: the run is over.
    func poke(_ folder: String) {
        let waiters = state.withLock { $0.waiters.removeValue(forKey: folder) } ?? [:]
        for waiter in waiters.values { waiter?.resume() }
    }

    private func take(_ ticket: Ticket) -> CheckedContinuation<Void, Never>? {
        state.withLock { state in
            let waiter = state.waiters[ticket.folder]?.removeValue(forKey: ticket.number)
            if state.waiters[ticket.folder]?.isEmpty == true { state.waiters[ticket.folder] = nil }
            return waiter ?? nil
        }
    }

    /// On the poller's thread.
    private func drain() {
        while true {
            // SAFETY: the kernel writes at most as many bytes as the buffer has, and says how many.
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.bufferByteCount) { buffer, count in
                count = max(read(notifier.raw, buffer.baseAddress, buffer.count), 0)
            }
            if bytes.isEmpty { return }
            for folder in changed(bytes) { poke(folder) }
        }
    }

    /// inotify(7), "Reading events from an inotify file descriptor".
    private func changed(_ bytes: [UInt8]) -> Set<String> {
        state.withLock { state in
            var result: Set<String> = []
            var offset = 0
            while offset + Self.eventByteCount <= bytes.count {
                // SAFETY: a whole event header lies at the offset; it may be unaligned.
                let event = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: inotify_event.self) }
                offset += Self.eventByteCount + Int(event.len)
                if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { return Set(state.waiters.keys) }
                guard let folder = state.folders[event.wd] else { continue }
                result.insert(folder)
                // The watch was for one change.
                if event.mask & UInt32(IN_IGNORED) != 0 { state.folders[event.wd] = nil }
            }
            return result
        }
    }
}
