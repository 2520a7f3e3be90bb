import BuildKitProtocol
import Synchronization

/// One `Solve` and everything that belongs to it: its progress, and what the client's own code asks for meanwhile.
final class BuildJob: Sendable {
    /// Of what steps write and nobody has read: beyond it, output is left out.
    private static let logByteCountMax = 64 << 20

    private struct State {
        var news: [StatusResponse] = []
        var logByteCount = 0
        var hasEnded = false
        var readers: [CheckedContinuation<Void, Never>] = []
        /// Image ids by the names that the gateway gave them.
        var results: [String: String] = [:]
        var returned: Result<String?, GRPCStatus>?
        var waiter: CheckedContinuation<Void, Never>?
    }

    let request: SolveRequest
    private let state = Mutex(State())

    init(_ request: SolveRequest) { self.request = request }

    // MARK: - Progress

    func tell(_ news: StatusResponse) {
        wake { state in
            var news = news
            let count = news.logs.reduce(0) { $0 + $1.bytes.count }
            if state.logByteCount + count > Self.logByteCountMax { news.logs = [] } else { state.logByteCount += count }
            state.news.append(news)
        }
    }

    func end() { wake { $0.hasEnded = true } }

    /// From the first on; `nil` after the last.
    func news(_ index: Int) async -> StatusResponse? {
        await change { index < $0.news.count || $0.hasEnded }
        return state.withLock { index < $0.news.count ? $0.news[index] : nil }
    }

    private func wake(_ body: (inout State) -> Void) {
        let readers = state.withLock { state in
            body(&state)
            defer { state.readers = [] }
            return state.readers
        }
        for reader in readers { reader.resume() }
    }

    /// Returns when it is so, or when the task is cancelled.
    private func change(_ isThere: @escaping @Sendable (borrowing State) -> Bool) async {
        while !Task.isCancelled, !state.withLock({ isThere($0) }) {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let waits = state.withLock { state in
                        if isThere(state) || Task.isCancelled { return false }
                        state.readers.append(continuation)
                        return true
                    }
                    if !waits { continuation.resume() }
                }
            } onCancel: {
                wake { _ in }
            }
        }
    }

    // MARK: - Gateway

    /// - Returns: the result's name.
    func add(image: String) -> String {
        state.withLock { state in
            let name = "\(request.ref)-\(state.results.count)"
            state.results[name] = image
            return name
        }
    }

    /// The client's own code has ended.
    func end(_ result: GatewayReturn) {
        wake { state in
            guard state.returned == nil else { return }
            if let error = result.error {
                state.returned = .failure(error)
            } else {
                state.returned = .success(result.refs.first.flatMap { state.results[$0] })
            }
        }
    }

    /// What the client's own code has ended with: an image, or nothing.
    func returned() async throws -> String? {
        await change { $0.returned != nil }
        try Task.checkCancellation()
        switch state.withLock({ $0.returned }) {
        case .success(let image): return image
        case .failure(let status): throw status
        case nil: return nil
        }
    }
}

/// Jobs under way, by the names that their clients gave them.
actor BuildJobs {
    /// What asks for a job may come before it, and what asks for its progress may come after its end.
    private static let graceSeconds = 10

    private var jobs: [String: BuildJob] = [:]
    private var waiters: [String: [CheckedContinuation<BuildJob?, Never>]] = [:]

    func begin(_ request: SolveRequest) throws -> BuildJob {
        guard !request.ref.isEmpty, jobs[request.ref] == nil else {
            throw GRPCStatus(.invalidArgument, "a build of this name is under way")
        }
        let job = BuildJob(request)
        jobs[request.ref] = job
        for waiter in waiters.removeValue(forKey: request.ref) ?? [] { waiter.resume(returning: job) }
        return job
    }

    func end(_ job: BuildJob) {
        job.end()
        // OWNER: itself; it lasts a few seconds and holds nothing but the job's news.
        Task {
            // It is never cancelled.
            try? await Task.sleep(for: .seconds(Self.graceSeconds))
            jobs[job.request.ref] = nil
        }
    }

    func job(_ ref: String) async throws -> BuildJob {
        if let job = jobs[ref] { return job }
        let timer = Task {
            try await Task.sleep(for: .seconds(Self.graceSeconds))
            giveUp(ref)
        }
        defer { timer.cancel() }
        let found = await withCheckedContinuation { waiters[ref, default: []].append($0) }
        guard let found else { throw GRPCStatus(.notFound, "no such job \(ref)") }
        return found
    }

    private func giveUp(_ ref: String) {
        for waiter in waiters.removeValue(forKey: ref) ?? [] { waiter.resume(returning: nil) }
    }
}
