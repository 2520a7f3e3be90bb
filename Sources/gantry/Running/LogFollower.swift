import EngineClient
import EngineWire
import LinuxSystem

/// Follows the logs of a stack's containers, also of those that are started later, and writes their lines as they
/// come. Driven from outside: `descriptors` are waited for together with others.
final class LogFollower {
    /// Logs followed at once.
    static let streamCountMax = 512

    private struct Source {
        var container: ContainerStatus
        var stream: OutputStream
        var lines = LogLines()
    }

    private let client: EngineClient
    private let stack: String
    private let services: Set<String>
    private let selection: LogSelection
    private let style: LogStyle
    private let console: Console
    private let saysEnds: Bool
    private var sources: [Source] = []
    private var events: LineStream?
    /// Containers seen before, with the start they were followed from.
    private var followed: [String: String] = [:]
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
        self.style = style
        self.console = console
        self.saysEnds = saysEnds
        events = try client.containerEvents(stack: stack)
    }

    /// Becomes readable when there is something to do for `advance`.
    var descriptors: [Int32] { (events.map { [$0.descriptor] } ?? []) + sources.map(\.stream.descriptor) }

    /// Begins with the containers that are there.
    func start() throws {
        try refresh(selection)
    }

    /// Does what the readable descriptors ask for.
    func advance(readable: Set<Int32>) throws {
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
        guard changed else { return }
        // A container that starts again goes on where its log was left.
        var next = selection
        next.tail = nil
        next.since = nil
        try refresh(next)
    }

    /// Nothing is followed any more and nothing will start by itself.
    var isAtEnd: Bool { sources.isEmpty && !anyRuns }

    /// Reads what the engine has, `false` at the end.
    private func readOnce(_ index: Int) throws -> Bool {
        guard let frames = try sources[index].stream.receive() else {
            for line in sources[index].lines.finish() { try write(line, sources[index].container) }
            return false
        }
        for frame in frames {
            for line in sources[index].lines.feed(frame.bytes, frame.channel) {
                try write(line, sources[index].container)
            }
        }
        return true
    }

    private func refresh(_ selection: LogSelection) throws {
        let containers = try client.containers(stack: stack).filter {
            !$0.oneOff && (services.isEmpty || services.contains($0.service))
        }
        anyRuns = containers.contains { $0.state == .running || $0.state == .restarting || $0.state == .paused }
        for container in containers {
            let isOpen = sources.contains { $0.container.id == container.id }
            let before = followed[container.id]
            if !isOpen, before != (container.startedAt ?? ""), sources.count < Self.streamCountMax {
                var own = selection
                // Already shown up to its last start: only what came after.
                if before != nil { own.since = container.startedAt.flatMap { Moment(rfc3339: $0) }?.unixText }
                sources.append(
                    Source(container: container, stream: try client.logs(container.id, own, raw: container.tty)))
                if !labels.contains(logLabel(container)) { labels.append(logLabel(container)) }
            } else if !isOpen, saysEnds, container.state == .exited, followed[container.id + " end"] != before {
                followed[container.id + " end"] = before
                try console.write("\(harmless(logLabel(container))) exited with code \(container.exitCode ?? 0)\n")
            }
            followed[container.id] = container.startedAt ?? ""
        }
    }

    private func write(_ line: [UInt8], _ container: ContainerStatus) throws(SystemError) {
        let label = logLabel(container)
        let index = labels.firstIndex(of: label) ?? 0
        let colour = Colour.prefixes[index % Colour.prefixes.count]
        let width = labels.map(\.displayWidth).max() ?? 0
        try console.write(renderLogLine(line, label: label, width: width, colour: colour, style: style))
    }
}
