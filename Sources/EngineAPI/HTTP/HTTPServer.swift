import Glibc
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// HTTP/1.1 on a Unix socket: one event-loop thread for all connections, handlers on Swift's pool.
public final class HTTPServer: Sendable {
    private struct State {
        var group: MultiThreadedEventLoopGroup?
        var listener: (any Channel)?
        /// `nil` for a socket from systemd, whose file is not ours to remove.
        var socketFile: UnixListener.Identity?
        var connections: [ObjectIdentifier: HTTPConnection] = [:]
        var isStopping = false
        var emptied: CheckedContinuation<Void, Never>?
    }

    private let router: Router
    private let socketPath: String
    private let socketGroup: UInt32?
    private let commonHeaders: HTTPHeaders
    private let logger: Logger
    private let state = Mutex(State())

    /// `commonHeaders` go with every answer (`Api-Version`, `Server`); `socketGroup` is the group that may connect, by
    /// default that of the process.
    public init(
        router: Router, socketPath: String, logger: Logger, commonHeaders: HTTPHeaders = [:],
        socketGroup: UInt32? = nil
    ) {
        self.router = router
        self.socketPath = socketPath
        self.logger = logger
        self.commonHeaders = commonHeaders
        self.socketGroup = socketGroup
    }

    /// Number of connections that are open.
    public var connectionCount: Int { state.withLock { $0.connections.count } }

    /// Listens; returns when clients can connect. A socket from systemd (`LISTEN_FDS`) is used in place of the path.
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
            let (raw, identity) = try listeningSocket()
            let listener = try await bootstrap(group).withBoundSocket(raw).get()
            state.withLock { state in
                state.listener = listener
                state.socketFile = identity
            }
        } catch {
            state.withLock { $0.group = nil }
            try await group.shutdownGracefully()
            throw error
        }
        logger.debug("listening on \(socketPath)")
    }

    /// The raw descriptor goes to the channel, which closes it.
    private func listeningSocket() throws -> (Int32, UnixListener.Identity?) {
        let environment = { (name: String) in getenv(name).map { String(cString: $0) } }
        if let passed = UnixListener.activationDescriptor(environment, processID: getpid()) {
            return (try UnixListener.adopt(passed).take(), nil)
        }
        let socket = try UnixListener.make(path: socketPath, group: socketGroup)
        let identity = try UnixListener.identify(socketPath)
        return (socket.take(), identity)
    }

    private func bootstrap(_ group: MultiThreadedEventLoopGroup) -> ServerBootstrap {
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
                    channel, router: self.router, commonHeaders: self.commonHeaders, logger: self.logger)
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(connection.channelHandler)
                    self.add(connection)
                }
            }
    }

    private func add(_ connection: HTTPConnection) {
        let isRefused = state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = connection
            return state.isStopping || state.connections.count > HTTPLimits.connectionCountMax
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
        let (group, listener, socketFile) = state.withLock { state in
            state.isStopping = true
            defer { (state.group, state.listener, state.socketFile) = (nil, nil, nil) }
            return (state.group, state.listener, state.socketFile)
        }
        guard let group else { return }
        if let socketFile { UnixListener.remove(path: socketPath, identity: socketFile) }
        // The only failure is that it is closed already.
        try? await listener?.close().get()
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
