import EngineAPI
import Synchronization
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct HTTPHijackTests {
    private static let rawStream = "application/vnd.docker.raw-stream"

    /// Says what the body was, sends back what comes in upper case, and `bye` at the end of the input.
    private static func setUp(_ router: inout Router) {
        router.on("POST", "/attach") { request, _ in
            let body = String(decoding: try await request.body.collect(byteCountMax: 1_000), as: UTF8.self)
            return .hijack(contentType: rawStream) { connection in
                do {
                    try await connection.write(Array("body:\(body)\n".utf8))
                    while let bytes = try await connection.read() {
                        try await connection.write(Array(String(decoding: bytes, as: UTF8.self).uppercased().utf8))
                    }
                    try await connection.write(Array("bye".utf8))
                } catch {
                    Issue.record(error)
                }
            }
        }
        router.on("POST", "/ended") { _, _ in
            .hijack(contentType: rawStream) { connection in
                do { try await connection.write(Array("over".utf8)) } catch { Issue.record(error) }
            }
        }
    }

    @Test(arguments: [true, false], ["", "{\"Detach\":false}"])
    func carriesRawBytesBothWays(upgrade: Bool, body: String) async throws {
        try await withHTTPServer(Self.setUp) { server, path in
            try await httpBlocking {
                let client = try HTTPRawClient(path)
                let fields = upgrade ? "Connection: Upgrade\r\nUpgrade: tcp\r\n" : ""
                try client.send(
                    "POST /v1.43/attach HTTP/1.1\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
                let head = try client.receive(until: "\r\n\r\n")
                let status = upgrade ? "101 UPGRADED" : "200 OK"
                let answered = upgrade ? "Connection: Upgrade\r\nUpgrade: tcp\r\n" : ""
                #expect(head == "HTTP/1.1 \(status)\r\nContent-Type: \(Self.rawStream)\r\n\(answered)\r\n")
                #expect(try client.receive(until: "\n") == "body:\(body)\n")
                try client.send("hello\n")
                #expect(try client.receive(until: "\n") == "HELLO\n")
                // Ending the input leaves the output open.
                client.endOutput()
                #expect(try client.receiveToEnd() == "bye")
                client.close()
            }
            #expect(try await httpEventually { server.connectionCount == 0 })
        }
    }

    @Test(arguments: [true, false])
    func keepsBytesThatFollowTheRequestAtOnce(chunked: Bool) async throws {
        try await withHTTPServer(Self.setUp) { _, path in
            let body =
                chunked ? "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" : "Content-Length: 2\r\n\r\n{}"
            let reply = try await httpExchange(
                path, "POST /attach HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\(body)GET / raw\r\n\r\n")
            #expect(reply.hasSuffix("\r\n\r\nbody:{}\nGET / RAW\r\n\r\nbye"))
        }
    }

    @Test func aClientReadsTheEndThoughItsInputWasNotRead() async throws {
        try await withHTTPServer(Self.setUp) { _, path in
            try await httpBlocking {
                let client = try HTTPRawClient(path)
                try client.send("POST /ended HTTP/1.1\r\n\r\n")
                try client.send([UInt8](repeating: 0x61, count: 100_000))
                #expect(try client.receiveToEnd().hasSuffix("\r\n\r\nover"))
            }
        }
    }

    @Test func pythonClientsGetTheHeadByItself() async throws {
        try await withHTTPServer(Self.setUp) { _, path in
            try await httpBlocking {
                let client = try HTTPRawClient(path)
                try client.send("POST /ended HTTP/1.1\r\nUser-Agent: docker-sdk-python/7.1.0\r\n\r\n")
                #expect(String(decoding: try client.receive(), as: UTF8.self).hasSuffix("raw-stream\r\n\r\n"))
                #expect(try client.receiveToEnd() == "over")
            }
        }
    }

    @Test func outputWaitsForASlowClient() async throws {
        let written = HTTPCounters()
        let total = Mutex(0)
        try await withHTTPServer { router in
            router.on("POST", "/flood") { _, _ in
                .hijack(contentType: Self.rawStream) { connection in
                    do {
                        try await written.count {
                            for _ in 0..<1_000 {
                                try await connection.write([UInt8](repeating: 0, count: 65_536))
                                total.withLock { $0 += 65_536 }
                            }
                        }
                    } catch {
                        // Expected: the client leaves half-way.
                    }
                }
            }
        } _: { server, path in
            let client = try HTTPRawClient(path)
            try client.send("POST /flood HTTP/1.1\r\n\r\n")
            #expect(try await httpEventually { total.withLock { $0 } > 0 })
            try await Task.sleep(for: .milliseconds(200))
            #expect(total.withLock { $0 } < 4 << 20)
            client.close()
            #expect(try await httpEventually { written.failed == 1 && server.connectionCount == 0 })
        }
    }

    @Test func stoppingTheServerEndsAHijack() async throws {
        try await withHTTPServer { router in
            router.on("POST", "/attach") { _, _ in
                .hijack(contentType: Self.rawStream) { connection in
                    await #expect(throws: CancellationError.self) { _ = try await connection.read() }
                }
            }
        } _: { server, path in
            let client = try HTTPRawClient(path)
            try client.send("POST /attach HTTP/1.1\r\n\r\n")
            try await httpBlocking { _ = try client.receive(until: "\r\n\r\n") }
            await server.stop(grace: .seconds(5))
            #expect(try await httpBlocking { try client.receiveToEnd() } == "")
        }
    }
}
