import StackModel
import Testing

@testable import StackFile

struct YAMLComposerTests {
    private func documents(_ text: String) throws -> (documents: [Node], errors: [Diagnostic]) {
        let report = Report()
        let bytes = Array(text.utf8)
        report.remember(bytes, file: "f.yaml")
        let documents = try YAMLComposer.documents(bytes, file: "f.yaml", report: report)
        return (documents, report.errors)
    }

    private func failure(_ text: String) -> Diagnostic? {
        do throws(Diagnostic) {
            _ = try YAMLComposer.documents(Array(text.utf8), file: "f.yaml", report: Report())
            return nil
        } catch {
            return error
        }
    }

    @Test func marksOfKeysAndValues() throws {
        let root = try documents("a:\n  - x\n  - {b: \"ü: y\", c: z}\n").documents[0]
        #expect(root.mapping?.keyMark("a") == SourceMark(file: "f.yaml", line: 1, column: 1))
        let item = try #require(root["a"]?.items?.last)
        #expect(item.mark == SourceMark(file: "f.yaml", line: 3, column: 5))
        #expect(item["b"]?.mark == SourceMark(file: "f.yaml", line: 3, column: 9))
        // Columns count characters, not bytes.
        #expect(item["c"]?.mark == SourceMark(file: "f.yaml", line: 3, column: 20))
    }

    @Test func quotedScalarsAreStrings() throws {
        let root = try documents("a: '1'\nb: 1\nc: !!str 1\nd: \"\"\ne:\nf: |\n  1\n").documents[0]
        let values = root.entries.map(\.value.scalar?.value)
        #expect(values == [.string, .integer(1), .string, .string, .null, .string])
    }

    @Test func duplicateKeysAreReportedAtTheSecond() throws {
        let errors = try documents("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n").errors
        #expect(errors.map(\.code) == ["stack.duplicate-key", "stack.duplicate-key"])
        #expect(errors.map(\.source?.line) == [5, 6])
        #expect(errors[0].message == "key 'c' is already given in line 3")
        #expect(errors[0].sourceLine == "  c: 3")
    }

    @Test func anchorsAliasesAndMergeKeys() throws {
        let root = try documents(
            """
            base: &base {a: 1, b: 2}
            more: &more {b: 3, c: 4}
            one: {<<: *base, a: 9}
            two:
              <<: [*base, *more]
              d: 5
            three: *more
            "<<": plain
            """
        ).documents[0]
        func texts(_ key: String) -> [String: String] { stringMap(root[key]) }
        #expect(texts("one") == ["a": "9", "b": "2"])
        #expect(texts("two") == ["a": "1", "b": "2", "c": "4", "d": "5"])
        #expect(texts("three") == ["b": "3", "c": "4"])
        #expect(root["<<"]?.text == "plain")
    }

    @Test func mergeTags() throws {
        let root = try documents("a: !reset null\nb: !override [1]\nc: [1, !reset 2]\n").documents[0]
        #expect(root["a"]?.mergeTag == .reset)
        #expect(root["b"]?.mergeTag == .override)
        #expect(root["c"]?.texts == ["1"])
    }

    @Test func severalDocumentsWithoutEmptyOnes() throws {
        #expect(try documents("a: 1\n---\n---\nb: 2\n...\n").documents.count == 2)
        #expect(try documents("").documents.isEmpty)
        #expect(try documents("# only a comment\n").documents.isEmpty)
    }

    @Test(arguments: [
        ("a: [1, 2", "stack.syntax"), ("a: *x", "stack.syntax"), ("a: &x [*x]", "stack.cycle"),
        ("\"a\\0b\": 1", "stack.value"), ("a: \"\\0\"", "stack.value"), ("? [a]\n: b", "stack.type"),
        ("<<: 5", "stack.type"), ("a: b: c", "stack.syntax"), ("\t- a", "stack.syntax"),
        ("a: \u{1}", "stack.syntax"), ("a: 1\n--- &x\n*x", "stack.syntax"),
    ])
    func refused(text: String, code: String) {
        #expect(failure(text)?.code == code)
        #expect(failure(text)?.source != nil)
    }

    @Test func bytesThatAreNotUTF8HaveAPlace() {
        let bytes: [UInt8] = Array("a: 1\nb: ".utf8) + [0xFF, 0xFE]
        #expect {
            try YAMLComposer.documents(bytes, file: "f", report: Report())
        } throws: { error in
            (error as? Diagnostic)?.source == SourceMark(file: "f", line: 2, column: 4)
        }
    }

    @Test(arguments: [("- ", "stack.limit"), ("[", "stack.limit"), ("{a: ", "stack.limit"), ("? ", "stack.type")])
    func deepNestingIsRefused(opening: String, code: String) {
        #expect(failure(String(repeating: opening, count: 100_000))?.code == code)
    }

    @Test func hundredLevelsAreTaken() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try documents(nested(YAMLLimits.depthMax)).documents.count == 1)
        #expect(failure(nested(YAMLLimits.depthMax + 1))?.code == "stack.limit")
    }

    @Test func aliasBombIsRefused() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            let item = "*a\(level - 1)"
            text += "a\(level): &a\(level) [" + Array(repeating: item, count: 10).joined(separator: ", ") + "]\n"
        }
        let diagnostic = failure(text)
        #expect(diagnostic?.code == "stack.limit")
        #expect(diagnostic?.source?.line == 5)
    }

    @Test func aliasesCannotNestDeeperThanTheLimit() {
        var text = "a0: &a0 [x]\n"
        for level in 1...200 { text += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        #expect(failure(text)?.message == "values are nested deeper than 100 levels")
    }

    @Test func largeFilesAreRefused() {
        let text = String(repeating: "#", count: YAMLLimits.bytesMax + 1)
        #expect(failure(text)?.code == "stack.limit")
    }
}
