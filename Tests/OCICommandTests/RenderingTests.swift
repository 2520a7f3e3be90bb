import ContainerRuntime
import SupervisorPlan
import Testing

@testable import OCICommand

@Suite struct RenderingTests {
    private let noon: UInt64 = 1_795_262_400_000_000_000

    @Test func logLines() {
        #expect(
            Log.line(.error, "it \"broke\"\n", .json, nanoseconds: noon)
                == "{\"level\":\"error\",\"msg\":\"it \\\"broke\\\"\\n\",\"time\":\"2026-11-21T12:00:00Z\"}\n")
        #expect(
            Log.line(.warning, "odd", .text, nanoseconds: noon)
                == "time=\"2026-11-21T12:00:00Z\" level=warning msg=\"odd\"\n")
    }

    @Test func globalOptions() throws {
        let (options, rest) = try GlobalOptions.take(from: [
            "--root", "/r", "--log=/l", "--log-format", "json", "--systemd-cgroup=false", "--debug", "-criu", "x",
            "create", "--bundle", "/b", "id",
        ])
        #expect(options.root == "/r")
        #expect(options.log == "/l")
        #expect(options.logFormat == .json)
        #expect(options.debug)
        #expect(rest == ["create", "--bundle", "/b", "id"])
    }

    @Test(arguments: [
        ["--nosuch"], ["--systemd-cgroup"], ["--cgroup-manager", "systemd"], ["--cgroup-manager=x"],
        ["--log-format", "xml"], ["--rootless", "maybe"],
    ])
    func globalOptionsThatAreRefused(_ arguments: [String]) {
        #expect(throws: OCIError.self) { try GlobalOptions.take(from: arguments + ["list"]) }
    }

    @Test func theRootFollowsTheUser() throws {
        let environment = ["XDG_RUNTIME_DIR": "/run/user/7"]
        var options = GlobalOptions()
        #expect(try options.rootDirectory(environment: environment, isRoot: true) == "/run/gantry-oci")
        #expect(try options.rootDirectory(environment: environment, isRoot: false) == "/run/user/7/gantry-oci")
        options.rootless = "false"
        #expect(try options.rootDirectory(environment: environment, isRoot: false) == "/run/gantry-oci")
        options.root = "/x"
        #expect(try options.rootDirectory(environment: environment, isRoot: false) == "/x")
    }

    @Test func signals() throws {
        for text in ["9", "KILL", "SIGKILL", "sigkill"] { #expect(try SignalName.number(text) == 9) }
        #expect(try SignalName.number("RTMIN+3") == 37)
        #expect(try SignalName.number("SIGRTMAX-1") == 63)
        #expect(try SignalName.number("0") == 0)
        for text in ["", "NOSUCH", "65", "-1", "RTMIN+99", "RTMIN-1", "SIG", "99999999999"] {
            #expect(throws: OCIError.self, "\(text)") { try SignalName.number(text) }
        }
    }

    @Test func amountsOfMemory() throws {
        #expect(try UpdateCommand.bytes(nil) == nil)
        #expect(try UpdateCommand.bytes("-1") == -1)
        #expect(try UpdateCommand.bytes("64m") == 64 << 20)
        #expect(try UpdateCommand.bytes("2GB") == 2 << 30)
        for text in ["", "m", "-1m", "1.5g", "9999999999999t", "12x"] {
            #expect(throws: OCIError.self, "\(text)") { try UpdateCommand.bytes(text) }
        }
    }

    @Test func theLimitsOfTheCommandLine() throws {
        let command = try UpdateCommand.parse([
            "--memory", "64m", "--memory-swap", "-1", "--cpu-quota", "-1", "--cpuset-cpus", "0-1", "--pids-limit", "-1",
            "a",
        ])
        #expect(
            try command.document()
                == "{\"memory\":{\"limit\":67108864,\"swap\":-1},\"cpu\":{\"quota\":-1,\"cpus\":\"0-1\"},"
                + "\"pids\":{\"limit\":-1}}")
        let nothing = try UpdateCommand.parse(["a"])
        #expect(try nothing.document() == "{}")
    }

    @Test func zerosStayAsTheyAre() throws {
        let text = Array(#"{"memory":{"limit":0,"swap":5},"cpu":{"shares":0,"period":0},"pids":{"limit":0}}"#.utf8)
        var resources = try JSON.decode(RuntimeSpec.Resources.self, text, of: "test")
        resources.dropZeros()
        #expect(resources.memory?.limit == nil)
        #expect(resources.memory?.swap == 5)
        #expect(resources.cpu?.shares == nil)
        #expect(resources.pids == nil)
    }

    @Test func wrongJSONIsToldWithItsPlace() {
        let text = Array(#"{"ociVersion":"1.0.0","process":{"args":["a"],"cwd":"/","rlimits":[{"type":5}]}}"#.utf8)
        do {
            _ = try JSON.decode(RuntimeSpec.self, text, of: "config.json")
            Issue.record("it was taken")
        } catch {
            #expect(error.description.hasPrefix("config.json: process.rlimits.[0].type"))
        }
    }

    @Test func processesOfPs() throws {
        let output = "UID  PID CMD\nroot 1 init\nroot 22 sleep 1\nroot 222 x\n"
        #expect(try PsCommand.select([22], from: output) == "UID  PID CMD\nroot 22 sleep 1\n")
        #expect(throws: OCIError.self) { try PsCommand.select([22], from: "CMD\nx\n") }
    }

    @Test func aVariableIsReplaced() {
        #expect(ExecCommand.merge(["A=1", "B=2", "AB=3"], ["A=4", "C=5"]) == ["B=2", "AB=3", "A=4", "C=5"])
    }

    @Test func tables() { #expect(TextTable.text([["A", "B"], ["long", "x"]]) == "A      B\nlong   x\n") }

    @Test(arguments: [false, true])
    func theTemplateIsASpecification(rootless: Bool) throws {
        let text = SpecTemplate.text(rootless: rootless, uid: 1000, gid: 100)
        let spec = try JSON.decode(RuntimeSpec.self, Array(text.utf8), of: "template")
        #expect(spec.process.args == ["sh"])
        #expect(spec.linux.namespaces.contains { $0.type == (rootless ? .user : .network) })
        let check = ConfigCheck(
            known: Set(spec.process.capabilities.bounding), grantable: Set(spec.process.capabilities.bounding))
        #expect(try check.check(spec, hasProcess: true).warnings.isEmpty)
    }

    @Test func devicesThatEveryContainerMayUse() {
        #expect(Launch.deviceRules([]) == RuntimeSpec.defaultDeviceRules)
        let denied = [RuntimeSpec.DeviceRule(allow: false)]
        let rules = Launch.deviceRules(denied)
        #expect(rules.first == denied[0])
        #expect(!rules.dropFirst().contains { !$0.allow })
    }

    @Test func theStateThatHooksRead() throws {
        var spec = RuntimeSpec(process: RuntimeSpec.Process(args: ["sh"]))
        spec.hooks = RuntimeSpec.Hooks()
        spec.hooks?.prestart = [RuntimeSpec.Hook(path: "/hook", timeout: 2)]
        spec.annotations = ["a\"b": "c\nd"]
        var request = LaunchRequest(id: "x", spec: spec, root: .directory("/r"), directory: "/d")
        request.bundle = "/bundle"
        let plan = try HookCompiler.compile(request)
        #expect(
            plan.prestart == [
                HookPlan(path: "/hook", arguments: ["/hook"], environment: [], timeoutMilliseconds: 2000)
            ])
        struct State: Decodable, Equatable {
            var ociVersion: String
            var id: String
            var status: String
            var pid: Int
            var bundle: String
            var annotations: [String: String]
        }
        let state = try JSON.decode(State.self, plan.state(status: "created", pid: 7), of: "state")
        #expect(
            state
                == State(
                    ociVersion: spec.ociVersion, id: "x", status: "created", pid: 7, bundle: "/bundle",
                    annotations: ["a\"b": "c\nd"]))
    }
}
