import EngineWire
import Testing

@testable import gantry

@Suite struct BuildTextTests {
    private let second: Int64 = 1_000_000_000

    @Test func writesLikeBuildKit() {
        var text = BuildText()
        var lines: [String] = []
        lines += text.lines(.started(vertex: 1, name: "[1/2] FROM debian"), at: 0)
        lines += text.lines(.finished(vertex: 1, isCached: true, nanoseconds: 0, error: nil), at: 0)
        lines += text.lines(.started(vertex: 2, name: "[2/2] RUN make"), at: second)
        lines += text.lines(.output(vertex: 2, text: "cc a.c\ncc b", isError: false), at: second + second / 8)
        lines += text.lines(.output(vertex: 2, text: ".c\n", isError: false), at: second + second / 4)
        lines += text.lines(
            .finished(vertex: 2, isCached: false, nanoseconds: UInt64(second / 2), error: nil), at: 2 * second)
        #expect(
            lines.joined() == """
                #1 [1/2] FROM debian
                #1 CACHED

                #2 [2/2] RUN make
                #2 0.125 cc a.c
                #2 0.250 cc b.c
                #2 DONE 0.5s

                """)
    }

    /// In one piece, as a step's last words may come.
    @Test func manyLinesAtOnce() {
        var text = BuildText()
        _ = text.lines(.started(vertex: 1, name: "a"), at: 0)
        let count = 100_000
        let clock = ContinuousClock()
        var shown: [String] = []
        let spent = clock.measure {
            let lines = String(repeating: "line\n", count: count) + "rest"
            shown = text.lines(.output(vertex: 1, text: lines, isError: false), at: 0)
        }
        #expect(shown.count == count && spent < .seconds(20))
        #expect(text.lines(.output(vertex: 1, text: "!\n", isError: false), at: 0) == ["#1 0.000 rest!\n"])
    }

    @Test func saysWhoseLinesFollow() {
        var text = BuildText()
        _ = text.lines(.started(vertex: 1, name: "a"), at: 0)
        _ = text.lines(.started(vertex: 2, name: "b"), at: 0)
        #expect(
            text.lines(.output(vertex: 1, text: "x\n", isError: false), at: 0) == ["\n", "#1 a\n", "#1 0.000 x\n"])
    }

    @Test func repeatsWhatFailedSaid() {
        var text = BuildText()
        _ = text.lines(.started(vertex: 1, name: "RUN false"), at: 0)
        _ = text.lines(.output(vertex: 1, text: "no end", isError: true), at: second)
        let end = text.lines(.finished(vertex: 1, isCached: false, nanoseconds: 1, error: "exit code: 1"), at: second)
        #expect(end == ["#1 1.000 no end\n", "#1 ERROR: exit code: 1\n"])
        #expect(text.failures() == "------\n > RUN false:\n1.000 no end\n------\n")
    }

    /// What a RUN writes must not steer the terminal.
    @Test func controlCharactersAreShown() {
        var text = BuildText()
        _ = text.lines(.started(vertex: 1, name: "RUN \u{1b}]0;x\u{7}"), at: 0)
        let lines = text.lines(.output(vertex: 1, text: "a\u{1b}[2Jb\n10%\r100%\n", isError: false), at: 0).joined()
        #expect(!lines.contains("\u{1b}") && lines.contains("100%") && !lines.contains("10%\r"))
    }

    @Test func drawsTheExcerpt() {
        let excerpt = BuildExcerpt(file: "/x/Dockerfile", firstLine: 1, lines: ["FROM a", "RUN b"], marked: [2, 2])
        #expect(
            excerptText(excerpt, name: "Dockerfile") == """
                Dockerfile:2
                --------------------
                   1 |     FROM a
                   2 | >>> RUN b
                --------------------

                """)
    }

    @Test func drawsABoard() {
        var board = BuildBoard()
        board.update(.started(vertex: 1, name: "[1/2] FROM debian"), at: 0)
        board.update(.finished(vertex: 1, isCached: true, nanoseconds: 0, error: nil), at: 0)
        board.update(.started(vertex: 2, name: "[2/2] RUN make"), at: 0)
        board.update(.output(vertex: 2, text: "one\ntwo\n", isError: false), at: 0)
        #expect(
            board.frame(now: second, columns: 40, rows: 24, color: false) == [
                "[+] Building 1.0s (1/2)",
                " => CACHED [1/2] FROM debian       0.0s",
                " => [2/2] RUN make                 1.0s",
                " => => # one", " => => # two",
            ])
        board.update(.finished(vertex: 2, isCached: false, nanoseconds: UInt64(second), error: nil), at: second)
        let end = board.frame(now: second, columns: 40, rows: 24, color: false)
        #expect(end.first == "[+] Building 1.0s (2/2) FINISHED")
        #expect(!board.isMoving)
    }
}
