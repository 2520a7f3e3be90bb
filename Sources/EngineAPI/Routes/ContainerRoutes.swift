import Engine
import EngineWire
import StackModel

/// `/containers` and `/exec`, in Docker's shapes.
struct ContainerRoutes {
    private static let bodyBytesMax = 1 << 20
    private static let nanosecondsPerSecond: Int64 = 1_000_000_000

    let engine: Engine

    func add(to router: inout Router) {
        addLifecycle(to: &router)
        addStreams(to: &router)
        addExec(to: &router)
    }

    private func addLifecycle(to router: inout Router) {
        router.on("POST", "/containers/{id}/start") { _, parameters in
            try await engine.startByClient(parameters["id"])
            return .empty(status: 204)
        }
        router.on("POST", "/containers/{id}/stop") { request, parameters in
            let seconds = try request.queryInteger("t")
            try await engine.stop(parameters["id"], grace: seconds.map { Int64($0) * Self.nanosecondsPerSecond })
            return .empty(status: 204)
        }
        router.on("POST", "/containers/{id}/kill") { request, parameters in
            try await engine.signal(parameters["id"], request.queryValue("signal") ?? "SIGKILL")
            return .empty(status: 204)
        }
        router.on("POST", "/containers/{id}/pause") { _, parameters in
            try await engine.pause(parameters["id"])
            return .empty(status: 204)
        }
        router.on("POST", "/containers/{id}/unpause") { _, parameters in
            try await engine.unpause(parameters["id"])
            return .empty(status: 204)
        }
        router.on("POST", "/containers/{id}/wait") { request, parameters in
            let nextExit = request.queryValue("condition") == "next-exit"
            let code = try await engine.waitForEnd(parameters["id"], nextExit: nextExit)
            return try .json(WaitReply(StatusCode: code))
        }
        router.on("POST", "/containers/{id}/resize") { request, parameters in
            let (rows, columns) = try request.windowSize()
            try await engine.resizeContainer(parameters["id"], rows: rows, columns: columns)
            return .empty(status: 200)
        }
        router.on("DELETE", "/containers/{id}") { request, parameters in
            try await engine.remove(
                parameters["id"], force: request.queryFlag("force"), volumes: request.queryFlag("v"))
            return .empty(status: 204)
        }
    }

    private func addStreams(to router: inout Router) {
        router.on("POST", "/containers/{id}/attach") { request, parameters in
            let session = try await engine.attach(parameters["id"])
            let takesInput = request.queryFlag("stdin")
            return .hijack(contentType: streamType(session)) { connection in
                _ = await relay(session, connection, takesInput: takesInput)
            }
        }
        router.on("GET", "/containers/{id}/logs") { request, parameters in
            let query = try LogQuery(request)
            let logs = try await engine.logs(parameters["id"], query)
            return .stream(status: 200, headers: ["Content-Type": logs.contentType]) { writer in
                while let chunk = try await logs.next() { try await writer.write(chunk) }
            }
        }
    }

    private func addExec(to router: inout Router) {
        router.on("POST", "/containers/{id}/exec") { request, parameters in
            let body = try await request.decode(ExecCreateRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(IdReply(Id: try await engine.createExec(parameters["id"], body)), status: 201)
        }
        router.on("POST", "/exec/{id}/start") { request, parameters in
            let body = try await request.decode(ExecStartRequest.self, byteCountMax: Self.bodyBytesMax)
            let id = parameters["id"]
            let session = try await engine.startExec(id)
            if body.Detach == true {
                engine.inBackground { await finish(id, await drain(session)) }
                return .empty(status: 200)
            }
            return .hijack(contentType: streamType(session)) { connection in
                await finish(id, await relay(session, connection, takesInput: true))
            }
        }
        router.on("POST", "/exec/{id}/resize") { request, parameters in
            let (rows, columns) = try request.windowSize()
            try await engine.resizeExec(parameters["id"], rows: rows, columns: columns)
            return .empty(status: 200)
        }
        router.on("GET", "/exec/{id}/json") { _, parameters in
            try .json(try await engine.inspectExec(parameters["id"]))
        }
    }

    /// Without an exit frame the supervisor was lost: Docker answers 137 for what was killed.
    private func finish(_ id: String, _ exitCode: Int?) async {
        await engine.execEnded(id, exitCode: exitCode ?? 137)
    }
}

private func streamType(_ session: AttachSession) -> String {
    session.isTerminal
        ? "application/vnd.docker.raw-stream" : "application/vnd.docker.multiplexed-stream"
}

/// Reads a session to its end for nobody.
private func drain(_ session: AttachSession) async -> Int? {
    while let frame = await session.read() {
        if let code = frame.exitCode { return code }
    }
    return nil
}

/// Copies both ways until the container's side ends. Output goes on when the client has closed its input, and input
/// stops with the output.
///
/// - Returns: the exit status, when the session told one.
private func relay(_ session: AttachSession, _ connection: HijackedConnection, takesInput: Bool) async -> Int? {
    await withTaskGroup(of: Void.self, returning: Int?.self) { group in
        group.addTask {
            await relayInput(session, connection, takesInput: takesInput)
            await session.send(StreamFrame(kind: .closeInput, payload: []))
        }
        let exitCode = await relayOutput(session, connection)
        session.close()
        group.cancelAll()
        return exitCode
    }
}

private func relayInput(_ session: AttachSession, _ connection: HijackedConnection, takesInput: Bool) async {
    do {
        while let bytes = try await connection.read() {
            guard takesInput, !bytes.isEmpty else { continue }
            guard await session.sendInput(bytes) else { return }
        }
    } catch {
        return  // The client has gone: for the container that is the end of its input.
    }
}

private func relayOutput(_ session: AttachSession, _ connection: HijackedConnection) async -> Int? {
    while let frame = await session.read() {
        if let code = frame.exitCode { return code }
        do {
            try await connection.write(session.isTerminal ? frame.payload : frame.bytes)
        } catch {
            // A client that has gone does not end the process; what it still says is thrown away.
            return await drain(session)
        }
    }
    return nil
}
