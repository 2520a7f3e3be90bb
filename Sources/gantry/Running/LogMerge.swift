import EngineClient
import EngineWire
import LinuxSystem
import StackModel

/// A container's log as lines with their times, read as they are needed.
struct TimedLines {
    let label: String
    private let stream: OutputStream
    private var lines = LogLines()
    private var ready: ArraySlice<[UInt8]> = []
    private var isEnded = false

    init(label: String, stream: OutputStream) {
        self.label = label
        self.stream = stream
    }

    /// The next line, not taken yet; `nil` at the end.
    mutating func peek() throws(EngineClientError) -> [UInt8]? {
        while ready.isEmpty, !isEnded {
            guard let frames = try stream.receive() else {
                isEnded = true
                ready = lines.finish().map(\.line)[...]
                break
            }
            for frame in frames { ready += lines.feed(frame.bytes, frame.channel) }
        }
        return ready.first
    }

    mutating func drop() { ready = ready.dropFirst() }
}

/// Writes finished logs in the order of their times. Every log is asked for with times; they are cut off again unless
/// they are wanted.
func mergeLogs(
    _ containers: [ContainerStatus], _ client: EngineClient, _ selection: LogSelection, style: LogStyle,
    console: Console
) throws {
    var timed = selection
    timed.timestamps = true
    var logs: [TimedLines] = []
    for container in containers {
        let stream = try client.logs(container.id, timed, raw: container.tty)
        logs.append(TimedLines(label: logLabel(container), stream: stream))
    }
    let width = logs.map(\.label.displayWidth).max() ?? 0
    // A line without a time belongs to the one before it.
    var latest = [Moment](repeating: Moment(nanoseconds: .min), count: logs.count)
    while true {
        var earliest: (index: Int, stamp: [UInt8], text: [UInt8])?
        for index in logs.indices {
            guard let line = try logs[index].peek() else { continue }
            let (time, stamp, text) = splitTimestamp(line)
            if let time { latest[index] = time }
            if earliest.map({ latest[index] < latest[$0.index] }) ?? true { earliest = (index, stamp, text) }
        }
        guard let (index, stamp, text) = earliest else { return }
        logs[index].drop()
        let line = selection.timestamps && !stamp.isEmpty ? stamp + [0x20] + text : text
        let colour = Colour.prefixes[index % Colour.prefixes.count]
        try console.write(renderLogLine(line, label: logs[index].label, width: width, colour: colour, style: style))
    }
}
