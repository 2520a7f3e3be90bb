import CLinux
import EngineWire
import FoundationEssentials
import Glibc
import LinuxSystem
import TLSTransport

/// One request on one connection, and its answer as it comes in. Nothing is read before someone asks, so the owner may
/// wait for `descriptor` to become readable together with other descriptors.
public final class EngineStream {
    /// Read at once from the socket.
    static let readByteCount = 64 << 10
    /// Of the body of a 4xx or 5xx answer.
    static let errorByteCountMax = 1 << 20

    private let socket: FileDescriptor
    private var decoder: ResponseDecoder
    private let isRemote: Bool
    /// What leads to the engine's port has to say when it ends.
    private let fate: TLSFate?
    private var errorBody: [UInt8] = []
    /// `nil` until the head has come.
    public private(set) var head: ResponseHead?

    init(_ socket: consuming FileDescriptor, decoder: ResponseDecoder, isRemote: Bool = false, fate: TLSFate? = nil) {
        self.socket = socket
        self.fate = fate
        self.isRemote = isRemote
        self.decoder = decoder
    }

    /// For `poll`; readable when `receive` will not block.
    public var descriptor: Int32 { socket.raw }

    /// Reads once, which blocks when nothing has arrived. An empty result is no end: only the head may have come.
    /// `nil` is the end. Throws `refused` at the end of a 4xx or 5xx answer.
    public func receive() throws(EngineClientError) -> [UInt8]? {
        if decoder.isEnded { return try endOfAnswer() }
        var bytes: [UInt8] = []
        do throws(SystemError) {
            bytes = try socket.read(upTo: Self.readByteCount)
        } catch {
            // Closed with input of ours unread, as when a process ends before its standard input: everything the
            // engine had sent came before this, and whether that was all is for the decoder to say.
            guard error.code == ECONNRESET else { throw .system(error) }
        }
        do {
            if bytes.isEmpty {
                try decoder.finish()
                return try endOfAnswer()
            }
            let progress = try decoder.feed(bytes[...])
            if let head = progress.head { self.head = head }
            return try deliver(progress.body)
        } catch let fault as HTTPFault {
            guard fault == .endedEarly else { throw .malformed(fault) }
            if head == nil, let error = fate?.error { throw .noLink(host: "", error) }
            throw isRemote && head == nil ? .unreachable : .cut
        } catch let error as EngineClientError {
            throw error
        } catch {
            preconditionFailure("receive: HTTPFault and EngineClientError are all there is")
        }
    }

    /// Waits for the head; throws `refused` when it is not a success. Body bytes that came with it are returned.
    public func receiveHead() throws(EngineClientError) -> [UInt8] {
        while true {
            guard let bytes = try receive() else { return [] }
            if let head, head.status < 400 { return bytes }
        }
    }

    /// The whole body.
    public func readAll(byteCountMax: Int) throws(EngineClientError) -> [UInt8] {
        var body: [UInt8] = []
        while let bytes = try receive() {
            body += bytes
            guard body.count <= byteCountMax else { throw .malformed(.bodyTooLong) }
        }
        return body
    }

    /// Writes everything, blocking.
    public func send(_ bytes: [UInt8]) throws(EngineClientError) {
        var offset = 0
        while offset < bytes.count { offset += try sendSome(bytes[offset...], flags: 0) }
    }

    /// Writes what fits now; 0 when nothing does.
    public func sendWithoutBlocking(_ bytes: ArraySlice<UInt8>) throws(EngineClientError) -> Int {
        do throws(EngineClientError) {
            return try sendSome(bytes, flags: Int32(MSG_DONTWAIT))
        } catch .system(let error) where error.code == EAGAIN {
            return 0
        } catch {
            throw error
        }
    }

    /// Ends our side of the connection: the process reads the end of its standard input.
    public func closeWrite() throws(EngineClientError) {
        // ENOTCONN: the engine has closed already, which the next read tells.
        if shutdown(socket.raw, Int32(SHUT_WR)) != 0, errno != ENOTCONN {
            throw .system(SystemError("shutdown", code: errno))
        }
    }

    private func sendSome(_ bytes: ArraySlice<UInt8>, flags: Int32) throws(EngineClientError) -> Int {
        let raw = socket.raw
        do throws(SystemError) {
            return try check("send") {
                bytes.withUnsafeBytes {
                    Glibc.send(raw, $0.baseAddress, $0.count, flags | Int32(MSG_NOSIGNAL))
                }
            }
        } catch {
            throw .system(error)
        }
    }

    private func deliver(_ body: [UInt8]) throws(EngineClientError) -> [UInt8] {
        guard let head, head.status >= 400 else { return body }
        errorBody += body
        guard errorBody.count <= Self.errorByteCountMax else { throw .malformed(.bodyTooLong) }
        return []
    }

    private func endOfAnswer() throws(EngineClientError) -> [UInt8]? {
        guard let head, head.status >= 400 else { return nil }
        throw .refused(status: head.status, Self.errorReply(errorBody, head))
    }

    /// Docker's error bodies have only a `message`; anything else is shown as text.
    static func errorReply(_ body: [UInt8], _ head: ResponseHead) -> ErrorReply {
        struct MessageOnly: Decodable { var message: String }
        let decoder = JSONDecoder()
        let data = Data(body)
        // Three shapes, from the richest to the poorest: a failed attempt means the next one.
        if let reply = try? decoder.decode(ErrorReply.self, from: data) { return reply }
        // As above: the next shape is tried.
        if let reply = try? decoder.decode(MessageOnly.self, from: data) { return ErrorReply(message: reply.message) }
        let text = String(decoding: body.prefix(1000), as: UTF8.self)
        return ErrorReply(message: text.isEmpty ? "\(head.status) \(head.reason)" : text)
    }
}
