import StackModel
import Testing

@testable import StackFile

/// What two files make of each attribute: Compose Specification, chapter merge.
struct MergeAttributeTests {
    /// The lines of service `web` in a file, and in another one over it.
    private func merged(_ base: String, _ over: String, top: String = "") throws -> Service {
        func file(_ lines: String) -> String {
            "services:\n  web:\n    image: app\n" + lines.split(separator: "\n").map { "    \($0)\n" }.joined()
        }
        var project = Everything.project(file(base) + top)
        project.files["/work/demo/over.yaml"] = file(over)
        let stack = try project.load { options in
            options.files = ["compose.yaml", "over.yaml"]
            options.profiles = ["*"]
        }
        return try #require(stack.stack.services["web"])
    }

    private func expect<Value: Equatable>(
        _ base: String, _ over: String, _ property: KeyPath<Service, Value>, _ value: Value, top: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try merged(base, over, top: top)[keyPath: property] == value, sourceLocation: sourceLocation)
    }

    @Test func scalars() throws {
        try expect("user: a", "user: b", \.user, "b")
        try expect("user: a", "tty: true", \.user, "a")
        try expect("user: a", "user:", \.user, "a")
        try expect("tty: true", "tty: false", \.tty, false)
        try expect("shm_size: 1m", "shm_size: 2m", \.shmSize, 2 << 20)
    }

    @Test func replacedLists() throws {
        try expect("command: [a, b]", "command: c d", \.command, ["c", "d"])
        try expect("command: [a, b]", "command: []", \.command, [])
        try expect("entrypoint: a", "entrypoint: [b]", \.entrypoint, ["b"])
        try expect(
            "healthcheck: {test: [CMD, a], interval: 1s}", "healthcheck: {test: [CMD, b]}", \.healthcheck?.test,
            ["CMD", "b"])
        try expect("healthcheck: {test: a, interval: 1s}", "healthcheck: {test: b}", \.healthcheck?.interval, second)
    }

    @Test func pairs() throws {
        for (key, property) in [
            ("labels", \Service.labels), ("annotations", \.annotations), ("sysctls", \.sysctls),
        ] {
            for (base, over) in [
                ("{A: 1, B: 2}", "{B: 3, C: 4}"), ("[A=1, B=2]", "{B: 3, C: 4}"), ("{A: 1, B: 2}", "[B=3, C=4]"),
            ] {
                try expect("\(key): \(base)", "\(key): \(over)", property, ["A": "1", "B": "3", "C": "4"])
            }
        }
        try expect("environment: {A: 1, B: 2}", "environment: [B=3, C]", \.environment, ["A": "1", "B": "3", "C": nil])
        let built = try merged(
            "build: {context: ., args: {A: 1}, labels: [x=1]}", "build: {args: [A=2, B=3], labels: {y: 2}}"
        ).build
        #expect(built?.arguments == ["A": "2", "B": "3"] && built?.labels == ["x": "1", "y": "2"])
        #expect(try merged("deploy: {labels: {a: 1}}", "deploy: {labels: [a=2]}").deploy?.labels == ["a": "2"])
    }

    @Test func textsAndLists() throws {
        for (key, property) in [("dns_search", \Service.dnsSearch), ("dns_opt", \.dnsOptions)] {
            try expect("\(key): [a, b]", "\(key): [b, c]", property, ["a", "b", "c"])
        }
        try expect("dns: 1.1.1.1", "dns: [8.8.8.8]", \.dns, ["1.1.1.1", "8.8.8.8"])
        try expect("dns_search: a", "dns_search: b", \.dnsSearch, ["a", "b"])
        try expect("tmpfs: /run", "tmpfs: [/tmp]", \.mounts.count, 2)
        try expect(
            "env_file: full.env", "env_file: [{path: missing.env, required: false}]", \.environment,
            ["QUOTED": "as it stands"])
        for (key, property) in [
            ("cap_add", \Service.capAdd), ("cap_drop", \.capDrop), ("expose", \.expose), ("profiles", \.profiles),
            ("security_opt", \.securityOptions), ("group_add", \.groupAdd),
            ("device_cgroup_rules", \.deviceCgroupRules),
        ] {
            let (one, two) = key == "device_cgroup_rules" ? ("c 1:3 mr", "c 1:4 mr") : ("one", "two")
            try expect("\(key): [\(one)]", "\(key): [\(two)]", property, [one, two])
        }
    }

    @Test func listsWithKeys() throws {
        try expect(
            "ports: [\"8080:80\"]", "ports: [\"8081:81\", \"8080:80\"]", \.ports,
            [Port(target: 80, published: 8080), Port(target: 81, published: 8081)])
        let mounts = try merged("volumes: [\"/a:/x\", \"/b:/y\"]", "volumes: [{type: bind, source: /c, target: /x}]")
            .mounts
        #expect(mounts.map(\.source) == ["/c", "/b"] && mounts.map(\.target) == ["/x", "/y"])
        try expect(
            "devices: [\"/dev/a:/dev/x\"]", "devices: [\"/dev/b:/dev/x:r\", /dev/c]", \.devices,
            ["/dev/b:/dev/x:r", "/dev/c:/dev/c:rwm"])
        let top = "secrets: {a: {environment: TOKEN}}\nconfigs: {a: {content: x}}"
        let files = try merged(
            "secrets: [a]\nconfigs: [a]",
            "secrets: [{source: a, target: a, mode: 0400}]\nconfigs: [{source: a, target: /a, mode: 0400}]", top: top)
        #expect(files.secrets.map(\.mode) == [0o400] && files.configs.map(\.mode) == [0o400])
    }

    @Test func mapsOfOtherForms() throws {
        let top =
            "  db: {image: db}\n  cache: {image: cache}\nnetworks: {front: , back: }\n"
            + "models: {m: {model: a}, n: {model: b}}"
        try expect(
            "depends_on: [db]", "depends_on: {db: {condition: service_healthy}, cache: {condition: service_started}}",
            \.dependsOn,
            ["db": Dependency(condition: .healthy), "cache": Dependency(condition: .started)], top: top)
        try expect(
            "networks: [front]", "networks: {front: {aliases: [www]}, back: }", \.networks,
            ["front": NetworkAttachment(aliases: ["www"]), "back": NetworkAttachment()], top: top)
        try expect(
            "networks: {front: {aliases: [a]}}", "networks: {front: {aliases: [b]}}", \.networks["front"]?.aliases,
            ["a", "b"], top: top)
        try expect(
            "models: [m]", "models: {n: {model_var: N}}", \.models,
            ["m": ModelBinding(), "n": with(ModelBinding()) { $0.modelVariable = "N" }], top: top)
        #expect(try merged("build: ./a", "build: {target: t}").build?.context == "/work/demo/a")
        #expect(try merged("build: {target: t}", "build: ./a").build?.target == "t")
    }

    @Test func specialRules() throws {
        let hosts = try merged("extra_hosts: [\"a=1.1.1.1\"]", "extra_hosts: {a: 2.2.2.2, b: 3.3.3.3}").extraHosts
        #expect(hosts.map(\.address) == ["1.1.1.1", "2.2.2.2", "3.3.3.3"])
        try expect("extra_hosts: [\"a=1.1.1.1\"]", "extra_hosts: [\"a=1.1.1.1\"]", \.extraHosts.count, 1)
        let kept = with(Logging(driver: "syslog")) { $0.options = ["a": "1", "b": "2"] }
        try expect(
            "logging: {driver: syslog, options: {a: 1}}", "logging: {driver: syslog, options: {b: 2}}", \.logging, kept)
        try expect("logging: {driver: syslog, options: {a: 1}}", "logging: {options: {b: 2}}", \.logging, kept)
        try expect(
            "logging: {driver: syslog, options: {a: 1}}", "logging: {driver: journald, options: {b: 2}}", \.logging,
            with(Logging(driver: "journald")) { $0.options = ["b": "2"] })
        try expect(
            "ulimits: {nofile: {soft: 1, hard: 9}}", "ulimits: {nofile: 5}", \.ulimits,
            ["nofile": Ulimit(soft: 5, hard: 5)])
        try expect(
            "ulimits: {nofile: {soft: 1, hard: 9}}", "ulimits: {nofile: {soft: 2, hard: 9}, nproc: 3}", \.ulimits,
            ["nofile": Ulimit(soft: 2, hard: 9), "nproc": Ulimit(soft: 3, hard: 3)])
        try expect(
            "deploy: {placement: {preferences: [{spread: a}]}}", "deploy: {placement: {preferences: [{spread: b}]}}",
            \.deploy?.placement?.spread, ["a", "b"])
    }

    @Test func resetAndOverride() throws {
        try expect("ports: [\"80\"]\nuser: a", "ports: !reset []\nuser: !reset null", \.ports, [])
        try expect("user: a", "user: !reset null", \.user, nil)
        try expect("environment: {A: 1, B: 2}", "environment: {A: !reset null}", \.environment, ["B": "2"])
        try expect("ports: [\"80\"]", "ports: !override [\"81\"]", \.ports, [Port(target: 81)])
        try expect("labels: {a: 1}", "labels: !override {b: 2}", \.labels, ["b": "2"])
        let networks = try stack(
            "services: {a: {image: x}}\nnetworks: {test: {name: test, external: true}}\n---\n"
                + "networks: {test: !reset {}}"
        ).networks
        #expect(networks["test"] == nil)
    }
}
