import Engine
import EngineWire
import StackModel

/// `GET /events`.
struct EventRoutes {
    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/events") { request, _ in
            let filters = try EventFilters(try request.filters())
            let since = try request.moment("since")
            let until = try request.moment("until")
            if let since, let until, until < since {
                throw HTTPError(400, "`since` time cannot be after `until` time")
            }
            return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
                try await send(writer, filters, since: since, until: until)
            }
        }
    }

    /// What happened since `since`, and what happens until `until` or until the client goes.
    private func send(
        _ writer: BodyWriter, _ filters: EventFilters, since: Nanoseconds?, until: Nanoseconds?
    ) async throws {
        let (number, past, events) = await engine.listen()
        do {
            let now = Moment.now().nanoseconds
            if let since {
                for event in past where event.time >= since && (until.map { event.time <= $0 } ?? true) {
                    if filters.matches(event) { try await writer.writeLine(DockerEvent(event)) }
                }
            }
            if until.map({ $0 > now }) ?? true {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    if let until {
                        group.addTask {
                            try await Task.sleep(for: .nanoseconds(until - now))
                            await engine.stopListening(number)
                        }
                    }
                    for await event in events where filters.matches(event) {
                        try await writer.writeLine(DockerEvent(event))
                    }
                    group.cancelAll()
                }
            }
        } catch {
            await engine.stopListening(number)
            throw error
        }
        await engine.stopListening(number)
    }

}

/// One line of `GET /events`.
private struct DockerEvent: Encodable {
    struct Subject: Encodable {
        var ID: String
        var Attributes: [String: String]
    }
    /// `status`, `id` and `from` are how the first versions said it; scripts and docker-compose 1 read them.
    var status: String?
    var id: String?
    var from: String?
    var `Type`: String
    var Action: String
    var Actor: Subject
    var scope = "local"
    var time: Int64
    var timeNano: Int64

    init(_ event: EngineEvent) {
        if event.type == "container" || event.type == "image" {
            status = event.action
            id = event.id
        }
        if event.type == "container" { from = event.attributes["image"] }
        `Type` = event.type
        Action = event.action
        Actor = Subject(ID: event.id, Attributes: event.attributes)
        time = event.time / 1_000_000_000
        timeNano = event.time
    }
}
