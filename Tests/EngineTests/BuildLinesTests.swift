import EngineWire
import ImageBuild
import Testing

@testable import Engine

@Suite struct BuildLinesTests {
    private func said(_ queue: BuildLineQueue, _ lines: BuildLines) async -> [BuildLine] {
        queue.finish()
        var said: [BuildLine] = []
        for await line in lines { said.append(line) }
        return said
    }

    private func text(_ lines: [BuildLine], of vertex: Int) -> String {
        lines.map { line in
            guard case .output(vertex, let text, _) = line else { return "" }
            return text
        }.joined()
    }

    @Test func aStepThatWritesWithoutEndIsClipped() async {
        let (lines, queue) = BuildLineQueue.make()
        let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 100_000)
        queue.tell(.started(vertex: 1, name: "RUN yes"))
        for _ in 0..<100 { queue.tell(.output(vertex: 1, bytes: piece, isError: false)) }
        queue.tell(.output(vertex: 2, bytes: Array("other\n".utf8), isError: false))
        queue.tell(.finished(vertex: 1, isCached: false, nanoseconds: 1, error: nil))
        let said = await said(queue, lines)
        let text = text(said, of: 1)
        #expect(text.utf8.prefix { $0 == UInt8(ascii: "a") }.count == BuildLineQueue.stepByteCountMax)
        #expect(text.hasSuffix("a\n[output clipped, log limit 2MiB reached]\n"))
        #expect(self.text(said, of: 2) == "other\n")
        #expect(said.last == .finished(vertex: 1, isCached: false, nanoseconds: 1, error: nil))
    }

    @Test func whatNobodyReadsIsNotKept() async {
        let (lines, queue) = BuildLineQueue.make()
        let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
        for vertex in 1...100 { queue.tell(.output(vertex: vertex, bytes: piece, isError: false)) }
        queue.send(.done)
        var iterator = lines.makeAsyncIterator()
        for _ in 0..<8 { _ = await iterator.next() }
        // Room again.
        queue.tell(.output(vertex: 200, bytes: piece, isError: false))
        queue.finish()
        var byteCount = 0
        var slow = 0
        var last: BuildLine?
        var wasDone = false
        while let line = await iterator.next() {
            last = line
            wasDone = wasDone || line == .done
            guard case .output(_, let text, _) = line else { continue }
            byteCount += text.utf8.count
            if text.contains("[output clipped, it is not read as fast as it comes]") { slow += 1 }
        }
        #expect(wasDone && slow > 80)
        #expect(byteCount < BuildLineQueue.queuedByteCountMax)
        guard case .output(200, _, _) = last else {
            Issue.record("the last output was not kept")
            return
        }
    }

    @Test func charactersThatComeInPieces() async {
        let (lines, queue) = BuildLineQueue.make()
        let bytes = Array("ä€😀é".utf8)
        for byte in bytes { queue.tell(.output(vertex: 1, bytes: [byte], isError: false)) }
        // Between the bytes of one stream come those of the other, and of other steps.
        queue.tell(.output(vertex: 2, bytes: [0xE2, 0x82], isError: false))
        queue.tell(.output(vertex: 2, bytes: [0xC3], isError: true))
        queue.tell(.output(vertex: 2, bytes: [0xAC], isError: false))
        queue.tell(.output(vertex: 2, bytes: [0xA9], isError: true))
        queue.tell(.output(vertex: 3, bytes: [0xFF, 0x41, 0xE2], isError: false))
        queue.tell(.finished(vertex: 3, isCached: false, nanoseconds: 1, error: nil))
        let said = await said(queue, lines)
        #expect(text(said, of: 1) == "ä€😀é")
        #expect(text(said, of: 2) == "€é")
        #expect(text(said, of: 3) == "\u{FFFD}A\u{FFFD}")
    }

    @Test func whoEndsReadingEndsTheBuilds() async {
        let ended: Void = await withCheckedContinuation { continuation in
            let (lines, queue) = BuildLineQueue.make()
            queue.onEnd { continuation.resume() }
            withExtendedLifetime(lines) {}
        }
        _ = ended
    }
}
