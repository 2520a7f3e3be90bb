import StackModel
import Testing

@testable import StackFile

struct ReportTests {
    @Test func chainsAndPaths() throws {
        var project = MemoryProject(files: [
            "/work/demo/compose.yaml":
                "include: [sub/a.yaml]\nservices:\n  web:\n    extends: {file: base.yaml, service: b}\n",
            "/work/demo/sub/a.yaml": "services:\n  db:\n    image: x\n    ports: [\"80\", \"x\"]\n",
            "/work/demo/base.yaml": "services:\n  b: {image: x, restart: [1]}\n",
        ])
        let errors = project.errors()
        #expect(errors.map(\.path) == ["services.db.ports[1]", "services.b.restart"])
        #expect(
            errors.map(\.chain) == [
                [.init(.include, at: SourceMark(file: "compose.yaml", line: 1, column: 11))],
                [.init(.extends, at: SourceMark(file: "compose.yaml", line: 4, column: 21))],
            ])
        project.files["/work/demo/compose.yaml"] = "services:\n  a: {image: x, label_file: l}\n"
        project.files["/work/demo/l"] = "a b=1"
        #expect(project.errors().first?.chain.map(\.role) == [.labelFile])
    }

    @Test func pathsInsideValues() throws {
        let warnings = try MemoryProject("services:\n  web: {image: x, hostname: \"a-${NOPE}\"}\n").load().warnings
        #expect(warnings.map(\.path) == ["services.web.hostname"])
        #expect(warnings.first?.source == SourceMark(file: "compose.yaml", line: 2, column: 32))
    }

    @Test func anchoredValuesKeepTheirFirstPath() {
        let text = "x-a: &a {image: 5}\nservices:\n  web: *a\n  db: *a\n"
        #expect(MemoryProject(text).errors().map(\.path) == ["x-a.image"])
    }

    @Test func unsetVariablesComeWithTheErrors() {
        let text = "version: '3'\nservices:\n  web:\n    image: ${NOPE}\n"
        #expect(MemoryProject(text).errors().map(\.code) == ["stack.missing-key", "stack.unset-variable"])
    }

    @Test func originsThatNameEachOtherEnd() {
        let report = Report()
        func mark(_ file: String) -> SourceMark { SourceMark(file: file, line: 1, column: 1) }
        report.remember([], file: "a", from: .init(.include, at: mark("b")))
        report.remember([], file: "b", from: .init(.include, at: mark("a")))
        report.remember([], file: "c", from: .init(.include, at: mark("c")))
        for file in ["a", "c"] { report.error("x", "m", at: mark(file)) }
        #expect(report.errors.map(\.chain.count) == [2, 0])
    }

    @Test func notesOfDuplicates() {
        let text = "services:\n  a: {image: x, container_name: one, ports: [\"80:1\"]}\n"
        let notes = MemoryProject(text + "  b: {image: x, container_name: one, ports: [\"80:2\"]}\n").errors().map(
            \.notes)
        #expect(notes.map { $0.map(\.mark.line) } == [[2], [2]])
        #expect(notes.joined().allSatisfy { $0.sourceLine?.hasPrefix("  a:") == true })
    }

    @Test(arguments: [
        ("a\nb\r\nc\rd\u{85}e\u{2028}f", ["a", "b", "c", "d", "e", "f"]), ("", [""]), ("\u{FEFF}a\n", ["a", ""]),
    ])
    func lines(text: String, expected: [String]) {
        #expect(sourceLines(Array(text.utf8)).map(String.init) == expected)
    }

    @Test(
        arguments: [
            ("a $$NAME ${NAME} $NAMES", 9), ("$NAME", 0), ("${NAME:-x}", 0), ("${A:-$NAME}", 5), ("$NAMES", nil),
            ("$$NAME", nil),
            ("$", nil), ("${", nil),
        ] as [(String, Int?)])
    func substitutions(text: String, offset: Int?) {
        #expect(substitution(of: "NAME", in: Array(text.unicodeScalars)) == offset)
    }

    @Test func variablesOfTextBlocksHaveTheirLine() throws {
        let text = "services:\n  web:\n    image: x\n    command: |\n      one\n      two ${NOPE}\n"
        #expect(
            try MemoryProject(text).load().warnings.first?.source
                == SourceMark(file: "compose.yaml", line: 6, column: 11))
        let files = [
            "/work/demo/compose.yaml": "services: {web: {image: x}}", "/work/demo/.env": "A=1\nB=\"x\ny $NOPE\"\n",
        ]
        let warning = try MemoryProject(files: files).load().warnings.first
        #expect(warning?.source == SourceMark(file: ".env", line: 3, column: 3))
    }
}
