import Testing

@testable import ImageBuild

/// The table of Go's `path/filepath` tests, without separators: patterns are of one part.
@Suite struct NamePatternTests {
    @Test(arguments: [
        ("abc", "abc", true), ("*", "abc", true), ("*c", "abc", true), ("a*", "a", true), ("a*", "abc", true),
        ("a*b*c*d*e*", "axbxcxdxe", true), ("a*b*c*d*e*", "axbxcxdxexxx", true), ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false), ("ab[c]", "abc", true), ("ab[b-d]", "abc", true),
        ("ab[e-g]", "abc", false), ("ab[^c]", "abc", false), ("ab[^b-d]", "abc", false), ("ab[^e-g]", "abc", true),
        ("a\\*b", "a*b", true), ("a\\*b", "ab", false), ("a?b", "a☺b", true), ("a[^a]b", "a☺b", true),
        ("a???b", "a☺b", false), ("[a-ζ]*", "α", true), ("*[a-ζ]", "A", false), ("[\\]a]", "]", true),
        ("[\\-]", "-", true), ("[x\\-]", "x", true), ("[\\-x]", "a", false), ("*x", "xxx", true), ("", "", true),
        ("**", "abc", true), ("*", "", true), ("?", "", false),
    ])
    func matches(pattern: String, name: String, expected: Bool) throws {
        #expect(try #require(NamePattern(Array(pattern.utf8))).matches(Array(name.utf8)) == expected)
    }

    @Test(arguments: ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[z-a]", "[a\\"])
    func malformed(pattern: String) { #expect(NamePattern(Array(pattern.utf8)) == nil) }

    @Test func wildcardsAreTold() {
        #expect(NamePattern.hasWildcards("a*".utf8) && NamePattern.hasWildcards("[a]".utf8))
        #expect(!NamePattern.hasWildcards("a\\*\\?\\[".utf8) && NamePattern.hasWildcards("a\\\\*".utf8))
    }

    /// With a matcher that tries every way this takes longer than the universe has existed.
    @Test func manyStarsAreFast() throws {
        let pattern = try #require(NamePattern(Array((String(repeating: "a*", count: 100) + "b").utf8)))
        #expect(!pattern.matches([UInt8](repeating: UInt8(ascii: "a"), count: 255)))
    }
}
