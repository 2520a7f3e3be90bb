import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TLSTransport

/// Serves one connection: request after request, each answered before the next is read.
final class HTTPConnection: Sendable {
    private enum Phase {
        /// Between requests.
        case idle
        /// A handler is at work on an answer of known length.
        case answering
        /// A stream or a hijacked connection: ends when its handler says so.
        case streaming
    }

    private struct State {
        var phase = Phase.idle
        var isStopping = false
        var task: Task<Void, Never>?
    }

    private let socket: SocketStream
    private let router: Router
    private let commonHeaders: HTTPHeaders
    private let logger: Logger
    private let limits: HTTPConnectionLimits
    private let ledger: PeerLedger
    private let requestGuard: RequestGuard
    private let state = Mutex(State())

    init(
        _ channel: any Channel, router: Router, commonHeaders: HTTPHeaders, requestGuard: RequestGuard,
        limits: HTTPConnectionLimits, ledger: PeerLedger, logger: Logger
    ) {
        socket = SocketStream(channel)
        self.router = router
        self.commonHeaders = commonHeaders
        self.requestGuard = requestGuard
        self.limits = limits
        self.ledger = ledger
        self.logger = logger
    }

    private var isUnix: Bool { requestGuard.names == nil }

    /// Starts the connection's task; `ended` runs when it is over and the socket is closed.
    func start(isRefused: Bool, ended: @escaping @Sendable () -> Void) {
        let task = Task {
            if isRefused { await refuse() } else { await serve() }
            await socket.close()
            ended()
        }
        state.withLock { $0.task = task }
    }

    /// The handler that feeds the connection from its channel.
    var channelHandler: SocketStreamHandler {
        SocketStreamHandler(socket, logger: logger) { self.cancel() }
    }

    /// The client is gone, or has had its time: whatever works for it should stop.
    func cancel() { state.withLock { $0.task }?.cancel() }

    func close() {
        cancel()
        socket.channel.close(promise: nil)
    }

    /// An idle connection ends now, a stream is cancelled, an answer may be finished.
    func stop() {
        let task = state.withLock { state in
            state.isStopping = true
            return state.phase == .answering ? nil : state.task
        }
        task?.cancel()
    }

    private func enter(_ phase: Phase) {
        let task = state.withLock { state in
            state.phase = phase
            return state.isStopping && phase != .answering ? state.task : nil
        }
        task?.cancel()
    }

    private func refuse() async {
        await send(.failure(HTTPError(503, "the engine has too many connections")), for: nil, keepsAlive: false, nil)
        await socket.closeGracefully()
    }

    private func serve() async {
        let credentials = isUnix ? await peerCredentials() : nil
        let peer = peer(credentials)
        guard ledger.addConnection(peer) else { return await refuse() }
        defer { ledger.removeConnection(peer) }
        do {
            var isFirst = true
            while let head = try await nextHead(isFirst: isFirst) {
                isFirst = false
                enter(.answering)
                guard await exchange(head, credentials, peer) else { return }
                enter(.idle)
            }
        } catch let error as HTTPError {
            await send(.failure(error), for: nil, keepsAlive: false, peer)
            await socket.closeGracefully()
        } catch {
            // The client is gone or the server is stopping: there is nobody to tell.
        }
    }

    private func peer(_ credentials: PeerCredentials?) -> PeerLedger.Peer {
        if let credentials { return .user(credentials.userID) }
        return .address(socket.channel.remoteAddress?.ipAddress ?? "")
    }

    /// `nil` when the client ended between requests, or is not heard of for too long.
    private func nextHead(isFirst: Bool) async throws -> HTTPRequestHead? {
        var parser = HTTPHeadParser()
        var deadline: NIODeadline?
        while true {
            let (head, leftOver) = try socket.withBuffer { buffer in
                (try parser.parse(&buffer), buffer.readableBytes)
            }
            if let head { return head }
            if leftOver > 0, deadline == nil { deadline = .now() + .milliseconds(limits.headMilliseconds) }
            do {
                guard try await socket.fill(beyond: leftOver, until: deadline ?? idleDeadline(isFirst)) else {
                    guard leftOver == 0 else { throw HTTPError(400, "the request ends in its head") }
                    return nil
                }
            } catch HTTPConnectionError.late {
                guard leftOver == 0 else { throw HTTPError(408, "the request's head did not come in time") }
                return nil
            }
        }
    }

    /// Who is on this machine may keep a connection: there are limits on how many.
    private func idleDeadline(_ isFirst: Bool) -> NIODeadline? {
        isUnix ? nil : .now() + .milliseconds(isFirst ? limits.firstByteMilliseconds : limits.idleMilliseconds)
    }

    /// Answers one request; `false` when the connection cannot take another.
    private func exchange(
        _ head: HTTPRequestHead, _ credentials: PeerCredentials?, _ peer: PeerLedger.Peer
    ) async -> Bool {
        let body = ConnectionBody(head, socket: socket, limits: limits)
        let reply = await reply(to: head, body: body, credentials)
        switch reply {
        case .hijack(let contentType, let handler):
            let start = HTTPReplyHead.hijack(contentType: contentType, upgrade: head.asksForTCPUpgrade)
            await hijack(head, body: body, start, peer, handler: handler)
            return false
        case .webSocket(let key, let handler):
            await hijack(head, body: body, HTTPReplyHead.webSocket(key: key), peer, handler: handler)
            return false
        case .upgrade(let side, let handler):
            await upgrade(head, to: side, body: body, peer, handler: handler)
            return false
        case .full, .stream: break
        }
        // A client that waits for `100 Continue` may send its body or not: what follows could be either.
        let keepsAlive = head.keepsAlive && !body.owesContinue && !state.withLock { $0.isStopping }
        guard await send(reply, for: head, keepsAlive: keepsAlive, peer) else { return false }
        if keepsAlive, await body.discardRest() { return true }
        await socket.closeGracefully()
        return false
    }

    private func reply(
        to head: HTTPRequestHead, body: ConnectionBody, _ credentials: PeerCredentials?
    ) async -> HTTPReply {
        do {
            try requestGuard.check(head, localAddress: socket.channel.localAddress?.ipAddress)
            let request = try HTTPRequest(head, body: body.reader, peer: credentials)
            return await router.reply(to: request, limitBody: { body.limit(byteCountMax: $0) }) { error in
                logger.error("\(head.method) \(head.target) failed: \(error)")
            }
        } catch {
            return .failure(error)
        }
    }

    /// `false` when the answer could not be completed.
    @discardableResult
    private func send(
        _ reply: HTTPReply, for head: HTTPRequestHead?, keepsAlive: Bool, _ peer: PeerLedger.Peer?
    ) async -> Bool {
        do {
            switch reply {
            case .full(let status, let headers, let body):
                try await sendFull(status, headers, body, isHead: head?.method == "HEAD", keepsAlive: keepsAlive)
            case .stream(let status, let headers, let producer):
                guard peer.map(ledger.addStream) ?? true else {
                    return await send(Self.tooManyStreams, for: head, keepsAlive: keepsAlive, nil)
                }
                defer { if let peer { ledger.removeStream(peer) } }
                enter(.streaming)
                try await sendStream(status, headers, head: head, keepsAlive: keepsAlive, producer: producer)
            case .hijack, .webSocket, .upgrade:
                return false
            }
            return true
        } catch {
            logger.debug("answer cut off: \(error)")
            return false
        }
    }

    private static let tooManyStreams = HTTPReply.failure(
        HTTPError(503, "too many streams of one client are open"))

    private func sendFull(
        _ status: Int, _ headers: HTTPHeaders, _ body: [UInt8], isHead: Bool, keepsAlive: Bool
    ) async throws(HTTPConnectionError) {
        let hasNoBody = status == 204 || status == 304
        var bytes = HTTPReplyHead.bytes(
            status: status, headers: headers, common: commonHeaders,
            framing: hasNoBody ? .bodiless : .length(body.count), keepsAlive: keepsAlive)
        if !hasNoBody, !isHead { bytes.writeBytes(body) }
        try await socket.write(bytes)
    }

    private func sendStream(
        _ status: Int, _ headers: HTTPHeaders, head: HTTPRequestHead?, keepsAlive: Bool,
        producer: @Sendable (BodyWriter) async throws -> Void
    ) async throws {
        let chunked = head?.minorVersion == 1
        try await socket.write(
            HTTPReplyHead.bytes(
                status: status, headers: headers, common: commonHeaders, framing: chunked ? .chunked : .close,
                keepsAlive: keepsAlive))
        guard head?.method != "HEAD" else { return }
        let writer = BodyWriter(socket, chunked: chunked)
        defer { writer.finish() }
        try await producer(writer)
        if chunked { try await socket.write(ByteBuffer(string: "0\r\n\r\n")) }
    }

    private func hijack(
        _ head: HTTPRequestHead, body: ConnectionBody, _ start: ByteBuffer, _ peer: PeerLedger.Peer,
        handler: @Sendable (HijackedConnection) async -> Void
    ) async {
        await takeOver(head, body: body, start, peer) {
            // docker-py in a program of its own calls itself `docker-compose/1.29.2 docker-py/5.0.3`.
            let agent = head.headers["User-Agent"] ?? ""
            if agent.contains("python") || agent.contains("docker-py") { try await awaitHeadRead() }
            await handler(HijackedConnection(socket))
        }
    }

    private func upgrade(
        _ head: HTTPRequestHead, to side: HTTP2Channel.Side, body: ConnectionBody, _ peer: PeerLedger.Peer,
        handler: @Sendable (HTTP2Channel) async -> Void
    ) async {
        guard head.headers["Upgrade"]?.lowercased() == "h2c" else {
            await send(.failure(HTTPError(400, "only with Upgrade: h2c")), for: head, keepsAlive: false, nil)
            return await socket.closeGracefully()
        }
        await takeOver(head, body: body, HTTPReplyHead.upgrade, peer) {
            await handler(try await HTTP2Channel.start(on: socket, side))
        }
    }

    /// After `start`, the connection is the work's.
    private func takeOver(
        _ head: HTTPRequestHead, body: ConnectionBody, _ start: ByteBuffer, _ peer: PeerLedger.Peer,
        _ work: () async throws -> Void
    ) async {
        guard await body.discardRest() else {
            await send(.failure(HTTPError(400, "request body was not read")), for: head, keepsAlive: false, nil)
            return await socket.closeGracefully()
        }
        guard ledger.addStream(peer) else {
            await send(Self.tooManyStreams, for: head, keepsAlive: false, nil)
            return await socket.closeGracefully()
        }
        defer { ledger.removeStream(peer) }
        enter(.streaming)
        do {
            try await socket.write(start)
            try await work()
        } catch {
            return logger.debug("hijack cut off: \(error)")
        }
        await socket.closeGracefully()
    }

    private func awaitHeadRead() async throws {
        for _ in 0..<HTTPLimits.hijackHeadLooksMax {
            try await Task.sleep(for: .milliseconds(HTTPLimits.hijackHeadLookMilliseconds))
            if try await unreadByteCount() == 0 { return }
        }
    }

    /// Of what was written, how much memory holds what the peer has not read: on a Unix socket nothing else counts.
    private func unreadByteCount() async throws -> UInt32 {
        guard let options = socket.channel as? any SocketOptionProvider else { return 0 }
        // `sk_get_meminfo` of the kernel: `SK_MEMINFO_RMEM_ALLOC`, `_RCVBUF`, `_WMEM_ALLOC`.
        let memory: (UInt32, UInt32, UInt32) = try await options.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_MEMINFO)
        ).get()
        return memory.2
    }

    private func peerCredentials() async -> PeerCredentials? {
        guard let options = socket.channel as? any SocketOptionProvider else { return nil }
        do {
            let credentials: ucred = try await options.unsafeGetSocketOption(
                level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
            ).get()
            return PeerCredentials(
                processID: credentials.pid, userID: credentials.uid, groupID: credentials.gid)
        } catch {
            logger.debug("no peer credentials: \(error)")
            return nil
        }
    }
}

/// Passes a channel's events to its stream; all of it runs on the event loop.
final class SocketStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let stream: SocketStream
    private let logger: Logger
    private let closed: @Sendable () -> Void
    /// Others take what comes from now on. Of the event loop.
    private var isPassing = false

    init(_ stream: SocketStream, logger: Logger, closed: @escaping @Sendable () -> Void) {
        self.stream = stream
        self.logger = logger
        self.closed = closed
    }

    func channelActive(context: ChannelHandlerContext) {
        stream.becameActive()
        context.fireChannelActive()
    }

    /// Also of a channel that never became active.
    func handlerRemoved(context: ChannelHandlerContext) { stream.endReached() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isPassing { context.fireChannelRead(data) } else { stream.received(unwrapInboundIn(data)) }
    }

    /// On the event loop: hands on what was read and not taken, and all that comes.
    func pass(context: ChannelHandlerContext) {
        isPassing = true
        let rest = stream.withBuffer { buffer in
            defer { buffer.clear() }
            return buffer
        }
        guard rest.readableBytes > 0 else { return }
        context.fireChannelRead(NIOAny(rest))
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { stream.endReached() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stream.endReached()
        closed()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let reason = TLSServer.refusal(error) {
            let address = context.remoteAddress?.ipAddress ?? "an address that is gone"
            logger.notice("refused a connection from \(address): \(reason)")
        }
        context.close(promise: nil)
    }
}
