import EngineAPI
import Glibc
import LinuxSystem
import Logging
import Synchronization
import Testing

@Suite(.serialized, .timeLimit(.minutes(2))) struct HTTPServerTests {
    private static func echo(_ router: inout Router) {
        router.on("GET", "/_ping") { _, _ in .text("OK") }
        router.on("POST", "/echo", bodyByteCountMax: 1 << 30) { request, _ in
            .full(status: 200, headers: [:], body: try await request.body.collect(byteCountMax: 4 << 20))
        }
        router.on("POST", "/ignore", bodyByteCountMax: 1 << 30) { _, _ in .empty() }
        router.on("POST", "/small", bodyByteCountMax: 8) { request, _ in
            .text("\(try await request.body.collect(byteCountMax: 100).count)")
        }
        router.on("GET", "/me") { request, _ in .text(request.peer.map { "\($0.processID) \($0.userID)" } ?? "?") }
        router.on("GET", "/stream") { _, _ in
            .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
                for number in 1...3 { try await writer.writeLine(["n": number]) }
            }
        }
        router.on("GET", "/cut") { _, _ in
            .stream(status: 200, headers: [:]) { writer in
                try await writer.write("part")
                throw HTTPError(500, "cut")
            }
        }
    }

    @Test func keepsTheConnectionForFurtherRequests() async throws {
        try await withHTTPServer(Self.echo, commonHeaders: ["Server": "Gantry"]) { _, path in
            try await httpBlocking {
                let client = try HTTPRawClient(path)
                for _ in 0..<3 {
                    try client.send("GET /v1.43/_ping HTTP/1.1\r\nHost: x\r\n\r\n")
                    let reply = try client.receiveReply()
                    #expect(reply.head.hasPrefix("HTTP/1.1 200 OK\r\n"))
                    #expect(reply.head.contains("\r\nServer: Gantry\r\n"))
                    #expect(reply.body == "OK")
                }
                try client.send("HEAD /_ping HTTP/1.1\r\nConnection: close\r\n\r\n")
                let last = try client.receiveToEnd()
                #expect(last.contains("Content-Length: 2\r\n"))
                #expect(last.contains("Connection: close\r\n"))
                #expect(last.hasSuffix("\r\n\r\n"))
            }
        }
    }

    @Test func answersPipelinedRequestsInOrder() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            let replies = try await httpExchange(
                path,
                "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /_ping HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\n"
            )
            let statuses = replies.split(separator: "\r\n").filter {
                $0.hasPrefix("HTTP/1.1 ") || $0.contains("HTTP/1.1 ")
            }
            #expect(statuses.count == 3, "\(replies)")
            #expect(replies.contains("\r\n\r\nabcHTTP/1.1 200 OK"))
            #expect(replies.contains("\r\n\r\nOKHTTP/1.1 404 Not Found"))
        }
    }

    @Test func takesChunkedBodies() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            let reply = try await httpExchange(
                path, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
            #expect(reply.hasSuffix("\r\n\r\nabcdefg"))
        }
    }

    @Test func carriesMegabytesBothWays() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            try await httpBlocking {
                let client = try HTTPRawClient(path)
                let body = String(repeating: "0123456789abcdef", count: 200_000)
                try client.send("POST /echo HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body)
                #expect(try client.receiveReply().body == body)
            }
        }
    }

    @Test func sendsStreamsAsChunks() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            let reply = try await httpExchange(path, "GET /stream HTTP/1.1\r\n\r\n")
            #expect(reply.contains("\r\nTransfer-Encoding: chunked\r\n"))
            #expect(reply.hasSuffix("\r\n\r\n8\r\n{\"n\":1}\n\r\n8\r\n{\"n\":2}\n\r\n8\r\n{\"n\":3}\n\r\n0\r\n\r\n"))
            let old = try await httpExchange(path, "GET /stream HTTP/1.0\r\n\r\n")
            #expect(!old.contains("chunked"))
            #expect(old.hasSuffix("\r\n\r\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"))
        }
    }

    @Test func aFailingStreamHasNoLastChunk() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            let reply = try await httpExchange(path, "GET /cut HTTP/1.1\r\n\r\nGET /_ping HTTP/1.1\r\n\r\n")
            #expect(reply.hasSuffix("4\r\npart\r\n"))
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\n\n", 400),
        ("POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET /\(String(repeating: "a", count: 70_000)) HTTP/1.1\r\n\r\n", 431), ("GET /_ping HTTP/1.1\r\nA", 400),
        ("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400), ("GET /%zz HTTP/1.1\r\n\r\n", 400),
        ("POST /small HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 413), ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
        ("POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n", 413),
    ])
    func refusesBadRequestsAndGoesOn(request: String, status: Int) async throws {
        try await withHTTPServer(Self.echo) { _, path in
            let reply = try await httpExchange(path, request)
            #expect(reply.hasPrefix("HTTP/1.1 \(status) "), "\(reply)")
            #expect(reply.contains("{\"diagnostics\":[],\"message\":"))
            #expect(try await httpExchange(path, "GET /_ping HTTP/1.1\r\n\r\n").hasSuffix("OK"))
        }
    }

    @Test func readsOverASmallUnreadBody() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            let replies = try await httpExchange(
                path, "POST /ignore HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345GET /_ping HTTP/1.1\r\n\r\n")
            let heads = replies.split(separator: "\r\n").filter { !$0.hasPrefix("Date: ") }
            #expect(heads.prefix(2) == ["HTTP/1.1 204 No Content", "HTTP/1.1 200 OK"], "\(replies)")
        }
    }

    @Test func closesAfterALargeUnreadBody() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            try await httpBlocking {
                let client = try HTTPRawClient(path)
                try client.send("POST /ignore HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n")
                #expect(try client.receiveReply().head.hasPrefix("HTTP/1.1 204 "))
                do throws(SystemError) {
                    try client.send([UInt8](repeating: 0, count: 2 << 20))
                } catch {
                    // The server waits for the rest for two seconds only, and this thread may come later.
                    #expect(error.code == EPIPE)
                    return
                }
                let rest = try client.receiveToEnd()
                #expect(rest == "")
            }
        }
    }

    @Test func sendsContinueWhenTheBodyIsWanted() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            try await httpBlocking {
                let client = try HTTPRawClient(path)
                try client.send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
                #expect(try client.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                try client.send("hi")
                #expect(try client.receiveReply().body == "hi")
                try client.send("POST /ignore HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
                let refused = try client.receiveToEnd()
                #expect(refused.hasPrefix("HTTP/1.1 204 "))
                #expect(refused.contains("Connection: close"))
            }
        }
    }

    @Test func knowsWhoAsks() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            let reply = try await httpExchange(path, "GET /me HTTP/1.1\r\n\r\n")
            #expect(reply.hasSuffix("\r\n\r\n\(getpid()) \(getuid())"))
        }
    }

    @Test func aClientThatLeavesCancelsItsHandler() async throws {
        let counters = HTTPCounters()
        try await withHTTPServer { router in
            router.on("POST", "/wait") { _, _ in
                try await counters.count { try await Task.sleep(for: .seconds(60)) }
                return .empty()
            }
            router.on("GET", "/endless") { _, _ in
                .stream(status: 200, headers: [:]) { writer in
                    try await counters.count {
                        while true { try await writer.write([UInt8](repeating: 0, count: 65_536)) }
                    }
                }
            }
        } _: { server, path in
            for request in ["POST /wait HTTP/1.1\r\n\r\n", "GET /endless HTTP/1.1\r\n\r\n"] {
                let client = try HTTPRawClient(path)
                try client.send(request)
                #expect(try await httpEventually { counters.running == 1 })
                client.close()
                #expect(try await httpEventually { counters.running == 0 })
            }
            #expect(counters.failed == 2)
            #expect(try await httpEventually { server.connectionCount == 0 })
        }
    }

    @Test func abortedStreamsLeaveNothingOpen() async throws {
        let counters = HTTPCounters()
        try await withHTTPServer { router in
            router.on("GET", "/endless") { _, _ in
                .stream(status: 200, headers: [:]) { writer in
                    try await counters.count { while true { try await writer.write("line\n") } }
                }
            }
        } _: { server, path in
            let before = try FileSystem.list("/proc/self/fd").count
            for _ in 0..<500 {
                try await httpBlocking {
                    let client = try HTTPRawClient(path)
                    try client.send("GET /endless HTTP/1.1\r\n\r\n")
                    _ = try client.receive(until: "line\n")
                    client.close()
                }
            }
            #expect(try await httpEventually { server.connectionCount == 0 })
            #expect(try await httpEventually { counters.running == 0 })
            // Other tests run beside this one and have files of their own, but not one for each of the streams.
            #expect(
                try await httpEventually {
                    // A folder that cannot be read is no success, and is read again.
                    ((try? FileSystem.list("/proc/self/fd").count) ?? .max) <= before + 250
                })
        }
    }

    @Test func stopsGracefully() async throws {
        let counters = HTTPCounters()
        try await withHTTPServer { router in
            Self.echo(&router)
            router.on("GET", "/slow") { _, _ in
                try await counters.count { try await Task.sleep(for: .milliseconds(300)) }
                return .text("done")
            }
            router.on("GET", "/endless") { _, _ in
                .stream(status: 200, headers: [:]) { writer in
                    try await counters.count { try await Task.sleep(for: .seconds(60)) }
                }
            }
        } _: { server, path in
            let idle = try HTTPRawClient(path)
            let slow = try HTTPRawClient(path)
            let endless = try HTTPRawClient(path)
            try slow.send("GET /slow HTTP/1.1\r\n\r\n")
            try endless.send("GET /endless HTTP/1.1\r\n\r\n")
            #expect(try await httpEventually { counters.running == 2 })
            await server.stop(grace: .seconds(10))
            #expect(counters.failed == 1)
            try await httpBlocking {
                let (answer, stream, nothing) = try (slow.receiveToEnd(), endless.receiveToEnd(), idle.receiveToEnd())
                #expect(answer.hasSuffix("done"))
                #expect(!stream.hasSuffix("0\r\n\r\n"))
                #expect(nothing == "")
            }
            #expect(!FileSystem.exists(path))
            #expect(throws: SystemError.self) { try HTTPRawClient(path) }
        }
    }

    @Test func theSocketIsForItsGroupAndReplacedOnlyWhenDead() async throws {
        try await withHTTPServer(Self.echo) { _, path in
            var status = stat()
            #expect(lstat(path, &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o660)
            let second = HTTPServer(router: Router(), socketPath: path, logger: Logger(label: "test"))
            await #expect(throws: HTTPServerError.addressInUse(path: path)) { try await second.start() }
            #expect(try await httpExchange(path, "GET /_ping HTTP/1.1\r\n\r\n").hasSuffix("OK"))
            let file = FileSystem.parent(of: path) + "/file"
            try FileSystem.replaceFile(file, with: [1])
            let third = HTTPServer(router: Router(), socketPath: file, logger: Logger(label: "test"))
            await #expect(throws: HTTPServerError.notASocket(path: file)) { try await third.start() }
        }
        let folder = try httpTemporaryFolder()
        defer { #expect(throws: Never.self) { try FileSystem.removeTree(folder) } }
        let path = "\(folder)/dead.sock"
        // A socket that is bound and closed, as after a crash.
        let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        close(raw)
        #expect(FileSystem.exists(path))
        let server = HTTPServer(router: Router(), socketPath: path, logger: Logger(label: "test"))
        try await server.start()
        #expect(try await httpExchange(path, "GET /_ping HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 404 "))
        await server.stop()
        #expect(!FileSystem.exists(path))
    }
}

/// How many handlers are at work, and how many ended by an error.
final class HTTPCounters: Sendable {
    private let counts = Mutex((running: 0, failed: 0))
    var running: Int { counts.withLock { $0.running } }
    var failed: Int { counts.withLock { $0.failed } }

    func count(_ body: () async throws -> Void) async throws {
        counts.withLock { $0.running += 1 }
        defer { counts.withLock { $0.running -= 1 } }
        do {
            try await body()
        } catch {
            counts.withLock { $0.failed += 1 }
            throw error
        }
    }
}
