import EngineClient
import EngineWire
import StackModel
import Testing

@testable import gantry

@Suite struct LogRenderingTests {
    private func render(_ line: String, _ style: LogStyle) -> String {
        let bytes = renderLogLine(Array(line.utf8), label: "app-1", width: 8, colour: .cyan, style: style)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func prefixesLines() {
        #expect(render("hi", LogStyle()) == "app-1     | hi\n")
        #expect(render("hi", LogStyle(prefix: false)) == "hi\n")
        #expect(render("hi", LogStyle(color: true)) == "\u{1b}[36mapp-1     | \u{1b}[0mhi\n")
    }

    @Test func isHarmlessOnATerminalAndExactElsewhere() {
        #expect(render("\u{1b}[2J\u{1b}[31mx", LogStyle(prefix: false)) == "\u{1b}[2J\u{1b}[31mx\n")
        #expect(
            render("\u{1b}[2J\u{1b}[31mx", LogStyle(prefix: false, terminal: true)) == "^[[2J\u{1b}[31mx\u{1b}[0m\n")
        let bytes = renderLogLine([0xff, 0x00], label: "a", width: 1, colour: .cyan, style: LogStyle(prefix: false))
        #expect(bytes == [0xff, 0x00, 0x0a])
    }

    @Test func namesContainers() {
        #expect(logLabel(container("app", 2)) == "app-2")
        #expect(logLabel(container("app", 1) { $0.name = "frontend" }) == "frontend")
    }

    @Test func assemblesLines() {
        var lines = LogLines()
        #expect(lines.feed(Array("one\r\ntw".utf8), .output) == [Array("one".utf8)])
        #expect(lines.feed(Array("err".utf8), .error).isEmpty)
        #expect(lines.feed(Array("o\n\n".utf8), .output) == [Array("two".utf8), []])
        #expect(lines.finish().map(\.line) == [Array("err".utf8)])
        let long = lines.feed([UInt8](repeating: 1, count: LogLines.lineByteCountMax + 1), .output)
        #expect(long.map(\.count) == [LogLines.lineByteCountMax])
    }

    @Test func splitsTimes() {
        let (time, stamp, text) = splitTimestamp(Array("2026-03-01T12:00:00Z a b".utf8))
        #expect(time == noon)
        #expect(stamp == Array("2026-03-01T12:00:00Z".utf8))
        #expect(text == Array("a b".utf8))
        let plain = splitTimestamp(Array("no time".utf8))
        #expect(plain.time == nil)
        #expect(plain.text == Array("no time".utf8))
    }
}
