import Testing

@testable import StackFile

struct SourceTokenTests {
    @Test(arguments: [
        ("    image: nginx # web", 5, 5), ("    image: nginx # web", 12, 5), ("a: b c  ", 4, 3), ("a: x#y", 4, 3),
        ("a: \"b \\\" c\" d", 4, 8), ("a: 'it''s' x", 4, 7), ("a: \"open # x", 4, 9), ("- item", 1, 1), ("-item", 1, 5),
        ("- \"80:80\"", 3, 7), ("a: [b c, d]", 5, 3), ("a: [b, {c: d}]", 12, 1), ("a: [", 4, 1),
        ("a: ${B:-c d} e", 4, 9),
        ("a: $NAME-x", 4, 5), ("a: x$", 5, 1), ("a: x${B", 5, 3), ("\t\tb", 1, 2), ("a: *b.c, d", 4, 4),
        ("80:80", 1, 5),
        ("a: ${B}c", 4, 4), ("a: x${B, }y z", 4, 10), ("", 1, 1), ("ab", 9, 1), ("ab", 0, 1), ("a: |", 4, 1),
        ("a:\r", 1, 1),
        ("a: \"C:\\d\"", 7, 2), ("ü: é x", 4, 3),
    ])
    func length(line: String, column: Int, expected: Int) {
        #expect(tokenLength(in: line, at: column) == expected)
    }
}
