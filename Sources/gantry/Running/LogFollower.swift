import EngineClient
import EngineWire
import Glibc
import LinuxSystem
import StackModel

/// Follows the logs of a stack's containers, also of those that are started later, and writes their lines as they
/// come. Driven from outside: `descriptors` are waited for together with others.
///
/// Every log is asked for with times, which are unlike each other within a log: where an engine went away, or a
/// container starts again, the log goes on right after the last line that was shown.
final class LogFollower {
    /// Logs followed at once.
    static let streamCountMax = 512
    /// How long an engine that has crashed is waited for: its supervisor starts it again at once.
    private static let reconnectNanosecondsMax: Int64 = 15_000_000_000
    private static let reconnectPauseMilliseconds = 20
    /// From the end of a container that is restarted to its start.
    private static let restartNanosecondsMax: Int64 = 1_000_000_000

    /// Where lines go.
    private enum Sink {
        case console(Console, LogStyle)
        case call((FollowedLine) -> Void)
    }

    private struct Source {
        var container: ContainerStatus
        var stream: OutputStream
        var lines = LogLines()
    }

    private let client: EngineClient
    private let stack: String
    private let services: Set<String>
    private let selection: LogSelection
    private let sink: Sink
    private let saysEnds: Bool
    private var sources: [Source] = []
    private var events: LineStream?
    /// Containers seen before, with the start they were followed from.
    private var followed: [String: String] = [:]
    /// Where the log of each goes on.
    private var places: [String: LogPlace] = [:]
    private let began = wallClockNow()
    private var hasStarted = false
    private var labels: [String] = []
    /// Whether a container of the selection runs or is about to run again.
    private(set) var anyRuns = true

    /// `saysEnds`: write a line when a container ends, as `up` does.
    init(
        client: EngineClient, stack: String, services: [String], selection: LogSelection, style: LogStyle,
        console: Console, saysEnds: Bool
    ) throws(EngineClientError) {
        self.client = client
        self.stack = stack
        self.services = Set(services)
        self.selection = selection
        sink = .console(console, style)
        self.saysEnds = saysEnds
        events = try client.containerEvents(stack: stack)
    }

    /// Hands every line to `call`.
    init(
        client: EngineClient, stack: String, services: [String], selection: LogSelection,
        call: @escaping (FollowedLine) -> Void
    ) throws(EngineClientError) {
        self.client = client
        self.stack = stack
        self.services = Set(services)
        self.selection = selection
        sink = .call(call)
        saysEnds = false
        events = try client.containerEvents(stack: stack)
    }

    /// Becomes readable when there is something to do for `advance`.
    var descriptors: [Int32] { (events.map { [$0.descriptor] } ?? []) + sources.map(\.stream.descriptor) }

    /// Begins with the containers that are there.
    func start() throws {
        try refresh()
        hasStarted = true
    }

    /// Does what the readable descriptors ask for.
    func advance(readable: Set<Int32>) throws {
        do {
            if try read(readable) { try refresh() }
            try awaitRestart()
        } catch let error as EngineClientError where error.isAbsence {
            try reconnect()
        }
    }

    /// Answers whether containers may have come or gone.
    private func read(_ readable: Set<Int32>) throws -> Bool {
        var changed = false
        if let events, readable.contains(events.descriptor) {
            changed = true
            // The engine is stopping: the logs end with it.
            if try events.receive() == nil { self.events = nil }
        }
        for index in sources.indices.reversed() where readable.contains(sources[index].stream.descriptor) {
            if try !readOnce(index) {
                sources.remove(at: index)
                changed = true
            }
        }
        return changed
    }

    /// A container that is restarted has ended for a moment.
    private func awaitRestart() throws {
        let deadline = monotonicNow() + Self.restartNanosecondsMax
        while !saysEnds, isAtEnd, let events, monotonicNow() < deadline {
            var waited = [Waited(events.descriptor)]
            try wait(for: &waited, milliseconds: Int32((deadline - monotonicNow()) / 1_000_000 + 1))
            if waited[0].readable, try read([events.descriptor]) { try refresh() }
        }
    }

    // MARK: - Engine's crash

    /// The engine is gone without a word. What it had not sent to the end of a line is asked for again.
    private func reconnect() throws {
        let deadline = monotonicNow() + Self.reconnectNanosecondsMax
        while true {
            for source in sources { places[source.container.id]?.unfinished = source.lines.unfinished }
            // Those whose run goes on would seem to have been followed already.
            (sources, events, followed) = ([], nil, [:])
            do {
                events = try client.containerEvents(stack: stack)
                return try refresh()
            } catch let error as EngineClientError where error.isAbsence {
                guard monotonicNow() < deadline else { throw error }
                pause(milliseconds: Self.reconnectPauseMilliseconds)
            }
        }
    }

    /// Nothing is followed any more and nothing will start by itself.
    var isAtEnd: Bool { sources.isEmpty && !anyRuns }

    /// Reads what the engine has, `false` at the end.
    private func readOnce(_ index: Int) throws -> Bool {
        guard let frames = try sources[index].stream.receive() else {
            for (channel, line) in sources[index].lines.finish() {
                try write(line, channel, sources[index].container)
            }
            return false
        }
        for frame in frames {
            for line in sources[index].lines.feed(frame.bytes, frame.channel) {
                try write(line, frame.channel, sources[index].container)
            }
        }
        return true
    }

    private func refresh() throws {
        let containers = try client.containers(stack: stack).filter {
            (!$0.oneOff || $0.labels[GantryLabel.job] != nil) && (services.isEmpty || services.contains($0.service))
        }
        anyRuns = containers.contains { $0.state == .running || $0.state == .restarting || $0.state == .paused }
        for container in containers {
            let isOpen = sources.contains { $0.container.id == container.id }
            let before = followed[container.id]
            if !isOpen, before != (container.startedAt ?? ""), sources.count < Self.streamCountMax {
                let stream = try client.logs(container.id, wanted(container.id), raw: container.tty)
                places[container.id, default: LogPlace()].isKnown = true
                sources.append(Source(container: container, stream: stream))
                if !labels.contains(logLabel(container)) { labels.append(logLabel(container)) }
            } else if !isOpen, saysEnds, case .console(let console, _) = sink, container.state == .exited,
                followed[container.id + " end"] != before
            {
                followed[container.id + " end"] = before
                try console.write("\(harmless(logLabel(container))) exited with code \(container.exitCode ?? 0)\n")
            }
            // While the log of the run before is not read to its end, the new run is still to be followed.
            if !isOpen { followed[container.id] = container.startedAt ?? "" }
        }
    }

    /// What the user asked for; of a log that was followed before, what was not shown yet; all of a log that comes
    /// later.
    private func wanted(_ id: String) -> LogSelection {
        var wanted = selection
        wanted.timestamps = true
        if let place = places[id], place.isKnown {
            wanted.tail = nil
            if let next = place.next {
                wanted.since = next.unixText
            } else if selection.tail == 0 {
                wanted.since = began.unixText
            }
        } else if hasStarted {
            (wanted.tail, wanted.since) = (nil, nil)
        }
        return wanted
    }

    private func write(
        _ line: [UInt8], _ channel: StreamFrame.Channel, _ container: ContainerStatus
    ) throws(SystemError) {
        let (time, stamp, text) = splitTimestamp(line)
        if let time {
            guard places[container.id]?.shown[channel].map({ time > $0 }) ?? true else { return }
            places[container.id]?.shown[channel] = time
        }
        guard case .console(let console, let style) = sink else {
            if case .call(let call) = sink {
                call(FollowedLine(container: container, channel: channel, stamp: stamp, text: text))
            }
            return
        }
        let label = logLabel(container)
        let index = labels.firstIndex(of: label) ?? 0
        let colour = Colour.prefixes[index % Colour.prefixes.count]
        let width = labels.map(\.displayWidth).max() ?? 0
        let line = selection.timestamps && !stamp.isEmpty ? stamp + [0x20] + text : text
        try console.write(renderLogLine(line, label: label, width: width, colour: colour, style: style))
    }
}

/// A line of a container's log.
struct FollowedLine {
    var container: ContainerStatus
    var channel: StreamFrame.Channel
    /// RFC 3339; empty for what has no time.
    var stamp: [UInt8]
    var text: [UInt8]
}

/// How far a log was shown. The times of its lines are unlike each other, and grow within each channel.
struct LogPlace {
    var isKnown = false
    var shown: [StreamFrame.Channel: Moment] = [:]
    /// The times of lines of which only the beginning had come.
    var unfinished: [Moment] = []

    /// Nothing before this time is missing; `nil` where nothing was shown.
    var next: Moment? {
        guard let last = shown.values.max() else { return unfinished.min() }
        return (unfinished + [Moment(nanoseconds: last.nanoseconds + 1)]).min()
    }
}
