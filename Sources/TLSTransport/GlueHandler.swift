import NIOCore
import NIOSSL

/// One end of two channels on one event loop that are joined: what comes in on one goes out on the other, no faster
/// than that takes it, and each direction ends on its own.
final class GlueHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let fate: TLSFate
    private var partner: GlueHandler?
    private var context: ChannelHandlerContext?
    private var owesRead = false

    init(_ fate: TLSFate) { self.fate = fate }

    /// Bytes flow from now on. On the event loop of both channels, each of which has such a handler as its last.
    static func join(_ left: any Channel, _ right: any Channel) throws {
        guard left.isActive, right.isActive else {
            left.close(promise: nil)
            return right.close(promise: nil)
        }
        let one = try left.pipeline.syncOperations.handler(type: GlueHandler.self)
        let other = try right.pipeline.syncOperations.handler(type: GlueHandler.self)
        (one.partner, other.partner) = (other, one)
        one.context?.read()
        other.context?.read()
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        partner?.context?.close(promise: nil)
        partner = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let other = partner?.context else { return }
        other.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard let other = partner?.context else { return }
        other.flush()
        if other.channel.isWritable { context.read() } else { owesRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, let partner, partner.owesRead else { return }
        partner.owesRead = false
        partner.context?.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        partner?.context?.close(mode: .output, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { partner?.context?.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An engine that ends without a last word of TLS has said all that it had to: the length of the answer tells.
        if let error = error as? NIOSSLError, error == .uncleanShutdown { return }
        if error is NIOSSLError || error is BoringSSLError { fate.note(.handshake(error)) }
        context.close(promise: nil)
    }
}
