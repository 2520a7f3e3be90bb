import Synchronization

/// Where the engine's long-lived and late work runs: one task group owned by `Engine.run`, fed through a stream, so
/// that every task has an owner and ends with the engine.
final class BackgroundTasks: Sendable {
    private let jobs: AsyncStream<@Sendable () async -> Void>
    private let continuation: AsyncStream<@Sendable () async -> Void>.Continuation

    private let running = Atomic(0)

    /// How many run at the moment.
    var count: Int { running.load(ordering: .relaxed) }

    init() {
        (jobs, continuation) = AsyncStream.makeStream()
    }

    /// Starts `job` beside what runs; callable from any thread, also from a `Poller` callback.
    func start(_ job: @escaping @Sendable () async -> Void) { continuation.yield(job) }

    /// Runs jobs until `stop`, then cancels those still running and waits for them.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs {
                running.add(1, ordering: .relaxed)
                group.addTask { [self] in
                    await job()
                    running.subtract(1, ordering: .relaxed)
                }
            }
            group.cancelAll()
        }
    }

    func stop() { continuation.finish() }
}
