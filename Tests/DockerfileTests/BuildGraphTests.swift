import Testing

@testable import Dockerfile

/// Stages, what they depend on, and targets.
struct BuildGraphTests {
    static let web = """
        FROM golang AS build
        RUN go build
        FROM node AS assets
        RUN npm ci
        FROM debian AS test
        COPY --from=build /a /a
        FROM scratch
        COPY --from=build /a /a
        COPY --from=1 /b /b
        RUN --mount=type=bind,from=BUILD,target=/x true
        COPY --from=nginx:1 /c /c
        """

    @Test func unusedStagesAreLeftOut() throws {
        let found = try graph(Self.web)
        #expect(found.target == 3)
        #expect(found.needed == [0, 1, 3])
        #expect(found.nodes.map(\.base) == [.image("golang"), .image("node"), .image("debian"), .scratch])
        #expect(found.nodes[3].dependencies.map(\.source) == [.stage(0), .stage(1), .stage(0), .image("nginx:1")])
        #expect(found.nodes[3].dependencies.map(\.instruction) == [0, 1, 2, 3])
    }

    @Test func targets() throws {
        #expect(try graph(Self.web) { $0.target = "Assets" }.needed == [1])
        #expect(try graph(Self.web) { $0.target = "0" }.needed == [0])
        #expect(try graph(Self.web) { $0.target = "test" }.needed == [0, 2])
        #expect(graphFaults(Self.web) { $0.target = "tset" } == ["1:1: target stage \"tset\" could not be found"])
        #expect(graphFaults(Self.web) { $0.target = "9" } == ["1:1: target stage \"9\" could not be found"])
    }

    @Test func bases() throws {
        let found = try graph("FROM a AS b\nFROM b AS c\nFROM c\nFROM b AS b\nFROM B")
        #expect(found.nodes.map(\.base) == [.image("a"), .stage(0), .stage(1), .stage(0), .stage(3)])
        #expect(found.needed == [0, 3, 4])
    }

    @Test func cycles() {
        #expect(
            graphFaults("FROM a AS x\nCOPY --from=y /a /a\nFROM x AS y")
                == ["2:13: circular dependency detected on stage: x"])
        #expect(graphFaults("FROM a AS x\nCOPY --from=x /a /a") == ["2:13: circular dependency detected on stage: x"])
        #expect(graphFaults("FROM a\nCOPY --from=0 /a /a") == ["2:13: circular dependency detected on stage: stage-0"])
    }

    @Test func laterStages() {
        let text = "FROM a AS x\nCOPY --from=y /a /a\nRUN --mount=from=y,target=/y z\nFROM b AS y\nFROM x"
        #expect(
            graphFaults(text) == [
                "2:13: cannot copy from stage \"y\", it needs to be defined before current stage \"x\"",
                "3:13: cannot mount from stage \"y\" to \"x\", stage needs to be defined before current command",
            ])
        // Nobody needs `x`.
        #expect(graphFaults(text) { $0.target = "y" } == [])
    }

    @Test func unknownNames() throws {
        let found = try graph("FROM golang AS builder\nFROM debian\nCOPY --from=bulider /a /a\nCOPY --from=other a b")
        #expect(found.nodes[1].dependencies.map(\.nearStage) == ["builder", nil])
        #expect(graphFaults("FROM a\nCOPY --from=3 a b") == ["2:13: invalid stage index 3"])
        #expect(
            graphFaults("FROM a\nCOPY --from=Debian a b")
                == [
                    "2:13: failed to parse source \"Debian\": invalid reference format: repository name must be "
                        + "lowercase"
                ])
        #expect(graphFaults("FROM a:b:c") == ["1:6: failed to parse stage name \"a:b:c\": invalid reference format"])
    }

    @Test func globalArguments() throws {
        let text = "ARG V=1\nARG T=$V-slim\nARG N\nFROM --platform=$BUILDPLATFORM debian:${T} AS ${X:-a}"
        #expect(faults(text).count == 1)
        let fine = text.replacing("${X:-a}", with: "a")
        #expect(try graph(fine).nodes[0].base == .image("debian:1-slim"))
        #expect(try graph(fine) { $0.arguments = ["V": "2"] }.nodes[0].base == .image("debian:2-slim"))
        #expect(try graph(fine).nodes[0].platform == Platform(architecture: "amd64"))
        #expect(graphFaults("ARG N\nFROM $N") == ["2:6: base name ($N) should not be blank"])
        #expect(graphFaults("FROM a\nARG N=x\nFROM $N") == ["3:6: base name ($N) should not be blank"])
        #expect(graphFaults("FROM ${A") == ["1:6: failed to process \"${A\": syntax error: missing '}'"])
        #expect(graphFaults("FROM --platform=$N a") == ["1:17: empty platform value from expression $N"])
        #expect(graphFaults("FROM --platform=linux/ a") == ["1:17: failed to parse platform linux/"])
    }

    @Test(arguments: [
        (
            "ARG BASH\nFROM bash:$BASH",
            "'BASH' has no value: give it a default, ARG BASH=VALUE, or build with --build-arg BASH=VALUE"
        ),
        ("ARG BASH=1\nFROM $BAHS", "did you mean 'BASH'?"),
        ("FROM x:$Y", "declare it before the first FROM: ARG Y=VALUE"),
        ("FROM golang AS builder\nFROM Bulider", "did you mean the stage 'builder'?"),
        ("FROM --platform=$BUILDPLATFROM a", "did you mean 'BUILDPLATFORM'?"),
    ])
    func hints(text: String, hint: String) {
        do throws(DockerfileError) {
            _ = try graph(text)
            Issue.record("nothing is said")
        } catch {
            #expect(error.diagnostics.map(\.hint) == [hint])
        }
    }

    @Test func unusedArguments() throws {
        let text = "ARG A\nFROM a\nARG B\nFROM b AS c\nARG D"
        let given = ["A", "B", "D", "E", "HTTP_PROXY", "TARGETARCH"].reduce(into: [:]) { $0[$1] = "x" }
        #expect(try graph(text) { $0.arguments = given }.unusedArguments == ["B", "E"])
    }

    @Test func namedContexts() throws {
        let text = "FROM alpine AS base\nRUN x\nFROM base\nCOPY --from=data a b\nCOPY --from=nginx a b"
        let found = try graph(text) { $0.contexts = ["data", "base", "docker.io/library/nginx:latest"] }
        #expect(
            found.nodes[0].isReplaced && found.nodes[0].base == .context("base") && found.nodes[0].instructions.isEmpty)
        #expect(
            found.nodes[1].dependencies.map(\.source)
                == [.context("data"), .context("docker.io/library/nginx:latest")])
        #expect(try graph("FROM alpine") { $0.contexts = ["alpine"] }.nodes[0].base == .context("alpine"))
    }

    @Test func triggersOfStages() throws {
        let text = "FROM a AS src\nFROM b AS base\nONBUILD COPY --from=src /x /x\nFROM base AS c\nRUN y\nFROM c"
        let found = try graph(text)
        #expect(found.needed == [0, 1, 2, 3])
        #expect(found.nodes[2].instructions.map(\.isTrigger) == [true, false])
        #expect(found.nodes[3].instructions.isEmpty)
    }

    @Test func triggersOfImages() throws {
        var found = try graph("FROM a AS src\nFROM b")
        #expect(found.needed == [1])
        try found.add(triggers: try Dockerfile.triggers(["COPY --from=src /x /x"], image: "b"), to: 1)
        #expect(found.needed == [0, 1])
        #expect(throws: DockerfileError.self) {
            try found.add(triggers: try Dockerfile.triggers(["COPY --from=7 /x /x"], image: "b"), to: 1)
        }
    }

    @Test func manyStages() throws {
        let text = (0..<1000).map { $0 == 0 ? "FROM a AS s0" : "FROM s\($0 - 1) AS s\($0)" }.joined(separator: "\n")
        #expect(try graph(text).needed.count == 1000)
    }

    @Test func platforms() {
        let host = Platform(architecture: "amd64")
        func platform(_ text: String) -> String? { Platform(parsing: text, host: host)?.description }
        #expect(platform("linux/arm64/v8") == "linux/arm64")
        #expect(platform("arm64") == "linux/arm64")
        #expect(platform("windows") == "windows/amd64")
        #expect(platform("linux/arm") == "linux/arm/v7")
        #expect(platform("Linux/x86_64") == "linux/amd64")
        for text in ["", "a/b/c/d", "/", "linux//", "local", "linux/a b"] { #expect(platform(text) == nil, "\(text)") }
    }

    @Test func imageNames() {
        let digest = "@sha256:" + String(repeating: "a", count: 64)
        let fine = [
            "a", "a:b", "a/b:C.1", "localhost:5000/a", "x.y/a__b/c--d:e", "a" + digest, "a:b" + digest, "Host/a",
        ]
        for text in fine { #expect(ImageName.fault(text) == nil, "\(text)") }
        let broken = [
            "", "A", ":a", "a:", "a@b", "a//b", "-a", "a b", "a:b:c", "a___b", "a..b", "/a", "a/", "x/A", "a:-b",
        ]
        for text in broken { #expect(ImageName.fault(text) != nil, "\(text)") }
        #expect(ImageName.normalized("a") == "docker.io/library/a:latest")
        #expect(ImageName.normalized("a/b:c") == "docker.io/a/b:c")
        #expect(ImageName.normalized("x.y:5/b") == "x.y:5/b:latest")
    }
}
