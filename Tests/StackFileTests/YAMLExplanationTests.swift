import StackModel
import Testing

@testable import StackFile

/// What is not in the folder Broken: rarer slips, and texts that are fine.
struct YAMLExplanationTests {
    private func explanation(_ text: String) throws -> Diagnostic {
        let report = Report()
        let bytes = Array(text.utf8)
        report.remember(bytes, file: "f")
        do throws(Diagnostic) {
            _ = try YAMLComposer.documents(bytes, file: "f", report: report)
        } catch {
            return error
        }
        return try #require(report.errors.first)
    }

    @Test(arguments: [
        ("a:\n  - b\n      c: d", 3, 7, "'c' is indented as if it belonged to the list item above"),
        ("a:\n - b\n  - c: d", 3, 3, "this list item is indented as if it belonged to the list item above"),
        ("a: b\n: c", 2, 1, "a key is missing before ':'"),
        ("a: [b] c", 1, 8, "text follows the closing ']'"),
        ("a: &b\nc: *b d\n", 2, 4, "a value that starts with '*' needs quotes"),
        ("a: ? b", 1, 4, "a value must not start with '? '"), ("a: ]", 1, 4, "a value is expected before ']'"),
        ("a: !x!y z", 1, 4, "'!' starts a tag, and no such tag is declared"),
        ("%a: b", 1, 1, "a line must not start with '%'"),
        ("a: {b: c: d}", 1, 9, "a value in brackets has ': ' in it, so it needs quotes"),
        ("- a\nb: c", 2, 1, "'b' stands among the items of a list"),
        ("a:\n-\tb: c", 2, 2, "a tab is used for indentation"),
        ("{a: b}\nc: d", 2, 1, "'c' stands after the end of the file's value"),
        ("a: {b: c\nd: e", 1, 4, "'{' is never closed"), ("a: \"\\u12\"", 1, 5, "'\\u' is no escape in double quotes"),
        ("a:\n  b: 1\n  \u{3000}c: 2", 3, 3, "the character U+3000 looks like a space but is none"),
        (
            "a:\n  b: 1\n  c:\n[d, e]\nf: g", 4, 1,
            "this line has no ':' and is not indented deep enough to be the value of 'c'"
        ),
        ("a:\n  b: 1\n  -\"c\"\n  d: e", 3, 3, "a space is missing after '-'"),
        ("a: b: c\n", 1, 4, "'a' and 'b' are two keys in one line"),
        ("a: [\"b, \"c\"]", 1, 10, "a double quote of this line has no counterpart"),
        ("a: {", 1, 4, "'{' is never closed"), ("a: [{b: \"]\"}, [", 1, 15, "'[' is never closed"),
        ("a: [!\"b\"]", 1, 5, "a value that starts with '!' is a tag"),
        ("a: {b:, c}", 1, 6, "this ':' in brackets is neither part of a text nor the end of a key"),
        ("a: {{ b :}}/c", 1, 4, "a value that starts with '{{' needs quotes"),
        ("a: b\n  - \"c: d\"", 2, 3, "this line is indented below 'a', which has a value already"),
        ("a: b\n  - c: d", 2, 3, "this line is indented below 'a', which has a value already"),
        ("{{ a }}", 1, 1, "a value that starts with '{{' needs quotes"),
        ("a: 'b\nc: d\ne: 'f'\n", 1, 4, "the quote is never closed"),
        ("a: |\n  it's\nb: 'c\nd: e\n", 3, 4, "the quote is never closed"),
        ("a: b\nc: \"d\" e: f", 2, 8, "text follows the closing quote"),
    ])
    func slips(text: String, line: Int, column: Int, message: String) throws {
        let found = try explanation(text)
        #expect(found.message == message)
        #expect(found.source == SourceMark(file: "f", line: line, column: column))
        #expect(found.code == "stack.syntax")
        #expect(found.hint?.isEmpty == false)
    }

    @Test func bytes() throws {
        #expect(
            explainBytes(
                "invalid trailing UTF-8 octet", value: 0xE9, offset: 7, at: SourceMark(file: "f", line: 1, column: 8)
            )
            .message == "the byte 0xE9 at offset 7 is not UTF-8 text")
        #expect(try explanation("a: \u{1}").message == "the file has the control character U+0001 at offset 3")
        #expect(try explanation("a: \u{0}").message == "the file has a NUL character at offset 3")
    }

    /// Messages of libyaml that no rule knows stay part of one that says what to do.
    @Test func unknownProblems() {
        let problem = YAMLProblem(
            problem: "did not find the moon", context: "while looking", mark: SourceMark(file: "f", line: 9, column: 9))
        let found = explain(problem, lines: YAMLLines(["a: b"]))
        #expect(found.message == "this is not valid YAML: did not find the moon while looking")
        #expect(found.hint != nil)
    }

    @Test(arguments: [
        "\u{FEFF}services:\r\n  web:\r\n    image: nginx\r\n",
        "{\"services\": {\n\t\"web\": {\"image\": \"nginx\"}\n}}\n",
        "---\n# comment\nservices: {web: {image: nginx}}\n...\n",
        "services:\n  web:\n    image: nginx\n    command: \"a\n      b: c\n      - d\"\n"
            + "    labels: {a: 'x\n  y: z'}\n",
        "services:\n  web:\n    image: nginx\n    hostname: |\n      it's \"open\n      key: [\n",
    ])
    func fine(text: String) throws {
        #expect(try MemoryProject(text).load().stack.services["web"]?.image == "nginx")
    }

    @Test func byteOrderMarkIsNoColumn() {
        let error = MemoryProject("\u{FEFF}service: {}").errors().first
        #expect(error?.source == SourceMark(file: "compose.yaml", line: 1, column: 1))
        #expect(error?.sourceLine == "service: {}")
    }

    /// Changed texts are explained without a trap, in every format.
    @Test func changedTexts() {
        let texts = folderNames(BrokenFilesTests.folder).compactMap { name in
            // A case without the file would fail in its own test.
            try? FileAccess.system.read(BrokenFilesTests.folder + "/\(name)/compose.yaml", 1024 * 1024)
        }
        #expect(texts.count >= 30)
        let tokens = Array("\"'[]{}:-#&*!|>%@`\t\n ,?$\\".utf8)
        var random = SeededRandom(state: 7)
        for _ in 0..<1000 {
            guard var bytes = texts.randomElement(using: &random) else { continue }
            for _ in 0..<3 {
                let position = Int.random(in: 0...bytes.count, using: &random)
                if Bool.random(using: &random), position < bytes.count {
                    bytes.remove(at: position)
                } else {
                    bytes.insert(tokens.randomElement(using: &random) ?? 0x20, at: position)
                }
            }
            let report = Report()
            report.remember(bytes, file: "f")
            do throws(Diagnostic) {
                report.remember(try YAMLComposer.documents(bytes, file: "f", report: report), file: "f")
            } catch {
                #expect(error.source != nil && error.hint != nil, "\(String(decoding: bytes, as: UTF8.self)) \(error)")
                report.add(error)
            }
            for format in DiagnosticFormat.allCases { _ = renderDiagnostics(report.errors, format, color: true) }
        }
    }

    @Test(
        arguments: [
            ("image:nginx", true, false, "a space is missing after 'image:': write 'image: nginx'"),
            ("-\"80\" -\"81\"", false, true, "a space is missing after '-': write '- \"80\"'"),
            (
                "80 - 81", false, true,
                "list items below a value belong to it: write every item in a line of its own, after '- '"
            ),
            ("80:80", true, true, nil), ("http://x", true, false, nil), ("a: b", true, false, nil),
            ("", true, true, nil),
        ] as [(String, Bool, Bool, String?)])
    func misread(text: String, mapping: Bool, list: Bool, hint: String?) {
        #expect(misreadHint(text, wantsMapping: mapping, wantsList: list) == hint)
    }
}
