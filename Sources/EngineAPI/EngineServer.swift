import Engine
import EngineWire
import Logging
import StackModel

extension EngineError: HTTPFailure {
    public var reply: ErrorReply {
        ErrorReply(message: dockerMessage, diagnostics: diagnostics)
    }
}

/// The engine behind its sockets.
public struct EngineServer: Sendable {
    private let server: HTTPServer

    /// - Parameter shutDown: called when a client asks the engine to stop.
    public init(
        engine: Engine, version: String, endpoints: [HTTPEndpoint], log: Logger,
        shutDown: @escaping @Sendable () -> Void
    ) {
        let router = Self.router(engine: engine, version: version, shutDown: shutDown)
        server = HTTPServer(
            router: router, endpoints: endpoints, logger: log, commonHeaders: SystemRoutes.commonHeaders(version))
    }

    static func router(engine: Engine, version: String, shutDown: @escaping @Sendable () -> Void) -> Router {
        var router = Router(
            versions: VersionPolicy(oldest: SystemRoutes.apiVersionMin, newest: SystemRoutes.apiVersion))
        SystemRoutes(engine: engine, version: version, shutDown: shutDown).add(to: &router)
        StackRoutes(engine: engine).add(to: &router)
        BuildRoutes(engine: engine).add(to: &router)
        ClassicBuildRoutes(engine: engine).add(to: &router)
        ContainerRoutes(engine: engine).add(to: &router)
        ArchiveRoutes(engine: engine).add(to: &router)
        NetworkRoutes(engine: engine).add(to: &router)
        VolumeRoutes(engine: engine).add(to: &router)
        EventRoutes(engine: engine).add(to: &router)
        RegistryRoutes(engine: engine).add(to: &router)
        AbsentRoutes().add(to: &router)
        return router
    }

    public func start() async throws { try await server.start() }

    public func stop() async { await server.stop() }
}
