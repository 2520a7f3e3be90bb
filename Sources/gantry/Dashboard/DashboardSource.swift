import EngineClient
import EngineWire
import FoundationEssentials
import LinuxSystem
import StackModel

/// What the dashboard gets from an engine. It only asks, and only for what is named here.
struct DashboardSource: Sendable {
    /// An answer as it is; its errors are the engine's or those of getting there.
    struct Failure: Error, Equatable {
        var status: Int
        var message: String
    }

    /// Of an answer: a page has no use for more.
    private static let answerByteCountMax = 32 << 20

    /// `GET` of a path of the engine's.
    var read: @Sendable (_ path: [String]) throws(Failure) -> [UInt8]
    /// `GET /events` from a time on, seconds since 1970.
    var events: @Sendable (_ since: Int) throws(Failure) -> any DashboardFeed
    /// The log of a service's containers, also of those to come.
    var logs: @Sendable (_ stack: String, _ service: String, _ tail: Int) throws(Failure) -> any DashboardFeed

    init(_ client: EngineClient) {
        read = { path throws(Failure) in
            do {
                return try client.open(HTTPRequest("GET", path)).readAll(byteCountMax: Self.answerByteCountMax)
            } catch {
                throw Failure(error)
            }
        }
        events = { since throws(Failure) in
            do {
                let query = [(name: "since", value: String(since))]
                return EventFeed(try client.open(HTTPRequest("GET", ["events"], query: query)))
            } catch {
                throw Failure(error)
            }
        }
        logs = { stack, service, tail throws(Failure) in
            do {
                return try LogFeed(client, stack: stack, service: service, tail: tail)
            } catch {
                throw Failure(error)
            }
        }
    }

    init(
        read: @escaping @Sendable (_ path: [String]) throws(Failure) -> [UInt8],
        events: @escaping @Sendable (_ since: Int) throws(Failure) -> any DashboardFeed,
        logs: @escaping @Sendable (_ stack: String, _ service: String, _ tail: Int) throws(Failure) -> any DashboardFeed
    ) {
        (self.read, self.events, self.logs) = (read, events, logs)
    }
}

extension DashboardSource.Failure {
    init(_ error: any Error) {
        if case EngineClientError.refused(let status, let reply) = error {
            self.init(status: status, message: reply.message)
        } else {
            let text = failure(for: error)?.diagnostics.first?.message ?? "\(error)"
            self.init(status: 503, message: text)
        }
    }
}

/// Something that goes on: read piece by piece, each time by one thread that may block for a moment.
protocol DashboardFeed: Sendable {
    /// Blocks for a quarter of a second at most, so that whoever is gone is noticed; empty: nothing new. `nil`: the
    /// end.
    func next() throws -> [UInt8]?
}

private let feedPatienceMilliseconds: Int32 = 250

// SAFETY: `next` is called by one thread at a time, the next time after it has returned.
private final class EventFeed: DashboardFeed, @unchecked Sendable {
    private let stream: EngineStream

    init(_ stream: EngineStream) { self.stream = stream }

    func next() throws -> [UInt8]? {
        var waited = [Waited(stream.descriptor)]
        try wait(for: &waited, milliseconds: feedPatienceMilliseconds)
        return waited[0].readable ? try stream.receive() : []
    }
}

/// One JSON object a line: container, replica, time, channel and text.
// SAFETY: as above.
private final class LogFeed: DashboardFeed, @unchecked Sendable {
    private struct Line: Encodable {
        var container: String
        var number: Int
        /// RFC 3339, as the engine wrote it.
        var time: String
        var isError: Bool
        var text: String
    }

    private final class Collected {
        var bytes: [UInt8] = []
    }

    private static let textByteCountMax = 16 << 10

    private let follower: LogFollower
    private let collected = Collected()
    private var hasStarted = false

    init(_ client: EngineClient, stack: String, service: String, tail: Int) throws {
        let collected = collected
        let encoder = JSONEncoder()
        follower = try LogFollower(
            client: client, stack: stack, services: [service], selection: LogSelection(follow: true, tail: tail)
        ) { followed in
            let line = Line(
                container: followed.container.name, number: followed.container.number,
                time: String(decoding: followed.stamp, as: UTF8.self), isError: followed.channel == .error,
                text: String(decoding: followed.text.prefix(Self.textByteCountMax), as: UTF8.self))
            // A line of text always has a form in JSON.
            collected.bytes += ((try? encoder.encode(line)).map { Array($0) } ?? []) + [0x0a]
        }
    }

    func next() throws -> [UInt8]? {
        if !hasStarted {
            hasStarted = true
            try follower.start()
        }
        var waited = follower.descriptors.map { Waited($0) }
        try wait(for: &waited, milliseconds: feedPatienceMilliseconds)
        let readable = Set(waited.filter(\.readable).map(\.descriptor))
        if !readable.isEmpty { try follower.advance(readable: readable) }
        defer { collected.bytes = [] }
        return collected.bytes
    }
}
