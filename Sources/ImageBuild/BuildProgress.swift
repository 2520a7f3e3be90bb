import Dockerfile
import StackModel
import Synchronization

/// What a build tells while it goes on. A vertex is a step of the build as BuildKit counts them.
public enum BuildEvent: Sendable {
    case started(vertex: Int, name: String)
    case output(vertex: Int, bytes: [UInt8], isError: Bool)
    case finished(vertex: Int, isCached: Bool, nanoseconds: UInt64, error: String?)
    case warning(Diagnostic)
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
