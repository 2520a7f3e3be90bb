import Testing

@testable import Dockerfile

/// Patterns as moby/patternmatcher and filepath.Match have them.
struct IgnorePatternsTests {
    /// Patterns, a path, and whether it is ignored.
    static let table: [(String, String, Bool)] = [
        ("**", "file", true), ("**/", "file", true), ("**", "dir/file", true), ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true), ("dir/**", "dir/a/file", true), ("dir/**", "dir", false), ("**/dir", "dir", true),
        ("**/dir", "dir/file", true), ("**/dir2/*", "dir/dir2/file", true), ("**/dir2/*", "dir2", false),
        ("**/dir2/**", "dir/dir2/dir3/file", true), ("**file", "file", true), ("**file", "dir/file", true),
        ("**file", "dir/myfile", true), ("**/file", "dir/myfile", false), ("**/file*txt", "a/b/file.txt", true),
        ("**/**/*.txt", "a/b/file.txt", true), ("**/**/*.txt2", "a/b/file.txt", false), ("**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true), ("a/*.txt", "a/dir/file.txt", false), ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true), ("a[b-d]e", "ae", false), ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true), (".*", ".foo", true), (".*", "foo", false), ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true), ("abc?def", "abcdef", false), ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "a/b/foo/bar", true), ("**/.foo", "bar.foo", false), ("a(b)c/def", "a(b)c/def", true),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true), ("dist/*.whl", "dist/p.py-2.4.0rc3+g08acad9-none.whl", true),
        ("a\\\\", "a\\", true), ("a\\*b", "a*b", true), ("a\\*b", "axb", false), ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "ab/c", true), ("a*/b", "abc/b", true), ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b?c*x", "abxbbxdbxebxczzx", true), ("a*b?c*x", "abxbbxdbxebxczzy", false), ("a?b", "a☺b", true),
        ("a???b", "a☺b", false), ("[a-ζ]*", "α", true), ("*[a-ζ]", "A", false), ("a?b", "a/b", false),
        ("a*b", "a/b", false),
        ("[\\]a]", "]", true), ("[\\-x]", "-", true), ("A", "a", false), ("/a", "a", true), ("./a/", "a/b", true),
        ("a/../b", "b", true), ("a//b", "a/b", true), ("../a", "a", false), ("*", ".", false),
        ("a\n!a/b", "a/b", false),
        ("a\n!a/b", "a/c", true), ("!a\na", "a", true), ("*.md\n!README.md", "README.md", false),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true), ("**\n!util/web", "util/web/foo", false),
        ("**\n!util/web\nutil/web/foo", "util/web/foo", true), ("a\n! a/b ", "a/b", false), ("#a", "#a", false),
        (" #a", "#a", true), ("  a  \r", "a", true), ("", "a", false), ("docs/*\n!docs/x", "docs/x/y", false),
        ("\u{FEFF}a", "a", true), ("node_modules", "x/node_modules", false), ("**/a b", "c/a b", true),
    ]

    @Test(arguments: table)
    func matches(patterns: String, path: String, expected: Bool) throws {
        #expect(try IgnorePatterns(parsing: Array(patterns.utf8)).ignores(path) == expected)
    }

    @Test(arguments: [
        "!", "! ", "[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "\\", "a\\", "[b-a]",
    ])
    func malformed(pattern: String) {
        #expect(throws: DockerfileError.self) { try IgnorePatterns(parsing: Array("a\n\(pattern)\n".utf8)) }
    }

    @Test func places() {
        do throws(DockerfileError) {
            _ = try IgnorePatterns(parsing: Array("a\n[\n!\n".utf8))
        } catch {
            #expect(
                error.diagnostics.map(short)
                    == ["2:1: syntax error in pattern \"[\"", "3:1: illegal exclusion pattern: \"!\""])
            #expect(error.diagnostics.first?.source?.file == ".dockerignore")
        }
    }

    @Test func walks() throws {
        let patterns = try IgnorePatterns(
            parsing: Array("node_modules\nbuild/*\n!build/keep/*.txt\n**/*.o\n!**/x.o".utf8))
        #expect(patterns.hasExceptions)
        let build = patterns.follow("build", IgnorePatterns.Walk())
        #expect(!build.isIgnored)
        let keep = patterns.follow("build/keep", build)
        #expect(keep.isIgnored && !patterns.canSkip("build/keep", keep))
        #expect(!patterns.follow("build/keep/a.txt", keep).isIgnored)
        #expect(patterns.follow("build/keep/a.o", keep).isIgnored)
        #expect(!patterns.follow("build/keep/x.o", keep).isIgnored)
        let simple = try IgnorePatterns(parsing: Array("a\nb\n!b/c/d\n!*.md\n!x[/]y".utf8))
        let start = IgnorePatterns.Walk()
        #expect(!simple.canSkip("b", simple.follow("b", start)))
        let plain = try IgnorePatterns(parsing: Array("a\nb\n!b/c/d\n!*.md".utf8))
        #expect(plain.canSkip("a", plain.follow("a", start)))
        #expect(!plain.canSkip("b", plain.follow("b", start)))
        #expect(plain.canSkip("b/x", plain.follow("b/x", plain.follow("b", start))))
        #expect(!plain.canSkip("c", plain.follow("c", start)))
    }

    /// A folder that may be skipped has nothing in it that is not ignored.
    @Test func skippingLosesNothing() throws {
        var random = SystemRandomNumberGenerator()
        let parts = ["a", "b", "*", "**", "?", "[ab]", "a*", "!a", "/", "/", "/"]
        let names = ["a", "b", "ab"]
        for _ in 0..<1500 {
            let lines = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                (Bool.random(using: &random) ? "!" : "")
                    + (0..<Int.random(in: 1...5, using: &random)).map { _ in parts.randomElement() ?? "a" }.joined()
            }
            let text = lines.joined(separator: "\n")
            // Malformed patterns do not count here.
            guard let patterns = try? IgnorePatterns(parsing: Array(text.utf8)) else { continue }
            for outer in names {
                let walk = patterns.follow(outer, IgnorePatterns.Walk())
                #expect(walk.isIgnored == patterns.ignores(outer), "\(text) \(outer)")
                guard patterns.canSkip(outer, walk) else { continue }
                for inner in names {
                    #expect(patterns.ignores(outer + "/" + inner), "\(text): \(outer)/\(inner)")
                    for last in names {
                        #expect(patterns.ignores("\(outer)/\(inner)/\(last)"), "\(text): \(outer)/\(inner)/\(last)")
                    }
                }
            }
        }
    }

    @Test func longPatternsEnd() throws {
        let pattern = String(repeating: "*a", count: 200) + "b"
        let path = String(repeating: "a", count: 2000)
        #expect(try !IgnorePatterns(parsing: Array(pattern.utf8)).ignores(path))
    }

    @Test func excludes() throws {
        let place = SourceRange(start: SourcePosition(line: 3, column: 4), end: SourcePosition(line: 3, column: 5))
        let patterns = try IgnorePatterns([Word("*.o", at: place), Word("!x.o", at: place)])
        #expect(patterns.ignores("a.o") && !patterns.ignores("x.o"))
    }
}
