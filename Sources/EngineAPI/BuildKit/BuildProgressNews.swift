import BuildKitProtocol
import EngineWire
import Glibc
import Images
import StackModel

/// A build's lines as BuildKit's clients hear of them.
struct BuildProgressNews {
    private struct Step {
        var vertex: StatusResponse.Vertex
    }

    let ref: String
    private var steps: [Int: Step] = [:]
    private var warningCount = 0

    init(ref: String) { self.ref = ref }

    /// `nil` for what clients need not hear.
    mutating func news(_ line: BuildLine) -> StatusResponse? {
        var news = StatusResponse()
        switch line {
        case .started(let number, let name):
            var vertex = StatusResponse.Vertex(digest: digest(number), name: name)
            vertex.startedAt = Self.now()
            steps[number] = Step(vertex: vertex)
            news.vertices = [vertex]
        case .output(let number, let text, let isError):
            news.logs = [
                StatusResponse.Log(
                    vertex: digest(number), at: Self.now(), stream: isError ? 2 : 1, bytes: Array(text.utf8))
            ]
        case .finished(let number, let isCached, _, let error):
            guard var vertex = steps.removeValue(forKey: number)?.vertex else { return nil }
            (vertex.completedAt, vertex.isCached, vertex.error) = (Self.now(), isCached, error ?? "")
            news.vertices = [vertex]
        case .warning(let diagnostic):
            warningCount += 1
            let vertex = StatusResponse.Vertex(digest: digest(-1), name: "[internal] checks")
            if warningCount == 1 {
                var done = vertex
                (done.startedAt, done.completedAt) = (Self.now(), Self.now())
                news.vertices = [done]
            }
            let line = diagnostic.source.map { " (line \($0.line))" } ?? ""
            news.warnings = [StatusResponse.Warning(vertex: vertex.digest, short: diagnostic.message + line)]
        case .built, .done, .failed: return nil
        }
        return news
    }

    /// Clients tell steps apart by digests; whose does not matter.
    private func digest(_ number: Int) -> String { Digest.sha256(of: Array("\(ref) \(number)".utf8)).description }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
