import CLinux
import Glibc
import LinuxSystem
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// What became of a connection after it was made: a server that does not take our certificate says so only then
/// (RFC 8446 section 4.4.2.4).
public final class TLSFate: Sendable {
    private let state = Mutex<TLSError?>(nil)

    public init() {}

    public var error: TLSError? { state.withLock { $0 } }

    func note(_ error: TLSError) { state.withLock { if $0 == nil { $0 = error } } }
}

/// The client's side: a connected Unix socket whose bytes go through TLS to another machine.
public enum TLSLink {
    private static let connectSecondsMax: Int64 = 30
    /// One thread for all connections of this process, and for as long as it runs.
    private static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    public struct Options: Sendable {
        public var files: TLSFiles
        /// Whether the server must show a certificate of `files.authority`, or of the system's without one, that is
        /// made for its name.
        public var verifies: Bool

        public init(files: TLSFiles, verifies: Bool) {
            self.files = files
            self.verifies = verifies
        }
    }

    /// Returns when both sides have agreed, blocking until then. Without `options`, bytes go as they are.
    public static func open(
        host: String, port: Int, _ options: Options?, fate: TLSFate
    ) throws(TLSError) -> LinuxSystem.FileDescriptor {
        let context = try options.map(makeContext)
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw .noConnection("\(SystemError("socketpair", code: errno))")
        }
        let near = LinuxSystem.FileDescriptor(owning: ends[0])
        let far = LinuxSystem.FileDescriptor(owning: ends[1])
        let loop = loops.next()
        do {
            let channel = try connect(loop, host: host, port: port, context, fate).wait()
            let local = try ClientBootstrap(group: loop).channelOption(.autoRead, value: false)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(GlueHandler(fate))
                    }
                }.withConnectedSocket(far.take()).wait()
            try loop.submit { try GlueHandler.join(channel, local) }.wait()
            return near
        } catch let error as TLSError {
            throw error
        } catch {
            throw failure(error, host: host, port: port)
        }
    }

    private static func makeContext(_ options: Options) throws(TLSError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = options.verifies ? .fullVerification : .none
        if options.verifies, let authority = try options.files.readAuthority() {
            configuration.trustRoots = .certificates(authority)
        }
        if let chain = try options.files.readCertificate() {
            configuration.certificateChain = chain.map { .certificate($0) }
        }
        if let key = try options.files.readKey() { configuration.privateKey = .privateKey(key) }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw .unusableIdentity("\(error)")
        }
    }

    private static func connect(
        _ loop: any NIOCore.EventLoop, host: String, port: Int, _ context: NIOSSLContext?, _ fate: TLSFate
    ) -> EventLoopFuture<any Channel> {
        let agreed = loop.makePromise(of: Void.self)
        let channel = ClientBootstrap(group: loop).connectTimeout(.seconds(connectSecondsMax))
            .channelOption(.autoRead, value: false).channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let glue = GlueHandler(fate)
                    guard let context else {
                        try channel.pipeline.syncOperations.addHandler(glue)
                        return agreed.succeed()
                    }
                    // An address is no name to be told, and is held against the certificate as the other end's own.
                    let name = isAddress(host) ? nil : host
                    let handler = try NIOSSLClientHandler(context: context, serverHostname: name)
                    try channel.pipeline.syncOperations.addHandlers([handler, HandshakeWatch(agreed), glue])
                }
            }.connect(host: host, port: port)
        channel.whenFailure { agreed.fail($0) }
        // Not for ever: a server may take the connection and say nothing.
        let timer = loop.scheduleTask(in: .seconds(connectSecondsMax)) {
            agreed.fail(TLSError.noConnection("no answer within \(connectSecondsMax) s"))
        }
        agreed.futureResult.whenComplete { _ in timer.cancel() }
        return agreed.futureResult.flatMap { channel }
    }

    private static func isAddress(_ host: String) -> Bool {
        (try? SocketAddress(ipAddress: host, port: 0)) != nil  // What is none, is a name.
    }

    private static func failure(_ error: any Error, host: String, port: Int) -> TLSError {
        switch error {
        case let error as NIOConnectionError:
            let reasons = error.connectionErrors.map { "\($0.error)" }
            if error.dnsAError != nil, reasons.isEmpty { return .noConnection("there is no machine '\(host)'") }
            return .noConnection(reasons.first.map(plain) ?? "nothing listens there")
        case let error as IOError: return .noConnection(plain("\(error)"))
        case is ChannelError: return .noConnection("\(error)")
        default: return .handshake(error)
        }
    }

    /// Without the name of the system call.
    private static func plain(_ text: String) -> String {
        text.contains("ECONNREFUSED") || text.contains("errno: 111") ? "nothing listens on that port" : text
    }
}

/// Waits for the end of the handshake.
private final class HandshakeWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let agreed: EventLoopPromise<Void>

    init(_ agreed: EventLoopPromise<Void>) { self.agreed = agreed }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        // From here on the handler of TLS reads by itself until there is something for us.
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { agreed.succeed() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        agreed.fail(error)
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        agreed.fail(TLSError.noConnection("the connection was closed"))
        context.fireChannelInactive()
    }
}
