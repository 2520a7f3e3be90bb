import EngineClient
import Glibc
import LinuxSystem
import Testing

@testable import gantry

private let upgrade = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

private func containersJSON(_ state: String = "running") -> String {
    """
    [{"id":"c0ffee","name":"shop-web-1","stack":"shop","service":"web","number":1,"oneOff":false,"image":"i",
    "command":"c","state":"\(state)","createdAt":"2026-03-01T12:00:00Z","startedAt":"2026-03-01T12:00:01Z",
    "restarts":0,"ports":[],"addresses":{},"tty":false,"labels":{},"exitCode":3}]
    """
}

/// `exec`, `logs` and `up` of the real program against a fake engine.
@Suite struct ProcessProgramTests {
    @Test func execConnectsInputOutputAndExitCode() throws {
        let engine = try FakeEngine { request, connection in
            switch request.target {
            case "/stacks/shop/containers": connection.reply(containersJSON())
            case "/containers/c0ffee/exec": connection.reply(#"{"Id":"e1"}"#, status: "201 Created")
            case "/exec/e1/start":
                connection.write(upgrade)
                let input = connection.readToEnd()
                connection.write(frame(1, "got \(input.count)\n") + frame(2, "\u{1b}[31merror\n"))
            default: connection.reply(#"{"ID":"e1","Running":false,"ExitCode":42,"Pid":0}"#)
            }
        }
        let folder = try TemporaryFolder()
        // More than the socket takes at once.
        try FileSystem.replaceFile("\(folder.path)/in", with: repeatElement(UInt8(1), count: 1 << 20))
        let result = try runGantry(
            ["-p", "shop", "exec", "-e", "A=1", "web", "cat", "-n"], engine: engine, input: "\(folder.path)/in")
        #expect(result == ProgramResult(output: "got 1048576\n", errors: "\u{1b}[31merror\n", exitCode: 42))
        let created = engine.requests.first { $0.target == "/containers/c0ffee/exec" }
        let body = String(decoding: created?.body ?? [], as: UTF8.self)
        #expect(body.contains(#""Cmd":["cat","-n"]"#) && body.contains(#""Env":["A=1"]"#))
        #expect(body.contains(#""Tty":false"#))
    }

    @Test func execDoesNotBlockWhenNobodyReadsTheInput() throws {
        let engine = try FakeEngine { request, connection in
            switch request.target {
            case "/stacks/shop/containers": connection.reply(containersJSON())
            case "/containers/c0ffee/exec": connection.reply(#"{"Id":"e1"}"#)
            case "/exec/e1/start": connection.write(Array(upgrade.utf8) + frame(1, "bye\n"))
            default: connection.reply(#"{"ID":"e1","Running":false,"ExitCode":0,"Pid":0}"#)
            }
        }
        let result = try runGantry(["-p", "shop", "exec", "web", "true"], engine: engine, input: "/dev/zero")
        #expect(result == ProgramResult(output: "bye\n", errors: "", exitCode: 0))
    }

    @Test func execHasDockersCodesForItsOwnFailures() throws {
        let engine = try FakeEngine { request, connection in
            switch request.target {
            case "/stacks/shop/containers": connection.reply(containersJSON())
            case "/containers/c0ffee/exec": connection.reply(#"{"Id":"e1"}"#)
            default:
                let diagnostic =
                    #"{"severity":"error","code":"container.command-not-found","message":"x: program not found"}"#
                let body = #"{"message":"x: program not found","diagnostics":["# + diagnostic + "]}"
                connection.reply(body, status: "400 Bad Request")
            }
        }
        let missing = try runGantry(["-p", "shop", "exec", "web", "x"], engine: engine)
        #expect(
            missing
                == ProgramResult(output: "", errors: "error: x: program not found\n", exitCode: 127))
        let stopped = try FakeEngine { _, connection in connection.reply(containersJSON("exited")) }
        let result = try runGantry(["-p", "shop", "exec", "web", "x"], engine: stopped)
        #expect(result.exitCode == 125)
        #expect(result.errors == "error: service 'web' is not running\nhelp: `gantry ps -a` shows what it did\n")
    }

    @Test func logsAreMergedByTime() throws {
        let engine = try FakeEngine { request, connection in
            switch request.target {
            case "/stacks/shop/containers":
                let one = containersJSON().dropFirst().dropLast()
                let other = one.split(separator: "\n").joined()
                    .replacing("c0ffee", with: "beef").replacing("web", with: "database")
                connection.reply("[\(one),\(other)]")
            case "/containers/beef/logs?stdout=1&stderr=1&tail=5&timestamps=1":
                connection.write("HTTP/1.1 200 OK\r\n\r\n")
                connection.write(frame(1, "2026-01-01T00:00:01Z b1\n2026-01-01T00:00:03Z b2\n"))
            case "/containers/c0ffee/logs?stdout=1&stderr=1&tail=5&timestamps=1":
                connection.write("HTTP/1.1 200 OK\r\n\r\n")
                connection.write(
                    frame(1, "2026-01-01T00:00:02Z ") + frame(1, "w1\n") + frame(2, "2026-01-01T00:00:04Z w2"))
            default: connection.reply("{}", status: "404 Not Found")
            }
        }
        let result = try runGantry(["-p", "shop", "logs", "-n", "5"], engine: engine)
        #expect(
            result
                == ProgramResult(
                    output: """
                        database-1  | b1
                        web-1       | w1
                        database-1  | b2
                        web-1       | w2

                        """, errors: "", exitCode: 0))
        let plain = try runGantry(["-p", "shop", "logs", "-n", "5", "--no-log-prefix", "-t", "web"], engine: engine)
        #expect(plain.output == "2026-01-01T00:00:02Z w1\n2026-01-01T00:00:04Z w2\n")
        let missing = try runGantry(["-p", "shop", "logs", "wep"], engine: engine)
        #expect(
            missing.errors == "error: there is no service 'wep' in the stack\nhelp: its services are database, web\n")
    }

    @Test func followsUntilNothingRuns() throws {
        let state = StateBox("running")
        let engine = try FakeEngine { request, connection in
            if request.target == "/stacks/shop/containers" { return connection.reply(containersJSON(state.value)) }
            if request.target.hasPrefix("/events") {
                connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                _ = connection.readToEnd()
                return
            }
            connection.write("HTTP/1.1 200 OK\r\n\r\n")
            connection.write(frame(1, "one\n"))
            state.value = "exited"
        }
        let result = try runGantry(["-p", "shop", "logs", "-f"], engine: engine)
        #expect(result == ProgramResult(output: "web-1  | one\n", errors: "", exitCode: 0))
    }
}
