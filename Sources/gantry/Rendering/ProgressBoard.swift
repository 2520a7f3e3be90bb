import EngineWire
import StackModel

/// What is known about every object of a running command, and how that looks. Times are nanoseconds of one clock.
struct ProgressBoard {
    struct Line: Equatable {
        var title: String
        var state: ProgressEvent.State
        var status: String
        var startedAt: Int64
        /// When it was done or had failed.
        var endedAt: Int64?
    }

    /// Objects on the board; a stack with more is drawn without the rest.
    static let lineCountMax = 10_000
    private static let spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
    private static let tick: Int64 = 100_000_000

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

    /// Whether the picture changes by itself.
    var isMoving: Bool { lines.contains { $0.endedAt == nil } }

    /// The picture: a title with the count, and one line an object.
    func frame(now: Int64, columns: Int, rows: Int, color: Bool) -> [String] {
        if lines.isEmpty { return [] }
        let doneCount = lines.count { $0.endedAt != nil }
        var picture = ["[+] Running \(doneCount)/\(lines.count)"]
        let (shown, hiddenCount) = visibleLines(rows: rows)
        let titleWidth = shown.map(\.title.displayWidth).max() ?? 0
        picture += shown.map { draw($0, titleWidth: titleWidth, now: now, columns: columns, color: color) }
        if hiddenCount > 0 { picture.append("   … and \(hiddenCount) more") }
        return picture
    }

    /// What fits on the screen: when not everything does, lines that are done give way first.
    private func visibleLines(rows: Int) -> (shown: [Line], hiddenCount: Int) {
        let room = max(1, rows - 3)
        if lines.count <= room { return (lines, 0) }
        let movingCount = lines.count { $0.endedAt == nil }
        var doneToShow = max(0, room - movingCount)
        var doneToSkip = lines.count - movingCount - doneToShow
        var shown: [Line] = []
        for line in lines where shown.count < room {
            if line.endedAt == nil {
                shown.append(line)
            } else if doneToSkip > 0 {
                doneToSkip -= 1
            } else if doneToShow > 0 {
                doneToShow -= 1
                shown.append(line)
            }
        }
        return (shown, lines.count - shown.count)
    }

    private func draw(_ line: Line, titleWidth: Int, now: Int64, columns: Int, color: Bool) -> String {
        let elapsed = max(0, (line.endedAt ?? now) - line.startedAt)
        let time = tenths(elapsed) + "s"
        let (mark, colour): (String, Colour) =
            switch line.state {
            case .done: ("✔", .green)
            case .failed: ("✘", .red)
            case .warning: ("!", .yellow)
            case .working, .waiting: (Self.spinner[Int(now / Self.tick % Int64(Self.spinner.count))], .blue)
            }
        // Mark and blanks left, time and blanks right.
        let room = max(8, columns - 3 - time.count - 2)
        let text = (line.title.padded(to: titleWidth) + "  " + line.status).truncated(to: room).padded(to: room)
        return " \(coloured(mark, colour, color)) \(text) \(coloured(time, .blue, color))"
    }

    private func tenths(_ nanoseconds: Int64) -> String {
        let value = nanoseconds / 100_000_000
        return "\(value / 10).\(value % 10)"
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

/// Moves up over the frame drawn before, and draws the new one over it.
func redraw(over previousLineCount: Int, _ frame: [String]) -> String {
    var text = previousLineCount > 0 ? "\u{1b}[\(previousLineCount)A" : ""
    for line in frame { text += "\r\u{1b}[2K\(line)\n" }
    if frame.count < previousLineCount { text += "\u{1b}[J" }
    return text
}
