import Engine
import EngineWire
import JSONDocument

/// Commands in containers: `/containers/{id}/exec` and `/exec`.
struct ExecRoutes {
    private static let bodyBytesMax = 1 << 20

    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/containers/{id}/exec") { request, parameters in
            let body = try await request.decode(ExecCreateRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(IdReply(Id: try await engine.createExecByClient(parameters["id"], body)), status: 201)
        }
        router.on("POST", "/exec/{id}/start") { request, parameters in
            let body = try await request.decodeIfPresent(ExecStartRequest.self, byteCountMax: Self.bodyBytesMax)
            return try await start(parameters["id"], body ?? ExecStartRequest(), request)
        }
        router.on("POST", "/exec/{id}/resize") { request, parameters in
            let (rows, columns) = try request.windowSize()
            try await engine.resizeExec(parameters["id"], rows: rows, columns: columns)
            return .empty(status: 200)
        }
        router.on("GET", "/exec/{id}/json") { _, parameters in
            try .json(try await engine.execDocument(parameters["id"]))
        }
    }

    private func start(_ id: String, _ body: ExecStartRequest, _ request: HTTPRequest) async throws -> HTTPReply {
        let keys = try await engine.typedKeys(exec: id).map { text throws(HTTPError) in try DetachKeys(text) }
        // As with Docker, who starts it says how the streams come, whatever it was created with.
        let isRaw = body.Tty ?? false
        let type = streamType(isTerminal: isRaw, request)
        let session: AttachSession
        do throws(EngineError) {
            session = try await engine.startExecByClient(id, size: body.windowSize)
        } catch {
            // Docker's clients read in the stream that a command could not be started, ours in the answer.
            guard let text = error.execStartText, body.Detach != true, request.headers["User-Agent"] != "gantry" else {
                throw error
            }
            // What runs or ran already keeps its own exit code.
            if case .execStarted = error {} else { await engine.execRefusedToClient(id) }
            let bytes = Array("\(text)\r\n".utf8)
            let frame = StreamFrame(kind: .standardOutput, payload: bytes)
            return .hijack(contentType: type) { connection in
                // A client that has gone reads nothing.
                try? await connection.write(isRaw ? bytes : frame.bytes)
            }
        }
        if body.Detach == true {
            engine.inBackground { await finish(id, await session.drain()) }
            return .empty(status: 200)
        }
        let relay = StreamRelay(session: session, isRaw: isRaw, keys: keys)
        return .hijack(contentType: type) { connection in
            await relay.runCommand(connection, inBackground: engine.inBackground) { await finish(id, $0) }
        }
    }

    /// Without an exit frame the supervisor was lost: Docker answers 137 for what was killed.
    private func finish(_ id: String, _ exitCode: Int?) async {
        await engine.execEndedByClient(id, exitCode: exitCode ?? 137)
    }
}

extension ExecStartRequest {
    /// `ConsoleSize`, height first.
    fileprivate var windowSize: (rows: UInt16, columns: UInt16)? {
        guard let size = ConsoleSize, size.count == 2, let rows = UInt16(exactly: size[0]),
            let columns = UInt16(exactly: size[1]), rows > 0, columns > 0
        else { return nil }
        return (rows, columns)
    }
}
