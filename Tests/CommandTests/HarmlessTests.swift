import Testing

@testable import gantry

@Suite struct HarmlessTests {
    @Test(arguments: [
        ("plain ünïcode 名", "plain ünïcode 名"), ("a\u{1b}]0;title\u{7}b", "a^[]0;title^Gb"), ("a\nb\tc", "a^Jb^Ic"),
        ("\u{7f}\u{9b}31m", "^?<9b>31m"), ("evil\u{202e}txt", "evil<202e>txt"), ("\0", "^@"),
    ]) func makesNamesHarmless(_ text: String, _ expected: String) {
        #expect(harmless(text) == expected)
    }

    @Test func keepsColoursInLogsOnly() {
        let line = "\u{1b}[1;31mred\u{1b}[0m\t\u{1b}[2J\u{1b}[31\u{1b}]0;x\u{7}"
        #expect(harmless(line, .logLine) == "\u{1b}[1;31mred\u{1b}[0m\t^[[2J^[[31^[]0;x^G")
        #expect(harmless("\u{1b}[31m") == "^[[31m")
        #expect(harmless("\u{1b}[" + String(repeating: "1", count: 100) + "m", .logLine).hasPrefix("^[["))
        #expect(harmless("a\nb\u{1b}", .paragraphs) == "a\nb^[")
    }

    @Test(arguments: [("abc", 3), ("é", 1), ("e\u{301}", 1), ("名前", 4), ("✔", 1), ("", 0), ("🐳", 2)])
    func measuresColumns(_ text: String, _ width: Int) {
        #expect(text.displayWidth == width)
    }

    @Test func cutsByColumns() {
        #expect("名前名前".truncated(to: 5) == "名前…")
        #expect("abcdef".truncated(to: 6) == "abcdef")
        #expect("abcdef".truncated(to: 4) == "abc…")
        #expect("名".padded(to: 4) == "名  ")
    }

    @Test func writesJSON() {
        let value = JSONText.object([
            ("a\"", .array([.null, .bool(true), .number(-1), .string("\\\n\u{1}é\u{2028}\u{9b}")]))
        ])
        #expect(value.text == #"{"a\"":[null,true,-1,"\\\n\u0001é\u2028\u009b"]}"#)
    }

    @Test func findsNearNames() {
        let names = ["logs", "ls", "load", "plan", "ps"]
        #expect(nearestName(to: "lgs", among: names) == "logs")
        #expect(nearestName(to: "paln", among: names) == "plan")
        #expect(nearestName(to: "x", among: names) == nil)
        #expect(nearestName(to: "frobnicate", among: names) == nil)
    }
}
