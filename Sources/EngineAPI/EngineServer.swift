import Engine
import EngineWire
import Logging
import StackModel

extension EngineError: HTTPFailure {
    public var reply: ErrorReply {
        ErrorReply(message: dockerMessage, diagnostics: diagnostics)
    }
}

/// The engine behind its socket.
public struct EngineServer: Sendable {
    private let server: HTTPServer

    /// - Parameters:
    ///   - socketGroup: whose members may connect; `nil`: the process's own.
    ///   - shutDown: called when a client asks the engine to stop.
    public init(
        engine: Engine, version: String, socketPath: String, socketGroup: UInt32? = nil, log: Logger,
        shutDown: @escaping @Sendable () -> Void
    ) {
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
        server = HTTPServer(
            router: router, socketPath: socketPath, logger: log, commonHeaders: SystemRoutes.commonHeaders(version),
            socketGroup: socketGroup)
    }

    public func start() async throws { try await server.start() }

    public func stop() async { await server.stop() }
}
