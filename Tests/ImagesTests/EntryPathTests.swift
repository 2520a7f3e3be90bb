import Testing

@testable import Images

@Suite struct EntryPathTests {
    @Test(arguments: [
        ("a", "", "a"), ("a/b", "a", "b"), ("./a//b/", "a", "b"), ("/a", "", "a"), ("a/../b", "", "b"), ("/", "", ""),
        (".", "", ""), ("", "", ""), ("a/b/../..", "", ""), ("a/./b/c", "a/b", "c"),
    ])
    func cleans(raw: String, parent: String, name: String) throws {
        let path = try EntryPath(cleaning: Array(raw.utf8))
        #expect(path.parent == Array(parent.utf8))
        #expect(path.name == Array(name.utf8))
    }

    @Test(arguments: ["..", "../x", "a/../../x", "/../x", "a\u{0}b", String(repeating: "n", count: 256)])
    func refuses(raw: String) {
        #expect(throws: ImageError.self) { try EntryPath(cleaning: Array(raw.utf8)) }
    }

    @Test func whiteouts() throws {
        func whiteout(_ name: String) throws -> Whiteout? {
            try Whiteout(path: EntryPath(cleaning: Array(name.utf8)))
        }
        #expect(try whiteout("a/b") == nil)
        #expect(try whiteout("a/.wh.b") == .hides(Array("b".utf8)))
        #expect(try whiteout("a/.wh..b") == .hides(Array(".b".utf8)))
        #expect(try whiteout("a/.wh..wh..opq") == .opaque)
        #expect(try whiteout(".wh..wh.plnk/1.2") == .bookkeeping)
        #expect(try whiteout(".wh..wh.aufs") == .bookkeeping)
        for name in [".wh.", ".wh..", ".wh..."] {
            #expect(throws: ImageError.self) { try whiteout(name) }
        }
    }
}
