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

/// Sessions that are open, by their ids.
actor BuildSessions {
    /// A build's request may come before its session.
    private static let waitSeconds = 10

    private var sessions: [String: BuildSession] = [:]
    private var waiters: [String: [CheckedContinuation<BuildSession?, Never>]] = [:]

    func add(_ session: BuildSession, id: String) {
        sessions[id] = session
        for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.resume(returning: session) }
    }

    /// - Parameter session: another one may have come under its id since.
    func remove(_ session: BuildSession, id: String) {
        if sessions[id] === session { sessions[id] = nil }
    }

    func session(_ id: String) async throws -> BuildSession {
        if let session = sessions[id] { return session }
        let timer = Task {
            try await Task.sleep(for: .seconds(Self.waitSeconds))
            giveUp(id)
        }
        defer { timer.cancel() }
        let found = await withCheckedContinuation { waiters[id, default: []].append($0) }
        guard let found else { throw GRPCStatus(.unavailable, "no active session for \(id)") }
        return found
    }

    private func giveUp(_ id: String) {
        for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.resume(returning: nil) }
    }
}
