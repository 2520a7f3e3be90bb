import StackModel
import Testing

@testable import StackFile

struct DiagnosticRenderTests {
    @Test func caretStandsUnderTheColumn() {
        let diagnostic = serviceErrors("prots: [80]")[0]
        #expect(
            renderDiagnostic(diagnostic, color: false) == """
                compose.yaml:4:5: error[stack.unknown-key]: unknown key 'prots' in 'services.web'
                    4 |     prots: [80]
                      |     ^^^^^
                help: did you mean 'ports'?
                """)
    }

    @Test func tabsKeepTheCaretAligned() {
        let mark = SourceMark(file: "f", line: 12, column: 4)
        let text = renderDiagnostic(
            Diagnostic(.warning, code: "x", "message", source: mark, sourceLine: "\ta\tb"), color: false)
        #expect(text == "f:12:4: warning: message\n   12 | \ta\tb\n      | \t \t^")
    }

    @Test func controlCharactersDoNotReachTheTerminal() {
        let mark = SourceMark(file: "f", line: 1, column: 900)
        let diagnostic = Diagnostic(code: "x", "bad \u{1B}[2J", source: mark, sourceLine: "a\u{1B}]0;x\u{7}")
        let text = renderDiagnostic(diagnostic, color: false)
        #expect(!text.contains("\u{1B}"))
        #expect(renderDiagnostic(diagnostic, color: true).contains("\u{1B}[1;31merror:\u{1B}[0m"))
    }

    @Test func withoutAPlace() {
        #expect(renderDiagnostic(Diagnostic(code: "x", "message"), color: false) == "error: message")
    }

    @Test func longLinesAreCutAroundTheColumn() throws {
        let line = String(repeating: "x", count: 5000) + "HERE" + String(repeating: "y", count: 5000)
        let mark = SourceMark(file: "f", line: 1, column: 5001)
        let text = renderDiagnostic(Diagnostic(code: "x", "m", source: mark, sourceLine: line), color: false)
        let lines = text.split(separator: "\n")
        #expect(lines[1].count < 200)
        let caret = try #require(
            lines[2].firstIndex(of: "^").map { lines[2].distance(from: lines[2].startIndex, to: $0) })
        #expect(Array(lines[1])[caret] == "H")
        #expect(lines[2].count == lines[1].count)
    }

    @Test(arguments: [
        ("prots", "ports"), ("enviroment", "environment"), ("imge", "image"), ("dependson", "depends_on"),
    ])
    func suggestions(word: String, expected: String) {
        #expect(nearest(word, in: Schema.serviceProcess.keys.sorted() + ["ports", "depends_on"]) == expected)
    }

    @Test func nothingNearNothingSuggested() {
        #expect(nearest("abcdef", in: ["ports", "image"]) == nil)
        #expect(nearest(String(repeating: "a", count: 100), in: [String(repeating: "a", count: 99)]) == nil)
    }
}
