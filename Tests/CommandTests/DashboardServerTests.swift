import CLinux
import EngineAPI
import Glibc
import LinuxSystem
import Logging
import Synchronization
import Testing

@testable import gantry

/// What an engine is asked for, by way of the dashboard.
private final class AskedEngine: Sendable {
    let paths = Mutex<[[String]]>([])

    var source: DashboardSource {
        DashboardSource(
            read: { [self] path throws(DashboardSource.Failure) in
                paths.withLock { $0.append(path) }
                if path.contains("broken") { throw DashboardSource.Failure(status: 404, message: "no such <stack>") }
                return Array("[]".utf8)
            },
            events: { _ throws(DashboardSource.Failure) in SaidFeed(["{\"Action\":\"start\"}\n"]) },
            logs: { [self] stack, service, tail throws(DashboardSource.Failure) in
                paths.withLock { $0.append(["logs", stack, service, "\(tail)"]) }
                return SaidFeed(["{\"text\":\"one\"}\n", "", "{\"text\":\"two\"}\n"])
            })
    }
}

private final class SaidFeed: DashboardFeed {
    private let pieces: Mutex<[String]>

    init(_ pieces: [String]) { self.pieces = Mutex(pieces) }

    func next() throws -> [UInt8]? { pieces.withLock { $0.isEmpty ? nil : Array($0.removeFirst().utf8) } }
}

@Suite struct DashboardServerTests {
    private let engine = AskedEngine()
    private let router: Router
    private let feeds = FeedCount()

    init() throws {
        let access = DashboardAccess(token: "t", session: "s")
        access.open(port: 80)
        let entering = try HTTPRequest(method: "GET", target: "/?token=t", headers: ["Host": "127.0.0.1:80"])
        guard case .entered = access.verdict(on: entering) else { throw HTTPError(500, "not entered") }
        router = DashboardServer.router(
            source: engine.source, access: access, session: Array("{}".utf8),
            pool: BlockingPool(name: "test", threadsMax: 4), feeds: feeds)
    }

    private func reply(
        _ target: String, method: String = "GET"
    ) async throws -> (status: Int, headers: HTTPHeaders, text: String) {
        let headers: HTTPHeaders = ["Host": "127.0.0.1:80", "Cookie": "gantry_dashboard_80=s"]
        let request = try HTTPRequest(method: method, target: target, headers: headers)
        switch await router.reply(to: request) {
        case .full(let status, let headers, let body): return (status, headers, String(decoding: body, as: UTF8.self))
        case .stream(let status, let headers, let producer):
            let text = Mutex("")
            try await producer(BodyWriter { bytes in text.withLock { $0 += String(decoding: bytes, as: UTF8.self) } })
            return (status, headers, text.withLock { $0 })
        case .hijack, .webSocket, .upgrade: throw HTTPError(599, "hijacked")
        }
    }

    @Test func whatIsListedIsPassedOn() async throws {
        for pattern in DashboardServer.reads {
            let path = pattern.replacing("{stack}", with: "shop")
            #expect(try await reply("/api\(path)").status == 200)
            #expect(engine.paths.withLock { $0.last } == path.split(separator: "/").map(String.init))
        }
    }

    @Test(arguments: [
        "/stacks", "/api", "/api/", "/api/containers/json", "/api/containers/x/json", "/api/containers/x/export",
        "/api/images/json", "/api/info", "/api/stacks/shop", "/api/stacks/shop/apply", "/api/stacks/shop/run",
        "/api/stacks/a%2Fb/containers", "/api/stacks/../containers", "/api/stacks/%2e%2e/containers",
        "/api/stacks/shop%00/containers", "/api/stacks/shop/containers/x", "/api/stacks/a%20b/services",
        "/api/stacks/shop/services/a%2Fb/logs", "/v1.43/containers/json", "/etc/passwd", "/../etc/passwd",
        "/api/stacks/shop%3Fx/drift", "/index.html",
    ])
    func nothingElseReachesTheEngine(target: String) async throws {
        // Some are no target at all, which is as good.
        let status: Int
        do { status = try await reply(target).status } catch let error as HTTPError { status = error.status }
        #expect(status == 404 || status == 400)
        #expect(engine.paths.withLock { $0 } == [])
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS"])
    func nothingIsChanged(method: String) async throws {
        for target in ["/", "/api/stacks", "/api/stacks/shop/plan", "/api/stacks/shop/down"] {
            #expect(try await reply(target, method: method).status == 405)
        }
        #expect(engine.paths.withLock { $0 } == [])
    }

    @Test func queriesAreNotPassedOn() async throws {
        #expect(try await reply("/api/stacks/shop/drift?deep=1&services=web").status == 200)
        #expect(engine.paths.withLock { $0 } == [["stacks", "shop", "drift"]])
    }

    @Test func failuresAreTheEnginesOwn() async throws {
        let found = try await reply("/api/stacks/broken/drift")
        #expect(found.status == 404)
        #expect(found.text.contains("no such <stack>"))
        #expect(found.headers["Content-Type"] == "application/json")
    }

    @Test func streamsGoOnToTheirEnd() async throws {
        let logs = try await reply("/api/stacks/shop/services/web/logs?tail=7")
        #expect(logs.text == "{\"text\":\"one\"}\n{\"text\":\"two\"}\n")
        #expect(engine.paths.withLock { $0 } == [["logs", "shop", "web", "7"]])
        #expect(try await reply("/api/events?since=5").text == "{\"Action\":\"start\"}\n")
        #expect(try await reply("/api/events?since=x").status == 400)
        // Each has left again.
        #expect(feeds.enter(atMost: 1) != nil)
    }

    @Test func streamsAreLimited() async throws {
        let tickets = (0..<32).compactMap { _ in feeds.enter(atMost: 32) }
        #expect(tickets.count == 32)
        #expect(try await reply("/api/events").status == 503)
    }

    /// Nobody runs the stream of such an answer.
    @Test func headsLeaveNoStreams() async throws {
        for _ in 0..<40 {
            let headers: HTTPHeaders = ["Host": "127.0.0.1:80", "Cookie": "gantry_dashboard_80=s"]
            let request = try HTTPRequest(method: "HEAD", target: "/api/events", headers: headers)
            guard case .stream(let status, _, _) = await router.reply(to: request) else {
                throw HTTPError(599, "no stream")
            }
            #expect(status == 200)
        }
    }

    @Test func thePageIsWhole() async throws {
        let front = try await reply("/")
        #expect(front.headers["Content-Type"] == "text/html; charset=utf-8")
        for file in DashboardFile.all where file.name != "index.html" {
            let found = try await reply("/\(file.name)")
            #expect(found.status == 200 && Array(found.text.utf8) == file.bytes)
            #expect(found.headers["Content-Type"] == file.type)
        }
        let names = Set(DashboardFile.all.map(\.name))
        #expect(names.count == DashboardFile.all.count)
        for file in DashboardFile.all {
            let text = String(decoding: file.bytes, as: UTF8.self)
            for found in text.matches(of: /(?:from "\.|src="|href=")\/([\w.]+)"/) {
                #expect(names.contains(String(found.1)), "\(file.name) asks for \(found.1)")
            }
        }
    }

    /// Other people's text must not become elements, and nothing may be loaded from elsewhere.
    @Test func thePageKeepsItsRules() throws {
        let forbidden = [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "setTimeout(\"",
            "srcdoc", "javascript:", "style=\"", "onclick=\"", "DOMParser", "createContextualFragment",
        ]
        for file in DashboardFile.all {
            let text = String(decoding: file.bytes, as: UTF8.self)
            for word in forbidden { #expect(!text.contains(word), "\(file.name): \(word)") }
            let outside = text.matches(of: /(?:https?:)?\/\/[a-z][\w.]*\.[a-z]{2,}[^\s"]*/).map { String($0.0) }
            #expect(outside.allSatisfy { $0.hasPrefix("http://www.w3.org/") }, "\(file.name): \(outside)")
            #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 500, "\(file.name)")
        }
    }

    @Test func headersKeepOthersOut() {
        let policy = DashboardServer.headers["Content-Security-Policy"] ?? ""
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            #expect(policy.contains(rule))
        }
        #expect(!policy.contains("unsafe"))
    }

    /// Over TCP, as a browser does it.
    @Test func listensOnLoopbackOnly() async throws {
        let access = DashboardAccess(token: "t", session: "s")
        var log = Logger(label: "test")
        log.logLevel = .critical
        let server = try DashboardServer(
            source: engine.source, access: access, address: .loopback(port: 0), session: [:], log: log)
        let port = try await server.start()
        #expect(port > 0)
        let table = String(decoding: try FileSystem.readFile("/proc/self/net/tcp"), as: UTF8.self)
        let digits = String(port, radix: 16, uppercase: true)
        let place = "0100007F:" + String(repeating: "0", count: 4 - digits.count) + digits
        #expect(table.contains(place))
        await server.stop()
    }
}
