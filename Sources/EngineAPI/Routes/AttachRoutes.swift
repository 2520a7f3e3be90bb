import Engine
import EngineWire

/// `POST /containers/{id}/attach`, and `GET /containers/{id}/attach/ws`, the same over a WebSocket.
struct AttachRoutes {
    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/containers/{id}/attach") { request, parameters in
            try await attach(parameters["id"], request)
        }
        router.on("GET", "/containers/{id}/attach/ws") { request, parameters in
            let key = try WebSocketHandshake.key(request)
            let isFramed = try await !engine.isTerminal(parameters["id"])
            guard case .hijack(_, let handler) = try await attach(parameters["id"], request) else {
                throw HTTPError(500, "nothing to attach to")
            }
            return .webSocket(key: key) { connection in
                await WebSocketConnection(connection, isFramed: isFramed).run(handler)
            }
        }
    }

    private func attach(_ id: String, _ request: HTTPRequest) async throws -> HTTPReply {
        let wanted = StreamChoice(
            output: request.queryFlag("stdout"), errors: request.queryFlag("stderr"), input: request.queryFlag("stdin"))
        let isTerminal = try await engine.isTerminal(id)
        let type = streamType(isTerminal: isTerminal, request)
        let streams = request.queryFlag("stream")
        let keys = try isTerminal && wanted.input ? DetachKeys(request.queryValue("detachKeys") ?? "") : nil
        // What was written before is in the log; while it runs, what follows comes from there as well, so that nothing
        // is missing or doubled between the two.
        let isRunning = try await engine.status(of: id).pid != nil
        var past: LogStreaming?
        if request.queryFlag("logs") {
            var query = LogQuery()
            query.standardOutput = wanted.output
            query.standardError = wanted.errors
            query.follow = streams && isRunning
            past = try await engine.logs(id, query)
        }
        guard streams else {
            return .hijack(contentType: type) { [past] connection in await send(past, connection) }
        }
        let plan = try await engine.attachByClient(id)
        let relay = StreamRelay(
            session: plan.session, wanted: wanted, isRaw: isTerminal, endsInput: plan.endsInput && wanted.input,
            keys: keys)
        let (logs, follows) = (past, isRunning)
        return .hijack(contentType: type) { connection in
            if let logs, !follows { await send(logs, connection) }
            let end = await relay.run(connection, output: follows ? logs : nil)
            if end == .detached { await engine.detached(id) }
        }
    }

    private func send(_ logs: LogStreaming?, _ connection: HijackedConnection) async {
        guard let logs else { return }
        do {
            while let piece = try await logs.next() { try await connection.write(piece) }
        } catch {
            return  // The client has gone.
        }
    }
}

func streamType(isTerminal: Bool, _ request: HTTPRequest) -> String {
    isTerminal || !request.saysStreamTypes
        ? "application/vnd.docker.raw-stream" : "application/vnd.docker.multiplexed-stream"
}
