import BuildKitProtocol
import Engine

/// `POST /grpc` and `POST /session`: BuildKit's control API, as far as building a Dockerfile needs it.
struct BuildKitRoutes {
    private let service: BuildKitService

    init(engine: Engine, version: String) { service = BuildKitService(engine: engine, version: version) }

    func add(to router: inout Router) {
        let server = service.server()
        router.on("POST", "/grpc") { _, _ in .upgrade(.server) { await server.serve($0) } }
        let sessions = service.sessions
        router.on("POST", "/session") { request, _ in
            guard let id = request.headers["X-Docker-Expose-Session-Uuid"], !id.isEmpty else {
                throw HTTPError(400, "a session needs X-Docker-Expose-Session-Uuid")
            }
            let methods = request.headers.fields.filter {
                $0.name.lowercased() == "x-docker-expose-session-grpc-method"
            }.map { $0.value.lowercased() }
            return .upgrade(.client) { connection in
                let session = BuildSession(methods: Set(methods), connection: connection)
                guard sessions.add(session, named: id) else { return connection.close() }
                await connection.ended()
                sessions.remove(session, named: id)
            }
        }
    }
}
