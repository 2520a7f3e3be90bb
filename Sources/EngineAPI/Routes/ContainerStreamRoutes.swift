import Engine
import EngineWire
import JSONDocument

/// What goes on for a while: `/containers/{id}/wait`, `/logs`, `/stats`.
struct ContainerStreamRoutes {
    private static let sampleInterval = Duration.seconds(1)

    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/containers/{id}/wait") { request, parameters in
            let text = request.queryValue("condition").flatMap { $0.isEmpty ? nil : $0 } ?? "not-running"
            guard let condition = WaitCondition(rawValue: text) else {
                throw HTTPError(400, "invalid condition: \"\(text)\"")
            }
            let wait = try await engine.wait(for: parameters["id"], condition)
            // The head goes at once: clients start the container only when they have it.
            return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
                guard let code = await wait.code() else { throw CancellationError() }
                try await writer.write("{\"StatusCode\":\(code),\"Error\":null}\n")
            }
        }
        router.on("GET", "/containers/{id}/logs") { request, parameters in
            let query = try LogQuery(request)
            guard query.standardOutput || query.standardError else {
                throw HTTPError(400, "Bad parameters: you must choose at least one stream")
            }
            let logs = try await engine.logs(parameters["id"], query)
            let headers: HTTPHeaders = request.saysStreamTypes ? ["Content-Type": logs.contentType] : [:]
            return .stream(status: 200, headers: headers) { writer in
                while let chunk = try await logs.next() { try await writer.write(chunk) }
            }
        }
        router.on("GET", "/containers/{id}/stats") { request, parameters in
            let id = parameters["id"]
            let first = try await engine.stats(id, previous: nil)
            if !request.queryFlag("stream", default: true) {
                guard first.isLive, !request.queryFlag("one-shot") else { return try .json(first.document) }
                try await Task.sleep(for: Self.sampleInterval)
                return try .json(try await engine.stats(id, previous: first).document)
            }
            return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
                var sample = first
                while true {
                    try await writer.writeLine(sample.document)
                    try await Task.sleep(for: Self.sampleInterval)
                    do throws(EngineError) {
                        sample = try await engine.stats(id, previous: sample)
                    } catch {
                        // It has been removed: that is the end.
                        if case .containerNotFound = error { return }
                        throw error
                    }
                }
            }
        }
    }
}

extension HTTPRequest {
    private static let streamTypesSince = APIVersion(1, 42)

    /// Before 1.42 the kind of a stream was not told in its type. What has no version is the newest.
    var saysStreamTypes: Bool { version.map { $0 >= Self.streamTypesSince } ?? true }
}
