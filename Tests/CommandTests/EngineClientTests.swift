import EngineClient
import EngineWire
import Glibc
import LinuxSystem
import StackModel
import Testing

@Suite struct EngineClientTests {
    private func client(_ engine: FakeEngine) -> EngineClient {
        EngineClient(host: EngineHost(socketPath: engine.socketPath))
    }

    @Test func decodesAnAnswer() throws {
        let engine = try FakeEngine { _, connection in
            connection.reply(#"[{"Id":"sha256:aa","RepoTags":["a:1"],"Created":5,"Size":7}]"#)
        }
        #expect(
            try client(engine).images() == [ImageSummary(Id: "sha256:aa", RepoTags: ["a:1"], Created: 5, Size: 7)])
        #expect(engine.requests.map(\.target) == ["/images/json"])
    }

    @Test func namesOfImagesTravelWhole() throws {
        let engine = try FakeEngine { request, connection in
            connection.reply(request.method == "GET" ? "[]" : #"[{"Untagged":"a/b:1"},{"Deleted":"sha256:aa"}]"#)
        }
        let client = client(engine)
        #expect(
            try client.removeImage("r:5/a/b:1", force: true, noPrune: false) == [
                ImageDeletion(Untagged: "a/b:1"), ImageDeletion(Deleted: "sha256:aa"),
            ])
        #expect(try client.imageHistory("r:5/a/b:1") == [])
        #expect(try client.images(filters: ["reference": ["a*"]]) == [])
        let save = try client.saveImages(["a:1", "b/c"], format: "oci-archive")
        #expect(try save.readAll(byteCountMax: 10) == Array("[]".utf8))
        #expect(
            engine.requests.map(\.target) == [
                "/images/r%3A5%2Fa%2Fb%3A1?force=1", "/images/r%3A5%2Fa%2Fb%3A1/history",
                "/images/json?filters=%7B%22reference%22%3A%5B%22a%2A%22%5D%7D",
                "/images/get?names=a%3A1&names=b%2Fc&format=oci-archive",
            ])
    }

    @Test func showsWhyTheEngineRefused() throws {
        let engine = try FakeEngine { request, connection in
            switch request.target {
            case "/stacks": connection.reply(#"{"message":"docker's form"}"#, status: "404 Not Found")
            case "/version": connection.reply("plain text", status: "500 Internal Server Error")
            default:
                connection.reply(
                    #"{"message":"m","diagnostics":[{"severity":"error","code":"c.d","message":"why","hint":"do"}]}"#,
                    status: "409 Conflict")
            }
        }
        let client = client(engine)
        #expect(throws: EngineClientError.refused(status: 404, ErrorReply(message: "docker's form"))) {
            try client.stacks()
        }
        #expect(throws: EngineClientError.refused(status: 500, ErrorReply(message: "plain text"))) {
            try client.version()
        }
        let diagnostic = Diagnostic(code: "c.d", "why", hint: "do")
        #expect(
            throws: EngineClientError.refused(status: 409, ErrorReply(message: "m", diagnostics: [diagnostic]))
        ) { try client.images() }
    }

    @Test func tellsAnAbsentEngineFromABrokenOne() throws {
        let absent = EngineClient(host: EngineHost(socketPath: "/nonexistent/gantry.sock"))
        #expect(throws: EngineClientError.notRunning(socket: "/nonexistent/gantry.sock")) { try absent.ping() }
        #expect(try !absent.isAnswering())
        let silent = try FakeEngine { _, _ in }
        #expect(throws: EngineClientError.cut) { try client(silent).ping() }
        let other = try FakeEngine { _, connection in connection.write("220 mail.example ESMTP\r\n") }
        #expect(throws: EngineClientError.malformed(.badStatusLine)) { try client(other).version() }
        let wrong = try FakeEngine { _, connection in connection.reply("{}") }
        #expect(throws: EngineClientError.unexpectedAnswer("the version")) { try client(wrong).version() }
    }

    @Test func givesProgressAsItComes() throws {
        let engine = try FakeEngine { _, connection in
            connection.stream([
                #"{"object":{"kind":"container","name":"shop-a-1","state":"working","status":"Creating"}}"#,
                #"{"done":{"changes":3}}"#,
            ])
        }
        let stream = try client(engine).apply(stack: "shop", ApplyRequest(stack: nil))
        var events: [ProgressEvent] = []
        while let batch = try stream.receive() { events += batch }
        #expect(
            events == [
                .object(kind: .container, name: "shop-a-1", state: .working, status: "Creating"), .done(changes: 3),
            ])
        #expect(engine.requests.first?.target == "/stacks/shop/apply")
        let body = String(decoding: engine.requests.first?.body ?? [], as: UTF8.self)
        #expect(body.contains(#""wait":false"#))
    }

    @Test func noticesAProgressThatWasCut() throws {
        let engine = try FakeEngine { _, connection in
            connection.stream([#"{"object":{"kind":"network","name":"n","state":"done","status":"Created"}}"#])
        }
        let stream = try client(engine).down(stack: "shop", DownRequest())
        #expect(throws: EngineClientError.cut) { while try stream.receive() != nil {} }
    }

    @Test(arguments: [UInt64?.none, 600_000]) func loadsAnArchive(length: UInt64?) throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/image.tar"
        try FileSystem.replaceFile(path, with: repeatElement(UInt8(7), count: 600_000))
        let engine = try FakeEngine { request, connection in
            // The chunked form is read up to its last chunk; the other one has been read as the body.
            var bytes: [UInt8] = []
            while request.headers["transfer-encoding"] != nil, !bytes.suffix(5).elementsEqual(Array("0\r\n\r\n".utf8)) {
                bytes += connection.read(upTo: 64 << 10)
            }
            let count = (bytes + request.body).count { $0 == 7 }
            connection.stream([#"{"stream":"Loaded image: a:\#(count)\n"}"#, #"{"error":"no space"}"#])
        }
        var messages: [LoadMessage] = []
        let file = try FileDescriptor.open(path, O_RDONLY)
        try client(engine).loadImages(from: file, length: length) { messages.append($0) }
        #expect(messages == [.text("Loaded image: a:600000\n"), .failed("no space")])
    }

    @Test func takesTheConnectionOver() throws {
        let engine = try FakeEngine { request, connection in
            guard request.headers["upgrade"] == "tcp" else { return }
            connection.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            connection.write(frame(2, String(decoding: connection.readToEnd().reversed(), as: UTF8.self)))
        }
        let output = try client(engine).attach("abc", stdin: true, raw: false)
        #expect(try output.receiveHead().isEmpty)
        try output.stream.send(Array("hello".utf8))
        try output.stream.closeWrite()
        var frames: [StreamFrame] = []
        while let batch = try output.receive() { frames += batch }
        #expect(frames == [StreamFrame(.error, Array("olleh".utf8))])
        #expect(engine.requests.first?.target == "/containers/abc/attach?stream=1&stdout=1&stderr=1&stdin=1")
    }
}
