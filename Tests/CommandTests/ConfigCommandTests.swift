import Engine
import Glibc
import LinuxSystem
import StackFile
import StackModel
import Testing

@testable import gantry

/// `gantry config`, the real program on files in a folder of its own.
@Suite struct ConfigCommandTests {
    private let folder: TemporaryFolder
    private let file: String

    init() throws {
        folder = try TemporaryFolder()
        file = folder.path + "/compose.yaml"
        try write(
            """
            name: shop
            services:
              web: {image: "nginx:${TAG:-1}", depends_on: [db]}
              db: {image: "db@sha256:\(Self.digest)", profiles: [data]}
              other: {build: ., networks: [back]}
            networks: {back: , unused: }
            """)
    }

    private static let digest = String(repeating: "ab", count: 32)

    private func write(_ text: String) throws {
        try FileSystem.replaceFile(file, with: Array(text.utf8), mode: 0o644)
    }

    private func config(_ arguments: String..., engine: FakeEngine? = nil) throws -> ProgramResult {
        try runGantry(
            ["-f", file, "--profile", "data", "config"] + arguments, engine: engine, environment: ["TAG": "2"])
    }

    @Test func lists() throws {
        #expect(try config("--services").output == "db\nother\nweb\n")
        #expect(try config("--networks", "--images").output == "back\ndefault\n")
        #expect(try config("--networks", "--all-resources").output == "back\ndefault\nunused\n")
        #expect(try config("--images", "web").output == "db@sha256:\(Self.digest)\nnginx:2\n")
        #expect(try config("--profiles").output == "data\n")
        #expect(try config("--variables").output.contains("TAG                 false               1"))
        #expect(try config("--variables", "--format", "json").output.contains(#""DefaultValue": "1""#))
        #expect(try config("--environment").output.contains("COMPOSE_PROJECT_NAME=shop\n"))
    }

    @Test func selectsServices() throws {
        let shown = try config("web").output
        #expect(shown.contains("image: nginx:2") && shown.contains("  db:\n") && !shown.contains("other"))
        let unknown = try config("wbe")
        #expect(unknown.exitCode == 1 && unknown.errors.hasPrefix("error[stack.reference]: no such service: wbe\n"))
        #expect(unknown.errors.contains("did you mean 'web'?"))
    }

    @Test func leavesStepsOut() throws {
        #expect(try config("--no-interpolate").output.contains("image: nginx:${TAG:-1}\n"))
        #expect(try !config("--no-normalize").output.contains("default"))
        #expect(try config("--no-path-resolution").output.contains("context: .\n"))
    }

    /// The hash is the one that the engine puts on containers.
    @Test func hashesServices() throws {
        let all = try config("--hash", "*").output
        #expect(all.split(separator: "\n").map { $0.prefix { $0 != " " } } == ["db", "other", "web"])
        var options = LoadOptions(workingDirectory: folder.path, environment: ["TAG": "2"])
        options.files = [file]
        options.profiles = ["data"]
        let web = try #require(try loadStack(options).stack.services["web"])
        #expect(try config("--hash", "web").output == "web \(try configHash(of: web))\n")
        var scaled = web
        scaled.replicas = 7
        #expect(try configHash(of: scaled) == configHash(of: web))
        scaled.environment["A"] = "b"
        #expect(try configHash(of: scaled) != configHash(of: web))
        #expect(
            try config("--hash", "nope").errors.contains("no such service: nope: not found"))
        let disabled = try runGantry(["-f", file, "config", "--hash", "db", "--no-consistency"])
        #expect(disabled.exitCode != 0)
    }

    @Test func printsDiagnosticsForPrograms() throws {
        let good = try config("-q", "--format", "sarif")
        #expect(good.exitCode == 0 && good.output.contains(#""version": "2.1.0""#))
        try write("services: {web: {image: a, prots: []}}\n")
        let json = try config("-q", "--format", "json")
        #expect(json.exitCode == 1 && json.errors == "")
        #expect(json.output.contains(#""code": "stack.unknown-key""#))
        let github = try config("--quiet", "--format=github")
        #expect(github.exitCode == 1 && github.output.hasPrefix("::error file="))
        let text = try config("-q", "--format", "text")
        #expect(text.exitCode == 1 && text.output.contains("error[stack.unknown-key]") && text.errors == "")
        #expect(try config("-q").errors.contains("error[stack.unknown-key]"))
    }

    @Test func refusesFormats() throws {
        let github = try config("--format", "github")
        #expect(github.exitCode == 2 && github.errors.contains("help: add --quiet\n"))
        let xml = try config("--format", "xml")
        #expect(xml.errors == "error: unsupported format 'xml'\nhelp: the formats are yaml, json\n")
        #expect(try config("-q", "--format", "xml").errors.contains("text, json, github, sarif"))
    }

    @Test func writesToAFile() throws {
        let path = folder.path + "/out.yaml"
        #expect(try config("-o", path, "web").output == "")
        let written = String(decoding: try FileSystem.readFile(path), as: UTF8.self)
        #expect(written == (try config("web").output))
    }

    @Test func explains() throws {
        let text = try config("--explain", "services.web.image")
        #expect(text.exitCode == 0)
        #expect(
            text.output == """
                services.web.image: "nginx:2"
                  \(file.dropFirst("/tmp/".count)):3:16
                      3 |   web: {image: "nginx:${TAG:-1}", depends_on: [db]}
                        |                ^^^^^^^^^^^^^^^^^
                    TAG is "2", from the environment

                """)
        let json = try config("--explain", "services.web.image", "--explain", "name", "--format", "json")
        #expect(json.output.hasPrefix("[\n  {\n    \"path\": \"services.web.image\""))
        let unknown = try config("--explain", "services.web.imag")
        #expect(unknown.exitCode == 1 && unknown.errors.contains("did you mean 'services.web.image'?"))
    }

    @Test func namesImagesByDigest() throws {
        let engine = try FakeEngine { request, connection in
            guard request.target.contains("nginx") else {
                return connection.reply(#"{"message":"no such image"}"#, status: "404 Not Found")
            }
            let digest = "sha256:" + String(repeating: "c", count: 64)
            connection.reply(#"{"Id":"sha256:1","RepoTags":["nginx:2"],"RepoDigests":["nginx@\#(digest)"],"Size":1}"#)
        }
        let digest = "sha256:" + String(repeating: "c", count: 64)
        let resolved = try config("--resolve-image-digests", engine: engine)
        #expect(resolved.output.contains("image: docker.io/library/nginx:2@\(digest)\n"))
        #expect(resolved.output.contains("image: docker.io/library/db@sha256:\(Self.digest)\n"))
        let lock = try config("--lock-image-digests", engine: engine)
        #expect(
            lock.output == """
                services:
                  db:
                    image: docker.io/library/db@sha256:\(Self.digest)
                  web:
                    image: docker.io/library/nginx:2@\(digest)

                """)
        try write("services: {web: {image: gone}}\n")
        let missing = try config("--resolve-image-digests", engine: engine)
        #expect(missing.exitCode == 1)
        #expect(missing.errors.contains("image 'gone' of service 'web' is not in the engine's store"))
        #expect(missing.errors.contains("gantry load"))
    }
}
