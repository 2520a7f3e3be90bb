import DockerTranslation
import Engine
import EngineWire
import JSONDocument
import StackModel

/// `/containers`, in Docker's shapes: making, looking at and steering them.
struct ContainerRoutes {
    private static let bodyBytesMax = 4 << 20
    private static let privateIPCSince = APIVersion(1, 40)
    private static let nanosecondsPerSecond: Int64 = 1_000_000_000

    let engine: Engine

    func add(to router: inout Router) {
        addLooks(to: &router)
        addLifecycle(to: &router)
        addChanges(to: &router)
        AttachRoutes(engine: engine).add(to: &router)
        ContainerStreamRoutes(engine: engine).add(to: &router)
        ExecRoutes(engine: engine).add(to: &router)
    }

    private func addLooks(to router: inout Router) {
        router.on("GET", "/containers/json") { request, _ in
            var query = ContainerQuery()
            query.all = request.queryFlag("all")
            query.limit = try request.queryInteger("limit")
            query.size = request.queryFlag("size")
            query.filters = try request.filters()
            let body = try await engine.containerList(query)
            return .full(status: 200, headers: ["Content-Type": "application/json"], body: body)
        }
        router.on("GET", "/containers/{id}/json") { request, parameters in
            try .json(try await engine.inspectContainer(parameters["id"], size: request.queryFlag("size")))
        }
        router.on("GET", "/containers/{id}/top") { request, parameters in
            let arguments = request.queryValue("ps_args").flatMap { $0.isEmpty ? nil : $0 } ?? "-ef"
            let table = try await engine.top(parameters["id"], arguments: arguments)
            return try .json(
                JSONValue.object([
                    "Titles": .array(table.titles.map { .string($0) }),
                    "Processes": .array(table.rows.map { .array($0.map { .string($0) }) }),
                ]))
        }
    }

    private func addLifecycle(to router: inout Router) {
        router.on("POST", "/containers/{id}/start") { _, parameters in
            .empty(status: try await engine.startByClient(parameters["id"]) ? 204 : 304)
        }
        router.on("POST", "/containers/{id}/stop") { request, parameters in
            let (grace, signal) = try stopping(request)
            let stopped = try await engine.stopByClient(parameters["id"], grace: grace, signal: signal)
            return .empty(status: stopped ? 204 : 304)
        }
        router.on("POST", "/containers/{id}/restart") { request, parameters in
            let (grace, signal) = try stopping(request)
            try await engine.restartByClient(parameters["id"], grace: grace, signal: signal)
            return .empty(status: 204)
        }
        router.on("POST", "/containers/{id}/kill") { request, parameters in
            let signal = request.queryValue("signal").flatMap { $0.isEmpty ? nil : $0 } ?? "SIGKILL"
            try await engine.killByClient(parameters["id"], signal)
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
        router.on("POST", "/containers/{id}/resize") { request, parameters in
            let (rows, columns) = try request.windowSize()
            try await engine.resizeByClient(parameters["id"], rows: rows, columns: columns)
            return .empty(status: 200)
        }
    }

    /// `t` in seconds, negative for no end, and `signal`.
    private func stopping(_ request: HTTPRequest) throws -> (grace: Nanoseconds?, signal: String?) {
        let grace = try request.queryInteger("t").map { seconds -> Nanoseconds in
            let (time, overflow) = Int64(seconds).multipliedReportingOverflow(by: Self.nanosecondsPerSecond)
            return seconds < 0 || overflow ? -1 : time
        }
        return (grace, request.queryValue("signal").flatMap { $0.isEmpty ? nil : $0 })
    }

    private func addChanges(to router: inout Router) {
        router.on("POST", "/containers/create") { request, _ in
            let body = try await request.decodeIfPresent(JSONValue.self, byteCountMax: Self.bodyBytesMax)
            guard let body, body != .null else {
                throw HTTPError(400, "invalid request body: config cannot be empty in order to create a container")
            }
            var wanted = try translating { () throws(TranslationError) in
                try ContainerRequest(body, platform: request.queryValue("platform"))
            }
            // As in Docker: clients of before know of nothing else.
            let mode = wanted.hostConfig["IpcMode"] ?? .null
            if let version = request.version, version < Self.privateIPCSince, [.null, .string("")].contains(mode) {
                wanted.hostConfig["IpcMode"] = .string("shareable")
            }
            let (id, warnings) = try await engine.createContainer(wanted, name: request.queryValue("name"))
            return try .json(
                JSONValue.object(["Id": .string(id), "Warnings": .array(warnings.map { .string($0) })]), status: 201)
        }
        router.on("POST", "/containers/{id}/rename") { request, parameters in
            try await engine.renameByClient(parameters["id"], to: request.queryValue("name") ?? "")
            return .empty(status: 204)
        }
        router.on("POST", "/containers/{id}/update") { request, parameters in
            let body = try await request.decode(JSONValue.self, byteCountMax: Self.bodyBytesMax)
            guard case .object(let members) = body else { throw HTTPError(400, "the request must be an object") }
            let warnings = try await engine.updateByClient(parameters["id"], members)
            return try .json(JSONValue.object(["Warnings": .array(warnings.map { .string($0) })]))
        }
        router.on("DELETE", "/containers/{id}") { request, parameters in
            guard !request.queryFlag("link") else {
                throw HTTPError(400, "a link is named by its container and its alias: container/alias")
            }
            try await engine.removeByClient(
                parameters["id"], force: request.queryFlag("force"), volumes: request.queryFlag("v"))
            return .empty(status: 204)
        }
        // `docker rm --link container/alias`.
        router.on("DELETE", "/containers/{id}/{alias}") { request, parameters in
            guard request.queryFlag("link") else { throw HTTPError(404, "page not found") }
            try await engine.removeLinkByClient(parameters["id"], alias: parameters["alias"])
            return .empty(status: 204)
        }
    }

    private func translating<Value>(_ body: () throws(TranslationError) -> Value) throws(HTTPError) -> Value {
        do throws(TranslationError) { return try body() } catch { throw HTTPError(400, error.description) }
    }
}
