import StackModel
import Testing

@testable import StackFile

struct ProjectTests {
    private let base = "services:\n  web:\n    image: base\n    ports: [\"80:80\"]\n    environment: {A: 1, B: 2}\n"

    @Test func searchGoesUpwardsAndTakesTheOverride() throws {
        var project = MemoryProject(files: [
            "/work/docker-compose.yml": base, "/work/compose.override.yaml": "services: {web: {image: over}}",
        ])
        project.workingDirectory = "/work/demo/deep"
        let stack = try project.load().stack
        #expect(stack.configFiles == ["/work/docker-compose.yml", "/work/compose.override.yaml"])
        #expect(stack.workingDirectory == "/work" && stack.name == "work")
        #expect(stack.services["web"]?.image == "over")
        #expect(stack.source(of: "services.web.image")?.file == "/work/compose.override.yaml")
    }

    @Test func theFirstNameWinsWithAWarning() throws {
        let loaded = try MemoryProject(files: [
            "/work/demo/docker-compose.yml": base, "/work/demo/compose.yaml": "services: {web: {image: first}}",
        ]).load()
        #expect(loaded.stack.services["web"]?.image == "first")
        #expect(loaded.warnings.map(\.code) == ["stack.file"])
    }

    @Test func filesFromTheEnvironmentAndTheCommandLine() throws {
        var project = MemoryProject(files: ["/work/demo/a.yaml": base, "/other/b.yaml": "services: {web: {image: b}}"])
        project.environment["COMPOSE_FILE"] = "a.yaml;/other/b.yaml"
        project.environment["COMPOSE_PATH_SEPARATOR"] = ";"
        #expect(try project.load().stack.services["web"]?.image == "b")
        let given = try project.load { $0.files = ["a.yaml"] }.stack
        #expect(given.services["web"]?.image == "base" && given.configFiles == ["/work/demo/a.yaml"])
    }

    @Test func nameComesFromFourPlaces() throws {
        var project = MemoryProject("name: from-file\n" + base)
        #expect(try project.load().stack.name == "from-file")
        project.environment["COMPOSE_PROJECT_NAME"] = "from-env"
        #expect(try project.load().stack.name == "from-env")
        #expect(try project.load { $0.projectName = "given" }.stack.name == "given")
        var folder = MemoryProject(files: ["/work/My Great.App/compose.yaml": base])
        folder.workingDirectory = "/work/My Great.App"
        #expect(try folder.load().stack.name == "mygreatapp")
    }

    @Test func namesAreChecked() {
        #expect(MemoryProject("name: \"!\"\n" + base).places() == ["stack.project-name compose.yaml:1:7"])
        #expect(MemoryProject(base).errors { $0.projectName = "_x" }.map(\.code) == ["stack.project-name"])
    }

    @Test func namesInFilesAreMadeToFit() throws {
        let loaded = try MemoryProject("name: My Shop!\n" + base).load()
        #expect(loaded.stack.name == "myshop")
        #expect(loaded.warnings.map(\.message) == ["the project is called 'myshop', made of 'My Shop!'"])
    }

    @Test func theNameIsAVariable() throws {
        let project = MemoryProject("name: ${N:-demo}\nservices: {web: {image: \"$COMPOSE_PROJECT_NAME\"}}")
        #expect(try project.load().stack.services["web"]?.image == "demo")
    }

    @Test func environmentFilesInOrder() throws {
        var project = MemoryProject("services: {web: {image: \"$A-$B-$C\"}}")
        project.files["/work/demo/.env"] = "A=dot\nB=dot\nC=dot\n"
        project.environment["A"] = "process"
        #expect(try project.load().stack.services["web"]?.image == "process-dot-dot")
        project.files["/work/demo/x.env"] = "B=x\nC=x\n"
        project.files["/work/demo/y.env"] = "C=y\n"
        #expect(try project.load { $0.envFiles = ["x.env", "y.env"] }.stack.services["web"]?.image == "process-x-y")
        #expect(project.errors { $0.envFiles = ["no.env"] }.map(\.code) == ["stack.file"])
        project.files["/work/demo/.env"] = "A=1\n!\n"
        #expect(project.places() == ["stack.env-file .env:2:1"])
    }

    @Test func profiles() throws {
        let text = """
            services:
              web: {image: a}
              debug: {image: b, profiles: [debug], env_file: missing.env}
              tools: {image: c, profiles: [tools]}
            """
        var project = MemoryProject(text)
        #expect(try project.load().stack.services.keys.sorted() == ["web"])
        #expect(try project.load { $0.profiles = ["tools"] }.stack.services.keys.sorted() == ["tools", "web"])
        #expect(try project.load { $0.targetServices = ["tools"] }.stack.services.keys.sorted() == ["tools", "web"])
        #expect(project.errors { $0.profiles = ["*"] }.map(\.code) == ["stack.file"])
        #expect(project.errors { $0.targetServices = ["tolls"] }.first?.hint == "did you mean 'tools'?")
        project.environment["COMPOSE_PROFILES"] = "other, tools"
        #expect(try project.load().stack.services.keys.sorted() == ["tools", "web"])
    }

    @Test func dependingOnADisabledServiceIsAnError() {
        let project = MemoryProject(
            "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [p]}\n")
        #expect(project.errors().map(\.message) == ["service 'a' depends on 'b', which no active profile enables"])
        #expect(project.errors { $0.profiles = ["p"] }.isEmpty)
    }

    @Test func extendsInOneFileAndAnother() throws {
        var project = MemoryProject(
            """
            services:
              web:
                extends: {file: sub/common.yaml, service: base}
                environment: {B: web}
                volumes: ["./own:/own"]
              api:
                extends: web
                image: api
            """)
        project.files["/work/demo/sub/common.yaml"] = """
            services:
              root: {image: app, environment: {A: root, B: root}}
              base:
                extends: {service: root}
                volumes: ["./data:/data"]
                env_file: vars.env
              broken: {imagee: x}
            """
        project.files["/work/demo/sub/vars.env"] = "FILE=1\n"
        let services = try project.load().stack.services
        #expect(services["web"]?.image == "app" && services["api"]?.image == "api")
        #expect(services["api"]?.environment == ["A": "root", "B": "web", "FILE": "1"])
        #expect(services["api"]?.mounts.map(\.source) == ["/work/demo/sub/data", "/work/demo/own"])
    }

    @Test func extendsErrors() {
        let cycle = MemoryProject("services:\n  a: {extends: b}\n  b: {extends: {service: a}}\n")
        #expect(cycle.errors().first?.message == "services extend each other: a → b → a")
        let missing = MemoryProject("services:\n  a: {extends: bb}\n  b: {image: x}\n")
        #expect(missing.errors().first?.message == "service 'bb' to extend is not in compose.yaml")
        #expect(missing.errors().first?.hint == "did you mean 'b'?")
        let file = MemoryProject("services:\n  a: {extends: {file: no.yaml, service: b}}\n")
        #expect(file.places() == ["stack.file compose.yaml:2:23"])
    }

    @Test func includes() throws {
        var project = MemoryProject(
            """
            include:
              - sub/compose.yaml
              - {path: [two.yaml], project_directory: other, env_file: two.env}
            services:
              web: {image: local, depends_on: [db]}
            """)
        project.files["/work/demo/sub/compose.yaml"] = """
            services:
              db: {image: "db:$TAG", volumes: ["./d:/d", "data:/data"]}
              web: {image: included, user: included}
            volumes: {data: {}}
            """
        project.files["/work/demo/sub/.env"] = "TAG=sub\n"
        project.files["/work/demo/two.yaml"] =
            "services: {two: {image: \"$TAG\", volumes: [\"./t:/t\"]}, db: {image: no}}"
        project.files["/work/demo/two.env"] = "TAG=two\n"
        let stack = try project.load().stack
        #expect(stack.services["web"]?.image == "local" && stack.services["web"]?.user == "included")
        #expect(stack.services["db"]?.image == "db:sub" && stack.services["two"]?.image == "two")
        #expect(stack.services["db"]?.mounts.first?.source == "/work/demo/sub/d")
        #expect(stack.services["two"]?.mounts.first?.source == "/work/demo/other/t")
        #expect(stack.volumes.keys.sorted() == ["data"])
        #expect(stack.source(of: "services.db.image")?.file == "sub/compose.yaml")
        project.files["/work/demo/two.yaml"] = "include: [../compose.yaml]\n"
        #expect(project.errors().first?.message == "include cycle: compose.yaml → two.yaml → compose.yaml")
    }
}
