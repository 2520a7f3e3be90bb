import EngineAPI
import FoundationEssentials
import LinuxSystem
import Logging
import Synchronization

/// Serves the page and passes on, of the engine's API, only what is listed here. Nothing it answers to changes
/// anything.
struct DashboardServer: Sendable {
    /// What of the engine is passed on as it is: `{stack}` is a stack's name.
    static let reads = [
        "/version", "/metrics", "/stacks", "/stacks/{stack}/containers", "/stacks/{stack}/services",
        "/stacks/{stack}/rollout", "/stacks/{stack}/drift", "/stacks/{stack}/plan", "/stacks/{stack}/revisions",
    ]

    /// With every answer. Even a page that somebody managed to change could load nothing from elsewhere, tell nobody,
    /// and not turn text into elements (trusted types).
    static let headers: HTTPHeaders = [
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            + "require-trusted-types-for 'script'; trusted-types 'none'",
        "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    ]

    private static let feedsMax = 32
    private static let threadsMax = 64
    private static let tailMax = 5_000
    private static let nameByteCountMax = 255

    private let source: DashboardSource
    private let pool = BlockingPool(name: "gantry-dashboard", threadsMax: threadsMax)
    private let feeds: FeedCount
    private let server: HTTPServer
    private let access: DashboardAccess

    init(
        source: DashboardSource, access: DashboardAccess, address: TCPAddress, session: [String: String], log: Logger
    ) throws {
        self.source = source
        self.access = access
        feeds = FeedCount()
        let description = try JSONEncoder().encode(session)
        let router = Self.router(
            source: source, access: access, session: Array(description), pool: pool, feeds: feeds)
        server = HTTPServer(router: router, address: address, logger: log, commonHeaders: Self.headers)
    }

    /// Listens; answers the port.
    func start() async throws -> UInt16 {
        try await server.start()
        let port = server.port ?? 0
        access.open(port: port)
        return port
    }

    func stop() async { await server.stop(grace: .seconds(1)) }

    static func router(
        source: DashboardSource, access: DashboardAccess, session: [UInt8], pool: BlockingPool, feeds: FeedCount
    ) -> Router {
        var router = Router()
        router.gate = { gate(access.verdict(on: $0)) }
        for file in DashboardFile.all {
            let path = file.name == "index.html" ? "/" : "/\(file.name)"
            router.on("GET", path) { _, _ in
                .full(status: 200, headers: ["Content-Type": file.type], body: file.bytes)
            }
        }
        router.on("GET", "/api/session") { _, _ in json(session) }
        for pattern in reads {
            let parts = pattern.split(separator: "/").map(String.init)
            let type = pattern == "/metrics" ? "text/plain; charset=utf-8" : "application/json"
            router.on("GET", "/api\(pattern)") { _, parameters in
                let path = try parts.map { $0 == "{stack}" ? try name(parameters["stack"]) : $0 }
                return try await answering {
                    let body = try await pool.run { () throws(DashboardSource.Failure) in try source.read(path) }
                    return .full(status: 200, headers: ["Content-Type": type], body: body)
                }
            }
        }
        router.on("GET", "/api/events") { request, _ in
            let since = max(0, try request.queryInteger("since") ?? 0)
            return try await stream(pool, feeds) { () throws(DashboardSource.Failure) in try source.events(since) }
        }
        router.on("GET", "/api/stacks/{stack}/services/{service}/logs") { request, parameters in
            let (stack, service) = (try name(parameters["stack"]), try name(parameters["service"]))
            let tail = min(max(0, try request.queryInteger("tail") ?? 200), tailMax)
            return try await stream(pool, feeds) { () throws(DashboardSource.Failure) in
                try source.logs(stack, service, tail)
            }
        }
        return router
    }

    private static func gate(_ verdict: DashboardAccess.Verdict) -> HTTPReply? {
        switch verdict {
        case .allowed: return nil
        case .entered(let cookie):
            // A page and not a redirection: where the link stood on a page of another site, the browser would not send
            // the new cookie along with that.
            return .text(
                """
                <!doctype html><html lang="en"><meta charset="utf-8"><title>Gantry</title>
                <meta http-equiv="refresh" content="0;url=/"><p><a href="/">Gantry's dashboard</a></p></html>

                """, headers: ["Content-Type": "text/html; charset=utf-8", "Set-Cookie": cookie])
        case .refused(let status, let reason):
            return .text(reason + "\n", status: status, headers: status == 405 ? ["Allow": "GET, HEAD"] : [:])
        }
    }

    /// Names of stacks and services; what is none is no path of the engine's either.
    private static func name(_ text: String) throws(HTTPError) -> String {
        let isName = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."): true
            default: false
            }
        }
        guard isName, text.utf8.count <= nameByteCountMax, !text.allSatisfy({ $0 == "." }) else {
            throw HTTPError(400, "this is no name")
        }
        return text
    }

    private static func json(_ bytes: [UInt8]) -> HTTPReply {
        .full(status: 200, headers: ["Content-Type": "application/json"], body: bytes)
    }

    private static func answering(_ body: () async throws -> HTTPReply) async throws -> HTTPReply {
        do {
            return try await body()
        } catch let failure as DashboardSource.Failure {
            throw HTTPError(failure.status, failure.message)
        }
    }

    private static func stream(
        _ pool: BlockingPool, _ feeds: FeedCount,
        _ open: @escaping @Sendable () throws(DashboardSource.Failure) -> any DashboardFeed
    ) async throws -> HTTPReply {
        guard let ticket = feeds.enter(atMost: feedsMax) else {
            throw HTTPError(503, "too many streams: close other windows of the dashboard")
        }
        let feed: any DashboardFeed
        do throws(DashboardSource.Failure) {
            feed = try await pool.run(open)
        } catch {
            throw HTTPError(error.status, error.message)
        }
        return .stream(status: 200, headers: ["Content-Type": "application/x-ndjson"]) { writer in
            while !Task.isCancelled, let bytes = try await pool.run({ try feed.next() }) {
                try await writer.write(bytes)
            }
            withExtendedLifetime(ticket) {}
        }
    }
}

/// Streams that are open, each of which keeps a thread busy.
final class FeedCount: Sendable {
    /// Held for as long as the stream's answer is, whether anybody reads it or not.
    final class Ticket: Sendable {
        private let count: FeedCount

        fileprivate init(_ count: FeedCount) { self.count = count }

        deinit { count.count.withLock { $0 -= 1 } }
    }

    private let count = Mutex(0)

    /// `nil`: there are enough.
    func enter(atMost most: Int) -> Ticket? {
        let isIn = count.withLock { count in
            guard count < most else { return false }
            count += 1
            return true
        }
        return isIn ? Ticket(self) : nil
    }
}
