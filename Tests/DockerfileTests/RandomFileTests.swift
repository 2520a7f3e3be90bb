import StackModel
import Testing

@testable import Dockerfile

/// Whatever the bytes are, a file is read or refused with a message; nothing traps.
struct RandomFileTests {
    static let pieces = [
        "FROM a", "FROM scratch AS b", "\n", "\n", "\n", "\n", " ", "RUN ", "COPY ", "ADD ", "--from=b ",
        "--mount=type=cache,",
        "target=/x", "<<E", "\nE\n", "<<-'F'", "\tF\n", "\\\n", "\\", "`", "'", "\"", "$", "${", "}", ":-", "#", "##",
        "//", "%",
        "# escape=`\n", "# check=skip=x\n", "[", "]", "[\"a\"", ",", "ENV a=b", "ARG x", "=", "EXPOSE 80-", "/tcp",
        "ONBUILD ",
        "HEALTHCHECK --interval=1s CMD", "SHELL [\"a\"]", "\r\n", "\u{FEFF}", "é", "🚀", "\0", "WORKDIR ..", "VOLUME ",
        "*", "?",
        "STOPSIGNAL ", "9", "USER ", "LABEL ", "--", "--link", "--platform=$x ", "MAINTAINER", "*a*a*", "ignore",
    ]

    @Test func joined() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<4000 {
            let count = Int.random(in: 0...30, using: &random)
            let text = (0..<count).map { _ in Self.pieces.randomElement() ?? "" }.joined()
            read(Array((Bool.random(using: &random) ? "FROM a\n" : "").utf8) + Array(text.utf8))
        }
    }

    @Test func bytes() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let count = Int.random(in: 0...60, using: &random)
            read(Array("FROM a\nENV ".utf8) + (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
    }

    private func read(_ bytes: [UInt8]) {
        do throws(DockerfileError) {
            check(try Dockerfile(parsing: bytes).check(options) { _ in BaseImage() }.errors)
        } catch {
            #expect(!error.diagnostics.isEmpty)
            check(error.diagnostics)
        }
        do throws(DockerfileError) {
            _ = try IgnorePatterns(parsing: bytes).ignores("a/b/c")
        } catch {
            #expect(!error.diagnostics.isEmpty)
        }
    }

    private func check(_ diagnostics: [Diagnostic]) {
        for diagnostic in diagnostics {
            #expect(!diagnostic.message.isEmpty)
            #expect((diagnostic.source?.line ?? 0) >= 1 && (diagnostic.source?.column ?? 0) >= 1)
        }
    }

    struct Hostile: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let text: String

        init(_ description: String, _ text: String) { (testDescription, self.text) = (description, text) }
    }

    static let hostileFiles = [
        Hostile("heredocs that end nowhere", repeated("RUN a << b\n", 9000)),
        Hostile("many such names", (0..<9000).map { "RUN a << b\($0)\n" }.joined()),
        Hostile("many warnings", repeated("ENV a b\n", 9000)),
        Hostile("many arguments", "ARG " + (0..<100_000).map { "a\($0) " }.joined()),
        Hostile("many undefined variables", "ENV " + (0..<50_000).map { "a\($0)=$b\($0) " }.joined()),
        Hostile("many ports", "EXPOSE " + repeated("0-65535 ", 10_000)),
        Hostile("long values", "ENV A=" + repeated("x", 500_000) + "\nCOPY " + repeated("$A ", 100_000)),
        Hostile("slow patterns", "ENV A=" + repeated("a", 20_000) + "\nCOPY " + repeated("${A//a*b*c/x} ", 10_000)),
        Hostile("many sources", repeated("COPY --from=unknown a b\n", 9000)),
        Hostile("many stages", repeated("FROM a AS x\n", 2000)),
        Hostile("many instructions", repeated("RUN x\n", 20_000)),
        Hostile("many continuations", "RUN " + repeated("\\\n", 100_000)),
        Hostile("deep arrays", "RUN [" + repeated("[", 100_000)),
        Hostile("many mounts", "RUN " + repeated("--mount=type=cache,target=/x ", 20_000)),
        Hostile("a long mount", "RUN --mount=" + repeated("rw,", 100_000)),
    ]

    private static func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    /// Files that would take any amount of time or memory end soon, most of them in an error.
    @Test(arguments: hostileFiles)
    func hostile(file: Hostile) {
        let start = ContinuousClock.now
        read(Array(("FROM a AS b\n" + file.text).utf8))
        #expect(start.duration(to: .now) < .seconds(60))
    }

    /// A file far too large is refused before it is read.
    @Test func limits() {
        let large = [UInt8](repeating: 0x61, count: Dockerfile.bytesMax + 1)
        #expect(throws: DockerfileError.self) { try Dockerfile(parsing: large) }
    }
}
