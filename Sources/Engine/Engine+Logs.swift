import ContainerRuntime
import LinuxSystem
import Reconciler
import StackModel
import SupervisorPlan
import Synchronization

/// A container's log on its way to a client: Docker's frames, or with a terminal the bare bytes. Read from the
/// supervisor's file as the client takes it, so it is whole whatever happened to the engine meanwhile and a slow
/// client costs no memory.
public final class LogStreaming: Sendable {
    public let contentType: String
    private struct Progress: ~Copyable {
        var reader: LogReader
        /// Whether the line that a stream's next piece goes on with was wanted; `nil` at a line's start.
        var line: [LogStream: Bool] = [:]
    }

    private let progress: Mutex<Progress>
    private let query: LogQuery
    /// In front of each line, behind its time.
    private let details: [UInt8]
    private let isTerminal: Bool
    private let pool: BlockingPool
    private let ended: EndFlag
    private let news: LogNews
    private let folder: String

    init(
        path: String, query: LogQuery, details: String, isTerminal: Bool, pool: BlockingPool, ended: EndFlag,
        news: LogNews
    ) throws(SystemError) {
        progress = Mutex(Progress(reader: try LogReader(path: path, tail: query.tail)))
        contentType =
            isTerminal ? "application/vnd.docker.raw-stream" : "application/vnd.docker.multiplexed-stream"
        self.query = query
        self.details = Array(details.utf8)
        self.isTerminal = isTerminal
        self.pool = pool
        self.ended = ended
        self.news = news
        folder = FileSystem.parent(of: path)
    }

    /// The next bytes; `nil` at the end: all was read or, following, the container has ended.
    public func next() async throws -> [UInt8]? {
        while !Task.isCancelled {
            // Asked before the file is: what was written before the end is then still read.
            let isLast = !query.follow || ended.isSet
            if let bytes = try await look() {
                if !bytes.isEmpty { return bytes }
                continue
            }
            if isLast { return nil }
            let ticket = news.arm(folder)
            // What came between the look and the watch.
            if let bytes = try await look() {
                news.disarm(ticket)
                if !bytes.isEmpty { return bytes }
                continue
            }
            if ended.isSet { news.disarm(ticket) } else { await news.wait(ticket) }
        }
        return nil
    }

    /// `nil`: nothing new is there. Empty: only records that are not wanted.
    private func look() async throws(SystemError) -> [UInt8]? {
        try await pool.run { [self] () throws(SystemError) in try step() }
    }

    private func step() throws(SystemError) -> [UInt8]? {
        try progress.withLock { progress throws(SystemError) -> [UInt8]? in
            let records = try progress.reader.read(byteCountMax: 64 << 10)
            if records.isEmpty { return nil }
            return records.reduce(into: []) { $0 += render($1, &progress.line) }
        }
    }

    /// A line in several pieces has one time, that of its first: it is wanted as a whole or not at all.
    private func render(_ record: LogRecord, _ line: inout [LogStream: Bool]) -> [UInt8] {
        let continued = line[record.stream]
        let isWanted = continued ?? isWanted(record)
        line[record.stream] = record.tag == .partial ? isWanted : nil
        guard isWanted else { return [] }
        var text: [UInt8] = []
        if continued == nil {
            if query.timestamps { text += Timestamp.text(nanoseconds: record.time) + [UInt8(ascii: " ")] }
            text += details
        }
        text += record.bytes
        if !record.isPartial { text.append(UInt8(ascii: "\n")) }
        if isTerminal { return text }
        let kind: StreamFrame.Kind = record.stream == .stdout ? .standardOutput : .standardError
        return StreamFrame(kind: kind, payload: text).bytes
    }

    private func isWanted(_ record: LogRecord) -> Bool {
        guard record.stream == .stdout ? query.standardOutput : query.standardError else { return false }
        let time = Nanoseconds(clamping: record.time)
        return query.since.map { time >= $0 } ?? true && query.until.map { time <= $0 } ?? true
    }
}

/// Set once, when a container's run has ended.
final class EndFlag: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock { $0 } }

    func set() { state.withLock { $0 = true } }
}

extension Engine {
    /// Followers of the run's log have all of it.
    func runEnded(_ id: String, _ flag: EndFlag?) {
        flag?.set()
        logNews.poke(options.containerData(id))
    }

    public func logs(_ reference: String, _ query: LogQuery) async throws(EngineError) -> LogStreaming {
        let container = try container(reference)
        let stored = container.stored
        guard stored.definition.service.logging?.driver != "none" else {
            if stored.free != nil { throw .answered(501, "configured logging driver does not support reading") }
            throw .badRequest("the output of \(stored.name) is not kept: its logging driver is 'none'")
        }
        let path = "\(options.containerData(stored.id))/container.log"
        let ended = container.process == nil ? EndFlag() : container.runEnd ?? EndFlag()
        if container.process == nil {
            ended.set()
        } else {
            containers[stored.id]?.runEnd = ended
        }
        let isTerminal = stored.definition.service.tty
        let (streams, news) = (streams, logNews)
        let folder = options.containerData(stored.id)
        let details = query.details ? logAttributes(stored).text : ""
        return try await onPool { () throws(SystemError) in
            // Before the first start there is none.
            if !FileSystem.exists(folder) { try FileSystem.makeDirectories(folder) }
            return try LogStreaming(
                path: path, query: query, details: details, isTerminal: isTerminal, pool: streams, ended: ended,
                news: news)
        }
    }

    private func logAttributes(_ stored: StoredContainer) -> LogAttributes {
        let service = stored.definition.service
        return LogAttributes(
            service.logging, labels: stored.labels,
            environment: processEnvironment(
                service, defaults: imageDefaults(stored), hostname: names(of: stored).hostname))
    }
}
