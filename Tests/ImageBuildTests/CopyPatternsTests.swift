import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import ImageBuild

/// `.dockerignore`, --exclude, --parents, and what is told when something is not there.
@Suite struct CopyPatternsTests {
    let context: Tree
    let image: Tree

    init() throws { (context, image) = (try Tree(), try Tree()) }

    @Test(arguments: [
        ("node_modules", ["a/", "a/b=", "keep="]),
        ("*\n!keep", ["keep="]), ("**/b\nnode_modules", ["a/", "keep="]),
        ("*\n!node_modules/p/keep", ["node_modules/", "node_modules/p/", "node_modules/p/keep="]),
        ("a\n!a/b\nnode_modules", ["a/", "a/b=", "keep="]),
    ])
    func ignoreFiles(patterns: String, expected: [String]) throws {
        try context.file("node_modules/p/keep").file("node_modules/p/q").file("a/b").file("keep").folder("a")
        try copy(".", to: "/", from: context.source(ignoring: patterns), into: image)
        #expect(try image.listing() == expected)
    }

    /// A folder that only leads to an exception has its own attributes, and is not there without one.
    @Test func foldersOnTheWay() throws {
        try context.folder("a/b", mode: 0o711).file("a/b/c").folder("x/y")
        try copy(".", to: "/", from: context.source(ignoring: "*\n!a/b/c\n!x/y/z"), into: image)
        #expect(try image.listing() == ["a/", "a/b/", "a/b/c="] && image.attributes("a/b") == "711 0:0")
    }

    /// What is ignored is not opened: it may be huge, or nobody's to read.
    @Test func ignoredFoldersAreNotEntered() throws {
        try context.file("a/b").file("node_modules/deep/x").file("keep")
        try check("mount") { mount("none", context.at("node_modules"), "tmpfs", 0, nil) }
        defer { umount2(context.at("node_modules"), Int32(MNT_DETACH)) }
        try context.file("node_modules/x")
        try context.setModified("node_modules", 1000)
        let before = try context.status("node_modules").st_atim
        try copy(".", to: "/", from: context.source(ignoring: "node_modules"), into: image)
        let after = try context.status("node_modules").st_atim
        #expect(before.tv_sec == 1000 && after.tv_sec == 1000)
        #expect(try image.listing() == ["a/", "a/b=", "keep="])
    }

    @Test func missingSources() throws {
        try context.file("src/main.c").file("secret.key").file("Makefile").link("alias", to: "secret.key")
        try context.link("gone", to: "nowhere")
        let source = try context.source(ignoring: "*.key")
        func error(_ file: String, parents: Bool = false) -> String {
            failure { try copy(file, to: "/x", from: source, into: image) { $0.keepsParents = parents } }
        }
        #expect(error("srx") == "\"/srx\": not found in the build context; did you mean \"/src\"?")
        #expect(error("src/main.h") == "\"/src/main.h\": not found in the build context; did you mean \"/src/main.c\"?")
        #expect(error("zzz") == "\"/zzz\": not found in the build context")
        let excluded = "\"/secret.key\": not found in the build context: it is excluded by .dockerignore"
        #expect(error("secret.key") == excluded)
        #expect(error("alias").contains("excluded by .dockerignore"))
        #expect(error("gone").hasPrefix("\"/gone\": not found"))
        #expect(error("zzz/*").hasPrefix("\"/zzz\": not found"))
        #expect(error("src/zzz", parents: true) == "\"/src/zzz\": not found in the build context")
        #expect(error("a\0b").contains("NUL") && error("sr[c").contains("syntax error in pattern"))
        #expect(try image.listing() == [])
    }

    @Test func wildcardsDoNotSeeWhatIsIgnored() throws {
        try context.file("a.key").file("b.key").file("c/d.key")
        try copy("*.key", "*/*.key", to: "/x/", from: context.source(ignoring: "a.key\nc"), into: image)
        #expect(try image.listing() == ["x/", "x/b.key="])
    }

    /// testExcludedFilesOnCopy
    @Test func excludes() throws {
        for name in ["dir1/101.png", "dir1/102.txt", "dir2/201.pdf", "dir2/203.png", "dir3/301.mp3", "dir3/302.mpeg"] {
            try context.file(name)
        }
        let source = try context.source()
        func copied(_ file: String, _ excludes: String...) throws -> [String] {
            let image = try Tree()
            try copy(file, to: "/x/", from: source, into: image) { $0.excludes = excludes }
            return try image.listing("x")
        }
        #expect(
            try copied(".", "*/*.png", "*/*.pdf") == [
                "x/dir1/", "x/dir1/102.txt=", "x/dir2/", "x/dir3/", "x/dir3/301.mp3=", "x/dir3/302.mpeg=",
            ])
        #expect(try copied("dir3/", "*.mp3") == ["x/302.mpeg="])
        #expect(try copied("dir*", "*.mp3", "*.png", "*.pdf", "*.txt") == ["x/302.mpeg="])
        #expect(try copied("dir*", "*") == [])
        #expect(try copied("dir1", "*", "!102.txt") == ["x/102.txt="])
        #expect(failure { _ = try copied("dir1", "[") }.contains("is no pattern"))
    }

    @Test func excludesHoldForNamedFiles() throws {
        try context.file("home.txt").file("home.md").file("home.html")
        try copy("hom*", to: "/x/", from: context.source(), into: image) { $0.excludes = ["*.txt", "*.md"] }
        #expect(try image.listing() == ["x/", "x/home.html="])
    }

    /// testCopyParents, testCopyRelativeParents
    @Test(arguments: [
        ("/test/a/b/./c/d", ["c/", "c/d/", "c/d/e/", "c/d/e/bay=", "c/d/foo="]),
        (
            "/test/a/b/c/d/.",
            [
                "test/", "test/a/", "test/a/b/", "test/a/b/c/", "test/a/b/c/d/", "test/a/b/c/d/e/",
                "test/a/b/c/d/e/bay=", "test/a/b/c/d/foo=",
            ]
        ),
        ("/test/a/./b/./c", ["b/", "b/c/", "b/c/d/", "b/c/d/e/", "b/c/d/e/bay=", "b/c/d/foo="]),
        ("/test/a/b*/./c/**/e", ["c/", "c/d/", "c/d/e/", "c/d/e/bar=", "c/d/e/bay="]),
        (
            "/test/a/./*/c/d/e",
            [
                "b/", "b/c/", "b/c/d/", "b/c/d/e/", "b/c/d/e/bay=", "b2/", "b2/c/", "b2/c/d/",
                "b2/c/d/e/", "b2/c/d/e/bar=",
            ]
        ),
        ("test/a/b/c2/./**/nothing", []),
        ("./test/./a/b/c/d/f*", ["a/", "a/b/", "a/b/c/", "a/b/c/d/", "a/b/c/d/foo="]),
    ])
    func parents(file: String, expected: [String]) throws {
        for name in ["b/c/d/foo", "b/c/d/e/bay", "b2/c/d/e/bar", "b/c2/d/e/baz"] { try context.file("test/a/\(name)") }
        try copy(file, to: "/out/", from: context.source(), into: image) { $0.keepsParents = true }
        #expect(try image.listing("out") == expected.map { "out/\($0)" })
    }

    @Test func parentsKeepTheirModes() throws {
        try context.folder("foo1/foo2", mode: 0o700).file("foo1/foo2/bar").folder("foo1", mode: 0o711)
        try copy("foo1/foo2/bar", to: "/", from: context.source(), into: image) { $0.keepsParents = true }
        #expect(try image.attributes("foo1") == "711 0:0" && image.attributes("foo1/foo2") == "700 0:0")
    }
}
