import Dispatch
import EngineAPI
import Glibc
import LinuxSystem
import Testing

/// Clients that send nothing, slowly or too much, and those that do not read.
@Suite(.serialized, .timeLimit(.minutes(2))) struct HTTPLimitTests {
    private static let counters = HTTPCounters()

    private static func routes(_ router: inout Router) {
        router.on("GET", "/_ping") { _, _ in .text("OK") }
        router.on("POST", "/document") { request, _ in
            .text("\(try await request.body.collect(byteCountMax: 1 << 20).count)")
        }
        router.on("POST", "/archive", bodyByteCountMax: .max) { request, _ in
            var count = 0
            for try await piece in request.body { count += piece.count }
            return .text("\(count)")
        }
        router.on("GET", "/endless") { _, _ in
            .stream(status: 200, headers: [:]) { writer in
                try await counters.count {
                    while true { try await writer.write([UInt8](repeating: 0x61, count: 64 << 10)) }
                }
            }
        }
        router.on("POST", "/taken") { _, _ in
            .hijack(contentType: "text/plain") { connection in
                do {
                    while let bytes = try await connection.read() { try await connection.write(bytes) }
                } catch {
                    // The client has gone: that is the end.
                }
            }
        }
    }

    private static var short: HTTPConnectionLimits {
        var limits = HTTPConnectionLimits()
        (limits.headMilliseconds, limits.firstByteMilliseconds, limits.idleMilliseconds) = (300, 300, 300)
        (limits.documentMilliseconds, limits.stallMilliseconds) = (300, 300)
        return limits
    }

    /// A byte every 50 ms keeps no connection for ever.
    @Test(arguments: ["GET /_ping HTTP/1.1\r\nX: ", "POST /document HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"])
    func slowRequestsAreAnswered408(beginning: String) async throws {
        try await withHTTPServer(Self.routes, limits: Self.short) { server, path in
            let reply = try await httpBlocking {
                let client = try HTTPRawClient(path)
                try client.send(beginning)
                for _ in 0..<12 {
                    usleep(50_000)
                    do { try client.send("a") } catch { break }  // The server has closed.
                }
                return try client.receiveToEnd()
            }
            #expect(reply.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"), "\(reply)")
            #expect(reply.contains("did not come in time"))
            #expect(try await httpEventually { server.connectionCount == 0 })
        }
    }

    @Test func anArchiveMayTakeLongButNotStop() async throws {
        // Longer than a busy machine keeps the client from its next byte. All of it takes longer than a document may.
        var limits = Self.short
        limits.stallMilliseconds = 3_000
        try await withHTTPServer(Self.routes, limits: limits) { _, path in
            let (whole, stopped) = try await httpBlocking {
                let client = try HTTPRawClient(path)
                try client.send("POST /archive HTTP/1.1\r\nContent-Length: 12\r\n\r\n")
                for _ in 0..<12 {
                    usleep(50_000)
                    try client.send("a")
                }
                let whole = try client.receiveReply()
                try client.send("POST /archive HTTP/1.1\r\nContent-Length: 12\r\n\r\na")
                return (whole, try client.receiveToEnd())
            }
            #expect(whole.body == "12")
            #expect(stopped.hasPrefix("HTTP/1.1 408 "), "\(stopped)")
        }
    }

    /// On a port: before a request, and between two. A Unix socket's clients are users of this machine.
    @Test func silentConnectionsEnd() async throws {
        try await withHTTPServer(Self.routes, limits: Self.short) { server, path in
            let port = try #require(server.ports.first)
            try await httpBlocking {
                let silent = try HTTPRawClient(port: port)
                #expect(try silent.receiveToEnd() == "")
                let kept = try HTTPRawClient(port: port)
                try kept.send("GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(try kept.receiveReply().body == "OK")
                #expect(try kept.receiveToEnd() == "")
                let local = try HTTPRawClient(path)
                usleep(600_000)
                try local.send("GET /_ping HTTP/1.1\r\n\r\n")
                #expect(try local.receiveReply().body == "OK")
            }
        }
    }

    @Test func onePeerDoesNotTakeAllConnections() async throws {
        var limits = HTTPConnectionLimits()
        limits.connectionsPerPeerMax = 3
        try await withHTTPServer(Self.routes, limits: limits) { server, path in
            let port = try #require(server.ports.first)
            try await httpBlocking {
                let ping = "GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
                let kept = try (0..<3).map { _ in try HTTPRawClient(path) }
                for client in kept {
                    try client.send(ping)
                    #expect(try client.receiveReply().body == "OK")
                }
                let next = try HTTPRawClient(path).receiveToEnd()
                #expect(next.hasPrefix("HTTP/1.1 503 ") && next.contains("too many connections"), "\(next)")
                // Another peer: an address in place of a user.
                let other = try HTTPRawClient(port: port)
                try other.send(ping)
                #expect(try other.receiveReply().body == "OK")
                kept[0].close()
            }
            #expect(
                try await httpEventually {
                    do {
                        let client = try HTTPRawClient(path)
                        try client.send("GET /_ping HTTP/1.1\r\n\r\n")
                        return try client.receiveReply().body == "OK"
                    } catch {
                        return false  // Refused: the place of the one that has gone is not free yet.
                    }
                })
        }
    }

    @Test func onePeerDoesNotTakeAllStreams() async throws {
        var limits = HTTPConnectionLimits()
        limits.streamsPerPeerMax = 2
        try await withHTTPServer(Self.routes, limits: limits) { _, path in
            try await httpBlocking {
                let stream = try HTTPRawClient(path)
                try stream.send("GET /endless HTTP/1.1\r\n\r\n")
                #expect(try stream.receive(until: "\r\n\r\n").contains(" 200 "))
                let taken = try HTTPRawClient(path)
                try taken.send("POST /taken HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                #expect(try taken.receive(until: "\r\n\r\n").contains(" 101 "))
                for request in ["GET /endless", "POST /taken"] {
                    let third = try HTTPRawClient(path)
                    try third.send("\(request) HTTP/1.1\r\nConnection: close\r\n\r\n")
                    let reply = try third.receiveToEnd()
                    #expect(reply.hasPrefix("HTTP/1.1 503 ") && reply.contains("too many streams"), "\(reply)")
                }
                // Answers that end are none of these.
                let other = try HTTPRawClient(path)
                try other.send("GET /_ping HTTP/1.1\r\n\r\n")
                #expect(try other.receiveReply().body == "OK")
                taken.endOutput()
                _ = try taken.receiveToEnd()
                let again = try HTTPRawClient(path)
                try again.send("POST /taken HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                #expect(try again.receive(until: "\r\n\r\n").contains(" 101 "))
            }
        }
    }

    /// Two hundred clients ask for endless streams and do not read: others are served at once, and nothing grows.
    @Test func whoDoesNotReadHoldsNobodyUp() async throws {
        try await withHTTPServer(Self.routes) { server, path in
            let stalled = try (0..<200).map { _ in
                let client = try HTTPRawClient(path)
                try client.send("GET /endless HTTP/1.1\r\n\r\n")
                return client
            }
            #expect(try await httpEventually { Self.counters.running == 200 })
            // Other tests run beside this one and take time and memory, but not in each of the rounds.
            var rounds: [String] = []
            var isUnharmed = false
            while !isUnharmed, rounds.count < 5 {
                let before = try residentBytes()
                let longest = try await httpBlocking { try Self.longestPing(path) }
                let growth = try residentBytes() - before
                isUnharmed = longest < 1_000_000_000 && growth < 16 << 20
                rounds.append("\(longest) ns, \(growth) bytes")
            }
            #expect(isUnharmed, "\(rounds)")
            for client in stalled { client.close() }
            #expect(try await httpEventually { Self.counters.running == 0 && server.connectionCount == 0 })
        }
    }

    /// Of a hundred, in nanoseconds.
    private static func longestPing(_ path: String) throws -> UInt64 {
        var longest: UInt64 = 0
        for _ in 0..<100 {
            let begun = DispatchTime.now().uptimeNanoseconds
            let client = try HTTPRawClient(path)
            try client.send("GET /_ping HTTP/1.1\r\n\r\n")
            #expect(try client.receiveReply().body == "OK")
            longest = max(longest, DispatchTime.now().uptimeNanoseconds - begun)
        }
        return longest
    }

    private func residentBytes() throws -> Int {
        let text = String(decoding: try FileSystem.readFile("/proc/self/statm"), as: UTF8.self)
        return (Int(try #require(text.split(separator: " ").dropFirst().first)) ?? 0) * 4096
    }
}
