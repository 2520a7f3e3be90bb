import FoundationEssentials
import Logging
import Testing

@testable import gantry

@Suite struct EngineLogTests {
    private func line(_ message: String, _ fields: [String: String] = [:]) -> LogLine {
        LogLine(time: "2026-11-22T10:00:00.000000001Z", level: .warning, message: message, fields: fields)
    }

    @Test func textIsAsItWas() {
        #expect(
            line("reconcile failed", ["stack": "shop", "error": "no room"]).text(as: .text)
                == "2026-11-22T10:00:00.000000001Z warning reconcile failed error=no room stack=shop\n")
    }

    @Test func jsonIsOneObjectALine() {
        #expect(
            line("reconcile failed", ["stack": "shop", "container": "shop-web-1"]).text(as: .json)
                == #"{"time":"2026-11-22T10:00:00.000000001Z","level":"warning","message":"reconcile failed","#
                + #""container":"shop-web-1","stack":"shop"}"# + "\n")
    }

    @Test(arguments: ["a\nb", "\"quoted\" \\ \t", "\u{1}\u{7f}\u{2028}", "ä 😀", ""])
    func whateverIsSaidStaysOneLine(text: String) throws {
        let line = line(text, ["error": text, "time": text]).text(as: .json)
        #expect(line.split(separator: "\n").count == 1 && line.hasSuffix("\n"))
        let found = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
        #expect(found["message"] == text && found["error"] == text && found["time_"] == text)
        #expect(found["time"] == "2026-11-22T10:00:00.000000001Z")
    }
}
