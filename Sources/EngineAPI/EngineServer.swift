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
    /// For `GET /metrics` alone.
    private let metrics: HTTPServer?

    /// - Parameters:
    ///   - metricsAddress: where anybody may read the metrics, and do nothing else; `nil`: nowhere but with the rest.
    ///   - shutDown: called when a client asks the engine to stop.
    public init(
        engine: Engine, version: String, endpoints: [HTTPEndpoint], metricsAddress: TCPAddress? = nil, log: Logger,
        shutDown: @escaping @Sendable () -> Void
    ) {
        let metricsRoutes = MetricsRoutes(engine: engine, version: version, meter: RequestMeter())
        let router = Self.router(engine: engine, version: version, metrics: metricsRoutes, shutDown: shutDown)
        server = HTTPServer(
            router: router, endpoints: endpoints, logger: log, commonHeaders: SystemRoutes.commonHeaders(version))
        metrics = metricsAddress.map { address in
            var router = Router()
            metricsRoutes.add(to: &router)
            return HTTPServer(router: router, address: address, logger: log)
        }
    }

    static func router(
        engine: Engine, version: String, metrics: MetricsRoutes, shutDown: @escaping @Sendable () -> Void
    ) -> Router {
        var router = Router(
            versions: VersionPolicy(oldest: SystemRoutes.apiVersionMin, newest: SystemRoutes.apiVersion))
        router.meter = metrics.meter
        metrics.add(to: &router)
        SystemRoutes(engine: engine, version: version, shutDown: shutDown).add(to: &router)
        StackRoutes(engine: engine).add(to: &router)
        BuildRoutes(engine: engine).add(to: &router)
        ClassicBuildRoutes(engine: engine).add(to: &router)
        BuildKitRoutes(engine: engine, version: version).add(to: &router)
        ContainerRoutes(engine: engine).add(to: &router)
        ArchiveRoutes(engine: engine).add(to: &router)
        NetworkRoutes(engine: engine).add(to: &router)
        VolumeRoutes(engine: engine).add(to: &router)
        EventRoutes(engine: engine).add(to: &router)
        RegistryRoutes(engine: engine).add(to: &router)
        AbsentRoutes().add(to: &router)
        return router
    }

    /// Where the metrics are besides, once they are.
    public var metricsPort: UInt16? { metrics?.port }

    public func start() async throws {
        // First: an address that cannot be had is told before anybody relies on this engine.
        try await metrics?.start()
        try await server.start()
    }

    public func stop() async {
        await metrics?.stop(grace: .seconds(1))
        await server.stop()
    }
}
