import Glibc
import Testing

/// The house rules that neither the compiler nor `swift format` checks. CONTRIBUTING.md says why each is there.
@Suite struct TidyTests {
    static let fileLinesMax = 500
    static let functionLinesMax = 70
    static let columnsMax = 120

    @Test(arguments: ["Sources", "Tests"])
    func theTreeIsTidy(folder: String) throws {
        let files = try sourceFiles(in: folder)
        #expect(!files.isEmpty)
        for complaint in files.flatMap(complaints) { Issue.record("\(complaint)") }
    }

    @Test func breachesAreFound() {
        let samples = [
            ("import Foundation", "import"), ("let x = try! f()", "try!"), ("let x = y as! Int", "as!"),
            ("fatalError(\"no\")", "fatalError"), ("let x = try? f()", "try?"), ("let x = 1  // TODO", "unfinished"),
            ("final class Box: @unchecked Sendable {}", "SAFETY"), ("nonisolated(unsafe) var x = 1", "SAFETY"),
            ("Task { await f() }", "OWNER"), ("    Task.detached { f() }", "OWNER"), ("_ = Task { f() }", "OWNER"),
            (String(repeating: "x", count: 121), "columns"), (String(repeating: "\n", count: 501), "lines"),
            ("func f() {\n" + String(repeating: "    x()\n", count: 69) + "}", "function"),
            (
                "    @Test(arguments: [1])\n    static func f(\n        a: Int\n    ) {\n"
                    + String(repeating: "        x()\n", count: 70) + "    }", "function"
            ),
        ]
        for (text, word) in samples {
            let found = complaints(about: SourceFile(path: "Example.swift", text: text))
            #expect(found.count == 1 && found.allSatisfy { $0.contains(word) }, "\(text.prefix(80)): \(found)")
        }
    }

    @Test func whatIsAllowedPasses() {
        let samples = [
            "x.gantry?.y()", "import FoundationEssentials", "// as! and try! in a comment",
            ##"print(#"try! " fatalError("#)"##,
            "let x = try? f()  // Missing is as good as empty.", "// Missing is as good as empty.\nlet x = try? f()",
            "/// A box.\n// SAFETY: the lock guards it.\nfinal class Box: @unchecked Sendable {}",
            "// OWNER: the process ends with it.\nTask { await f() }", "let task = Task { await f() }",
            "func f() {\n" + String(repeating: "    x()\n", count: 68) + "}", #"let path = "/tmp/x.XXXXXX""#,
            "protocol P {\n    func f()\n}\n" + String(repeating: "let x = 1\n", count: 80) + "}",
            "let text = \"\"\"\n    try! it\n    \"\"\"", "print(\"try! \\\" fatalError(\")",
        ]
        for text in samples {
            #expect(complaints(about: SourceFile(path: "Example.swift", text: text)) == [], "\(text.prefix(80))")
        }
    }
}

/// `path:line: what is wrong`, for each breach of a rule.
private func complaints(about file: SourceFile) -> [String] {
    var found: [String] = []
    if file.lines.count > TidyTests.fileLinesMax {
        found.append("\(file.path): \(file.lines.count) lines, the limit is \(TidyTests.fileLinesMax)")
    }
    for (index, line) in file.lines.enumerated() {
        let place = "\(file.path):\(index + 1)"
        found += breaches(of: line).map { "\(place): \($0)" }
        if has(line.code, "try?"), line.code.contains(/\btry\?/), line.comment.isEmpty,
            index == 0 || file.lines[index - 1].comment.isEmpty
        {
            found.append("\(place): try? without a comment that says why the error does not matter")
        }
        if has(line.code, "@unchecked Sendable") || has(line.code, "nonisolated(unsafe)"),
            !hasMarker("SAFETY:", above: index, in: file)
        {
            found.append("\(place): needs a line `// SAFETY: …` before it")
        }
        if has(line.code, "Task"), line.code.contains(/^\s*(_ = )?Task(\.detached)?\s*(\(.*\)\s*)?\{/),
            !hasMarker("OWNER:", above: index, in: file)
        {
            found.append("\(place): a task nobody waits for; keep it, use a group, or say `// OWNER: …` before it")
        }
        if let length = functionLength(at: index, in: file), length > TidyTests.functionLinesMax {
            found.append("\(place): function of \(length) lines, the limit is \(TidyTests.functionLinesMax)")
        }
    }
    return found
}

/// Rules that one line breaks by itself.
private func breaches(of line: SourceFile.Line) -> [String] {
    var found: [String] = []
    // What a program prints stands in its tests as it is printed.
    if line.text.utf8.count > TidyTests.columnsMax, line.text.count > TidyTests.columnsMax, !line.isText {
        found.append("\(line.text.count) columns")
    }
    if line.code.hasPrefix("import"), line.code.contains(/^import Foundation\s*$/) {
        found.append("import of Foundation")
    }
    for word in ["try!", "as!", "fatalError("] where has(line.code, word) { found.append(word) }
    if !line.comment.isEmpty, line.comment.contains(/\b(TODO|FIXME|XXX)\b/) { found.append("unfinished") }
    return found
}

/// Whether the comments and attributes directly above a line have the marker.
private func hasMarker(_ marker: String, above index: Int, in file: SourceFile) -> Bool {
    for line in file.lines[..<index].reversed() {
        if has(line.comment, marker) { return true }
        let start = line.text.drop { $0 == " " }
        guard start.hasPrefix("//") || start.hasPrefix("@") else { return false }
    }
    return false
}

/// Lines of the function, initializer or computed property that begins at a line, from its declaration to its closing
/// brace, which in formatted code stands under the start of the declaration. `nil` when none begins there or it has no
/// body of its own lines.
private func functionLength(at index: Int, in file: SourceFile) -> Int? {
    let start = file.lines[index]
    let declaration =
        /^\s*(@\w+(\(.*?\))?\s+|[a-z]+(\(\w+\))?\s+)*(func\b|init[?!]?[(<]|deinit\b|subscript[(<]|var\b.*\{$)/
    // Most lines have none of these; asking first is ten times faster.
    guard ["func", "init", "subscript", "var"].contains(where: { has(start.code, $0) }),
        start.code.contains(declaration)
    else { return nil }
    for (offset, line) in file.lines[(index + 1)...].enumerated()
    where !line.isBlank && line.indentation <= start.indentation {
        let text = line.text.drop { $0 == " " }
        if line.indentation == start.indentation, text.hasPrefix("}") { return offset + 2 }
        // The rest of a declaration that takes several lines.
        guard line.indentation == start.indentation, text.hasPrefix(")") || text.hasPrefix("{") else { return nil }
    }
    return nil
}

/// `contains`, a hundred times faster in a debug build, where this runs on each line of the package.
private func has(_ text: String, _ word: String) -> Bool { strstr(text, word) != nil }
