import Glibc
import Synchronization

/// Threads for work that blocks (mounts, namespaces, unpacking, waiting for a health check), so that Swift's two
/// cooperative threads never do. Threads are made on demand up to a limit and stay.
public final class BlockingPool: Sendable {
    private typealias Job = @Sendable () -> Void

    private struct State: Sendable {
        var queue: [Job] = []
        var threads = 0
        var idle = 0
    }

    private let name: String
    private let threadsMax: Int
    private let state = Mutex(State())
    private let jobs = Semaphore()

    public init(name: String, threadsMax: Int) {
        self.name = name
        self.threadsMax = threadsMax
    }

    /// How busy it is: threads, those of them without work, and jobs that wait for one.
    public var load: (threads: Int, idle: Int, queued: Int) {
        state.withLock { ($0.threads, $0.idle, $0.queue.count) }
    }

    /// Runs `body` on a thread of the pool and waits for it without blocking the caller's thread.
    public func run<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            submit {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    private func submit(_ job: @escaping Job) {
        let needsThread = state.withLock { state in
            state.queue.append(job)
            guard state.idle < state.queue.count, state.threads < threadsMax else { return false }
            state.threads += 1
            return true
        }
        if needsThread {
            do {
                try NamedThread.start(name) { self.work() }
            } catch {
                // No thread to be had: the ones that exist take the job, or, when none does, this one runs it.
                let orphan = state.withLock { state -> Job? in
                    state.threads -= 1
                    return state.threads == 0 ? state.queue.popLast() : nil
                }
                orphan?()
                return
            }
        }
        jobs.signal()
    }

    private func work() {
        while true {
            state.withLock { $0.idle += 1 }
            jobs.wait()
            let job = state.withLock { state -> Job? in
                state.idle -= 1
                return state.queue.isEmpty ? nil : state.queue.removeFirst()
            }
            job?()
        }
    }
}

/// sem_overview(7). It wakes one thread for each signal, where a read of an eventfd(2) wakes every one that waits.
// SAFETY: the semaphore never moves, and its calls may come from any thread.
private final class Semaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    // Neither can fail: the value is small and the semaphore is this process's alone.
    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    func wait() {
        while sem_wait(semaphore) != 0 {}
    }
}
