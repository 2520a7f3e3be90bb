import CLinux
import Glibc
import Synchronization

/// Runs `work` for 0..<count on up to `threadCountMax` threads, the caller's among them, and answers the results in
/// order. `work` blocks, so these are threads, not tasks. The first error stops the rest: `work` is given a function
/// that says when to give up.
func inParallel<Result: Sendable>(
    count: Int, threadCountMax: Int,
    _ work: @escaping @Sendable (Int, () -> Bool) throws(ImageError) -> Result
) throws(ImageError) -> [Result] {
    let run = ParallelRun(count: count, work: work)
    var threads: [pthread_t] = []
    for _ in 1..<max(1, min(threadCountMax, count)) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(ThreadBody { run.run() })
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, context.toOpaque())
        // Without more threads the caller's does all the work.
        guard code == 0 else {
            context.release()
            break
        }
        pthread_setname_np(thread, "gantry-unpack")
        threads.append(thread)
    }
    run.run()
    for thread in threads { pthread_join(thread, nil) }
    return try run.results()
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private final class ParallelRun<Result: Sendable>: Sendable {
    private struct State {
        var next = 0
        var results: [Int: Result] = [:]
        var failure: ImageError?
    }

    private let count: Int
    private let work: @Sendable (Int, () -> Bool) throws(ImageError) -> Result
    private let state = Mutex(State())

    init(count: Int, work: @escaping @Sendable (Int, () -> Bool) throws(ImageError) -> Result) {
        self.count = count
        self.work = work
    }

    func run() {
        while let index = takeNext() {
            do throws(ImageError) {
                let result = try work(index) { self.state.withLock { $0.failure != nil } }
                state.withLock { $0.results[index] = result }
            } catch {
                // The first error is the cause; later ones may be its echo.
                state.withLock { $0.failure = $0.failure ?? error }
            }
        }
    }

    private func takeNext() -> Int? {
        state.withLock { state in
            guard state.failure == nil, state.next < count else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    func results() throws(ImageError) -> [Result] {
        try state.withLock { state throws(ImageError) in
            if let failure = state.failure { throw failure }
            return (0..<count).compactMap { state.results[$0] }
        }
    }
}
