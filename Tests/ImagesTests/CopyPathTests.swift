import Testing

@testable import Images

/// As Go's path/filepath and Docker's archive package have them.
@Suite struct CopyPathTests {
    @Test(arguments: [
        ("", "."), ("/", "/"), ("a/", "a"), ("./a//b/.", "a/b"), ("/..", "/"), ("../a/..", ".."), ("/a/../../b", "/b"),
        ("a/..", "."), ("../../x", "../../x"),
    ])
    func isCleaned(path: String, expected: String) { #expect(CopyPath.clean(path) == expected) }

    @Test(arguments: [
        ("", "/."), ("/", "/"), ("etc", "/etc"), ("etc/", "/etc/"), ("/etc/.", "/etc/."), ("/../..", "/"),
        ("a/../b/.", "/b/."), (".", "/."),
    ])
    func isCountedFromTheRoot(path: String, expected: String) { #expect(CopyPath.absolute(path) == expected) }

    @Test(arguments: [
        ("/a/b/", "/a/", "b"), ("/a/b/.", "/a/b/", "."), ("/a/b", "/a/", "b"), ("b", "", "b"), ("/", "/", ""),
        ("/.", "/", "."), ("/b", "/", "b"),
    ])
    func isSplit(path: String, folder: String, name: String) {
        let split = CopyPath.split(path)
        #expect(split.folder == folder && split.name == name)
    }

    @Test func theLastComponent() {
        #expect(CopyPath.base("/") == "/" && CopyPath.base("") == "." && CopyPath.base("/a/b/") == "b")
        #expect(CopyPath.namesContent("a/.") && !CopyPath.namesContent("a/") && CopyPath.assertsFolder("a/"))
    }
}
