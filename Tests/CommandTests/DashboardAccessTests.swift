import EngineAPI
import Testing

@testable import gantry

@Suite struct DashboardAccessTests {
    private let access: DashboardAccess = {
        let access = DashboardAccess(token: "the-token", session: "the-session")
        access.open(port: 4321)
        return access
    }()

    private static let cookie = "gantry_dashboard_4321=the-session"

    private func verdict(
        _ target: String, method: String = "GET", host: String? = "127.0.0.1:4321", _ headers: HTTPHeaders = [:]
    ) throws -> DashboardAccess.Verdict {
        var headers = headers
        if let host { headers.add("Host", host) }
        return access.verdict(on: try HTTPRequest(method: method, target: target, headers: headers))
    }

    private func status(_ verdict: DashboardAccess.Verdict) -> Int {
        switch verdict {
        case .allowed, .entered: 200
        case .refused(let status, _): status
        }
    }

    private func enter() throws { #expect(status(try verdict("/?token=the-token")) == 200) }

    @Test func theTokenIsGoodOnce() throws {
        #expect(status(try verdict("/", ["Cookie": Self.cookie])) == 403)
        let entered = try verdict("/?token=the-token")
        #expect(
            entered == .entered(cookie: "gantry_dashboard_4321=the-session; HttpOnly; SameSite=Strict; Path=/"))
        #expect(status(try verdict("/?token=the-token")) == 403)
        #expect(try verdict("/", ["Cookie": Self.cookie]) == .allowed)
        #expect(try verdict("/api/stacks", ["Cookie": "a=b; \(Self.cookie); c=d"]) == .allowed)
        // Who has the cookie may follow the old address once more.
        #expect(try verdict("/?token=the-token", ["Cookie": Self.cookie]) == .allowed)
    }

    @Test(arguments: ["/?token=", "/?token=the-toke", "/?token=the-token2", "/?token=THE-TOKEN", "/?t=the-token", "/"])
    func otherTokensAreNone(target: String) throws {
        #expect(status(try verdict(target)) == 403)
        try enter()
    }

    @Test func onlyTheFrontPageTakesTheToken() throws {
        #expect(status(try verdict("/api/stacks?token=the-token")) == 403)
        // What shows previews of links, or looks whether they lead anywhere, asks for heads.
        #expect(status(try verdict("/?token=the-token", method: "HEAD")) == 403)
        try enter()
    }

    @Test(arguments: [
        "gantry_dashboard_4321=", "gantry_dashboard_4321=the-sessio", "gantry_dashboard_4321=the-session2",
        "gantry_dashboard_1234=the-session", "the-session", "xgantry_dashboard_4321=the-session", "",
    ])
    func otherCookiesAreNone(cookie: String) throws {
        try enter()
        #expect(status(try verdict("/api/stacks", ["Cookie": cookie])) == 403)
    }

    @Test(arguments: [
        "evil.example:4321", "127.0.0.1", "127.0.0.1:4322", "localhost", "127.0.0.1.evil.example:4321", "[::1]:4321",
        "0.0.0.0:4321", "127.0.0.1:4321.", "",
    ])
    func otherHostsAreRefused(host: String) throws {
        try enter()
        #expect(status(try verdict("/api/stacks", host: host, ["Cookie": Self.cookie])) == 403)
        #expect(status(try verdict("/?token=the-token", host: host)) == 403)
    }

    @Test func oneHostIsNeeded() throws {
        try enter()
        #expect(status(try verdict("/", host: nil, ["Cookie": Self.cookie])) == 403)
        #expect(status(try verdict("/", ["Cookie": Self.cookie, "Host": "127.0.0.1:4321"])) == 403)
        #expect(try verdict("/", host: "LocalHost:4321", ["Cookie": Self.cookie]) == .allowed)
    }

    @Test(arguments: [
        ("http://127.0.0.1:4321", 200), ("http://localhost:4321", 403), ("https://127.0.0.1:4321", 403),
        ("http://127.0.0.1", 403), ("http://evil.example", 403), ("null", 403), ("", 403),
    ])
    func otherOriginsAreRefused(origin: String, expected: Int) throws {
        try enter()
        #expect(status(try verdict("/api/stacks", ["Cookie": Self.cookie, "Origin": origin])) == expected)
    }

    @Test(arguments: [
        ("same-origin", "cors", "/api/stacks", 200), ("none", "navigate", "/", 200),
        ("cross-site", "navigate", "/", 200), ("cross-site", "no-cors", "/", 403),
        ("cross-site", "navigate", "/api/stacks", 403), ("same-site", "cors", "/api/stacks", 403),
        ("cross-site", "no-cors", "/app.js", 403),
    ])
    func otherSitesAreRefused(site: String, mode: String, target: String, expected: Int) throws {
        try enter()
        let headers: HTTPHeaders = ["Cookie": Self.cookie, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode]
        #expect(status(try verdict(target, headers)) == expected)
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"])
    func onlyReadingIsAnswered(method: String) throws {
        try enter()
        #expect(status(try verdict("/", method: method, ["Cookie": Self.cookie])) == 405)
    }

    @Test func nothingIsAnsweredBeforeThePortIsKnown() throws {
        let access = DashboardAccess(token: "t", session: "s")
        let request = try HTTPRequest(method: "GET", target: "/?token=t", headers: ["Host": "127.0.0.1:0"])
        #expect(status(access.verdict(on: request)) == 403)
    }

    @Test func secretsAreLongAndUnlike() {
        let secrets = (0..<100).map { _ in DashboardAccess.secret() }
        #expect(Set(secrets).count == 100)
        #expect(secrets.allSatisfy { $0.utf8.count == 64 })
    }
}
