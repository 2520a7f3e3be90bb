import EngineAPI
import LinuxSystem
import Testing

/// Pages in browsers, by their own requests or by names that lead here, get nothing from the engine.
@Suite(.serialized, .timeLimit(.minutes(2))) struct HTTPGuardTests {
    private static func pages(_ router: inout Router) {
        router.on("GET", "/_ping") { _, _ in .text("OK") }
        router.on("POST", "/change") { _, _ in .empty() }
    }

    private func exchange(_ server: HTTPServer, _ request: String) async throws -> String {
        let port = try #require(server.ports.first)
        return try await httpBlocking {
            let client = try HTTPRawClient(port: port)
            try client.send(request)
            client.endOutput()
            return try client.receiveToEnd()
        }
    }

    @Test(arguments: [
        "Origin: https://evil.example", "Origin: null", "origin: http://localhost:2375", "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ])
    func requestsOfPagesAreRefused(field: String) async throws {
        try await withHTTPServer(Self.pages) { server, path in
            for target in ["GET /_ping", "POST /change", "OPTIONS /change", "POST /nothing"] {
                let request = "\(target) HTTP/1.1\r\nHost: localhost\r\n\(field)\r\n\r\n"
                for reply in [try await httpExchange(path, request), try await exchange(server, request)] {
                    #expect(reply.hasPrefix("HTTP/1.1 403 "), "\(target): \(reply)")
                    #expect(reply.contains("requests from pages in a browser are refused"), "\(reply)")
                }
            }
        }
    }

    /// What no page can say: a request typed by hand, and those of programs.
    @Test(arguments: ["Sec-Fetch-Site: none", "Sec-Fetch-Site: same-origin", "User-Agent: Docker-Client/28.0"])
    func otherRequestsPass(field: String) async throws {
        try await withHTTPServer(Self.pages) { server, path in
            let request = "GET /_ping HTTP/1.1\r\nHost: localhost\r\n\(field)\r\n\r\n"
            let replies = [try await httpExchange(path, request), try await exchange(server, request)]
            #expect(replies.allSatisfy { $0.hasSuffix("OK") }, "\(replies)")
        }
    }

    @Test(arguments: [
        ("localhost:2375", 200), ("LOCALHOST", 200), ("127.0.0.1", 200), ("127.8.0.1:80", 200), ("[::1]:2375", 200),
        ("rebound.example", 403), ("rebound.example:2375", 403), ("192.0.2.1", 403), ("127.0.0.1.example", 403),
        ("localhost.example", 403), ("", 403), ("[::1", 400), ("localhost\r\nHost: localhost", 400),
    ])
    func namesThatLeadHereAreNotEnough(host: String, status: Int) async throws {
        try await withHTTPServer(Self.pages) { server, path in
            let request = "GET /_ping HTTP/1.1\r\nHost: \(host)\r\n\r\n"
            let reply = try await exchange(server, request)
            #expect(reply.hasPrefix("HTTP/1.1 \(status) "), "\(reply)")
            // On a Unix socket clients write what they like.
            #expect(try await httpExchange(path, request).hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func theTargetIsLookedAtToo() async throws {
        try await withHTTPServer(Self.pages) { server, _ in
            let other = try await exchange(
                server, "GET http://rebound.example/_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(other.hasPrefix("HTTP/1.1 403 "), "\(other)")
            let user = try await exchange(
                server, "GET http://localhost@rebound.example/_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(user.hasPrefix("HTTP/1.1 403 "), "\(user)")
            let own = try await exchange(server, "GET http://localhost/_ping HTTP/1.1\r\nHost: x.example\r\n\r\n")
            #expect(own.hasSuffix("OK"), "\(own)")
            #expect(try await exchange(server, "GET /_ping HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        }
    }
}
