import EngineWire
import StackModel

/// What is known about every object of a running command, for who reads lines. Times are nanoseconds of one clock.
struct ProgressBoard {
    struct Line: Equatable {
        var title: String
        var state: ProgressEvent.State
        var status: String
        var startedAt: Int64
        /// When it was done or had failed.
        var endedAt: Int64?
    }

    /// Objects on the board; of more, the rest is told, and not remembered.
    static let lineCountMax = 10_000

    private(set) var lines: [Line] = []
    private var indexes: [String: Int] = [:]

    /// Takes in an event; the line that changed, `nil` when nothing visible did.
    mutating func update(
        kind: PlanReply.Change.Kind, name: String, state: ProgressEvent.State, status: String, at now: Int64
    ) -> Line? {
        let title = "\(kindTitle(kind)) \(harmless(name))"
        let endedAt = state == .done || state == .failed || state == .warning ? now : nil
        guard let index = indexes[title] else {
            let line = Line(title: title, state: state, status: harmless(status), startedAt: now, endedAt: endedAt)
            guard lines.count < Self.lineCountMax else { return line }
            indexes[title] = lines.count
            lines.append(line)
            return line
        }
        let before = lines[index]
        // Work that starts again after an end (created, then starting) goes on in the same line and time.
        lines[index].state = state
        lines[index].status = harmless(status)
        lines[index].endedAt = endedAt
        return before.state == state && before.status == lines[index].status ? nil : lines[index]
    }
}

/// `Container`, as it stands before the name.
func kindTitle(_ kind: PlanReply.Change.Kind) -> String {
    switch kind {
    case .container: "Container"
    case .network: "Network"
    case .volume: "Volume"
    case .image: "Image"
    case .firewall: "Firewall"
    case .port: "Port"
    }
}

/// One line of progress where nothing can be redrawn.
func plainProgress(_ line: ProgressBoard.Line) -> String { "\(line.title)  \(line.status)" }

/// An object's progress for machines: Docker Compose's members, and which object it is.
func progressJSON(_ line: ProgressBoard.Line, kind: PlanReply.Change.Kind, name: String) -> JSONText {
    let status =
        switch line.state {
        case .working, .waiting: "Working"
        case .done: "Done"
        case .failed: "Error"
        case .warning: "Warning"
        }
    return .object([
        ("id", .string(line.title)), ("text", .string(line.status)), ("status", .string(status)),
        ("kind", .string(kind.rawValue)), ("name", .string(name)),
    ])
}
