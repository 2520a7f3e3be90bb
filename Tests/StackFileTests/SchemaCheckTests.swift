import StackModel
import Testing

@testable import StackFile

struct SchemaCheckTests {
    // MARK: Unknown keys

    @Test(arguments: [
        ("prots: [80]", "did you mean 'ports'?"),
        ("port: [80]", "did you mean 'ports'?"),
        ("env: {A: b}", "did you mean 'environment'?"),
        ("environments: {A: b}", "did you mean 'environment'?"),
        ("volume: [a:/b]", "did you mean 'volumes'?"),
        ("depend_on: [db]", "did you mean 'depends_on'?"),
        ("dependsOn: [db]", "did you mean 'depends_on'?"),
        ("cmd: run", "did you mean 'command'?"),
        ("args: [run]", "did you mean 'command'?"),
        ("restart_policy: {}", "did you mean 'deploy.restart_policy'?"),
        ("replicas: 3", "did you mean 'deploy.replicas'?"),
        ("dockerfile: Dockerfile", "did you mean 'build.dockerfile'?"),
        ("interval: 5s", "did you mean 'healthcheck.interval'?"),
        ("container-name: x", "did you mean 'container_name'?"),
        ("healthcheck: {cmd: x}", "did you mean 'test'?"),
        ("healthcheck: {image: x}", "move it out, to 'services.web'"),
        ("deploy: {limits: {memory: 1g}}", "did you mean 'resources.limits'?"),
        ("services: {a: {}}", "'services' goes to the top level of the file"),
        ("include: [a]", "'include' goes to the top level of the file"),
        ("volumes: [{type: bind, src: ., dst: /a}]", "did you mean 'target'?"),
        ("ports: [{container_port: 80}]", "did you mean 'target'?"),
    ])
    func unknownKeysOfServices(lines: String, hint: String) {
        let errors = serviceErrors(lines).filter { $0.code == "stack.unknown-key" }
        #expect(errors.last?.hint == hint)
        #expect(errors.allSatisfy { $0.source != nil })
    }

    @Test(arguments: [
        ("service: {}", "did you mean 'services'?"),
        ("image: nginx", "indent it under services.<name>"),
        ("depends_on: [a]", "indent it under services.<name>"),
        ("web: {image: nginx}", "indent it under 'services:', where services are declared"),
        ("portz: [80]", "did you mean 'ports'? indent it under services.<name>"),
        ("volume: {a: {}}", "did you mean 'volumes'?"),
    ])
    func unknownKeysAtTheTop(line: String, hint: String) {
        let errors = MemoryProject(line + "\n").errors()
        #expect(errors.map(\.code) == ["stack.unknown-key"])
        #expect(errors.map(\.hint) == [hint])
        #expect(errors.first?.source == SourceMark(file: "compose.yaml", line: 1, column: 1))
    }

    @Test func keysOfExtensionsAreFree() throws {
        let text = "x-a: {b: 1}\nservices: {web: {image: a, x-b: [1], deploy: {x-c: 1}, networks: {default: {x-d: 1}}}}"
        #expect(try MemoryProject(text).load().warnings.isEmpty)
    }

    // MARK: Types

    @Test(arguments: [
        ("ports: {\"80\": 80}", "write a list, each item on a line of its own after '- '"),
        ("ports: 80", "write it as a list: [80]"),
        ("healthcheck: [a]", "write its keys without '- '"),
        ("logging: [a]", "write its keys without '- '"),
        ("healthcheck: curl", "write keys below it: disable, interval, retries, start_interval, start_period, test, …"),
        ("environment: A=1", "write it as a list: [A=1]"),
        ("networks: {default: {driver_opts: [a]}}", "write 'name: value' lines without '- '"),
        ("hostname: 5", "write it in quotes: \"5\""),
        ("stop_grace_period: 10", "write it in quotes: \"10\""),
        ("scale: 1.5", "write a whole number"),
        ("use_api_socket: \"true\"", "write it without quotes: true"),
        ("hostname: [web]", "write the value alone: web"),
        ("hostname: [a, b]", "give one value, not a list"),
        ("hostname: {a: b}", "give one value, not keys"),
        ("ports:", "remove the key or give it a value"),
        ("cap_add: [null]", "remove the key or give it a value"),
        ("depends_on: {db: {}}", "add 'condition:' (what to wait for: its start, its health, or its successful end)"),
        ("security_opt: [a, a]", "remove it"),
        (
            "pull_policy: alwayss",
            "use always, never, missing, build, refresh, daily, weekly or every_<time> such as every_12h"
        ),
        ("cgroup: hosst", "did you mean 'host'?"),
        ("logging: {options: {a: true}}", "write it in quotes: \"true\""),
    ])
    func hintsAtValues(lines: String, hint: String) {
        #expect(serviceErrors(lines).map(\.hint) == [hint])
    }

    @Test(arguments: [
        ("oom_score_adj: 1001", "'services.web.oom_score_adj' must be -1000 to 1000, found '1001'"),
        ("oom_score_adj: \"1001\"", "'services.web.oom_score_adj' must be -1000 to 1000, found '1001'"),
        ("cpu_count: -1", "'services.web.cpu_count' must be 0 or more, found '-1'"),
        ("cpu_percent: 50.5", "'services.web.cpu_percent' must be a string or an integer, found a number '50.5'"),
        ("pull_policy: every_", "'services.web.pull_policy' must be a pull policy, found 'every_'"),
        ("pull_policy: every_5", "'services.web.pull_policy' must be a pull policy, found 'every_5'"),
        ("security_opt: [b, a, a]", "'services.web.security_opt[2]' repeats 'a'"),
        ("expose: [true]", "'services.web.expose[0]' must be a string or a number, found a boolean 'true'"),
        ("labels: {a: [1]}", "'services.web.labels.a' must be a string, a number or a boolean, found a list"),
        ("env_file: [{path: a, required: false, x-b: 1}]", "unknown key 'x-b' in 'services.web.env_file[0]'"),
    ])
    func messages(lines: String, message: String) {
        #expect(serviceErrors(lines).map(\.message) == [message])
    }

    @Test(arguments: [
        "scale: 1.0", "cpu_percent: \"50\"", "pull_policy: every_1d12h", "deploy:", "develop:", "command:",
        "cap_add: [A, A]", "networks: {default: }", "networks: {default: {priority: \"${P:-5}\"}}",
        "use_api_socket: ${P:-false}", "extends: {service: other, x-a: 1}", "ports: [\"22:22\"]", "ports: [22:22]",
        "gpus: [{foo: 1}]", "storage_opt: {size: 1, other: null}",
    ])
    func fits(lines: String) {
        #expect(serviceErrors(lines, top: "  other: {image: x}\n").map(\.message) == [])
    }

    @Test func allErrorsComeTogetherWithTheirPlaces() {
        let project = MemoryProject(
            """
            services:
              web:
                image: [a]
                ports: {a: b}
                deploy:
                  replicas: 1.5
                  resources: {limits: {cpu: 1}}
              "b c": {image: x}
            """)
        #expect(
            project.places() == [
                "stack.type compose.yaml:3:12", "stack.type compose.yaml:4:12", "stack.type compose.yaml:6:17",
                "stack.unknown-key compose.yaml:7:28", "stack.name compose.yaml:8:3",
            ])
    }

    // MARK: What an anchor repeats

    private func manyServices(_ base: String) -> MemoryProject {
        let services = (0..<1000).map { "  s\($0): {<<: *base}\n" }.joined()
        return MemoryProject("x-base: &base\n  image: app\n  \(base)\nservices:\n" + services)
    }

    @Test func oneWarningForEachPlace() throws {
        let warnings = try manyServices("cpu_percent: 5").load().warnings
        #expect(
            warnings.map(\.message) == ["'services.s0.cpu_percent' is known, but this engine does not act on it"])
        #expect(warnings.first?.source == SourceMark(file: "compose.yaml", line: 3, column: 3))
    }

    @Test func oneErrorForEachPlace() {
        let errors = manyServices("prots: [80]").errors()
        #expect(errors.map(\.message) == ["unknown key 'prots' in 'services.s0'"])
        #expect(manyServices("ports: 80").errors().map(\.message).count == 1)
    }

    @Test func whatIsIgnoredAsAWholeWarnsOnce() throws {
        let text = """
            services:
              web:
                image: a
                credential_spec: {file: account.json}
            jobs:
              backup:
                image: b
                triggers: {manual: true, schedule: [{cron: "0 3 * * *"}]}
                cpu_percent: 5
            """
        #expect(
            try MemoryProject(text).load().warnings.map(\.message) == [
                "'services.web.credential_spec' is known, but this engine does not act on it",
                "'jobs' is known, but this engine does not act on it",
            ])
        let wrong = MemoryProject(text + "\n    prots: [80]\n").errors()
        #expect(wrong.map(\.message) == ["unknown key 'prots' in 'jobs.backup'"])
    }

    /// Data would lie elsewhere than the file says.
    @Test func volumesElsewhereAreToldOf() throws {
        let text = """
            services: {a: {image: a, volumes: ["data:/1", "more:/2", "own:/3", "bound:/4", "narrow:/5"]}}
            volumes:
              data: {driver_opts: {type: nfs, o: addr=192.0.2.1}}
              more: {driver: nfs}
              own: {driver: local}
              bound: {driver_opts: {type: none, o: bind, device: ./data}}
              narrow: {driver_opts: {size: 1g}}
            """
        let ignored = try MemoryProject(text).load().warnings.filter { $0.code.hasPrefix("stack.ignored") }
        #expect(ignored.map { $0.source?.line }.sorted { ($0 ?? 0) < ($1 ?? 0) } == [3, 4, 7])
    }

    // MARK: x-gantry

    @Test func gantryKeysAreKnown() throws {
        let text = """
            x-gantry: {drift: {policy: warn, ignore: ["services.*.labels"]}, revisions: 20}
            services:
              web:
                image: a
                x-gantry:
                  rollout: {min_healthy_time: 5s, drain: 1m, canary: 1, auto_promote: "yes", auto_rollback: true}
                  reload: {signal: SIGHUP}
                  session_affinity: client_ip
                  drift: repair
            """
        #expect(!(try MemoryProject(text).load().warnings.contains { $0.code == "stack.ignored-key" }))
    }

    @Test func gantryValuesAreBroughtIntoLongForm() throws {
        let text = """
            x-gantry: {revisions: "20"}
            services:
              web:
                image: a
                x-gantry:
                  rollout: {drain: 90s, canary: "1", auto_promote: "true"}
                  reload: {command: "kill -HUP 1"}
            """
        let document = try MemoryProject(text).load().document.document
        let gantry = try #require(document.at("services", "web", "x-gantry"))
        #expect(gantry.at("rollout", "drain")?.text == "1m30s")
        #expect(gantry.at("rollout", "canary")?.scalar?.value == .integer(1))
        #expect(gantry.at("rollout", "auto_promote")?.flag == true)
        #expect(gantry.at("reload", "command")?.texts == ["kill", "-HUP", "1"])
        #expect(document.at("x-gantry", "revisions")?.scalar?.value == .integer(20))
    }

    @Test(arguments: [
        (
            "x-gantry: {rolout: {}}", "unknown key 'rolout' in 'services.web.x-gantry'",
            "did you mean 'rollout'?"
        ),
        (
            "x-gantry: {rollout: {x-a: 1}}", "unknown key 'x-a' in 'services.web.x-gantry.rollout'", nil
        ),
        (
            "x-gantry: {rollout: {drain: 5}}",
            "'services.web.x-gantry.rollout.drain' must be a string, found an integer '5'", "write it in quotes: \"5\""
        ),
        (
            "x-gantry: {rollout: {drain: soon}}",
            "'services.web.x-gantry.rollout.drain' must be a duration, found 'soon'",
            "write numbers with us, ms, s, m, h, d or w, for example \"1m30s\""
        ),
        (
            "x-gantry: {rollout: {canary: -1}}",
            "'services.web.x-gantry.rollout.canary' must be 0 or more, found '-1'", nil
        ),
        (
            "x-gantry: {reload: {signal: SIGHUP, command: a}}",
            "'services.web.x-gantry.reload' needs exactly one of 'command' and 'signal'", nil
        ),
        (
            "x-gantry: {reload: {}}", "'services.web.x-gantry.reload' needs exactly one of 'command' and 'signal'", nil
        ),
        (
            "x-gantry: {drift: repare}",
            "'services.web.x-gantry.drift' must be 'ignore', 'warn' or 'repair', found 'repare'",
            "did you mean 'repair'?"
        ),
        (
            "x-gantry: {revisions: 5}", "unknown key 'revisions' in 'services.web.x-gantry'", nil
        ),
    ])
    func gantryKeysAreChecked(lines: String, message: String, hint: String?) {
        let errors = serviceErrors(lines)
        #expect(errors.map(\.message) == [message])
        #expect(errors.first?.hint == hint)
    }

    @Test func gantryOfTheStackIsChecked() {
        let rest = "\nservices: {a: {image: x}}"
        #expect(
            MemoryProject("x-gantry: {revisions: 101}" + rest).errors().map(\.message) == [
                "'x-gantry.revisions' must be 1 to 100, found '101'"
            ])
        #expect(
            MemoryProject("x-gantry: {drift: {ignore: a}}" + rest).errors().map(\.message) == [
                "'x-gantry.drift.ignore' must be a list, found a string 'a'"
            ])
    }

    // MARK: Several files

    /// Where compose-go does not drop repeats, it refuses them, also those of which each file has one.
    @Test func repeatsAreRefusedAcrossFiles() {
        var project = MemoryProject("services: {a: {image: x, security_opt: [s], cap_add: [C]}}")
        project.files["/work/demo/over.yaml"] = "services: {a: {security_opt: [s], cap_add: [C]}}"
        #expect(
            project.errors { $0.files = ["compose.yaml", "over.yaml"] }.map(\.message) == [
                "'services.a.security_opt[1]' repeats 's'"
            ])
    }

    @Test func nullKeepsWhatLowerFilesGiveButNotInLists() throws {
        var project = MemoryProject("services: {a: {image: x, ports: [\"80:80\"], healthcheck: {test: a}}}")
        project.files["/work/demo/over.yaml"] = "services: {a: {ports: , healthcheck: }}"
        let files = ["compose.yaml", "over.yaml"]
        #expect(try project.load { $0.files = files }.stack.services["a"]?.ports.count == 1)
        project.files["/work/demo/over.yaml"] = "services: {a: {ports: [null]}}"
        #expect(project.errors { $0.files = files }.map(\.code) == ["stack.type"])
    }
}
