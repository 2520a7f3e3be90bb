import BuildKitProtocol
import NIOCore
import NIOHPACK
import NIOHTTP2

/// One call, from either end. For one task.
struct GRPCCall {
    typealias Inbound = NIOAsyncChannelInboundStream<HTTP2Frame.FramePayload>
    typealias Outbound = NIOAsyncChannelOutboundWriter<HTTP2Frame.FramePayload>

    struct Head: Sendable {
        var path = ""
        var metadata: [String: [String]] = [:]

        subscript(_ name: String) -> String? { metadata[name]?.first }
    }

    private(set) var head = Head()
    private var inbound: Inbound.AsyncIterator
    private let outbound: Outbound
    private var parser = GRPCMessageParser()
    private var hasSentHead = false
    private var hasEnded = false
    private var trailers: HPACKHeaders?

    init(_ inbound: Inbound.AsyncIterator, _ outbound: Outbound) {
        self.inbound = inbound
        self.outbound = outbound
    }

    // MARK: - Messages

    /// The next message; `nil` when the peer sends no more.
    mutating func next() async throws -> [UInt8]? {
        while true {
            do throws(GRPCFramingError) {
                if let message = try parser.next() { return message }
            } catch {
                throw GRPCStatus(.invalidArgument, "\(error)")
            }
            guard try await readFrame() else { return nil }
        }
    }

    mutating func send(_ message: [UInt8]) async throws {
        if !hasSentHead {
            try await outbound.write(.headers(.init(headers: Self.replyHead)))
            hasSentHead = true
        }
        let data = HTTP2Frame.FramePayload.Data(data: .byteBuffer(ByteBuffer(bytes: grpcFramed(message))))
        try await outbound.write(.data(data))
    }

    /// False when nothing more comes.
    private mutating func readFrame() async throws -> Bool {
        guard !hasEnded, let frame = try await inbound.next() else { return false }
        switch frame {
        case .data(let data):
            if case .byteBuffer(let bytes) = data.data { parser.append(bytes.readableBytesView) }
            hasEnded = data.endStream
        case .headers(let headers):
            if headers.headers.first(name: "grpc-status") != nil { trailers = headers.headers }
            hasEnded = headers.endStream
        case .rstStream: hasEnded = true
        default: break
        }
        return true
    }

    // MARK: - Server

    private static let replyHead = HPACKHeaders([(":status", "200"), ("content-type", "application/grpc")])

    /// False when there is none.
    mutating func readHead() async throws -> Bool {
        while let frame = try await inbound.next() {
            guard case .headers(let payload) = frame else { continue }
            hasEnded = payload.endStream
            for (name, value, _) in payload.headers {
                if name == ":path" { head.path = value } else { head.metadata[name, default: []].append(value) }
            }
            return true
        }
        return false
    }

    func finish(_ status: GRPCStatus) async throws {
        var headers = hasSentHead ? HPACKHeaders() : Self.replyHead
        headers.add(name: "grpc-status", value: "\(status.code)")
        if !status.message.isEmpty { headers.add(name: "grpc-message", value: status.encodedMessage) }
        try await outbound.write(.headers(.init(headers: headers, endStream: true)))
    }

    // MARK: - Client

    mutating func begin(_ path: String, metadata: [(String, String)]) async throws {
        var headers = HPACKHeaders([
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ])
        for (name, value) in metadata { headers.add(name: name, value: value) }
        try await outbound.write(.headers(.init(headers: headers)))
        hasSentHead = true
    }

    /// No more messages from here.
    func endMessages() async throws {
        try await outbound.write(.data(.init(data: .byteBuffer(ByteBuffer()), endStream: true)))
    }

    /// Reads what is left, and throws what the peer says went wrong.
    mutating func check() async throws {
        while try await readFrame() {}
        guard let code = trailers?.first(name: "grpc-status").flatMap({ Int($0) }) else {
            throw GRPCStatus(.unavailable, "the client's session has ended")
        }
        guard code == 0 else {
            throw GRPCStatus(rawCode: code, trailers?.first(name: "grpc-message") ?? "")
        }
    }
}
