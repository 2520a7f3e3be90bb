import CLinux
import Glibc
import LinuxSystem
import Logging
import Testing

@testable import Engine
@testable import EngineAPI

/// schemas/openapi.yaml against the router's own table; what is answered is checked by Tests/EndToEnd/test_openapi.py.
@Suite(.serialized, .timeLimit(.minutes(2))) struct OpenAPITests {
    private static let methods: Set<String> = ["get", "head", "post", "put", "delete", "options", "patch", "trace"]

    /// `GET /stacks` and its like: the document writes every path and every method on a line of its own.
    static func documented(_ text: String) -> [String] {
        var result: [String] = []
        var (isInside, path) = (false, "")
        for line in text.split(separator: "\n") {
            if !line.hasPrefix(" "), !line.hasPrefix("#") { isInside = line.hasPrefix("paths:") }
            guard isInside else { continue }
            if line.hasPrefix("  /"), let colon = line.lastIndex(of: ":") {
                path = String(line[line.index(line.startIndex, offsetBy: 2)..<colon])
            } else if line.hasPrefix("    "), !line.hasPrefix("     "), let colon = line.firstIndex(of: ":") {
                let word = String(line[..<colon].drop { $0 == " " })
                if methods.contains(word) { result.append("\(word.uppercased()) \(path)") }
            }
        }
        return result
    }

    private static func document() throws -> String {
        let root = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
        return String(decoding: try FileSystem.readFile("\(root)/schemas/openapi.yaml"), as: UTF8.self)
    }

    @Test(.enabled(if: geteuid() == 0, "an engine needs root"))
    func everyRouteIsDescribedAndNoOther() throws {
        let folder = try httpTemporaryFolder()
        defer { #expect(throws: Never.self) { try FileSystem.removeTree(folder) } }
        let program = FileSystem.parent(of: try #require(realpath("/proc/self/exe", nil).map { String(cString: $0) }))
        let engine = try Engine(
            options: EngineOptions(
                dataRoot: "\(folder)/data", execRoot: "\(folder)/run", supervisorPath: "\(program)/gantry-supervisor"),
            log: Logger(label: "test"))
        let metrics = MetricsRoutes(engine: engine, version: "test", meter: RequestMeter())
        let router = EngineServer.router(engine: engine, version: "test", metrics: metrics, shutDown: {})
        let served = router.table.map { "\($0.method) \($0.pattern)" }
        let documented = Self.documented(try Self.document())
        #expect(Set(served).subtracting(documented).sorted() == [], "served, and not in schemas/openapi.yaml")
        #expect(Set(documented).subtracting(served).sorted() == [], "in schemas/openapi.yaml, and not served")
        #expect(documented.count == Set(documented).count, "described twice")
        #expect(served.count > 100)
    }

    @Test func linesOfTheDocumentAreRead() {
        let text = """
            openapi: 3.1.0
            paths:
              /a/{b}:
                parameters: []
                get:
                  summary: "post: no"
                post:
                  get: {}
              /c:
                head:
            components:
              /d:
                get:
            """
        #expect(Self.documented(text) == ["GET /a/{b}", "POST /a/{b}", "HEAD /c"])
    }
}
