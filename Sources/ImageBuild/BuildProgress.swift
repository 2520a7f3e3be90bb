import Dockerfile
import StackModel
import Synchronization

/// What a build tells while it goes on. A vertex is a step of the build as BuildKit counts them.
public enum BuildEvent: Sendable {
    case started(vertex: Int, name: String)
    case output(vertex: Int, bytes: [UInt8], isError: Bool)
    case finished(vertex: Int, isCached: Bool, nanoseconds: UInt64, error: String?)
    case warning(Diagnostic)
    /// The stages that are carried out, before the first of them begins; told anew when base images add to them.
    case stages([BuildStagePlan])
    /// What happens in a stage, instruction by instruction.
    case instruction(stage: Int, InstructionNews)
    /// How a command of a RUN ended; its vertex ends next.
    case exited(RunFailure)
}

/// A stage and how many instructions it has, FROM included.
public struct BuildStagePlan: Equatable, Sendable {
    public var stage: Int
    public var stepCount: Int

    public init(stage: Int, stepCount: Int) {
        self.stage = stage
        self.stepCount = stepCount
    }
}

/// Instructions of a stage begin and end one after the other; those of other stages may come between.
public enum InstructionNews: Sendable {
    case began(title: String)
    /// What is told of this vertex belongs to the instruction.
    case carriedOut(vertex: Int)
    /// It changes no file; what it says, as the image's history has it.
    case settled(text: String)
    /// The beginning of a digest that stands for all that was done so far.
    case ended(id: String)
}

/// Numbers the vertices of builds that share one stream of events.
public final class BuildProgress: Sendable {
    private let next = Atomic<Int>(1)
    private let sink: @Sendable (BuildEvent) -> Void

    public init(_ sink: @escaping @Sendable (BuildEvent) -> Void) { self.sink = sink }

    public func tell(_ event: BuildEvent) { sink(event) }

    /// Tells what went wrong besides, where another error is the build's end.
    func warn(_ failure: BuildFailure) {
        for var diagnostic in failure.diagnostics {
            diagnostic.severity = .warning
            tell(.warning(diagnostic))
        }
    }

    public func start(_ name: String) -> BuildVertex {
        let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
        sink(.started(vertex: number, name: name))
        return BuildVertex(number: number, name: name, startedAt: .now, progress: self)
    }
}

public struct BuildVertex: Sendable {
    public let number: Int
    public let name: String
    let startedAt: ContinuousClock.Instant
    let progress: BuildProgress

    public func output(_ bytes: [UInt8], isError: Bool = false) {
        progress.tell(.output(vertex: number, bytes: bytes, isError: isError))
    }

    public func finish(isCached: Bool = false) { end(isCached, nil) }

    public func fail(_ error: BuildFailure) {
        if case .exited(let failure) = error { progress.tell(.exited(failure)) }
        end(false, error.diagnostics.map(\.message).joined(separator: "; "))
    }

    private func end(_ isCached: Bool, _ error: String?) {
        let spent = ContinuousClock.now - startedAt
        let nanoseconds =
            UInt64(clamping: spent.components.seconds) * 1_000_000_000
            + UInt64(clamping: spent.components.attoseconds / 1_000_000_000)
        progress.tell(.finished(vertex: number, isCached: isCached, nanoseconds: nanoseconds, error: error))
    }
}
