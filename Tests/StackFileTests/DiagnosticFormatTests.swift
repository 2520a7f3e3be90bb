import FoundationEssentials
import StackModel
import Testing

@testable import StackFile

struct DiagnosticFormatTests {
    private let sample = Diagnostic(
        .error, code: "stack.conflict", "100% \"wrong\": $x, y",
        source: SourceMark(file: "a b/c,ü.yaml", line: 3, column: 5),
        sourceLine: "    image: nginx", hint: "do\nthis", path: "services.web.image",
        chain: [.init(.include, at: SourceMark(file: "compose.yaml", line: 1, column: 11))],
        notes: [
            .init(
                "first given here", at: SourceMark(file: "compose.yaml", line: 2, column: 3), sourceLine: "  image: x")
        ])
    private let bare = Diagnostic(.warning, code: "image.old", "old")

    @Test func text() {
        #expect(
            renderDiagnostics([sample, bare], .text, color: false) == """
                a b/c,ü.yaml:3:5: error[stack.conflict]: 100% "wrong": $x, y
                    3 |     image: nginx
                      |     ^^^^^
                      = included from compose.yaml:1:11
                compose.yaml:2:3: note: first given here
                    2 |   image: x
                      |   ^^^^^
                help: do
                this

                warning: old

                """)
        #expect(renderDiagnostics([], .text, color: true).isEmpty)
    }

    @Test func json() {
        #expect(renderDiagnostics([], .json, color: false) == "[]\n")
        #expect(
            renderDiagnostics([sample, bare], .json, color: true) == #"""
                [
                  {
                    "severity": "error",
                    "code": "stack.conflict",
                    "message": "100% \"wrong\": $x, y",
                    "file": "a b/c,ü.yaml",
                    "line": 3,
                    "column": 5,
                    "endColumn": 10,
                    "path": "services.web.image",
                    "hint": "do\nthis",
                    "chain": [
                      {
                        "role": "include",
                        "file": "compose.yaml",
                        "line": 1,
                        "column": 11
                      }
                    ],
                    "notes": [
                      {
                        "message": "first given here",
                        "file": "compose.yaml",
                        "line": 2,
                        "column": 3
                      }
                    ]
                  },
                  {
                    "severity": "warning",
                    "code": "image.old",
                    "message": "old",
                    "chain": [],
                    "notes": []
                  }
                ]

                """#)
    }

    @Test func github() {
        #expect(
            renderDiagnostics([sample, bare], .github, color: false) == """
                ::error file=a b/c%2Cü.yaml,line=3,col=5,title=stack.conflict::100%25 "wrong": $x, y\
                %0Acompose.yaml:2:3: note: first given here%0Aincluded from compose.yaml:1:11%0Ahelp: do%0Athis
                ::warning title=image.old::old

                """)
        let hostile = Diagnostic(code: "a:b,c", "x\r\n::set-env name=A::b")
        #expect(renderGitHubAnnotation(hostile) == "::error title=a%3Ab%2Cc::x\u{FFFD}%0A::set-env name=A::b")
    }

    @Test func sarif() throws {
        let text = renderDiagnostics([sample, bare], .sarif, color: false)
        let log = try JSONDecoder().decode(Log.self, from: Data(text.utf8))
        #expect(log.version == "2.1.0")
        let run = try #require(log.runs.first)
        #expect(run.tool.driver.name == "gantry")
        let rules = run.tool.driver.rules
        #expect(rules.map(\.id) == DiagnosticCode.all.map(\.code) + ["image.old"])
        #expect(rules[0].shortDescription?.text == DiagnosticCode.all[0].summary)
        let first = try #require(run.results.first)
        #expect(rules[first.ruleIndex].id == "stack.conflict")
        #expect(first.level == "error")
        #expect(first.message.text == sample.message + "\nhelp: do\nthis")
        let place = try #require(first.locations?.first?.physicalLocation)
        #expect(place.artifactLocation.uri == "a%20b/c%2C%C3%BC.yaml")
        #expect(place.region == Log.Region(startLine: 3, startColumn: 5, endColumn: 10))
        #expect(first.relatedLocations?.map(\.message?.text) == ["first given here", "included from here"])
        #expect(run.results.last?.locations == nil)
        let absolute = Diagnostic(code: "stack.file", "m", source: SourceMark(file: "/a/b.yaml", line: 1, column: 1))
        #expect(renderDiagnostics([absolute], .sarif, color: false).contains("\"uri\": \"file:///a/b.yaml\""))
    }

    /// Diagnostics of every kind are one JSON document each, whatever their texts have in them.
    @Test func documentsAreJSON() throws {
        let diagnostics = MemoryProject("services:\n  \"a\\u0001\\\"$\\\\\u{2028}\": {image: x}\n  b: 5\n").errors()
        #expect(!diagnostics.isEmpty)
        for format in [DiagnosticFormat.json, .sarif] {
            let text = renderDiagnostics(diagnostics, format, color: false)
            #expect(throws: Never.self) { try JSONSerializationProbe.check(text) }
        }
    }

    @Test func codable() throws {
        let data = try JSONEncoder().encode(sample)
        #expect(try JSONDecoder().decode(Diagnostic.self, from: data) == sample)
        let old = #"{"severity":"error","code":"a.b","message":"m","source":{"file":"f","line":1,"column":2}}"#
        let decoded = try JSONDecoder().decode(Diagnostic.self, from: Data(old.utf8))
        #expect(decoded == Diagnostic(code: "a.b", "m", source: SourceMark(file: "f", line: 1, column: 2)))
        let plain = String(decoding: try JSONEncoder().encode(bare), as: UTF8.self)
        #expect(!plain.contains("chain") && !plain.contains("notes") && !plain.contains("path"))
    }
}

/// The parts of a SARIF log that are written.
private struct Log: Decodable {
    struct Text: Decodable { var text: String }
    struct Rule: Decodable {
        var id: String
        var shortDescription: Text?
    }
    struct Driver: Decodable {
        var name: String
        var rules: [Rule]
    }
    struct Tool: Decodable { var driver: Driver }
    struct Region: Decodable, Equatable {
        var startLine: Int
        var startColumn: Int
        var endColumn: Int?
    }
    struct Artifact: Decodable { var uri: String }
    struct Physical: Decodable {
        var artifactLocation: Artifact
        var region: Region
    }
    struct Location: Decodable {
        var physicalLocation: Physical?
        var message: Text?
    }
    struct Result: Decodable {
        var ruleId: String
        var ruleIndex: Int
        var level: String
        var message: Text
        var locations: [Location]?
        var relatedLocations: [Location]?
    }
    struct Run: Decodable {
        var tool: Tool
        var results: [Result]
    }

    var version: String
    var runs: [Run]
}

private enum JSONSerializationProbe {
    private struct Anything: Decodable {
        init(from decoder: any Decoder) throws {}
    }

    static func check(_ text: String) throws { _ = try JSONDecoder().decode(Anything.self, from: Data(text.utf8)) }
}
