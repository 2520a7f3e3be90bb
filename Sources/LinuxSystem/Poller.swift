import CLinux
import Glibc
import Synchronization

/// One named thread that waits on descriptors with `epoll(7)` and calls back when one becomes readable.
///
/// Callbacks run on that thread and must be short: hand the work on. Used for pidfds and other wake-up sources.
public final class Poller: Sendable {
    /// Names one watch; never reused.
    public struct Watch: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    private struct Entry: Sendable {
        let descriptor: SharedDescriptor
        let once: Bool
        let onReadable: @Sendable () -> Void
    }

    private struct State: Sendable {
        var nextNumber: UInt64 = 1
        var entries: [UInt64: Entry] = [:]
    }

    private static let eventsPerWaitMax = 64

    private let epoll: SharedDescriptor
    private let state = Mutex(State())

    public init(name: String) throws(SystemError) {
        epoll = SharedDescriptor(
            FileDescriptor(owning: try check("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }))
        let poller = self
        try NamedThread.start(name) { poller.run() }
    }

    /// Calls `onReadable` whenever `descriptor` is readable; with `once` the watch ends before the first call.
    @discardableResult
    public func watch(
        _ descriptor: consuming FileDescriptor, once: Bool, onReadable: @escaping @Sendable () -> Void
    ) throws(SystemError) -> Watch {
        let shared = SharedDescriptor(descriptor)
        let number = state.withLock { state in
            let number = state.nextNumber
            state.nextNumber += 1
            state.entries[number] = Entry(descriptor: shared, once: once, onReadable: onReadable)
            return number
        }
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: number))
        do {
            try check("epoll_ctl") { epoll_ctl(epoll.raw, EPOLL_CTL_ADD, shared.raw, &event) }
        } catch {
            state.withLock { $0.entries[number] = nil }
            throw error
        }
        return Watch(number: number)
    }

    /// Ends a watch. A callback that is running at this moment still completes.
    public func cancel(_ watch: Watch) { remove(watch.number) }

    private func remove(_ number: UInt64) {
        guard let entry = state.withLock({ $0.entries.removeValue(forKey: number) }) else { return }
        // The descriptor leaves the set with its last reference; the explicit removal is for duplicated ones.
        epoll_ctl(epoll.raw, EPOLL_CTL_DEL, entry.descriptor.raw, nil)
    }

    private func run() {
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsPerWaitMax)
        while true {
            let count = epoll_wait(epoll.raw, &events, Int32(Self.eventsPerWaitMax), -1)
            guard count > 0 else { continue }
            for event in events.prefix(Int(count)) {
                let number = event.data.u64
                guard let entry = state.withLock({ $0.entries[number] }) else { continue }
                if entry.once { remove(number) }
                entry.onReadable()
            }
        }
    }
}

/// A detached thread with a name that `ps -L` and `perf` show.
public enum NamedThread {
    private static let stackBytes = 512 << 10

    /// Starts `body` on a new thread. `name` is cut to the kernel's 15 bytes.
    public static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        pthread_detach(try begin(name, body))
    }

    /// Runs `body` on a new thread and blocks until the thread has ended. What it does to what is the thread's alone
    /// (its namespaces; after `unshare(CLONE_FS)` its root) ends with it: nothing has to be undone.
    /// - Throws: when there is no thread; the failure of `body` is in the result.
    public static func run<Value: Sendable, Failure: Error>(
        _ name: String, _ body: @escaping @Sendable () throws(Failure) -> Value
    ) throws(SystemError) -> Result<Value, Failure> {
        let outcome = Outcome<Value, Failure>()
        let thread = try begin(name) {
            do throws(Failure) {
                let value = try body()
                outcome.result.withLock { $0 = .success(value) }
            } catch {
                outcome.result.withLock { $0 = .failure(error) }
            }
        }
        pthread_join(thread, nil)
        guard let result = outcome.result.withLock({ $0 }) else { preconditionFailure("thread ended without a result") }
        return result
    }

    private final class Outcome<Value: Sendable, Failure: Error>: Sendable {
        let result = Mutex<Result<Value, Failure>?>(nil)
    }

    private static func begin(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> pthread_t {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)
        let box = Unmanaged.passRetained(Work(name: String(name.prefix(15)), body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                pthread_setname_np(pthread_self(), work.name)
                work.body()
                return nil
            }, box.toOpaque())
        if code != 0 {
            box.release()
            throw SystemError("pthread_create", code: code)
        }
        return thread
    }

    private final class Work: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
