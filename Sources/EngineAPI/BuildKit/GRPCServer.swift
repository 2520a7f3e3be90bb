import BuildKitProtocol
import NIOCore
import NIOHPACK
import NIOHTTP2

/// Calls of one connection: gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md), each by the handler of its path.
struct GRPCServer: Sendable {
    typealias Handler = @Sendable (inout GRPCCall) async throws -> Void

    private var handlers: [String: Handler] = [:]

    /// - Parameter path: `/package.Service/Method`.
    mutating func on(_ path: String, _ handler: @escaping Handler) { handlers[path] = handler }

    /// One message for one.
    mutating func onUnary(
        _ path: String, _ handler: @escaping @Sendable ([UInt8], GRPCCall.Head) async throws -> [UInt8]
    ) {
        on(path) { call in
            guard let message = try await call.next() else { throw GRPCStatus(.invalidArgument, "no message") }
            try await call.send(try await handler(message, call.head))
        }
    }

    /// Returns when the connection has ended.
    func serve(_ connection: HTTP2Channel) async {
        await withDiscardingTaskGroup { group in
            do {
                for try await stream in connection.inbound {
                    group.addTask { await serve(stream) }
                }
            } catch {
                // The connection was cut: so are its streams.
            }
            group.cancelAll()
        }
        connection.close()
    }

    private func serve(_ stream: HTTP2Channel.Stream) async {
        do {
            try await stream.executeThenClose { inbound, outbound in
                var call = GRPCCall(inbound.makeAsyncIterator(), outbound)
                guard try await call.readHead() else { return }
                let status = await answer(&call)
                try await call.finish(status)
            }
        } catch {
            // The peer is gone, or has given this call up.
        }
    }

    private func answer(_ call: inout GRPCCall) async -> GRPCStatus {
        guard let handler = handlers[call.head.path] else {
            return GRPCStatus(.unimplemented, "unknown method \(call.head.path)")
        }
        do {
            try await handler(&call)
            return GRPCStatus(.ok)
        } catch let error as GRPCStatus {
            return error
        } catch is ProtobufError {
            return GRPCStatus(.invalidArgument, "malformed message")
        } catch is CancellationError {
            return GRPCStatus(.cancelled, "cancelled")
        } catch {
            return GRPCStatus(.unknown, "\(error)")
        }
    }
}
