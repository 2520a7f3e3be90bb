import EngineWire
import ImageBuild
import StackModel
import Synchronization

/// One line of the answer to `POST /build`.
public struct ClassicBuildMessage: Encodable, Equatable, Sendable {
    public struct Auxiliary: Encodable, Equatable, Sendable {
        public var ID: String
    }
    public struct Detail: Encodable, Equatable, Sendable {
        public var code: Int?
        public var message: String
    }
    public var stream: String?
    public var aux: Auxiliary?
    public var errorDetail: Detail?
    public var error: String?
    /// HTTP status of a failure before anything was built; not part of the line.
    public var failureStatus: Int?

    enum CodingKeys: CodingKey { case stream, aux, errorDetail, error }

    public init(stream: String) { self.stream = stream }

    init(id: String) { aux = Auxiliary(ID: id) }

    init(failure: Detail) {
        errorDetail = failure
        error = failure.message
    }
}

/// What instructions that change no file have made already: for Docker's builder each of them is a step of the cache.
/// Ours carries them out again, which is no work, and says what Docker's would.
final class KnownSettings: Sendable {
    private static let countMax = 20_000
    private let digests = Mutex<Set<String>>([])

    /// Whether it is new.
    func insert(_ text: String) -> Bool {
        digests.withLock { digests in
            if digests.count >= Self.countMax { digests = [] }
            return digests.insert(fnv1aHex(text) + fnv1aHex("again \(text)")).inserted
        }
    }
}

/// Tells a build in the words of Docker's classic builder, which tools look for: one instruction after the other, stage
/// after stage. Stages that are carried out side by side wait for their turn to be told.
final class ClassicBuild: Sendable {
    /// Of output that nobody has read yet, or whose stage has not had its turn: beyond it, output is left out.
    static let heldByteCountMax = 16 << 20

    private struct Step {
        var title = ""
        var vertex: Int?
        var saysThatItRuns = false
        /// The beginning of a character whose other bytes have not come yet.
        var rest: [UInt8] = []
    }

    private struct StageText {
        var stepCount = 0
        /// The number of the instruction before its first.
        var offset = 0
        var begun = 0
        var ended = 0
        var step = Step()
        var held: [String] = []
        /// Stands for the files that there are, and what was set since they are.
        var files = ""
        var settings = ""
    }

    private struct State {
        var order: [Int] = []
        var turn = 0
        var stages: [Int: StageText] = [:]
        var stepCount = 0
        var stageOfVertex: [Int: Int] = [:]
        var exit: RunFailure?
        var heldByteCount = 0
        var leavesOut = false
        var isBegun = false
    }

    private let state = Mutex(State())
    private let continuation: AsyncStream<ClassicBuildMessage>.Continuation
    private let isQuiet: Bool
    private let removesContainers: Bool
    /// `nil`: nothing is taken from the cache.
    private let known: KnownSettings?

    init(
        _ continuation: AsyncStream<ClassicBuildMessage>.Continuation, isQuiet: Bool, removesContainers: Bool,
        known: KnownSettings? = nil
    ) {
        self.known = known
        self.continuation = continuation
        self.isQuiet = isQuiet
        self.removesContainers = removesContainers
    }

    func tell(_ event: BuildEvent) {
        state.withLock { state in
            switch event {
            case .stages(let plans): plan(plans, &state)
            case .instruction(let stage, let news): tell(news, of: stage, &state)
            case .output(let vertex, let bytes, let isError):
                if let stage = state.stageOfVertex[vertex] { output(bytes, isError, of: stage, &state) }
            case .finished(let vertex, let isCached, _, _):
                if let stage = state.stageOfVertex[vertex] { finish(isCached, of: stage, &state) }
            case .warning(let diagnostic): put("[Warning] \(diagnostic.message)\n", &state)
            case .exited(let failure): state.exit = state.exit ?? failure
            case .started: break
            }
        }
    }

    /// The end: `.built` and `.done`, or `.failed`.
    func tell(_ line: BuildLine) {
        state.withLock { state in
            switch line {
            case .built(_, let image, let tags): built(image, tags, &state)
            case .failed(let diagnostics, _): fail(diagnostics, &state)
            case .warning(let diagnostic): put("[Warning] \(diagnostic.message)\n", &state)
            case .started, .output, .finished, .done: break
            }
        }
    }

    /// A line was read.
    func noteTaken(_ message: ClassicBuildMessage) {
        state.withLock { $0.heldByteCount -= message.stream?.utf8.count ?? 0 }
    }

    // MARK: - Steps

    private func plan(_ plans: [BuildStagePlan], _ state: inout State) {
        state.isBegun = true
        state.order = plans.map(\.stage)
        state.stepCount = 0
        for plan in plans {
            var text = state.stages[plan.stage] ?? StageText()
            (text.stepCount, text.offset) = (plan.stepCount, state.stepCount)
            state.stages[plan.stage] = text
            state.stepCount += plan.stepCount
        }
    }

    private func tell(_ news: InstructionNews, of stage: Int, _ state: inout State) {
        guard var text = state.stages[stage] else { return }
        switch news {
        case .began(let title):
            text.begun += 1
            text.step = Step(title: title)
            state.stages[stage] = text
            put("Step \(text.offset + text.begun)/\(state.stepCount) : \(title)\n", of: stage, &state)
        case .carriedOut(let vertex):
            text.step.vertex = vertex
            state.stages[stage] = text
            state.stageOfVertex[vertex] = stage
        case .settled(let said):
            text.settings += "\n\(said)"
            state.stages[stage] = text
            guard let known, !known.insert(text.files + text.settings) else { return }
            put(" ---> Using cache\n", of: stage, &state)
        case .ended(let id):
            put(" ---> \(id)\n", of: stage, &state)
            if text.files != id {
                state.stages[stage]?.files = id
                state.stages[stage]?.settings = ""
            }
            state.stages[stage]?.ended += 1
            passTurn(&state)
        }
    }

    /// What goes to standard error is red, as Docker's builder has it.
    private func output(_ bytes: [UInt8], _ isError: Bool, of stage: Int, _ state: inout State) {
        sayThatItRuns(stage, &state)
        guard var step = state.stages[stage]?.step else { return }
        var whole = step.rest + bytes
        let end = completeByteCount(whole)
        step.rest = Array(whole[end...])
        whole.removeSubrange(end...)
        state.stages[stage]?.step = step
        guard !whole.isEmpty else { return }
        let text = String(decoding: whole, as: UTF8.self)
        put(isError ? "\u{1B}[91m\(text)\u{1B}[0m" : text, of: stage, &state)
    }

    private func sayThatItRuns(_ stage: Int, _ state: inout State) {
        guard let step = state.stages[stage]?.step, !step.saysThatItRuns, step.title.hasPrefix("RUN") else { return }
        state.stages[stage]?.step.saysThatItRuns = true
        put(" ---> Running in \(container(stage, state))\n", of: stage, &state)
    }

    /// Containers of steps have no names that anybody could use; this one only pairs the two lines.
    private func container(_ stage: Int, _ state: State) -> String {
        let number = (state.stages[stage]?.offset ?? 0) + (state.stages[stage]?.begun ?? 0)
        return String((fnv1aHex("\(number)") + fnv1aHex("run \(number)")).prefix(12))
    }

    private func finish(_ isCached: Bool, of stage: Int, _ state: inout State) {
        if isCached { return put(" ---> Using cache\n", of: stage, &state) }
        guard state.exit == nil, let step = state.stages[stage]?.step, step.title.hasPrefix("RUN") else { return }
        if !step.rest.isEmpty { put(String(decoding: step.rest, as: UTF8.self), of: stage, &state) }
        sayThatItRuns(stage, &state)
        guard removesContainers else { return }
        put("Removing intermediate container \(container(stage, state))\n", of: stage, &state)
    }

    private func passTurn(_ state: inout State) {
        while state.turn < state.order.count {
            let stage = state.order[state.turn]
            guard let text = state.stages[stage], text.ended >= text.stepCount else { return }
            state.turn += 1
            if state.turn < state.order.count { flush(state.order[state.turn], &state) }
        }
    }

    // MARK: - Lines

    private func flush(_ stage: Int, _ state: inout State) {
        let held = state.stages[stage]?.held ?? []
        state.stages[stage]?.held = []
        for text in held { send(text) }
    }

    private func put(_ text: String, of stage: Int, _ state: inout State) {
        guard take(text, &state) else { return }
        if state.turn < state.order.count, state.order[state.turn] != stage {
            state.stages[stage]?.held.append(text)
        } else {
            send(text)
        }
    }

    private func put(_ text: String, _ state: inout State) { if take(text, &state) { send(text) } }

    /// False when it is to be left out.
    private func take(_ text: String, _ state: inout State) -> Bool {
        if isQuiet { return false }
        var text = text
        if state.heldByteCount + text.utf8.count > Self.heldByteCountMax {
            guard !state.leavesOut else { return false }
            state.leavesOut = true
            text = "[output clipped, it is not read as fast as it comes]\n"
            send(text)
            state.heldByteCount += text.utf8.count
            return false
        }
        state.leavesOut = false
        state.heldByteCount += text.utf8.count
        return true
    }

    private func send(_ text: String) { continuation.yield(ClassicBuildMessage(stream: text)) }

    private func flushAll(_ state: inout State) {
        for stage in state.order.dropFirst(state.turn) { flush(stage, &state) }
        state.turn = state.order.count
    }

    // MARK: - The end

    private func built(_ image: String, _ tags: [String], _ state: inout State) {
        flushAll(&state)
        if isQuiet {
            state.heldByteCount += image.utf8.count + 1
            send(image + "\n")
            return
        }
        continuation.yield(ClassicBuildMessage(id: image))
        let digits = image.split(separator: ":").last ?? ""
        put("Successfully built \(digits.prefix(12))\n", &state)
        for tag in tags { put("Successfully tagged \(tag)\n", &state) }
    }

    private func fail(_ diagnostics: [Diagnostic], _ state: inout State) {
        flushAll(&state)
        let first = diagnostics.first
        var detail = ClassicBuildMessage.Detail(message: diagnostics.map(\.message).joined(separator: "; "))
        if first?.code == "build.run-failed", let exit = state.exit {
            detail.code = exit.exitCode
            detail.message =
                "The command '\(exit.arguments.joined(separator: " "))' returned a non-zero code: \(exit.exitCode)"
        } else if first?.code.hasPrefix("dockerfile.") == true, let mark = first?.source {
            detail.message = "dockerfile parse error on line \(mark.line): \(detail.message)"
        }
        var message = ClassicBuildMessage(failure: detail)
        if !state.isBegun { message.failureStatus = 400 }
        continuation.yield(message)
    }
}
