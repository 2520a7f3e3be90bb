import Synchronization

/// Pieces from one task to another, a few at a time.
final class PieceQueue: Sendable {
    private struct State {
        var pieces: [[UInt8]] = []
        var end: Result<Void, any Error>?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let countMax: Int
    private let state = Mutex(State())

    init(countMax: Int) { self.countMax = countMax }

    /// False when nobody reads any more.
    func put(_ piece: [UInt8]) async throws -> Bool {
        await wait { $0.pieces.count < self.countMax || $0.end != nil }
        try Task.checkCancellation()
        return wake { state in
            guard state.end == nil else { return false }
            if !piece.isEmpty { state.pieces.append(piece) }
            return true
        }
    }

    /// The first end counts.
    func end(_ result: Result<Void, any Error>) { wake { $0.end = $0.end ?? result } }

    /// `nil` after the last.
    func next() async throws -> [UInt8]? {
        await wait { !$0.pieces.isEmpty || $0.end != nil }
        try Task.checkCancellation()
        let (piece, end) = wake { state in (state.pieces.isEmpty ? nil : state.pieces.removeFirst(), state.end) }
        if let piece { return piece }
        if case .failure(let error) = end { throw error }
        return nil
    }

    private func wait(_ isThere: @escaping @Sendable (borrowing State) -> Bool) async {
        while !Task.isCancelled, !state.withLock({ isThere($0) }) {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let waits = state.withLock { state in
                        if isThere(state) || Task.isCancelled { return false }
                        state.waiters.append(continuation)
                        return true
                    }
                    if !waits { continuation.resume() }
                }
            } onCancel: {
                wake { _ in }
            }
        }
    }

    @discardableResult
    private func wake<Result>(_ change: (inout State) -> Result) -> Result {
        let (result, waiters) = state.withLock { state in
            let result = change(&state)
            defer { state.waiters = [] }
            return (result, state.waiters)
        }
        for waiter in waiters { waiter.resume() }
        return result
    }
}

/// The reading end: with it, whoever still writes is stopped.
final class PieceReader: Sendable {
    private let pieces: PieceQueue
    private let writer: Task<Void, Never>

    init(_ pieces: PieceQueue, _ writer: Task<Void, Never>) {
        self.pieces = pieces
        self.writer = writer
    }

    deinit { writer.cancel() }

    func next() async throws -> [UInt8]? {
        try await withTaskCancellationHandler {
            try await pieces.next()
        } onCancel: {
            writer.cancel()
        }
    }
}
