import ContainerRuntime
import JSONDocument
import LinuxSystem
import Reconciler
import StackModel

/// `GET /containers/{id}/top`: what the host's ps(1) says of the container's processes.
extension Engine {
    private static let topPatienceMilliseconds: UInt64 = 10_000
    private static let topByteCountMax = 4 << 20

    public func top(_ reference: String, arguments: String) async throws(EngineError) -> ProcessTable {
        let container = try container(reference)
        let stored = container.stored
        guard container.process != nil else {
            throw .conflict("container \(stored.id) is not running")
        }
        let words = arguments.split(separator: " ").map(String.init)
        // What another file would be read from, or what is no question at all.
        guard words.allSatisfy({ $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } }) else {
            throw .badRequest("ps_args has what is no option of ps")
        }
        guard let program = ["/usr/bin/ps", "/bin/ps"].first(where: { FileSystem.exists($0) }) else {
            throw .answered(500, "the host has no ps program (Debian: package procps)")
        }
        let folder = options.containerRun(stored.id)
        let (processes, outcome) = try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
            let processes = try runtime.processes(directory: folder)
            do throws(SystemError) {
                return (
                    processes,
                    try HelperProgram.run(
                        path: program, arguments: ["ps"] + words,
                        environment: ["PATH=/usr/bin:/bin", "LC_ALL=C", "COLUMNS=4096"], input: [],
                        timeoutMilliseconds: Self.topPatienceMilliseconds, outputByteCountMax: Self.topByteCountMax)
                )
            } catch {
                throw .system("run ps", error)
            }
        }
        let text = String(decoding: outcome.output, as: UTF8.self)
        guard outcome.end == .exited(0) else {
            let line = text.split(separator: "\n").first ?? "it failed"
            throw .answered(500, "Error running ps: \(line)")
        }
        announce(stored, "top")
        return try ProcessTable(text, of: Set(processes))
    }
}

/// The lines of ps(1) about some processes.
public struct ProcessTable: Equatable, Sendable {
    public var titles: [String]
    public var rows: [[String]]

    /// - Throws: without a column of process ids nobody can tell which lines are meant.
    init(_ text: String, of processes: Set<Int32>) throws(EngineError) {
        let lines = text.split(separator: "\n")
        titles = lines.first.map { $0.split(separator: " ").map(String.init) } ?? []
        guard let column = titles.firstIndex(of: "PID") else {
            throw .answered(500, "Couldn't find PID field in ps output")
        }
        rows = []
        for line in lines.dropFirst() {
            var fields = line.split(separator: " ", maxSplits: titles.count - 1).map(String.init)
            guard fields.count > column, let pid = Int32(fields[column]), processes.contains(pid) else { continue }
            // The last column may have spaces, in front of it too.
            if let last = fields.indices.last { fields[last] = String(fields[last].drop { $0 == " " }) }
            rows.append(fields)
        }
    }
}
