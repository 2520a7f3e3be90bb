/// Pieces from one task to another, a few at a time.
final class PieceQueue: Sendable {
    private struct Held {
        var pieces: [[UInt8]] = []
        var end: Result<Void, any Error>?
    }

    private let countMax: Int
    private let held = WatchedState(Held())

    init(countMax: Int) { self.countMax = countMax }

    /// False when nobody reads any more.
    func put(_ piece: [UInt8]) async throws -> Bool {
        await held.wait { [countMax] in $0.pieces.count < countMax || $0.end != nil }
        try Task.checkCancellation()
        return held.change { held in
            guard held.end == nil else { return false }
            if !piece.isEmpty { held.pieces.append(piece) }
            return true
        }
    }

    /// The first end counts.
    func end(_ result: Result<Void, any Error>) { held.change { $0.end = $0.end ?? result } }

    /// `nil` after the last.
    func next() async throws -> [UInt8]? {
        await held.wait { !$0.pieces.isEmpty || $0.end != nil }
        try Task.checkCancellation()
        let (piece, end) = held.change { held in (held.pieces.isEmpty ? nil : held.pieces.removeFirst(), held.end) }
        if let piece { return piece }
        if case .failure(let error) = end { throw error }
        return nil
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
