import EngineWire
import ImageBuild
import Synchronization

/// What a batch of builds says, for one reader. Who ends reading cancels the builds.
public struct BuildLines: AsyncSequence, Sendable {
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var lines: AsyncStream<BuildLine>.Iterator
        fileprivate let queue: BuildLineQueue

        public mutating func next() async -> BuildLine? {
            guard let line = await lines.next() else { return nil }
            queue.noteTaken(line)
            return line
        }
    }

    fileprivate let lines: AsyncStream<BuildLine>
    fileprivate let queue: BuildLineQueue

    public func makeAsyncIterator() -> Iterator { Iterator(lines: lines.makeAsyncIterator(), queue: queue) }
}

/// The writing end of `BuildLines`. However much steps write, and however slowly somebody reads, it keeps no more than
/// its limits say; a build never waits for its reader.
final class BuildLineQueue: Sendable {
    /// What one step may write, as BuildKit's default for `BUILDKIT_STEP_LOG_MAX_SIZE`.
    static let stepByteCountMax = 2 << 20
    /// Of output that nobody has read yet.
    static let queuedByteCountMax = 16 << 20

    private struct Step {
        var byteCount = 0
        var isClipped = false
        var saysThatReaderIsSlow = false
        /// The beginning of a character whose other bytes have not come yet, for each stream.
        var rests: [Bool: [UInt8]] = [:]
    }

    private struct State {
        var steps: [Int: Step] = [:]
        var queuedByteCount = 0
    }

    private let state = Mutex(State())
    private let continuation: AsyncStream<BuildLine>.Continuation

    private init(_ continuation: AsyncStream<BuildLine>.Continuation) { self.continuation = continuation }

    static func make() -> (BuildLines, BuildLineQueue) {
        let (lines, continuation) = AsyncStream.makeStream(of: BuildLine.self)
        let queue = BuildLineQueue(continuation)
        return (BuildLines(lines: lines, queue: queue), queue)
    }

    func onEnd(_ body: @escaping @Sendable () -> Void) { continuation.onTermination = { _ in body() } }

    func finish() { continuation.finish() }

    func send(_ line: BuildLine) { state.withLock { put(line, &$0) } }

    func tell(_ event: BuildEvent) {
        state.withLock { state in
            switch event {
            case .started(let vertex, let name): put(.started(vertex: vertex, name: name), &state)
            case .output(let vertex, let bytes, let isError): output(vertex, bytes, isError, &state)
            case .finished(let vertex, let isCached, let nanoseconds, let error):
                for (isError, rest) in state.steps.removeValue(forKey: vertex)?.rests ?? [:] where !rest.isEmpty {
                    put(.output(vertex: vertex, text: String(decoding: rest, as: UTF8.self), isError: isError), &state)
                }
                put(
                    .finished(vertex: vertex, isCached: isCached, nanoseconds: nanoseconds, error: error), &state)
            case .warning(let diagnostic): put(.warning(diagnostic), &state)
            case .stages, .instruction, .exited: break
            }
        }
    }

    private func output(_ vertex: Int, _ bytes: [UInt8], _ isError: Bool, _ state: inout State) {
        var step = state.steps[vertex] ?? Step()
        defer { state.steps[vertex] = step }
        guard !step.isClipped else { return }
        let taken = bytes.prefix(Self.stepByteCountMax - step.byteCount)
        guard state.queuedByteCount + taken.count <= Self.queuedByteCountMax else {
            step.rests[isError] = nil
            guard !step.saysThatReaderIsSlow else { return }
            step.saysThatReaderIsSlow = true
            let text = "\n[output clipped, it is not read as fast as it comes]\n"
            return put(.output(vertex: vertex, text: text, isError: isError), &state)
        }
        step.byteCount += taken.count
        var whole = (step.rests[isError] ?? []) + taken
        step.isClipped = taken.count < bytes.count
        let end = step.isClipped ? whole.count : completeByteCount(whole)
        step.rests[isError] = Array(whole[end...])
        whole.removeSubrange(end...)
        if step.isClipped { whole += "\n[output clipped, log limit \(Self.stepByteCountMax >> 20)MiB reached]\n".utf8 }
        guard !whole.isEmpty else { return }
        put(.output(vertex: vertex, text: String(decoding: whole, as: UTF8.self), isError: isError), &state)
    }

    private func put(_ line: BuildLine, _ state: inout State) {
        state.queuedByteCount += Self.byteCount(line)
        continuation.yield(line)
    }

    fileprivate func noteTaken(_ line: BuildLine) {
        state.withLock { $0.queuedByteCount -= Self.byteCount(line) }
    }

    /// Of what is limited; everything else is as long as the Dockerfiles.
    private static func byteCount(_ line: BuildLine) -> Int {
        guard case .output(_, let text, _) = line else { return 0 }
        return text.utf8.count
    }
}

/// How many bytes there are before a character at the end that is cut off (RFC 3629 section 3).
func completeByteCount(_ bytes: [UInt8]) -> Int {
    for back in 1...3 where back <= bytes.count {
        let byte = bytes[bytes.count - back]
        guard byte & 0xC0 != 0x80 else { continue }
        let length =
            switch byte {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 1
            }
        return length > back ? bytes.count - back : bytes.count
    }
    return bytes.count
}
