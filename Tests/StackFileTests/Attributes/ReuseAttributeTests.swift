import StackModel
import Testing

@testable import StackFile

/// `extends`, `include`, fragments, profiles and interpolation, seen in the model.
struct ReuseAttributeTests {
    private func load(_ files: [String: String], environment: [String: String] = [:], profiles: [String] = []) throws
        -> Stack
    {
        var project = MemoryProject(
            files: Dictionary(files.map { ("/work/demo/" + $0.key, $0.value) }) { first, _ in first })
        project.environment.merge(environment) { _, new in new }
        return try project.load { $0.profiles = profiles }.stack
    }

    // MARK: - extends

    @Test func extendsOfAnotherFile() throws {
        let base = """
            services:
              base:
                image: base
                build: .
                user: root
                environment: {A: base, B: base}
                env_file: base.env
                volumes: ["./data:/data"]
                ports: ["80"]
                depends_on: [db]
            """
        let stack = try load([
            "sub/base.yaml": base, "sub/base.env": "FROM_FILE=1\n",
            "compose.yaml": """
            services:
              web:
                extends: {file: sub/base.yaml, service: base}
                user: web
                environment: [B=web]
                ports: ["81"]
              db: {image: db}
            """,
        ])
        let web = try #require(stack.services["web"])
        #expect(web.image == "base" && web.user == "web" && web.build?.context == "/work/demo/sub")
        #expect(web.environment == ["A": "base", "B": "web", "FROM_FILE": "1"])
        #expect(web.mounts.map(\.source) == ["/work/demo/sub/data"])
        #expect(web.ports == [Port(target: 80), Port(target: 81)])
        #expect(web.dependsOn == ["db": Dependency(condition: .started)])
    }

    @Test func extendsOfTheSameFile() throws {
        for form in ["common", "{service: common}", "{service: common, file: compose.yaml}"] {
            let stack = try load([
                "compose.yaml":
                    "services:\n  common: {image: a, labels: {x: 1}}\n  web: {extends: \(form), labels: {y: 2}}"
            ])
            #expect(stack.services["web"]?.image == "a" && stack.services["web"]?.labels == ["x": "1", "y": "2"])
        }
    }

    @Test func extendsInAChainWithOverride() throws {
        let stack = try load([
            "base.yaml": "services: {base: {volumes: [/foo:/foo], networks: [foo]}}",
            "override.yaml": """
            services:
              override:
                extends: {file: ./base.yaml, service: base}
                volumes: !override [/bar:/bar]
                networks: !override [bar]
            """,
            "compose.yaml": """
            services:
              test:
                image: test
                extends: {file: ./override.yaml, service: override}
                volumes: [/zot:/zot]
                networks: !override [zot]
            networks: {zot: {}}
            """,
        ])
        #expect(stack.services["test"]?.mounts.map(\.target) == ["/bar", "/zot"])
        #expect(stack.services["test"]?.networks.keys.sorted() == ["zot"])
    }

    @Test func extendsAndReset() throws {
        let stack = try load([
            "compose.yaml": """
            services:
              base: {image: a, ports: ["80"], command: a b, depends_on: [other]}
              web: {extends: base, ports: !reset [], command: !reset null, depends_on: !override []}
              other: {image: b}
            """
        ])
        let web = try #require(stack.services["web"])
        #expect(web.ports.isEmpty && web.command == nil && web.dependsOn.isEmpty && web.image == "a")
    }

    // MARK: - include

    @Test func includeForms() throws {
        let part = "services: {part: {image: \"${IMAGE:-none}\", volumes: [\"./data:/data\"]}}\nvolumes: {v: }"
        let image: [(String, String, String)] = [
            ("[sub/part.yaml]", "own", "/work/demo/sub/data"),
            ("[{path: sub/part.yaml}]", "own", "/work/demo/sub/data"),
            ("[{path: [sub/part.yaml]}]", "own", "/work/demo/sub/data"),
            ("[{path: sub/part.yaml, project_directory: .}]", "none", "/work/demo/data"),
            ("[{path: sub/part.yaml, env_file: a.env}]", "given", "/work/demo/sub/data"),
            ("[{path: sub/part.yaml, env_file: [a.env, b.env]}]", "later", "/work/demo/sub/data"),
            ("[{path: sub/part.yaml, env_file: /dev/null}]", "none", "/work/demo/sub/data"),
        ]
        for (form, name, source) in image {
            var project = MemoryProject(files: [
                "/work/demo/compose.yaml": "include: \(form)\nservices: {web: {image: web, depends_on: [part]}}",
                "/work/demo/sub/part.yaml": part, "/work/demo/sub/.env": "IMAGE=own\n",
                "/work/demo/a.env": "IMAGE=given\n", "/work/demo/b.env": "IMAGE=later\n", "/dev/null": "",
            ])
            project.environment = ["HOME": "/home/me"]
            let stack = try project.load().stack
            #expect(stack.services["part"]?.image == name, "\(form)")
            #expect(stack.services["part"]?.mounts.map(\.source) == [source], "\(form)")
            #expect(stack.services["web"]?.dependsOn.keys.sorted() == ["part"], "\(form)")
        }
    }

    @Test func includedFilesMergeAndAreOverridden() throws {
        let stack = try load([
            "compose.yaml": """
            include: [{path: [a.yaml, b.yaml]}, c.yaml]
            services: {one: {user: own}}
            """, "a.yaml": "services: {one: {image: a, user: a, labels: {from: a}}}",
            "b.yaml": "services: {one: {image: b}}", "c.yaml": "services: {one: {image: c}, two: {image: c}}",
        ])
        // Of two includes the earlier one wins, over both the file itself.
        #expect(stack.services["one"]?.image == "b" && stack.services["one"]?.user == "own")
        #expect(stack.services["one"]?.labels == ["from": "a"] && stack.services["two"]?.image == "c")
    }

    @Test func includeAndEnvironment() throws {
        let files = [
            "compose.yml":
                "include: [{path: [./module/compose.yml], env_file: [./custom.env]}]\n"
                + "services: {a: {image: x, environment: [VAR]}}",
            "module/compose.yml": "services: {b: {image: x, environment: [VAR]}}", "custom.env": "VAR=value",
        ]
        let stack = try load(files)
        #expect(stack.services["a"]?.environment == ["VAR": nil])
        #expect(stack.services["b"]?.environment == ["VAR": "value"])
        #expect(try load(files, environment: ["VAR": "outer"]).services["b"]?.environment == ["VAR": "outer"])
    }

    // MARK: - profiles

    @Test(
        arguments: [
            ([], ["frontend"]), (["debug"], ["debugger", "frontend"]),
            (["debug", "test"], ["debugger", "frontend", "tester"]),
            (["*"], ["debugger", "frontend", "tester"]),
        ] as [([String], [String])])
    func profiles(active: [String], services: [String]) throws {
        let text = """
            services:
              frontend: {image: a}
              debugger: {image: b, profiles: [debug]}
              tester: {image: c, profiles: [test, other]}
            """
        #expect(try load(["compose.yaml": text], profiles: active).services.keys.sorted() == services)
        let joined = active.joined(separator: ",")
        #expect(
            try load(["compose.yaml": text], environment: ["COMPOSE_PROFILES": joined]).services.keys.sorted()
                == services)
    }

    // MARK: - fragments

    @Test func anchorsAndMergeKeys() throws {
        let stack = try load([
            "compose.yaml": """
            x-common: &common {restart: always, environment: &env {A: "1", B: "2"}}
            x-logging: &logging {logging: {driver: syslog}}
            services:
              one: {<<: *common, image: a}
              two:
                <<: [*common, *logging]
                image: b
                environment: {<<: *env, B: "3"}
              three: {<<: [{image: nginx}, {image: other, user: u}]}
            """
        ])
        #expect(
            stack.services["one"]?.environment == ["A": "1", "B": "2"] && stack.services["one"]?.restart.mode == .always
        )
        #expect(
            stack.services["two"]?.environment == ["A": "1", "B": "3"]
                && stack.services["two"]?.logging?.driver == "syslog")
        #expect(stack.services["three"]?.image == "nginx" && stack.services["three"]?.user == "u")
    }

    // MARK: - interpolation

    @Test func variablesInPlacesOfNumbersAndBooleans() throws {
        let environment = [
            "int": "555", "float": "0.25", "yes": "true", "size": "2gb", "duration": "60s", "port": "8080",
        ]
        let stack = try load(
            [
                "compose.yaml": """
                services:
                  web:
                    image: a
                    configs: [{source: c, mode: "$int"}]
                    healthcheck: {retries: "${int}", interval: "${duration}"}
                    deploy:
                      replicas: $int
                      update_config: {parallelism: $int, max_failure_ratio: $float}
                      restart_policy: {max_attempts: $int, condition: on-failure}
                      placement: {max_replicas_per_node: $int}
                      resources: {limits: {cpus: $float, memory: $size, pids: $int}}
                    ports: [$int, "34567", {target: $int, published: "$port"}, "1${port}:80"]
                    ulimits: {nproc: $int, nofile: {hard: $int, soft: $int}}
                    privileged: $yes
                    read_only: $yes
                    shm_size: ${size}
                    stop_grace_period: ${duration}
                    stdin_open: ${yes}
                    tty: $yes
                    oom_score_adj: $int
                    volumes: [{source: data, type: volume, target: /data, read_only: $yes, volume: {nocopy: $yes}}]
                configs: {c: {content: x}}
                volumes: {data: {external: $yes}}
                networks: {default: {internal: $yes, attachable: $yes, enable_ipv6: $yes}}
                """
            ], environment: environment)
        let web = try #require(stack.services["web"])
        #expect(web.configs.map(\.mode) == [0o555] && web.healthcheck?.retries == 555 && web.replicas == 555)
        #expect(web.deploy?.update?.parallelism == 555 && web.deploy?.update?.failureRatioMax == 0.25)
        #expect(web.restart.attemptsMax == 555 && web.deploy?.placement?.replicasPerNodeMax == 555)
        #expect(web.resources.nanoCPUs == 250_000_000 && web.resources.memory == 2 << 30 && web.resources.pids == 555)
        #expect(
            web.ports.map(\.target) == [555, 34_567, 555, 80] && web.ports.map(\.published) == [nil, nil, 8080, 18_080])
        #expect(web.ulimits == ["nproc": Ulimit(soft: 555, hard: 555), "nofile": Ulimit(soft: 555, hard: 555)])
        #expect(web.privileged && web.readOnly && web.stdinOpen && web.tty && web.oomScoreAdjust == 555)
        #expect(
            web.shmSize == 2 << 30 && web.stopGracePeriod == 60 * second && web.healthcheck?.interval == 60 * second)
        #expect(web.mounts.map(\.readOnly) == [true] && web.mounts.map(\.noCopy) == [true])
        let network = try #require(stack.networks["default"])
        #expect(
            stack.volumes["data"]?.external == true && network.isInternal && network.attachable && network.enableIPv6)
    }

    @Test(arguments: [
        ("$SET", "value"), ("${SET}", "value"), ("${EMPTY:-d}", "d"), ("${EMPTY-d}", ""), ("${GONE-d}", "d"),
        ("${SET:+r}", "r"), ("${EMPTY:+r}", ""), ("${EMPTY+r}", "r"), ("${GONE+r}", ""), ("$$SET", "$SET"),
        ("${GONE:-${SET}-x}", "value-x"), ("a${SET}b$SET", "avaluebvalue"),
    ])
    func substitution(text: String, value: String) throws {
        try expect("labels: {l: '\(text)'}", \.labels, ["l": value], environment: ["SET": "value", "EMPTY": ""])
        // Keys are never substituted.
        try expect("labels: {'\(text)': x}", \.labels, [text: "x"], environment: ["SET": "value"])
    }
}
