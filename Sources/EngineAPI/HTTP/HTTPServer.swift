import Glibc
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TLSTransport

/// HTTP/1.1 on Unix sockets and TCP ports: one event-loop thread for all connections, handlers on Swift's pool.
public final class HTTPServer: Sendable {
    private struct Listener {
        var channel: any Channel
        /// `nil` for a port, and for a socket from systemd, whose file is not ours to remove.
        var file: (path: String, identity: UnixListener.Identity)?
    }

    private struct State {
        /// Of the last port that guards itself.
        var port: UInt16?
        var group: MultiThreadedEventLoopGroup?
        var listeners: [Listener] = []
        var connections: [ObjectIdentifier: HTTPConnection] = [:]
        var isStopping = false
        var emptied: CheckedContinuation<Void, Never>?
    }

    private let router: Router
    private let endpoints: [HTTPEndpoint]
    private let commonHeaders: HTTPHeaders
    private let limits: HTTPConnectionLimits
    private let ledger: PeerLedger
    private let logger: Logger
    private let state = Mutex(State())

    /// `commonHeaders` go with every answer (`Api-Version`, `Server`).
    public init(
        router: Router, endpoints: [HTTPEndpoint], logger: Logger, commonHeaders: HTTPHeaders = [:],
        limits: HTTPConnectionLimits = HTTPConnectionLimits()
    ) {
        self.router = router
        self.endpoints = endpoints
        self.logger = logger
        self.commonHeaders = commonHeaders
        self.limits = limits
        ledger = PeerLedger(limits)
    }

    /// Where the last of `selfGuarded` listens, once it does.
    public var port: UInt16? { state.withLock { $0.port } }

    /// Number of connections that are open.
    public var connectionCount: Int { state.withLock { $0.connections.count } }

    /// The TCP ports that are listened on, in the order of the endpoints.
    public var ports: [Int] { state.withLock { $0.listeners.compactMap { $0.channel.localAddress?.port } } }

    /// Listens; returns when clients can connect. A socket from systemd (`LISTEN_FDS`) is used in place of a path.
    public func start() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try state.withLock { state in
                guard state.group == nil else { throw HTTPServerError.alreadyStarted }
                state.group = group
            }
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        do {
            for endpoint in endpoints {
                let listener = try await listen(endpoint, group)
                state.withLock { $0.listeners.append(listener) }
            }
        } catch {
            let listeners = state.withLock { state in
                state.group = nil
                defer { state.listeners = [] }
                return state.listeners
            }
            await close(listeners)
            try await group.shutdownGracefully()
            throw error
        }
    }

    private func listen(_ endpoint: HTTPEndpoint, _ group: MultiThreadedEventLoopGroup) async throws -> Listener {
        switch endpoint {
        case .unix(let path, let socketGroup):
            let (raw, identity) = try listeningSocket(path, socketGroup)
            let channel = try await bootstrap(group, .unix, nil).withBoundSocket(raw).get()
            // What takes a socket over listens once more, with a backlog of its own.
            try check("listen", path: path) { Glibc.listen(raw, HTTPLimits.listenBacklog) }
            logger.debug("listening on \(path)")
            return Listener(channel: channel, file: identity.map { (path, $0) })
        case .selfGuarded(let address): return try await listen(address, group)
        case .tcp(let host, let port, let tls):
            let guarding = RequestGuard.tcp(host: host, certificateNames: tls?.names ?? [])
            let bootstrap = bootstrap(group, guarding, tls)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            do {
                let channel = try await bootstrap.bind(host: host, port: port).get()
                logger.debug("listening on \(host):\(port)")
                return Listener(channel: channel)
            } catch {
                throw HTTPServerError.cannotListen(address: "\(host):\(port)", reason: Self.reason(error))
            }
        }
    }

    private func listen(_ address: TCPAddress, _ group: MultiThreadedEventLoopGroup) async throws -> Listener {
        let socket = try TCPListener.make(address)
        let port = try TCPListener.port(of: socket.raw)
        state.withLock { $0.port = port }
        let channel = try await bootstrap(group, .off, nil).withBoundSocket(socket.take()).get()
        logger.debug("listening on \(address)")
        return Listener(channel: channel)
    }

    private static func reason(_ error: any Error) -> String {
        (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
    }

    /// The raw descriptor goes to the channel, which closes it.
    private func listeningSocket(_ path: String, _ group: UInt32?) throws -> (Int32, UnixListener.Identity?) {
        let environment = { (name: String) in getenv(name).map { String(cString: $0) } }
        if let passed = UnixListener.activationDescriptor(environment, processID: getpid()) {
            return (try UnixListener.adopt(passed).take(), nil)
        }
        let socket = try UnixListener.make(path: path, group: group)
        let identity = try UnixListener.identify(path)
        return (socket.take(), identity)
    }

    private func bootstrap(
        _ group: MultiThreadedEventLoopGroup, _ requestGuard: RequestGuard, _ tls: TLSServer?
    ) -> ServerBootstrap {
        // They grow while a client sends as fast as it is read, and shrink again.
        let buffers = AdaptiveRecvByteBufferAllocator(
            minimum: 64, initial: 2048, maximum: HTTPLimits.bodyPieceByteCountMax)
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: HTTPLimits.listenBacklog)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.recvAllocator, value: buffers)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let connection = HTTPConnection(
                    channel, router: self.router, commonHeaders: self.commonHeaders, requestGuard: requestGuard,
                    limits: self.limits, ledger: self.ledger, logger: self.logger)
                return channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
                    try channel.pipeline.syncOperations.addHandler(connection.channelHandler)
                    self.add(connection)
                }
            }
    }

    private func add(_ connection: HTTPConnection) {
        let isRefused = state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = connection
            return state.isStopping || state.connections.count > limits.connectionsMax
        }
        connection.start(isRefused: isRefused) { [weak self, weak connection] in
            if let connection { self?.remove(connection) }
        }
    }

    private func remove(_ connection: HTTPConnection) {
        let emptied: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = nil
            return state.connections.isEmpty ? state.emptied.take() : nil
        }
        emptied?.resume()
    }

    /// Accepts no more, ends idle connections, cancels streams and hijacked connections, gives answers in the making
    /// `grace` to finish, then closes what is left. Returns when every handler has returned.
    public func stop(grace: Duration = .seconds(5)) async {
        let (group, listeners) = state.withLock { state in
            state.isStopping = true
            defer { (state.group, state.listeners) = (nil, []) }
            return (state.group, state.listeners)
        }
        guard let group else { return }
        await close(listeners)
        for connection in open { connection.stop() }
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                do {
                    try await Task.sleep(for: grace)
                    for connection in self.open { connection.close() }
                } catch {
                    // All connections ended before their time was up.
                }
            }
            await allEnded()
            tasks.cancelAll()
        }
        do {
            try await group.shutdownGracefully()
        } catch {
            logger.error("event loop did not stop: \(error)")
        }
    }

    private func close(_ listeners: [Listener]) async {
        for listener in listeners {
            if let file = listener.file { UnixListener.remove(path: file.path, identity: file.identity) }
            // The only failure is that it is closed already.
            try? await listener.channel.close().get()
        }
    }

    private var open: [HTTPConnection] { state.withLock { Array($0.connections.values) } }

    private func allEnded() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.connections.isEmpty { return true }
                state.emptied = continuation
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }
}

extension HTTPServer {
    /// On one Unix socket.
    public convenience init(
        router: Router, socketPath: String, logger: Logger, commonHeaders: HTTPHeaders = [:],
        limits: HTTPConnectionLimits = HTTPConnectionLimits()
    ) {
        self.init(
            router: router, endpoints: [.unix(path: socketPath, group: nil)], logger: logger,
            commonHeaders: commonHeaders, limits: limits)
    }

    /// On a TCP port whose router guards itself.
    public convenience init(router: Router, address: TCPAddress, logger: Logger, commonHeaders: HTTPHeaders = [:]) {
        self.init(router: router, endpoints: [.selfGuarded(address)], logger: logger, commonHeaders: commonHeaders)
    }
}
