import ArgumentParser
import EngineWire
import StackModel
import Testing

@testable import gantry

@Suite struct GlobalOptionsTests {
    @Test(arguments: [
        (["-f", "a", "-p", "x", "logs", "-f", "web"], ["logs", "--file", "a", "--project-name", "x", "-f", "web"]),
        (["--file=a", "-fb", "-f=c", "up"], ["up", "--file", "a", "--file", "b", "--file", "c"]),
        (["--strict", "-H", "unix:///x", "ps", "-a"], ["ps", "--strict", "--host", "unix:///x", "-a"]),
        (["up", "-d", "-f", "a"], ["up", "-d", "-f", "a"]),
        (["-p", "x", "exec", "web", "-p"], ["exec", "--project-name", "x", "web", "-p"]),
        (["-p", "x", "--help"], ["--help"]), (["--version"], ["--version"]), (["-p", "x"], []), ([], []),
        (["-p", "x", "help", "up"], ["help", "up"]), (["-p", "ps"], []), (["--bogus", "up"], ["--bogus", "up"]),
        (["-p"], ["--project-name"]),
        (["-p", "x", "rollout", "status"], ["rollout", "status", "--project-name", "x"]),
        (["-H", "h", "job", "-p", "x", "ls", "-q"], ["job", "ls", "--host", "h", "--project-name", "x", "-q"]),
        (["job", "-p", "x"], ["job", "-p", "x"]), (["job", "-p"], ["job", "-p"]),
        (["-p", "x", "job", "--help"], ["job", "--project-name", "x", "--help"]),
    ]) func movesOptionsBehindTheCommand(_ arguments: [String], _ expected: [String]) {
        #expect(moveGlobalOptions(arguments) == expected)
    }

    private func parse<Command: ParsableCommand>(_ type: Command.Type, _ line: String) throws -> Command {
        let arguments = moveGlobalOptions(line.split(separator: " ").map(String.init))
        return try #require(try gantry.parse(arguments) as? Command)
    }

    @Test func fMeansFollowInLogs() throws {
        let logs = try parse(LogsCommand.self, "-f a.yaml logs -f -n 5 -t --since 10m web")
        #expect(logs.file.files == ["a.yaml"])
        #expect(logs.follow)
        let selection = try logs.selection(now: noon)
        #expect(selection.tail == 5)
        #expect(selection.timestamps)
        #expect(selection.since == "1772365800.000000000")
        #expect(throws: CommandFailure.self) { try parse(LogsCommand.self, "logs -n many").selection(now: noon) }
        #expect(throws: CommandFailure.self) { try parse(LogsCommand.self, "logs --until soon").selection(now: noon) }
    }

    @Test func upTakesComposeFlags() throws {
        let up = try parse(UpCommand.self, "up -d --scale a=2 --scale b=0 --scale a=3 -t 5 -f x.yaml web db")
        #expect(up.detach)
        #expect(try scaleMap(up.scales) == ["a": 3, "b": 0])
        #expect(up.timeout == 5)
        #expect(up.file.files == ["x.yaml"])
        #expect(up.services == ["web", "db"])
        #expect(try parse(UpCommand.self, "up --wait --wait-timeout 1m30s").waitTimeout?.nanoseconds == 90_000_000_000)
        #expect(throws: (any Error).self) { try parse(UpCommand.self, "up --force-recreate --no-recreate") }
    }

    @Test(arguments: ["a", "a=", "=1", "a=-1", "a=x", "a=10001", "a=1.5", "a=٣"])
    func refusesScales(_ text: String) {
        #expect(ServiceScale(argument: text) == nil)
    }

    @Test func execPassesTheRestOn() throws {
        let exec = try parse(ExecCommand.self, "-p shop exec -T -e A=1 -u root -w / --index 2 web ls -la -u --help")
        #expect(exec.noTerminal)
        #expect(exec.words == ["web", "ls", "-la", "-u", "--help"])
        #expect(exec.index == 2)
        let request = exec.request(["ls"], tty: true)
        #expect(request.Env == ["A=1"])
        #expect(request.User == "root")
        #expect(request.WorkingDir == "/")
        #expect(request.Tty == true)
        #expect(request.AttachStdin == true)
        #expect(try serviceAndCommand(["--", "web", "ls"]) == ("web", ["ls"]))
        #expect(throws: CommandFailure.self) { try serviceAndCommand(["--bogus", "web"]) }
    }

    @Test func runBuildsItsRequest() throws {
        let line = "run --rm -e A=1=2 -e HOME -e NONE -l x=y -l z --entrypoint sh -P -T --no-deps web -c true"
        let run = try parse(RunCommand.self, line)
        let stack = Stack(name: "shop")
        let request = run.request(stack, "web", ["-c", "true"], tty: false, environment: ["HOME": "/root"])
        #expect(request.remove && request.servicePorts && request.noDependencies && request.stdinOpen)
        #expect(request.environment == ["A": "1=2", "HOME": "/root", "NONE": String?.none])
        #expect(request.labels == ["x": "y", "z": ""])
        #expect(request.entrypoint == ["sh"])
        #expect(request.command == ["-c", "true"])
        #expect(run.request(stack, "web", [], tty: false, environment: [:]).command == nil)
    }

    @Test func choosesAContainer() throws {
        let all = [
            container("web", 2), container("web", 1, state: .exited), container("web", 3),
            container("web", 1) { $0.oneOff = true }, container("db", 1, state: .exited),
        ]
        #expect(try chooseContainer(all, service: "web", index: nil).number == 2)
        #expect(try chooseContainer(all, service: "web", index: 3).number == 3)
        #expect(throws: CommandFailure.self) { try chooseContainer(all, service: "web", index: 1) }
        #expect(throws: CommandFailure.self) { try chooseContainer(all, service: "db", index: nil) }
        #expect(throws: noSuchService("nope", known: ["web", "db"])) {
            try chooseContainer(all, service: "nope", index: nil)
        }
    }

    @Test(arguments: [
        ("container.command-not-found", 127), ("container.command-not-executable", 126), ("image.not-found", 125),
    ]) func knowsWhyACommandDoesNotRun(_ code: String, _ exitCode: Int32) {
        #expect(runFailureCode([Diagnostic(code: code, "it does not run")]) == exitCode)
    }

    @Test func decidesOnColours() {
        #expect(usesColor(ansi: .auto, environment: ["TERM": "xterm"], isTerminal: true))
        #expect(!usesColor(ansi: .auto, environment: [:], isTerminal: false))
        #expect(!usesColor(ansi: .auto, environment: ["NO_COLOR": "1"], isTerminal: true))
        #expect(usesColor(ansi: .auto, environment: ["NO_COLOR": ""], isTerminal: true))
        #expect(!usesColor(ansi: .auto, environment: ["TERM": "dumb"], isTerminal: true))
        #expect(usesColor(ansi: .always, environment: ["NO_COLOR": "1"], isTerminal: false))
        #expect(!usesColor(ansi: .never, environment: [:], isTerminal: true))
    }

    @Test func checksProjectNames() {
        for name in ["shop", "1a", "a_b-c"] { #expect(isProjectName(name)) }
        for name in ["", "-a", "_a", "Shop", "a.b", "a b", "é"] { #expect(!isProjectName(name)) }
        #expect(folders(from: "/a/b") == ["/a/b", "/a", "/"])
    }
}

@Suite struct EnvironmentTests {
    @Test func readsVariables() {
        let bytes = Array("A=1\0B=x=y\0EMPTY=\0noise\0A=2\0".utf8)
        #expect(environment(from: bytes) == ["A": "1", "B": "x=y", "EMPTY": ""])
        #expect(environment(from: []) == [:])
        #expect(processEnvironment()["PATH"] != nil)
    }
}
