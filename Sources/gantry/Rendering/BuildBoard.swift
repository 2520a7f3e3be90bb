import EngineWire

/// A build as a picture that moves: one line a step, and below the steps that run what they said last.
struct BuildBoard {
    private struct Step {
        var name: String
        var startedAt: Int64
        var end: End?
        var lastLines: [String] = []
    }

    private enum End: Equatable {
        case done(UInt64)
        case cached
        case failed
    }

    private static let logLineCount = 5

    private var steps: [Int: Step] = [:]
    private var order: [Int] = []
    private var startedAt: Int64?

    var isMoving: Bool { steps.values.contains { $0.end == nil } }

    mutating func update(_ line: BuildLine, at now: Int64) {
        if startedAt == nil { startedAt = now }
        switch line {
        case .started(let vertex, let name):
            steps[vertex] = Step(name: harmless(name), startedAt: now)
            order.append(vertex)
        case .output(let vertex, let text, _):
            for part in text.split(whereSeparator: \.isNewline) {
                steps[vertex]?.lastLines.append(harmless(String(part)))
            }
            let excess = (steps[vertex]?.lastLines.count ?? 0) - Self.logLineCount
            if excess > 0 { steps[vertex]?.lastLines.removeFirst(excess) }
        case .finished(let vertex, let isCached, let nanoseconds, let error):
            steps[vertex]?.end = error != nil ? .failed : isCached ? .cached : .done(nanoseconds)
        case .warning, .built, .done, .failed: break
        }
    }

    func frame(now: Int64, columns: Int, rows: Int, color: Bool) -> [String] {
        let done = order.count { steps[$0]?.end != nil }
        let isFinished = done == order.count
        let time = seconds(now - (startedAt ?? now), digits: 1)
        let heading = "[+] Building \(time)s (\(done)/\(order.count))\(isFinished ? " FINISHED" : "")"
        var body: [String] = []
        for vertex in order {
            guard let step = steps[vertex] else { continue }
            body.append(line(step, now, columns, color))
            guard step.end == nil else { continue }
            body += step.lastLines.map { coloured(" => => # \($0)".truncated(to: columns - 1), .faint, color) }
        }
        let room = max(1, rows - 2)
        return [heading.truncated(to: columns - 1)] + body.suffix(room)
    }

    private func line(_ step: Step, _ now: Int64, _ columns: Int, _ color: Bool) -> String {
        let (mark, time, colour): (String, String, Colour?) =
            switch step.end {
            case .cached: ("CACHED ", seconds(0, digits: 1), .blue)
            case .failed: ("ERROR ", seconds(now - step.startedAt, digits: 1), .red)
            case .done(let nanoseconds): ("", seconds(Int64(clamping: nanoseconds), digits: 1), .blue)
            case nil: ("", seconds(now - step.startedAt, digits: 1), nil)
            }
        let room = max(10, columns - time.count - 3)
        let text = " => \(mark)\(step.name)".truncated(to: room).padded(to: room) + " \(time)s"
        return colour.map { coloured(text, $0, color) } ?? text
    }
}
