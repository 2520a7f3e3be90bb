import StackModel
import Testing

@testable import StackFile

/// Files made to fill memory or time end with one clear error, soon.
struct HostileFileTests {
    private let service = "services:\n  a:\n    image: x\n"

    private func limits(_ text: String, _ others: [String: String] = [:]) -> [String] {
        var project = MemoryProject(text)
        for (name, content) in others { project.files["/work/demo/\(name)"] = content }
        let errors = project.errors()
        #expect(errors.allSatisfy { $0.message.count <= Report.messageMax + 1 })
        return errors.filter { $0.code == "stack.limit" }.map(\.message)
    }

    @Test func aliasesOfALongText() {
        let items = String(repeating: "  - *m\n", count: 200)
        let text = String(repeating: "v", count: 100_000)
        #expect(
            limits("x-m: &m \(text)\nx-l:\n\(items)\(service)")
                == ["excessive aliasing: aliases stand for more than 16777216 bytes"])
        #expect(limits("x-m: &m short\nx-l:\n\(items)\(service)") == [])
    }

    @Test func variablesOfALongText() {
        let entries = (0..<400).map { "      K\($0): ${B}\n" }.joined()
        var project = MemoryProject(service + "    environment:\n" + entries)
        project.environment["B"] = String(repeating: "b", count: 100_000)
        #expect(project.errors().map(\.message) == ["variables put in more than 33554432 bytes"])
        var one = MemoryProject("services:\n  a:\n    image: '" + String(repeating: "$B", count: 400) + "'\n")
        one.environment = project.environment
        #expect(one.errors().map(\.message) == ["variables make the value longer than 16777216 bytes"])
    }

    @Test func manyDocuments() {
        let documents = String(repeating: "---\nx-a: 1\n", count: 101)
        #expect(limits(documents) == ["the file has more than 100 documents"])
    }

    @Test func manyServices() {
        let text = "services:\n" + (0...10_000).map { "  s\($0): {image: x}\n" }.joined()
        #expect(limits(text) == ["the stack has more than 10000 services"])
    }

    @Test func manyPorts() {
        let lines = (1...3).map { "    - 127.0.0.\($0):1-65535:1-65535\n" }.joined()
        #expect(limits(service + "    ports:\n" + lines) == ["more than 131072 ports are published"])
    }

    @Test func longCommand() {
        let text = service + "    command: " + String(repeating: "v ", count: 600_000) + "\n"
        #expect(limits(text) == ["'services.a.command' is longer than 1048576 bytes"])
    }

    /// Each file includes the next one twice.
    @Test func includesThatDouble() {
        var files: [String: String] = [:]
        for index in 1...40 {
            let include = index < 40 ? "include: [d\(index + 1).yaml, ./d\(index + 1).yaml]\n" : ""
            files["d\(index).yaml"] = include + "services: {s\(index): {image: x}}\n"
        }
        #expect(limits("include: [d1.yaml]\n", files) == ["'include' and 'extends' bring in more than 1000000 values"])
    }

    @Test func extendsOfALargeService() {
        let base = "  s: {image: x, environment: [" + (0..<20_000).map { "K\($0)=v" }.joined(separator: ",") + "]}\n"
        let others = (0..<60).map { "  e\($0): {extends: s}\n" }.joined()
        #expect(
            limits("services:\n" + base + others) == ["'include' and 'extends' bring in more than 1000000 values"])
    }

    @Test func environmentFilesThatGrow() {
        let lines = (1...20).map { "A\($0)=" + String(repeating: "${A\($0 - 1)}", count: 4) + "\n" }.joined()
        let project = MemoryProject(files: [
            "/work/demo/compose.yaml": service + "    env_file: a.env\n",
            "/work/demo/a.env": "A0=" + String(repeating: "x", count: 1000) + "\n" + lines,
        ])
        #expect(project.errors().map(\.message) == ["the file defines more than 4194304 bytes"])
    }

    @Test func oneEnvironmentFileReadByAll() {
        let services = (0..<50).map { "  s\($0): {image: x, env_file: a.env}\n" }.joined()
        let project = MemoryProject(files: [
            "/work/demo/compose.yaml": "services:\n" + services,
            "/work/demo/a.env": "A=" + String(repeating: "x", count: 500_000) + "\n",
        ])
        #expect(project.errors().map(\.message) == ["environment files define more than 16777216 bytes"])
    }

    @Test func errorsWithoutEnd() {
        let unknown = service + (0..<20_000).map { "    k\($0): 1\n" }.joined()
        #expect(MemoryProject(unknown).errors().count == Report.errorsMax)
        let unset = service + "    labels: {a: '" + (0..<20_000).map { "$V\($0) " }.joined() + "'}\n"
        #expect(throws: Never.self) { try MemoryProject(unset).load() }
    }

    @Test func messagesAreCut() throws {
        let key = String(repeating: "k", count: 100_000)
        let error = try #require(MemoryProject("? \(key)\n: {}\n\(service)").errors().first)
        #expect(error.code == "stack.unknown-key")
        #expect(error.message.count == Report.messageMax + 1 && error.message.hasSuffix("…"))
    }

    /// A file of secrets, included by a file from somebody else, shows no more than one line.
    @Test func filesOfAnotherKind() {
        let shadow = "root:*:20228:0:99999:7:::\nme:$6$secret:1::::::\nyou:$6$other:1::::::\n"
        let project = MemoryProject(files: [
            "/work/demo/compose.yaml": "include: [/etc/shadow]\n" + service, "/etc/shadow": shadow,
        ])
        #expect(project.errors().map(\.message) == ["this is no stack file: none of its keys is known"])
    }

    @Test func anotherFileIsReadForItsServicesOnly() throws {
        var project = MemoryProject("services:\n  a: {extends: {file: b.yaml, service: b}}\n")
        project.files["/work/demo/b.yaml"] = "services:\n  b: {extends: c}\n  c: {image: y}\n  d: {wrong: 1}\n"
        #expect(try project.load().stack.services["a"]?.image == "y")
        project.files["/work/demo/b.yaml"] = "services:\n  bb: {image: y}\n"
        #expect(project.errors().map(\.hint) == ["did you mean 'bb'?"])
    }
}
