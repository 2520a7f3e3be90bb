import BuildKitProtocol

/// One `Solve` and everything that belongs to it: its progress, and what the client's own code asks for meanwhile.
final class BuildJob: Sendable {
    /// Of what steps write and nobody has read: beyond it, output is left out.
    private static let logByteCountMax = 64 << 20

    private struct State {
        var news: [StatusResponse] = []
        var logByteCount = 0
        var hasEnded = false
        /// Image ids by the names that the gateway gave them.
        var results: [String: String] = [:]
        var returned: Result<String?, GRPCStatus>?
    }

    let request: SolveRequest
    private let state = WatchedState(State())

    init(_ request: SolveRequest) { self.request = request }

    // MARK: - Progress

    func tell(_ news: StatusResponse) {
        state.change { state in
            var news = news
            let count = news.logs.reduce(0) { $0 + $1.bytes.count }
            if state.logByteCount + count > Self.logByteCountMax { news.logs = [] } else { state.logByteCount += count }
            state.news.append(news)
        }
    }

    func end() { state.change { $0.hasEnded = true } }

    /// From the first on; `nil` after the last.
    func news(_ index: Int) async -> StatusResponse? {
        await state.wait { index < $0.news.count || $0.hasEnded }
        return state.read { index < $0.news.count ? $0.news[index] : nil }
    }

    // MARK: - Gateway

    /// - Returns: the result's name.
    func add(image: String) -> String {
        state.change { state in
            let name = "\(request.ref)-\(state.results.count)"
            state.results[name] = image
            return name
        }
    }

    /// The client's own code has ended.
    func end(_ result: GatewayReturn) {
        state.change { state in
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
        await state.wait { $0.returned != nil }
        try Task.checkCancellation()
        switch state.read({ $0.returned }) {
        case .success(let image): return image
        case .failure(let status): throw status
        case nil: return nil
        }
    }
}

/// Jobs under way, by the names that their clients gave them.
struct BuildJobs: Sendable {
    /// What asks for a job's progress may come after its end.
    private static let graceSeconds = 10

    private let jobs = Arrivals<BuildJob>()

    func begin(_ request: SolveRequest) throws -> BuildJob {
        let job = BuildJob(request)
        guard !request.ref.isEmpty, jobs.add(job, named: request.ref) else {
            throw GRPCStatus(.invalidArgument, "a build of this name is under way")
        }
        return job
    }

    func end(_ job: BuildJob) {
        job.end()
        // OWNER: itself; it lasts a few seconds and holds nothing but the job's news.
        Task {
            // It is never cancelled.
            try? await Task.sleep(for: .seconds(Self.graceSeconds))
            jobs.remove(job, named: job.request.ref)
        }
    }

    func job(_ ref: String) async throws -> BuildJob {
        guard let job = await jobs.find(ref) else { throw GRPCStatus(.notFound, "no such job \(ref)") }
        return job
    }
}

/// Things by their names, which may be asked for a little before they come.
struct Arrivals<Thing: AnyObject & Sendable>: Sendable {
    private static var waitSeconds: Int { 10 }

    private let things = WatchedState<[String: Thing]>([:])

    /// False when there is one of the name.
    func add(_ thing: Thing, named name: String) -> Bool {
        things.change { things in
            guard things[name] == nil else { return false }
            things[name] = thing
            return true
        }
    }

    /// - Parameter thing: another one may have come under its name since.
    func remove(_ thing: Thing, named name: String) {
        things.change { if $0[name] === thing { $0[name] = nil } }
    }

    /// `nil` when it does not come.
    func find(_ name: String) async -> Thing? {
        let waiting = Task { [things] in await things.wait { $0[name] != nil } }
        let timer = Task {
            try await Task.sleep(for: .seconds(Self.waitSeconds))
            waiting.cancel()
        }
        await withTaskCancellationHandler {
            await waiting.value
        } onCancel: {
            waiting.cancel()
        }
        timer.cancel()
        return things.read { $0[name] }
    }
}
