import BuildKitProtocol
import NIOCore

/// What a client offers while it builds: its files, secrets and credentials. It connected, and is asked.
final class BuildSession: Sendable {
    private let methods: Set<String>
    private let connection: HTTP2Channel

    /// - Parameter methods: `/package.service/method` in lower case, as its request's header names them.
    init(methods: Set<String>, connection: HTTP2Channel) {
        self.methods = methods
        self.connection = connection
    }

    /// Whether the client offers it; the header's and the call's case differ.
    func offers(_ path: String) -> Bool { methods.contains(path.lowercased()) }

    func call<Result: Sendable>(
        _ path: String, metadata: [(String, String)] = [],
        _ body: @Sendable (inout GRPCCall) async throws -> Result
    ) async throws -> Result {
        let stream = try await connection.open()
        return try await stream.executeThenClose { inbound, outbound in
            var call = GRPCCall(inbound.makeAsyncIterator(), outbound)
            try await call.begin(path, metadata: metadata)
            return try await body(&call)
        }
    }

    /// One message for one.
    func ask(_ path: String, _ message: [UInt8]) async throws -> [UInt8] {
        try await call(path) { call in
            try await call.send(message)
            try await call.endMessages()
            let reply = try await call.next()
            try await call.check()
            return reply ?? []
        }
    }
}
