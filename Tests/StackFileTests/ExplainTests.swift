import StackModel
import Testing

@testable import StackFile

extension MemoryProject {
    func explain(_ path: String, _ change: (inout LoadOptions) -> Void = { _ in }) throws -> Explanation {
        var options = LoadOptions(workingDirectory: workingDirectory, environment: environment)
        change(&options)
        return try #require(try StackFile.explain([path], options, files: access).list.first)
    }

    func document(_ change: (inout LoadOptions) -> Void = { _ in }) throws -> LoadedDocument {
        var options = LoadOptions(workingDirectory: workingDirectory, environment: environment)
        change(&options)
        return try loadDocument(options, files: access)
    }
}

struct ExplainTests {
    /// `value compose.yaml:1:2`, one for each step.
    private func steps(_ explanation: Explanation) -> [String] {
        explanation.steps.map { "\($0.role.rawValue) \($0.mark)" }
    }

    private func notes(_ explanation: Explanation) -> [String] {
        (explanation.steps.first?.notes ?? []).map { "\($0.message): \($0.mark)" }
    }

    private let two = MemoryProject(files: [
        "/work/demo/compose.yaml": """
        services:
          web:
            image: one
            ports: ["80:80", "81:81"]
            environment: {A: low, B: b}
            command: [run, slow]
        """,
        "/work/demo/compose.override.yaml": """
        services:
          web:
            image: two
            ports: ["80:80/tcp", "82:82"]
            environment:
              - A=high
            command: [run, fast]
        """,
    ])

    @Test func laterFilesComeFirst() throws {
        let image = try two.explain("services.web.image")
        #expect(steps(image) == ["value compose.override.yaml:3:12", "overridden compose.yaml:3:12"])
        #expect(image.steps.map(\.sourceLine) == ["    image: two", "    image: one"])
        let variable = try two.explain("services.web.environment.A")
        #expect(steps(variable) == ["value compose.override.yaml:6:9", "overridden compose.yaml:5:22"])
        #expect(steps(try two.explain("services.web.environment.B")) == ["value compose.yaml:5:30"])
    }

    @Test func listsAreKnownByWhatMakesTheirItemsUnique() throws {
        let first = try two.explain("services.web.ports[0]")
        #expect(steps(first) == ["value compose.override.yaml:4:13", "overridden compose.yaml:4:13"])
        #expect(steps(try two.explain("services.web.ports[1].target")) == ["value compose.yaml:4:22"])
        #expect(steps(try two.explain("services.web.ports[2]")) == ["value compose.override.yaml:4:26"])
        let all = try two.explain("services.web.ports")
        #expect(all.steps.map(\.role) == [.value, .merged])
        #expect(all.children.map(\.path).last == "services.web.ports[2]")
        #expect(try two.explain("services.web.command").steps.map(\.role) == [.value, .overridden])
    }

    @Test func mappingsShowTheirChildren() throws {
        let web = try two.explain("services.web")
        let image = try #require(web.children.first { $0.path == "services.web.image" })
        #expect(image.mark == SourceMark(file: "compose.override.yaml", line: 3, column: 12))
        #expect(web.children.first { $0.path == "services.web.networks" }?.mark == nil)
    }

    @Test func extendsIsFollowed() throws {
        var project = MemoryProject("services:\n  web:\n    extends: {file: base.yaml, service: app}\n    user: me\n")
        project.files["/work/demo/base.yaml"] = """
            services:
              root: {image: root, user: root}
              app: {extends: root, image: app}
            """
        let image = try project.explain("services.web.image")
        #expect(steps(image) == ["value base.yaml:3:31", "overridden base.yaml:2:17"])
        #expect(notes(image) == ["service 'app' is extended here: compose.yaml:3:41"])
        #expect(
            steps(try project.explain("services.web.user")) == ["value compose.yaml:4:11", "overridden base.yaml:2:29"])
    }

    @Test func includesAreFollowed() throws {
        var project = MemoryProject("include: [sub/compose.yaml]\nservices: {web: {image: w}}\n")
        project.files["/work/demo/sub/compose.yaml"] = "services:\n  db: {image: \"db:${TAG}\", environment: [TAG]}\n"
        project.files["/work/demo/sub/.env"] = "\nTAG=7\n"
        let image = try project.explain("services.db.image")
        #expect(notes(image) == ["the file is included here: compose.yaml:1:11"])
        let variable = try #require(image.steps.first?.variables.first)
        #expect(variable.value == "7" && variable.origin == "the env_file of an include")
        #expect(variable.mark == SourceMark(file: "sub/.env", line: 2, column: 1))
        let inherited = try project.explain("services.db.environment.TAG")
        #expect(inherited.rule?.contains("sub/.env:2:1") == true)
    }

    @Test func mergeKeysAndAliasesAreFollowed() throws {
        let project = MemoryProject(
            """
            x-base: &base
              image: low
              restart: always
              environment: &env {A: "1", B: "2"}
            services:
              web:
                <<: *base
                image: high
              api:
                image: api
                environment: *env
              own:
                <<: *base
                environment: {A: "3"}
            """)
        let image = try project.explain("services.web.image")
        #expect(steps(image) == ["value compose.yaml:8:12", "overridden compose.yaml:2:10"])
        let restart = try project.explain("services.web.restart")
        #expect(steps(restart) == ["value compose.yaml:3:12"])
        #expect(notes(restart) == ["by the merge key '<<' here: compose.yaml:7:5"])
        let variable = try project.explain("services.api.environment.B")
        #expect(notes(variable) == ["by the alias '*env' here: compose.yaml:11:18"])
        // The whole 'environment' of the anchor is hidden, and A with it.
        let own = try project.explain("services.own.environment.A")
        #expect(steps(own) == ["value compose.yaml:14:22", "overridden compose.yaml:4:25"])
        #expect(try project.explain("x-base.environment.A").steps.first?.notes.isEmpty == true)
    }

    @Test func environmentFilesStandUnderTheEnvironment() throws {
        var project = MemoryProject(
            "services:\n  web:\n    image: a\n    env_file: [a.env, b.env]\n    environment: {A: own, N: }\n")
        project.files["/work/demo/a.env"] = "A=a\nB=a\n"
        project.files["/work/demo/b.env"] = "# b\nB=${V:-x}\n"
        project.environment["N"] = "shell"
        let a = try project.explain("services.web.environment.A")
        #expect(steps(a) == ["value compose.yaml:5:22", "overridden a.env:1:1"])
        let b = try project.explain("services.web.environment.B")
        #expect(steps(b) == ["value b.env:2:1", "overridden a.env:2:1"])
        #expect(notes(b) == ["env_file is given here: compose.yaml:4:23"])
        #expect(b.steps.first?.variables.map(\.name) == ["V"])
        #expect(try project.explain("services.web.environment.N").rule?.contains("comes from the environment") == true)
    }

    @Test func variablesSayWhereTheyComeFrom() throws {
        var project = MemoryProject(
            "services: {web: {image: \"$SHELL_TAG-${DOT}-${NO:-$DEF}-${NONE}-${DOT:+alt}\"}}\n")
        project.environment["SHELL_TAG"] = "s"
        project.files["/work/demo/.env"] = "X=1\nDOT=d\n"
        let used = try #require(try project.explain("services.web.image").steps.first?.variables)
        #expect(used.map(\.name) == ["SHELL_TAG", "DOT", "NO", "DEF", "NONE", "DOT"])
        #expect(used.map(\.origin) == ["the environment", "an environment file", nil, nil, nil, "an environment file"])
        #expect(used[1].mark == SourceMark(file: ".env", line: 2, column: 1))
        #expect(used.map(\.replacement) == [nil, nil, "$DEF", "", "", "alt"])
        project.files["/work/demo/y.env"] = "DOT=y\n"
        let given = try project.explain("services.web.image") { $0.envFiles = ["y.env"] }
        #expect(given.steps.first?.variables[1].origin == "--env-file")
        #expect(given.steps.first?.variables[1].mark?.file == "y.env")
    }

    @Test func whatNoFileSaysIsARule() throws {
        let project = MemoryProject(
            "services: {web: {image: a, links: [db], volumes: [\"d:/d\"], build: .}, db: {image: b}}\nvolumes: {d: }\n")
        func rule(_ path: String) throws -> String {
            let explanation = try project.explain(path)
            #expect(explanation.steps.isEmpty)
            return try #require(explanation.rule)
        }
        #expect(try rule("name") == "made of the name of the project's folder")
        #expect(try rule("networks.default").contains("implied"))
        #expect(try rule("volumes.d.name").contains("made of the project's name"))
        #expect(try rule("services.web.depends_on.db").contains("compose.yaml:1:36"))
        #expect(try rule("services.web.build.dockerfile") == "the default of 'dockerfile'; no file says it")
    }

    @Test func pathsAreResolved() throws {
        let project = MemoryProject(
            """
            services:
              web: {image: a, labels: {com.example.a: x, "b[0]": y}}
              off: {image: b, profiles: [p]}
            """)
        for path in [#"services.web.labels.com.example.a"#, #"services.web.labels["com.example.a"]"#] {
            #expect(try project.explain(path).path == #"services.web.labels["com.example.a"]"#)
        }
        #expect(steps(try project.explain(#"services["web"].labels["b[0]"]"#)) == ["value compose.yaml:2:54"])
        func hint(_ path: String) -> String? {
            do {
                _ = try project.explain(path)
                return "no error"
            } catch let error as StackFileError {
                return error.diagnostics.first?.hint
            } catch {
                return "another error"
            }
        }
        #expect(hint("services.wbe.image") == "did you mean 'services.web'?")
        #expect(hint("services.web.image.x") == "'services.web.image' is a string and has nothing below it")
        #expect(hint("services.off.image")?.contains("--profile") == true)
        for path in ["", ".", "[", "services[", "services[0]", "services.web.labels[\"", "a..b", "services.web[\"\"]"] {
            #expect(hint(path) != "no error" && hint(path) != "another error")
        }
    }

    @Test func whatIsResetSaysWhere() throws {
        var project = two
        project.files["/work/demo/compose.override.yaml"] = "services:\n  web:\n    ports: !reset []\n"
        do {
            _ = try project.explain("services.web.ports")
            Issue.record("there are no ports")
        } catch let error as StackFileError {
            #expect(error.diagnostics.first?.hint == "it is removed by !reset at compose.override.yaml:3:12")
        }
    }

    @Test func isWrittenForPeopleAndForTools() throws {
        let explanation = try two.explain("services.web.image")
        #expect(
            renderExplanations([explanation], .text, color: false) == """
                services.web.image: "two"
                  compose.override.yaml:3:12
                      3 |     image: two
                        |            ^^^
                  overrides compose.yaml:3:12: "one"
                      3 |     image: one
                        |            ^^^

                """)
        let json = renderExplanations([explanation], .json, color: false)
        #expect(json.hasPrefix("[\n  {\n    \"path\": \"services.web.image\",\n    \"value\": \"two\",\n"))
        #expect(json.contains("\"role\": \"overridden\"") && json.contains("\"line\": 3"))
    }

    @Test func notesChangeNothing() throws {
        let plain = try two.document().render(.json)
        let explained = try StackFile.explain(
            ["services.web"], LoadOptions(workingDirectory: "/work/demo", environment: two.environment),
            files: two.access)
        #expect(
            explained.list.first?.value == (try two.document { $0.keepsUnused = true }).document.at("services", "web"))
        #expect(!plain.isEmpty)
    }
}
