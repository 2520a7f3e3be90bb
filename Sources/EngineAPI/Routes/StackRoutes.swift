import Engine
import EngineWire
import FoundationEssentials
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
        router.on("GET", "/stacks/{name}/services") { _, parameters in
            try .json(try await engine.serviceSummaries(stack: parameters["name"]))
        }
        router.on("GET", "/stacks/{name}/plan") { _, parameters in
            try .json(try await engine.plan(parameters["name"], ApplyRequest(stack: nil)))
        }
        router.on("POST", "/stacks/{name}/plan", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(ApplyRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.plan(parameters["name"], body))
        }
        router.on("POST", "/stacks/{name}/plan/check", bodyByteCountMax: Int64(Self.bodyBytesMax)) {
            request, parameters in
            let body = try await request.decode(SavedPlan.self, byteCountMax: Self.bodyBytesMax)
            return try .json(await engine.planCheck(parameters["name"], body))
        }
        router.on("POST", "/stacks/{name}/diff", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(DiffRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.differences(parameters["name"], body))
        }
        router.on("POST", "/stacks/{name}/apply", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(ApplyRequest.self, byteCountMax: Self.bodyBytesMax)
            let name = parameters["name"]
            return progressReply(engine, request) { await engine.apply(name, body, progress: $0) }
        }
        router.on("POST", "/stacks/{name}/down", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(DownRequest.self, byteCountMax: Self.bodyBytesMax)
            let name = parameters["name"]
            return progressReply(engine, request) { await engine.down(name, body, progress: $0) }
        }
        addRollouts(to: &router)
        addJobs(to: &router)
        for verb in ServiceVerb.allCases {
            router.on("POST", "/stacks/{name}/\(verb.rawValue)", bodyByteCountMax: Int64(Self.bodyBytesMax)) {
                request, parameters in
                let body = try await request.decode(ServicesRequest.self, byteCountMax: Self.bodyBytesMax)
                let name = parameters["name"]
                return progressReply(engine, request) { await engine.operate(verb, name, body, progress: $0) }
            }
        }
        router.on("POST", "/stacks/{name}/run", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(RunRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.createOneOff(parameters["name"], body))
        }
    }
}

extension StackRoutes {
    fileprivate func addRollouts(to router: inout Router) {
        router.on("GET", "/stacks/{name}/revisions") { _, parameters in
            let history = try await engine.history(parameters["name"])
            return try .json(history)
        }
        router.on("GET", "/stacks/{name}/drift") { request, parameters in
            let services = request.queryValue("services").map { $0.split(separator: ",").map(String.init) } ?? []
            let question = DriftRequest(services: services, deep: request.queryFlag("deep"))
            return try .json(try await engine.drift(parameters["name"], question))
        }
        router.on("POST", "/stacks/{name}/drift", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, parameters in
            let body = try await request.decode(DriftRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.drift(parameters["name"], body))
        }
        router.on("POST", "/stacks/{name}/rollback") { request, parameters in
            let body = try await request.decode(RollbackRequest.self)
            let name = parameters["name"]
            return progressReply(engine, request) { await engine.rollback(name, body, progress: $0) }
        }
        router.on("POST", "/stacks/{name}/wait") { request, parameters in
            let body = try await request.decode(WaitRequest.self)
            let name = parameters["name"]
            return progressReply(engine, request) { await engine.wait(name, body, progress: $0) }
        }
        router.on("GET", "/stacks/{name}/rollout") { _, parameters in
            try .json(try await engine.rolloutStatus(parameters["name"]))
        }
        for verb in RolloutVerb.allCases {
            router.on("POST", "/stacks/{name}/rollout/\(verb.rawValue)") { request, parameters in
                let body = try await request.decode(RolloutRequest.self)
                let name = parameters["name"]
                return progressReply(engine, request) { await engine.rollout(verb, name, body, progress: $0) }
            }
        }
    }

    fileprivate func addJobs(to router: inout Router) {
        router.on("GET", "/stacks/{name}/jobs") { _, parameters in
            try .json(try await engine.jobStatuses(parameters["name"]))
        }
        router.on("POST", "/stacks/{name}/jobs/{job}/run") { _, parameters in
            try .json(try await engine.runJob(parameters["name"], parameters["job"]))
        }
        for isSuspended in [true, false] {
            router.on("POST", "/stacks/{name}/jobs/{job}/\(isSuspended ? "suspend" : "resume")") { _, parameters in
                try await engine.suspendJob(parameters["name"], parameters["job"], isSuspended)
                return .empty(status: 204)
            }
        }
    }
}

/// That nobody has read yet.
private let progressEventsMax = 65_536

/// Streams progress as NDJSON while `work` runs. The work goes on when the client leaves: a stack is never left half
/// way because somebody closed a terminal. Only what still waits for its turn, or just waits, ends then. Who does not
/// read loses the oldest lines, never the last one.
func progressReply(
    _ engine: Engine, _ request: HTTPRequest, _ work: @escaping @Sendable (@escaping Engine.ProgressSink) async -> Void
) -> HTTPReply {
    let (events, continuation) = AsyncStream.makeStream(
        of: ProgressEvent.self, bufferingPolicy: .bufferingNewest(progressEventsMax))
    let command = CommandContext(
        owner: commandOwner(request.headers["Gantry-Command"]),
        lockTimeout: request.headers["Gantry-Lock-Timeout"].flatMap { Int64($0) }.map { max(0, $0) },
        progress: { continuation.yield($0) })
    return .stream(status: 200, headers: ["Content-Type": "application/x-ndjson"]) { writer in
        engine.inBackground {
            await CommandContext.$current.withValue(command) {
                await work { continuation.yield($0) }
            }
            continuation.finish()
        }
        do {
            for await event in events { try await writer.writeLine(event) }
            // Cancelled when the connection is closed, which ends the stream of events too.
            if Task.isCancelled { command.noteClientGone() }
        } catch {
            command.noteClientGone()
            throw error
        }
    }
}

/// `nil` for what cannot be read: then nobody is told who it is.
private func commandOwner(_ header: String?) -> CommandOwner? {
    guard let header else { return nil }
    do {
        let text = try decodePercent(header[...], plusIsSpace: false)
        var owner = try JSONDecoder().decode(CommandOwner.self, from: Data(text.utf8))
        func cut(_ text: String) -> String {
            String(decoding: text.utf8.prefix(CommandOwner.textByteCountMax), as: UTF8.self)
        }
        (owner.user, owner.host) = (cut(owner.user), cut(owner.host))
        (owner.command, owner.url) = (cut(owner.command), owner.url.map(cut))
        return owner
    } catch {
        return nil
    }
}
