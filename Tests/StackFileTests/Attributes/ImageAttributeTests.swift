import StackModel
import Testing

@testable import StackFile

/// Where the image comes from: Compose Specification, chapters services and build.
struct ImageAttributeTests {
    @Test func image() throws {
        for reference in [
            "redis", "redis:5", "redis@sha256:\(String(repeating: "0", count: 64))", "library/redis",
            "docker.io/library/redis", "my_private.registry:5000/redis",
        ] {
            try expect("image: \(reference)", \.image, reference)
        }
        try expect("image: redis", \.build, nil)
        try expect("build: .", \.image, "")
    }

    @Test func platform() throws {
        for platform in ["darwin", "windows/amd64", "linux/arm64/v8"] {
            try expect("platform: \(platform)", \.platform, platform)
        }
    }

    @Test(arguments: [
        ("always", PullPolicy(mode: .always)), ("never", PullPolicy(mode: .never)),
        ("missing", PullPolicy(mode: .missing)), ("if_not_present", PullPolicy(mode: .missing)),
        ("build", PullPolicy(mode: .build)), ("daily", PullPolicy(mode: .refresh, refreshAfter: 86_400 * second)),
        ("weekly", PullPolicy(mode: .refresh, refreshAfter: 7 * 86_400 * second)),
        ("every_12h", PullPolicy(mode: .refresh, refreshAfter: 43_200 * second)),
        ("every_2d12h", PullPolicy(mode: .refresh, refreshAfter: 216_000 * second)),
        ("refresh\npull_refresh_after: 36h", PullPolicy(mode: .refresh, refreshAfter: 129_600 * second)),
        ("refresh", PullPolicy(mode: .refresh)),
    ])
    func pullPolicy(text: String, policy: PullPolicy) throws {
        try expect("pull_policy: \(text)", \.pullPolicy, policy)
    }

    @Test func noPullPolicy() throws { try expect("image: a", \.pullPolicy, nil) }

    // MARK: - build

    private func build(_ lines: String, top: String = "", environment: [String: String] = [:]) throws -> Build {
        try #require(try onlyService(lines, top: top, environment: environment).build)
    }

    /// One key of `build`, short of everything else.
    private func expectBuild<Value: Equatable>(
        _ line: String, _ property: KeyPath<Build, Value>, _ value: Value, top: String = "",
        environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let lines = line.split(separator: "\n").map { "\n  \($0)" }.joined()
        let built = try build("build:\n  context: .\(lines)", top: top, environment: environment)
        #expect(built[keyPath: property] == value, sourceLocation: sourceLocation)
    }

    @Test func contexts() throws {
        #expect(try build("build: ./dir") == with(Build(context: "/work/demo/dir")) { $0.dockerfile = "Dockerfile" })
        #expect(try build("build: {context: ./dir}") == build("build: ./dir"))
        #expect(try build("build: {}").context == "/work/demo")
        #expect(try build("build: /abs/dir").context == "/abs/dir")
        #expect(try build("build: ~/dir").context == "/home/me/dir")
        for url in ["https://github.com/mycompany/example.git", "git@github.com:mycompany/example.git#branch:folder"] {
            #expect(try build("build: \"\(url)\"").context == url)
        }
    }

    @Test func dockerfiles() throws {
        try expectBuild("dockerfile: webapp.Dockerfile", \.dockerfile, "webapp.Dockerfile")
        try expectBuild("dockerfile: webapp.Dockerfile", \.dockerfileInline, nil)
        try expectBuild(
            "dockerfile_inline: |\n  FROM alpine\n  RUN true", \.dockerfileInline, "FROM alpine\nRUN true\n")
        try expectBuild("dockerfile_inline: FROM alpine", \.dockerfile, nil)
    }

    @Test func arguments() throws {
        let environment = ["GIT_COMMIT": "cdc3b19"]
        try expectBuild(
            "args: {A: 1, B: \"\", C: true, GIT_COMMIT: , GONE: }", \.arguments,
            ["A": "1", "B": "", "C": "true", "GIT_COMMIT": "cdc3b19"], environment: environment)
        try expectBuild(
            "args: [A=1, B=, GIT_COMMIT, GONE]", \.arguments, ["A": "1", "B": "", "GIT_COMMIT": "cdc3b19"],
            environment: environment)
    }

    @Test func additionalContexts() throws {
        let expected = [
            "resources": "/work/demo/path", "app": "docker-image://my-app:latest",
            "source": "https://github.com/myuser/project.git",
        ]
        try expectBuild(
            """
            additional_contexts:
              - resources=./path
              - app=docker-image://my-app:latest
              - source=https://github.com/myuser/project.git
            """, \.additionalContexts, expected)
        try expectBuild(
            """
            additional_contexts:
              resources: ./path
              app: docker-image://my-app:latest
              source: https://github.com/myuser/project.git
            """, \.additionalContexts, expected)
        try expectBuild(
            "additional_contexts: {base: \"service:base\"}", \.additionalContexts, ["base": "service:base"],
            top: "  base: {build: ./base}")
    }

    @Test func caches() throws {
        try expectBuild(
            "cache_from: [alpine:latest, \"type=local,src=path/to/cache\", type=gha]", \.cacheFrom,
            ["alpine:latest", "type=local,src=path/to/cache", "type=gha"])
        try expectBuild("cache_to: [user/app:cache, type=gha]", \.cacheTo, ["user/app:cache", "type=gha"])
        try expectBuild("no_cache: true", \.noCache, true)
        try expectBuild("no_cache_filter: foo", \.noCacheFilter, ["foo"])
        try expectBuild("no_cache_filter: [foo, bar]", \.noCacheFilter, ["foo", "bar"])
    }

    @Test func ssh() throws {
        try expectBuild("ssh: [default]", \.ssh, ["default"])
        try expectBuild(
            "ssh: [default, key=./id, other=/abs/id, home=~/id]", \.ssh,
            ["default", "key=/work/demo/id", "other=/abs/id", "home=/home/me/id"])
        try expectBuild("ssh: {default: , key: ./id}", \.ssh, ["default", "key=/work/demo/id"])
    }

    @Test func labels() throws {
        try expectBuild("labels: [FOO=BAR, EMPTY]", \.labels, ["FOO": "BAR", "EMPTY": ""])
        try expectBuild("labels: {FOO: BAR, N: 1, EMPTY: }", \.labels, ["FOO": "BAR", "N": "1", "EMPTY": ""])
    }

    @Test func plainKeys() throws {
        try expectBuild("target: prod", \.target, "prod")
        try expectBuild("network: host", \.network, "host")
        try expectBuild("network: none", \.network, "none")
        try expectBuild("isolation: process", \.isolation, "process")
        try expectBuild("pull: true", \.pull, true)
        try expectBuild("privileged: true", \.privileged, true)
        try expectBuild(
            "entitlements: [network.host, security.insecure]", \.entitlements, ["network.host", "security.insecure"])
        try expectBuild(
            "tags: [\"foo:v1.0.0\", docker.io/username/foo]", \.tags, ["foo:v1.0.0", "docker.io/username/foo"])
        try expectBuild("platforms: [linux/amd64, linux/arm64]", \.platforms, ["linux/amd64", "linux/arm64"])
        try expectBuild("shm_size: 2gb", \.shmSize, 2 << 30)
        try expectBuild("shm_size: 10000000", \.shmSize, 10_000_000)
    }

    @Test func attestations() throws {
        for (key, property) in [("provenance", \Build.provenance), ("sbom", \Build.sbom)] {
            try expectBuild("\(key): true", property, "true")
            try expectBuild("\(key): \"false\"", property, "false")
            try expectBuild("\(key): mode=max", property, "mode=max")
        }
    }

    @Test func extraHosts() throws {
        let hosts = [
            ExtraHost(name: "somehost", address: "162.242.195.82"), ExtraHost(name: "myhostv6", address: "::1"),
        ]
        try expectBuild("extra_hosts: [\"somehost=162.242.195.82\", \"myhostv6=::1\"]", \.extraHosts, hosts)
        try expectBuild("extra_hosts: [\"somehost:162.242.195.82\", \"myhostv6:[::1]\"]", \.extraHosts, hosts)
        #expect(
            Set(
                try build("build:\n  context: .\n  extra_hosts: {somehost: 162.242.195.82, myhostv6: \"::1\"}")
                    .extraHosts.map(\.name))
                == ["somehost", "myhostv6"])
    }

    @Test func secrets() throws {
        let top = "secrets: {key: {environment: TOKEN}}"
        try expectBuild("secrets: [key]", \.secrets, [FileMount(source: "key", target: "/run/secrets/key")], top: top)
        try expectBuild(
            "secrets: [{source: key, target: cert, uid: \"103\", gid: \"103\", mode: 0440}]", \.secrets,
            [FileMount(source: "key", target: "/run/secrets/cert", uid: 103, gid: 103, mode: 0o440)], top: top)
    }

    @Test func ulimits() throws {
        try expectBuild(
            "ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}", \.ulimits,
            ["nproc": Ulimit(soft: 65_535, hard: 65_535), "nofile": Ulimit(soft: 20_000, hard: 40_000)])
    }
}
