import EngineWire

/// A build's lines as BuildKit's plain progress has them: `#5 [2/4] RUN make`, `#5 0.123 output`, `#5 DONE 0.4s`.
/// Times are nanoseconds of one clock.
struct BuildText {
    struct Vertex {
        var name: String
        var startedAt: Int64
        /// The last lines, for when it fails.
        var tail: [String] = []
        /// A line whose end has not come yet.
        var rest: String = ""
        var isFinished = false
    }

    private static let tailLineCountMax = 20
    /// A line that does not end is shown in pieces.
    private static let lineByteCountMax = 4096

    private(set) var vertices: [Int: Vertex] = [:]
    private(set) var failed: [Int] = []
    /// Whose lines were shown last.
    private var current: Int?

    /// What there is to show of a line of the stream; each ends in a newline.
    mutating func lines(_ line: BuildLine, at now: Int64) -> [String] {
        switch line {
        case .started(let vertex, let name):
            vertices[vertex] = Vertex(name: harmless(name), startedAt: now)
            return heading(vertex)
        case .output(let vertex, let text, _): return output(vertex, text, now)
        case .finished(let vertex, let isCached, let nanoseconds, let error):
            return finish(vertex, isCached, nanoseconds, error, now)
        case .warning, .built, .done, .failed: return []
        }
    }

    private mutating func heading(_ vertex: Int) -> [String] {
        let isFirst = current == nil
        current = vertex
        return (isFirst ? [] : ["\n"]) + ["#\(vertex) \(vertices[vertex]?.name ?? "")\n"]
    }

    private mutating func output(_ vertex: Int, _ text: String, _ now: Int64) -> [String] {
        guard var known = vertices[vertex] else { return [] }
        var shown = current == vertex ? [] : heading(vertex)
        let text = known.rest + text
        let time = seconds(now - known.startedAt, digits: 3)
        func take(_ line: Substring) {
            // A line that draws over itself: what it was at last.
            let visible = line.split(separator: "\r").last ?? ""
            let clean = harmless(String(visible))
            shown.append("#\(vertex) \(time) \(clean)\n")
            known.tail.append("\(time) \(clean)")
            if known.tail.count > Self.tailLineCountMax { known.tail.removeFirst() }
        }
        var rest = text[...]
        while let end = rest.unicodeScalars.firstIndex(of: "\n") {
            take(rest[..<end])
            rest = rest[rest.unicodeScalars.index(after: end)...]
        }
        if rest.utf8.count > Self.lineByteCountMax {
            take(rest)
            rest = ""
        }
        known.rest = String(rest)
        vertices[vertex] = known
        return shown
    }

    private mutating func finish(
        _ vertex: Int, _ isCached: Bool, _ nanoseconds: UInt64, _ error: String?, _ now: Int64
    ) -> [String] {
        var shown: [String] = []
        if let rest = vertices[vertex]?.rest, !rest.isEmpty { shown += output(vertex, "\n", now) }
        if current != vertex { shown += heading(vertex) }
        vertices[vertex]?.isFinished = true
        if let error {
            failed.append(vertex)
            return shown + ["#\(vertex) ERROR: \(harmless(error))\n"]
        }
        let end = isCached ? "CACHED" : "DONE \(seconds(Int64(clamping: nanoseconds), digits: 1))s"
        return shown + ["#\(vertex) \(end)\n"]
    }

    /// What the steps that failed said at last, as BuildKit repeats it.
    func failures() -> String {
        var text = ""
        for vertex in failed {
            // What is not a command has nothing to repeat.
            guard let known = vertices[vertex], !known.tail.isEmpty || !known.name.contains("internal]") else {
                continue
            }
            text += "------\n > \(known.name):\n" + known.tail.map { $0 + "\n" }.joined()
        }
        return text.isEmpty ? "" : text + "------\n"
    }
}

/// Lines of a Dockerfile around what failed, as BuildKit draws them.
func excerptText(_ excerpt: BuildExcerpt, name: String) -> String {
    let rule = String(repeating: "-", count: 20)
    var text = "\(name):\(excerpt.marked.first ?? 1)\n\(rule)\n"
    for (offset, line) in excerpt.lines.enumerated() {
        let number = excerpt.firstLine + offset
        let isMarked = number >= (excerpt.marked.first ?? 0) && number <= (excerpt.marked.last ?? 0)
        let digits = String(number)
        let padding = String(repeating: " ", count: max(0, 4 - digits.count))
        text += "\(padding)\(digits) | \(isMarked ? ">>>" : "   ") \(harmless(line))\n"
    }
    return text + rule + "\n"
}

/// `1.2` of nanoseconds.
func seconds(_ nanoseconds: Int64, digits: Int) -> String {
    var unit: Int64 = 1_000_000_000
    for _ in 0..<digits { unit /= 10 }
    let value = max(0, nanoseconds) / max(1, unit)
    let scale = 1_000_000_000 / max(1, unit)
    let fraction = String(value % scale)
    return "\(value / scale)." + String(repeating: "0", count: max(0, digits - fraction.count)) + fraction
}
