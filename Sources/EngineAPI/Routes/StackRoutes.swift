import Engine
import EngineWire
import StackModel

/// `/stacks`: Gantry's own verbs.
struct StackRoutes {
    /// A stack file's configs and secrets travel in the request, so this is generous.
    private static let bodyBytesMax = 64 << 20

    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/stacks") { _, _ in
            let stacks = await engine.stackSummaries()
            return try .json(stacks)
        }
        router.on("GET", "/stacks/{name}/containers") { _, parameters in
            let containers = await engine.containerStatuses(stack: parameters["name"])
            return try .json(containers)
        }
        router.on("POST", "/stacks/{name}/plan", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(ApplyRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.plan(parameters["name"], body))
        }
        router.on("POST", "/stacks/{name}/apply", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(ApplyRequest.self, byteCountMax: Self.bodyBytesMax)
            let name = parameters["name"]
            return progressReply(engine) { await engine.apply(name, body, progress: $0) }
        }
        router.on("POST", "/stacks/{name}/down", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(DownRequest.self, byteCountMax: Self.bodyBytesMax)
            let name = parameters["name"]
            return progressReply(engine) { await engine.down(name, body, progress: $0) }
        }
        router.on("GET", "/stacks/{name}/revisions") { _, parameters in
            let history = try await engine.history(parameters["name"])
            return try .json(history)
        }
        router.on("POST", "/stacks/{name}/rollback") { request, parameters in
            let body = try await request.decode(RollbackRequest.self)
            let name = parameters["name"]
            return progressReply(engine) { await engine.rollback(name, body, progress: $0) }
        }
        for verb in ServiceVerb.allCases {
            router.on("POST", "/stacks/{name}/\(verb.rawValue)", bodyByteCountMax: Int64(Self.bodyBytesMax)) {
                request, parameters in
                let body = try await request.decode(ServicesRequest.self, byteCountMax: Self.bodyBytesMax)
                let name = parameters["name"]
                return progressReply(engine) { await engine.operate(verb, name, body, progress: $0) }
            }
        }
        router.on("POST", "/stacks/{name}/run", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(RunRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.createOneOff(parameters["name"], body))
        }
    }
}

/// Streams progress as NDJSON while `work` runs. The work goes on when the client leaves: a stack is never left half
/// way because somebody closed a terminal.
private func progressReply(
    _ engine: Engine, _ work: @escaping @Sendable (@escaping Engine.ProgressSink) async -> Void
) -> HTTPReply {
    .stream(status: 200, headers: ["Content-Type": "application/x-ndjson"]) { writer in
        let (events, continuation) = AsyncStream.makeStream(of: ProgressEvent.self)
        engine.inBackground {
            await work { continuation.yield($0) }
            continuation.finish()
        }
        for await event in events {
            try await writer.writeLine(event)
        }
    }
}
