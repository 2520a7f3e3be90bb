import EngineClient
import EngineWire
import Glibc
import LinuxSystem
import StackFile
import StackModel
import Testing

@testable import gantry

/// The real program against a fake engine.
@Suite struct ProgramTests {
    @Test func saysThatTheEngineDoesNotRun() throws {
        let result = try runGantry(["-p", "shop", "ps"])
        #expect(
            result
                == ProgramResult(
                    output: "",
                    errors: """
                        error: the engine is not running: nothing answers on /nonexistent/gantry.sock
                        help: start it with `gantry engine`, or unset GANTRY_NO_AUTOSTART

                        """, exitCode: 1))
        #expect(try runGantry(["exec", "-p", "shop", "web", "ls"]).exitCode == 125)
        #expect(try runGantry(["version"]).output == "gantry \(gantryVersion)\nengine not running\n")
    }

    @Test func printsTheSchemaOfStackFiles() throws {
        let expected = ProgramResult(output: stackFileSchema(), errors: "", exitCode: 0)
        let isPrinted = try runGantry(["schema"]) == expected
        #expect(isPrinted)
    }

    @Test(arguments: [
        (["frobnicate"], "error: there is no command 'frobnicate'\nhelp: `gantry --help` lists the commands\n"),
        (["up", "--bogus"], "error: unknown option '--bogus'\nhelp: `gantry up --help` shows how it is used\n"),
        (
            ["-H", "npipe://1.2.3.4", "ps", "-p", "shop"],
            "error: hosts of the kind npipe:// are not supported\n"
                + "help: a host is written unix:///path/to/gantry.sock, ssh://user@machine or tcp://machine:2376\n"
        ),
        (
            ["-p", "Shop", "ps"],
            "error: 'Shop' is no project name\n"
                + "help: use lower-case letters, digits, '-' and '_', beginning with a letter or a digit\n"
        ),
        (
            ["down", "-t", "-5"],
            "error: missing value for '-t <timeout>'\nhelp: `gantry down --help` shows how it is used\n"
        ),
    ]) func endsWith2OnAWrongCommandLine(_ arguments: [String], _ message: String) throws {
        #expect(try runGantry(arguments) == ProgramResult(output: "", errors: message, exitCode: 2))
    }

    @Test func showsHelpOnStandardOutput() throws {
        for arguments in [[], ["--help"], ["exec", "--help"], ["logs", "-h"], ["help", "plan"]] {
            let result = try runGantry(arguments)
            #expect(result.exitCode == 0)
            #expect(result.output.hasPrefix("OVERVIEW: "))
            #expect(result.errors == "")
        }
    }

    @Test func showsProgressAndFailures() throws {
        let engine = try FakeEngine { request, connection in
            #expect(request.target == "/stacks/shop/stop")
            connection.stream([
                #"{"object":{"kind":"container","name":"shop-a-1","state":"working","status":"Stopping"}}"#,
                #"{"object":{"kind":"container","name":"shop-a-1","state":"failed","status":"Error"}}"#,
                #"{"failed":{"_0":[{"severity":"error","code":"x","message":"it does not stop","hint":"kill it"}]}}"#,
            ])
        }
        let lines = try runGantry(["-p", "shop", "stop"], engine: engine)
        #expect(
            lines
                == ProgramResult(
                    output: "",
                    errors: """
                        Container shop-a-1  Stopping
                        Container shop-a-1  Error
                        error: it does not stop
                        help: kill it

                        """, exitCode: 1))
        let json = try runGantry(["-p", "shop", "--progress", "json", "stop"], engine: engine)
        #expect(json.errors.hasPrefix(#"{"type":"object","time":""#))
        #expect(json.errors.contains(#""id":"Container shop-a-1","text":"Stopping","status":"Working","kind""#))
        let quiet = try runGantry(["-p", "shop", "stop", "--progress=quiet"], engine: engine)
        #expect(quiet.errors == "error: it does not stop\nhelp: kill it\n")
    }

    @Test func drawsProgressOnDemand() throws {
        let engine = try FakeEngine { _, connection in
            connection.stream([
                #"{"object":{"kind":"network","name":"shop_a","state":"done","status":"Removed"}}"#,
                #"{"done":{"changes":1}}"#,
            ])
        }
        let result = try runGantry(["-p", "shop", "down", "--progress", "tty"], engine: engine)
        #expect(result.exitCode == 0)
        #expect(result.errors.hasPrefix("\r[+] shop  1/1 done  0."))
        #expect(result.errors.contains("s\u{1b}[K\n\r └ ✔ network a  removed "))
    }

    @Test func plansWithoutAStackFile() throws {
        let reply = try json(
            PlanReply(
                stack: "shop", changes: [change(.start, .container, "service.a[1]", "r")],
                diagnostics: [Diagnostic(.warning, code: "x", "careful")]))
        let engine = try FakeEngine { request, connection in
            #expect(!String(decoding: request.body, as: UTF8.self).contains(#""stack""#))
            connection.reply(reply)
        }
        let plan = try runGantry(["-p", "shop", "plan"], engine: engine)
        #expect(
            plan.output
                == "Stack shop · not up · 1 to start\n\n~   service.a[1]  start: r\n\nDisruption: none expected.\n")
        #expect(plan.errors == "warning: careful\n")
        #expect(plan.exitCode == 0)
        #expect(try runGantry(["-p", "shop", "plan", "--detailed-exitcode"], engine: engine).exitCode == 2)
    }

    @Test func reconcilesAndTells() throws {
        let quiet = try json(PlanReply(stack: "shop"))
        let engine = try FakeEngine { request, connection in
            if request.target == "/stacks/shop/plan" {
                return connection.reply(quiet)
            }
            let body = String(decoding: request.body, as: UTF8.self)
            #expect(body.contains(#""wait":true"#) && body.contains(#""waitTimeout":30000000000"#))
            connection.stream([#"{"done":{"changes":0}}"#])
        }
        let text = try runGantry(["-p", "shop", "reconcile", "--wait-timeout", "30s"], engine: engine)
        #expect(text.output.hasPrefix("No changes.\nStack shop has converged: 0 changes in "))
        #expect(text.exitCode == 0)
        let json = try runGantry(
            ["-p", "shop", "reconcile", "--wait-timeout", "30", "--format", "json"], engine: engine)
        #expect(json.output.hasPrefix(#"{"stack":"shop","converged":true,"changes":0,"milliseconds":"#))
        let cut = try FakeEngine { request, connection in
            if request.target == "/stacks/shop/plan" {
                return connection.reply(quiet)
            }
        }
        let failed = try runGantry(["-p", "shop", "reconcile"], engine: cut)
        #expect(failed.exitCode == 1)
        #expect(failed.output.contains("Stack shop has not converged"))
    }

    @Test func ctrlCLeavesTheEngineAtWork() throws {
        let engine = try FakeEngine { _, connection in
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            let line = #"{"object":{"kind":"container","name":"a","state":"working","status":"Stopping"}}"# + "\n"
            connection.write("\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n")
            _ = connection.readToEnd()
        }
        let program = try GantryProgram(["-p", "shop", "down"], engine: engine)
        _ = try program.readErrors(until: "Stopping\n")
        program.send(SIGINT)
        let result = try program.finish()
        #expect(result.exitCode == 130)
        #expect(result.errors == "\ninterrupted: the engine goes on by itself; `gantry ps` shows how far it is\n")
    }

    @Test func loadsFromAFile() throws {
        let folder = try TemporaryFolder()
        try FileSystem.replaceFile("\(folder.path)/a.tar", with: Array("archive".utf8))
        let engine = try FakeEngine { request, connection in
            #expect(request.body == Array("archive".utf8))
            connection.stream([#"{"stream":"Loaded image: a:1\n"}"#])
        }
        let result = try runGantry(["load", "-i", "\(folder.path)/a.tar"], engine: engine)
        #expect(result == ProgramResult(output: "Loaded image: a:1\n", errors: "", exitCode: 0))
        #expect(try runGantry(["load", "-q", "-i", "\(folder.path)/a.tar"], engine: engine).output == "")
        let missing = try runGantry(["load", "-i", "/nonexistent.tar"], engine: engine)
        #expect(missing.errors == "error: open /nonexistent.tar: No such file or directory\n")
        #expect(missing.exitCode == 1)
    }

    @Test func startsTheEngineItself() throws {
        let engine = try FakeEngine { _, connection in connection.reply("[]") }
        let folder = try TemporaryFolder()
        let program = FileSystem.parent(of: try ownProgramPath()) + "/gantry"
        try FileSystem.replaceFile(
            "\(folder.path)/gantry", with: FileSystem.readFile(program, byteCountMax: 1 << 30), mode: 0o755)
        // Stands in for the supervisor: notes what it was asked, and makes an engine appear on the socket.
        let script = """
            #!/bin/sh
            echo "$@" > \(folder.path)/asked
            sleep 0.05
            exec ln -s \(engine.socketPath) \(folder.path)/new.sock
            """
        try FileSystem.replaceFile("\(folder.path)/gantry-supervisor", with: Array(script.utf8), mode: 0o755)
        let result = try runGantry(
            ["ls", "-q"],
            environment: [
                "GANTRY_NO_AUTOSTART": "", "GANTRY_HOST": "unix://\(folder.path)/new.sock",
                "GANTRY_DATA_ROOT": "\(folder.path)/data",
            ], program: "\(folder.path)/gantry")
        #expect(result == ProgramResult(output: "", errors: "", exitCode: 0))
        let asked = String(decoding: try FileSystem.readFile("\(folder.path)/asked"), as: UTF8.self)
        #expect(
            asked == "watch -- \(folder.path)/gantry engine --host unix://\(folder.path)/new.sock "
                + "--data-root \(folder.path)/data\n")
    }

    @Test func describesTheEngineToStart() {
        let launch = EngineLaunch(
            host: EngineHost(socketPath: "/s"), programFolder: "/usr/bin",
            environment: ["GANTRY_EXEC_ROOT": "run", "PATH": "/bin", "SECRET": "x"], workingDirectory: "/w")
        #expect(
            launch.arguments == [
                "/usr/bin/gantry-supervisor", "watch", "--", "/usr/bin/gantry", "engine", "--host", "unix:///s",
                "--exec-root", "/w/run",
            ])
        #expect(launch.environment == ["GANTRY_EXEC_ROOT=run", "PATH=/bin"])
        #expect(launch.logPath == "/var/lib/gantry/engine.log")
    }
}
