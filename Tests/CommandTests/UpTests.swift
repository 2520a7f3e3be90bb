import EngineClient
import Glibc
import LinuxSystem
import Testing

@testable import gantry

/// Commands that read a stack file, with the real program and a fake engine.
@Suite struct UpTests {
    private let folder: TemporaryFolder
    private var file: String { "\(folder.path)/compose.yaml" }

    init() throws {
        folder = try TemporaryFolder()
        let text = "name: shop\nservices:\n  web:\n    image: web:1\n  db:\n    image: db:1\n"
        try FileSystem.replaceFile("\(folder.path)/compose.yaml", with: Array(text.utf8))
    }

    @Test func sendsTheStackAndTheFlags() throws {
        let engine = try FakeEngine { _, connection in connection.stream([#"{"done":{"changes":2}}"#]) }
        let result = try runGantry(
            ["-f", file, "up", "-d", "--scale", "web=2", "--remove-orphans", "--no-deps", "web"], engine: engine)
        #expect(result == ProgramResult(output: "", errors: "", exitCode: 0))
        #expect(engine.requests.map(\.target) == ["/stacks/shop/apply"])
        let body = String(decoding: engine.requests.first?.body ?? [], as: UTF8.self)
        for part in [
            #""scale":{"web":2}"#, #""services":["web"]"#, #""removeOrphans":true"#, #""noDependencies":true"#,
        ] {
            #expect(body.contains(part))
        }
    }

    @Test func showsWhereAStackFileIsWrong() throws {
        let wrong = "\(folder.path)/wrong.yaml"
        try FileSystem.replaceFile(wrong, with: Array("services:\n  web:\n    imagge: web:1\n".utf8))
        let result = try runGantry(["-f", wrong, "up", "-d"])
        #expect(result.exitCode == 3)
        #expect(try runGantry(["-f", wrong, "config"]).exitCode == 1)
        #expect(result.output == "")
        #expect(result.errors.contains("wrong.yaml:3:5: error[stack."))
        #expect(result.errors.contains("    imagge: web:1\n"))
    }

    @Test func showsTheStackAndItsParts() throws {
        #expect(try runGantry(["-f", file, "config", "--services"]).output == "db\nweb\n")
        #expect(try runGantry(["-f", file, "config", "--images"]).output == "db:1\nweb:1\n")
        #expect(try runGantry(["-f", file, "config", "-q"]) == ProgramResult(output: "", errors: "", exitCode: 0))
        let text = try runGantry(["-f", file, "config"]).output
        #expect(text.hasPrefix("name: shop\n"))
        #expect(try runGantry(["-f", file, "config", "-o", "\(folder.path)/out.yaml"]).output == "")
        #expect(try FileSystem.readFile("\(folder.path)/out.yaml") == Array(text.utf8))
    }

    @Test func scalesServices() throws {
        let engine = try FakeEngine { _, connection in connection.stream([#"{"done":{"changes":2}}"#]) }
        #expect(try runGantry(["-f", file, "scale", "web=3"], engine: engine).exitCode == 0)
        let body = String(decoding: engine.requests.first?.body ?? [], as: UTF8.self)
        #expect(body.contains(#""scale":{"web":3}"#))
    }

    /// An engine with one container `web` that writes a line and goes on.
    private func running(kill: String, stop: @escaping @Sendable (FakeEngine.Connection) -> Void) throws -> FakeEngine {
        try FakeEngine { request, connection in
            switch request.target {
            case "/stacks/shop/apply":
                connection.stream([
                    #"{"object":{"kind":"container","name":"shop-web-1","state":"done","status":"Started"}}"#,
                    #"{"done":{"changes":1}}"#,
                ])
            case "/stacks/shop/containers":
                connection.reply(
                    """
                    [{"id":"c1","name":"shop-web-1","stack":"shop","service":"web","number":1,"oneOff":false,
                    "image":"i","command":"c","state":"running","createdAt":"2026-03-01T12:00:00Z",
                    "startedAt":"2026-03-01T12:00:00Z","restarts":0,"ports":[],"addresses":{},"tty":false,"labels":{}}]
                    """)
            case "/stacks/shop/stop": stop(connection)
            case "/stacks/shop/kill": connection.stream([kill, #"{"done":{"changes":1}}"#])
            default:
                connection.write("HTTP/1.1 200 OK\r\n\r\n")
                if request.target.hasPrefix("/containers/c1/logs?") { connection.write(frame(1, "hello\n")) }
                _ = connection.readToEnd()
            }
        }
    }

    @Test func ctrlCStopsTheStack() throws {
        let engine = try running(kill: "") { connection in
            connection.stream([
                #"{"object":{"kind":"container","name":"shop-web-1","state":"done","status":"Stopped"}}"#,
                #"{"done":{"changes":1}}"#,
            ])
        }
        let program = try GantryProgram(["-f", file, "up"], engine: engine)
        #expect(try program.readOutput() == "web-1  | hello\n")
        program.send(SIGINT)
        let result = try program.finish()
        #expect(result.exitCode == 130)
        #expect(
            result.errors == """
                Container shop-web-1  Started

                Stopping; press Ctrl-C again to kill.
                Container shop-web-1  Stopped

                """)
        let logs = engine.requests.first { $0.target.hasPrefix("/containers/c1/logs?") }
        #expect(logs?.target.contains("follow=1&timestamps=1&since=") == true)
    }

    @Test func theSecondCtrlCKills() throws {
        let killed = #"{"object":{"kind":"container","name":"shop-web-1","state":"done","status":"Killed"}}"#
        let engine = try running(kill: killed) { connection in
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            _ = connection.readToEnd()
        }
        let program = try GantryProgram(["-f", file, "up"], engine: engine)
        #expect(try program.readOutput() == "web-1  | hello\n")
        program.send(SIGINT)
        _ = try program.readErrors(until: "again to kill.\n")
        program.send(SIGINT)
        let result = try program.finish()
        #expect(result.exitCode == 130)
        #expect(result.errors == "Container shop-web-1  Killed\n")
        #expect(engine.requests.contains { $0.target == "/stacks/shop/kill" })
    }

    @Test func runConnectsToANewContainer() throws {
        let engine = try FakeEngine { request, connection in
            switch request.target {
            case "/stacks/shop/run": connection.reply(#"{"id":"r1","name":"shop-web-run-1"}"#, status: "201 Created")
            case "/containers/r1/attach?stream=1&stdout=1&stderr=1&stdin=1":
                connection.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                _ = connection.readToEnd()
                connection.write(frame(1, "ran\n"))
            case "/containers/r1/start": connection.write("HTTP/1.1 204 No Content\r\n\r\n")
            default: connection.reply(#"{"StatusCode":9}"#)
            }
        }
        let result = try runGantry(["-f", file, "run", "--rm", "web", "false"], engine: engine)
        #expect(result == ProgramResult(output: "ran\n", errors: "", exitCode: 9))
        let order = engine.requests.map { String($0.target.prefix { $0 != "?" }) }
        #expect(order.prefix(2) == ["/stacks/shop/run", "/containers/r1/attach"])
        // Sent in this order, but on two connections, which may be served in any.
        #expect(order.dropFirst(2).sorted() == ["/containers/r1/start", "/containers/r1/wait"])
        let detached = try runGantry(["-f", file, "run", "-d", "web"], engine: engine)
        #expect(detached == ProgramResult(output: "shop-web-run-1\n", errors: "", exitCode: 0))
        let unknown = try runGantry(["-f", file, "run", "wep"], engine: engine)
        #expect(unknown.exitCode == 125)
    }
}
