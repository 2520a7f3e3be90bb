import NIOCore
import NIOHTTP2

/// An upgraded connection's streams (RFC 9113). Whoever upgraded may be either end: on `/session` the client that
/// connected is the one that is asked.
public struct HTTP2Channel: Sendable {
    public enum Side: Sendable { case server, client }

    typealias Stream = NIOAsyncChannel<HTTP2Frame.FramePayload, HTTP2Frame.FramePayload>

    /// At a time; a build has a handful.
    private static let streamCountMax = 100

    private let multiplexer: NIOHTTP2Handler.AsyncStreamMultiplexer<Stream>
    private let channel: any Channel

    static func start(on socket: SocketStream, _ side: Side) async throws -> HTTP2Channel {
        let channel = socket.channel
        let multiplexer = try await channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            var configuration = NIOHTTP2Handler.Configuration()
            configuration.connection.initialSettings = [
                HTTP2Setting(parameter: .maxConcurrentStreams, value: streamCountMax),
                HTTP2Setting(parameter: .maxHeaderListSize, value: HTTPLimits.headByteCountMax),
            ]
            let multiplexer = try pipeline.configureAsyncHTTP2Pipeline(
                mode: side == .server ? .server : .client, configuration: configuration, streamInitializer: wrapped)
            try pipeline.addHandler(ClosingHandler())
            let handler = try pipeline.handler(type: SocketStreamHandler.self)
            handler.pass(context: try pipeline.context(handler: handler))
            return multiplexer
        }.get()
        try await channel.setOption(.autoRead, value: true).get()
        channel.read()
        return HTTP2Channel(multiplexer: multiplexer, channel: channel)
    }

    private static func wrapped(_ stream: any Channel) -> EventLoopFuture<Stream> {
        stream.eventLoop.makeCompletedFuture { try Stream(wrappingChannelSynchronously: stream) }
    }

    /// Streams that the peer opens, until the connection ends.
    var inbound: NIOHTTP2AsyncSequence<Stream> { multiplexer.inbound }

    func open() async throws -> Stream { try await multiplexer.openStream(Self.wrapped) }

    /// Returns when the connection has ended.
    func ended() async {
        // However it ended: it is over.
        try? await channel.closeFuture.get()
    }

    func close() { channel.close(promise: nil) }
}

/// What is no HTTP/2 ends the connection.
private final class ClosingHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
