import Testing

@testable import StackFile

struct QuantityTests {
    @Test(
        arguments: [
            ("0", 0), ("1024", 1024), ("1b", 1), ("1k", 1024), ("1KB", 1024), ("1KiB", 1024), ("1.5m", 1_572_864),
            ("2 G", 2 << 30), ("1e3", 1000), ("1.5e1k", 15360), ("+5m", 5 << 20), ("1_000m", 1_048_576_000),
            ("1t", 1 << 40), ("1p", 1 << 50), ("9223372036854775807", Int64.max),
        ] as [(String, Int64)])
    func bytes(text: String, size: Int64) {
        #expect(parseBytes(text) == size)
    }

    @Test(arguments: [
        "", "k", "-1", "1x", "1kk", "1..5m", "9223372036854775808", "99999999p", "0x10", "1e400", "nan", "1_",
    ])
    func notBytes(text: String) {
        #expect(parseBytes(text) == nil)
    }

    @Test(
        arguments: [
            ("0", 0, "0s"), ("10s", 10_000_000_000, "10s"), ("1m30s", 90_000_000_000, "1m30s"),
            ("+5s", 5_000_000_000, "5s"), ("1h", 3_600_000_000_000, "1h0m0s"), ("1.5s", 1_500_000_000, "1.5s"),
            ("100ms", 100_000_000, "100ms"),
            ("250us", 250_000, "250µs"), ("7ns", 7, "7ns"), ("1d2h", 93_600_000_000_000, "26h0m0s"),
            ("2w", 1_209_600_000_000_000, "336h0m0s"),
        ] as [(String, Int64, String)])
    func durations(text: String, nanoseconds: Int64, shown: String) {
        #expect(parseDuration(text) == nanoseconds)
        #expect(goDurationText(nanoseconds) == shown)
    }

    @Test(arguments: ["", "10", "10y", "s", "-5s", "1.2.3s", "99999999999h", "1h 2m", "+", "+-5s"])
    func notDurations(text: String) {
        #expect(parseDuration(text) == nil)
    }

    @Test(
        arguments: [
            ("a b", ["a", "b"]), ("  a   b ", ["a", "b"]), ("'a b' c", ["a b", "c"]), ("a\"b c\"d", ["ab cd"]),
            ("\"a \\\" \\n\"", ["a \" n"]), ("'a\\b'", ["a\\b"]), ("a\\ b", ["a b"]), ("''", [""]), ("", []),
            ("$HOME `x y` $(a b)c", ["$HOME", "`x y`", "$(a b)c"]), ("a b;c", ["a", "b"]), ("a 2>&1", ["a"]),
            ("a '|' \";\" \\&", ["a", "|", ";", "&"]), ("a b>c", ["a", "b"]),
        ] as [(String, [String])])
    func words(line: String, words: [String]) {
        #expect(ShellWords(line)?.words == words)
    }

    @Test(arguments: ["'a", "\"a", "a\\", "(a)", "$(a", "a)", "`a"])
    func notWords(line: String) {
        #expect(ShellWords(line) == nil)
    }

    @Test(arguments: [
        ("/a/./b//../c/", "/a/c"), ("../x", "../x"), ("/../x", "/x"), ("a/..", "."), ("/", "/"), ("./", "."),
    ])
    func cleanPaths(path: String, clean: String) {
        #expect(PathText.clean(path) == clean)
    }
}
