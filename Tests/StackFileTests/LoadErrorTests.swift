import StackModel
import Testing

@testable import StackFile

struct LoadErrorTests {
    @Test func unknownKeysSuggestTheNearest() throws {
        let errors = serviceErrors("prots: [80]\nhealthcheck: {tset: x}\nzzzzzz: 1")
        #expect(errors.map(\.code) == ["stack.unknown-key", "stack.unknown-key", "stack.unknown-key"])
        #expect(errors.map(\.hint) == ["did you mean 'ports'?", "did you mean 'test'?", nil])
        #expect(errors[0].message == "unknown key 'prots' in 'services.web'")
        #expect(errors[0].source == SourceMark(file: "compose.yaml", line: 4, column: 5))
        #expect(errors[1].source == SourceMark(file: "compose.yaml", line: 5, column: 19))
        #expect(MemoryProject("service: {}").errors().first?.hint == "did you mean 'services'?")
    }

    @Test(arguments: [
        ("ports: 80", "'services.web.ports' must be a list, found an integer '80'"),
        ("user: [a]", "'services.web.user' must be a string, found a list"),
        ("volumes:", "'services.web.volumes' must be a list, found nothing"),
        ("environment: x", "'services.web.environment' must be a list or a mapping, found a string 'x'"),
        ("read_only: [1]", "'services.web.read_only' must be a string or a boolean, found a list"),
        ("stop_grace_period: 10", "'services.web.stop_grace_period' must be a string, found an integer '10'"),
        ("stop_grace_period: 10y", "'services.web.stop_grace_period' must be a duration, found '10y'"),
        ("mem_limit: 5x", "'services.web.mem_limit' must be a size, found '5x'"),
        ("tty: maybe", "'services.web.tty' must be true or false, found 'maybe'"),
        ("cpus: many", "'services.web.cpus' must be a number, found 'many'"),
        ("scale: 1.5", "'services.web.scale' must be a string or an integer, found a number '1.5'"),
        ("scale: x", "'services.web.scale' must be an integer, found 'x'"),
        ("scale: -1", "the number of replicas must be 0 to 10000"),
        ("restart: sometimes", "unknown restart policy 'sometimes'"),
        ("restart: always:3", "restart policy 'always:3' takes no such number of attempts"),
        (
            "command: \"a 'b\"",
            "'services.web.command' must be a command line with closed quotes and parentheses, found 'a 'b'"
        ),
        (
            "healthcheck: {test: [curl]}",
            "'services.web.healthcheck.test' must start with NONE, CMD or CMD-SHELL, found 'curl'"
        ),
        ("networks: [fornt]", "service 'web' refers to undefined network 'fornt'"),
        ("depends_on: [db]", "service 'web' refers to undefined service 'db'"),
        ("configs: [c]", "service 'web' refers to undefined config 'c'"),
        ("secrets: [s]", "service 'web' refers to undefined secret 's'"),
        ("volumes: [{target: /a}]", "'services.web.volumes[0]' needs the key 'type'"),
        ("depends_on: [web]", "dependency cycle: web → web"),
        ("ulimits: {NOFILE: 1}", "'NOFILE' is not a valid name in 'services.web.ulimits'"),
        ("container_name: \"-x\"", "'services.web.container_name' must be a container name, found '-x'"),
        ("scale: 2\ncontainer_name: one", "service 'web' has 2 replicas but one 'container_name'"),
        ("scale: 2\ndeploy: {replicas: 3}", "'scale' and 'deploy.replicas' of service 'web' differ"),
        ("network_mode: host\nnetworks: [default]", "service 'web' has both 'network_mode' and 'networks'"),
        ("tmpfs: [/a]\nvolumes: [./a:/a]", "service 'web' mounts twice on '/a'"),
        ("env_file: no.env", "environment file no.env cannot be read: no such file"),
        ("label_file: no.labels", "environment file no.labels cannot be read: no such file"),
        ("dns: x", "'x' is not an IP address"),
        ("group_add: [{}]", "'services.web.group_add[0]' must be a string or a number, found a mapping"),
        ("extra_hosts: [a]", "'services.web.extra_hosts[0]' must be HOST=ADDRESS, found 'a'"),
        ("environment: [=x]", "'=x' has no name before '='"),
    ])
    func oneMessage(lines: String, message: String) {
        let errors = serviceErrors(lines)
        #expect(errors.map(\.message) == [message])
        #expect(errors.allSatisfy { $0.source != nil && $0.sourceLine?.isEmpty == false })
    }

    @Test func allErrorsOfAFileComeTogetherSortedByPlace() {
        let project = MemoryProject(
            """
            services:
              web:
                imagee: a
                ports: ["99999:80"]
              db:
                image: 5
                tty: perhaps
            network: {}
            """)
        #expect(
            project.places() == [
                "stack.unknown-key compose.yaml:3:5", "stack.value compose.yaml:4:13", "stack.type compose.yaml:6:12",
                "stack.value compose.yaml:7:10", "stack.unknown-key compose.yaml:8:1",
            ])
    }

    @Test func atMostTwentyErrors() {
        let text = "services:\n" + (0..<50).map { "  s\($0): {imagee: x}\n" }.joined()
        #expect(MemoryProject(text).errors().count == 20)
    }

    @Test func cyclesAreShown() {
        let project = MemoryProject(
            """
            services:
              a: {image: x, depends_on: [b]}
              b: {image: x, depends_on: [c, d]}
              c: {image: x}
              d: {image: x, network_mode: "service:a"}
            """)
        #expect(project.errors().map(\.message) == ["dependency cycle: a → b → d → a"])
        #expect(project.places() == ["stack.cycle compose.yaml:5:31"])
    }

    @Test func servicesNeedAnImage() {
        let project = MemoryProject("services:\n  a: {}\n  b: {build: .}\n  c: {provider: {type: p}}\n")
        #expect(
            project.errors().map(\.message) == [
                "service 'a' has neither an image nor a build context",
                "service 'c' comes from the provider 'p', which this engine cannot run",
            ])
    }

    @Test func missingFilesOfSecretsAreErrorsOnlyWhenUsed() throws {
        let text =
            "services:\n  a:\n    image: x\n    secrets: [s]\nsecrets:\n  s: {file: ./s}\n  unused: {file: ./u}\n"
        let project = MemoryProject(text)
        #expect(project.places() == ["stack.file compose.yaml:6:13"])
        var complete = project
        complete.files["/work/demo/s"] = "top"
        #expect(try complete.load().stack.secrets["s"]?.content == Array("top".utf8))
        #expect(try complete.load().stack.secrets["unused"] == nil)
        complete.files["/work/demo/s"] = String(repeating: "x", count: 1024 * 1024 + 1)
        #expect(complete.errors().first?.message.contains("larger than 1048576 bytes") == true)
    }

    @Test func strictTakesWarningsForErrors() throws {
        let project = MemoryProject("services: {a: {image: \"x${NOPE}\"}}")
        #expect(try project.load().warnings.count == 1)
        let errors = project.errors { $0.strict = true }
        #expect(errors.map(\.severity) == [.error])
        #expect(errors.map(\.code) == ["stack.unset-variable"])
    }

    @Test func emptyAndMissingFiles() {
        #expect(MemoryProject("").errors().map(\.code) == ["stack.empty"])
        #expect(MemoryProject(files: [:]).errors().map(\.code) == ["stack.file"])
        #expect(MemoryProject("- a").errors().map(\.code) == ["stack.type"])
        #expect(MemoryProject("a").errors { $0.files = ["nope.yaml"] }.map(\.code) == ["stack.file"])
    }

    @Test func externalResourcesTakeNothingElse() {
        let project = MemoryProject(
            "services: {a: {image: x}}\nvolumes:\n  n: {external: true, driver: local}\nconfigs:\n  c: {}\n"
                + "  d: {file: a, content: b}\n"
        )
        #expect(
            project.places() == [
                "stack.conflict compose.yaml:3:23", "stack.missing-key compose.yaml:5:3",
                "stack.conflict compose.yaml:6:16",
            ])
    }
}
