import Testing

@testable import EngineAPI

@Suite struct PieceQueueTests {
    private struct Failure: Error, Equatable {}

    /// All pieces in their order, however few are held at a time.
    @Test(arguments: [1, 3, 100]) func piecesCome(_ countMax: Int) async throws {
        let pieces = PieceQueue(countMax: countMax)
        let writer = Task {
            for number in 0..<200 { _ = try await pieces.put([UInt8(number)]) }
            pieces.end(.success(()))
        }
        var found: [UInt8] = []
        while let piece = try await pieces.next() { found += piece }
        #expect(found == Array(0..<200))
        try await writer.value
    }

    @Test func aFailureComesAfterWhatCameBefore() async throws {
        let pieces = PieceQueue(countMax: 2)
        #expect(try await pieces.put([1]))
        pieces.end(.failure(Failure()))
        #expect(try await pieces.next() == [1])
        await #expect(throws: Failure()) { try await pieces.next() }
        #expect(try await !pieces.put([2]))
    }

    /// An archive that cannot be unpacked is not read to its end.
    @Test(.timeLimit(.minutes(1))) func aReaderThatGoesStopsTheWriter() async throws {
        let pieces = PieceQueue(countMax: 1)
        let writer = Task {
            do { while try await pieces.put([1]) {} } catch {
                // As it should be.
            }
        }
        do {
            let reader = PieceReader(pieces, writer)
            _ = try await reader.next()
        }
        await writer.value
    }
}
