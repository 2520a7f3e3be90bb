import CLinux
import Dockerfile
import Glibc
import LinuxSystem
import Testing

@testable import ImageBuild

/// What BuildKit's tests of COPY say (`frontend/dockerfile/dockerfile_copy_test.go`), and its documentation.
@Suite struct CopyRulesTests {
    let context: Tree
    let image: Tree

    init() throws {
        (context, image) = (try Tree(), try Tree())
        try context.file("foo.go", "foo").file("bar.go", "bar").file("sub/dir1/dir2/foo", "deep").file("sub/x.txt", "x")
    }

    @Test(arguments: [
        ("*.go", "/gofiles/", ["gofiles/", "gofiles/bar.go=bar", "gofiles/foo.go=foo"]),
        ("f*.go", "/foo2.go", ["foo2.go=foo"]),
        ("sub/*", "/subdest/", ["subdest/", "subdest/dir2/", "subdest/dir2/foo=deep", "subdest/x.txt=x"]),
        ("sub/*/dir2/foo", "/a/", ["a/", "a/foo=deep"]), ("sub/*/dir2/foo", "/a/bar", ["a/", "a/bar=deep"]),
        ("sub/dir1/", "/d", ["d/", "d/dir2/", "d/dir2/foo=deep"]),
        ("sub/dir1/.", "/d/", ["d/", "d/dir2/", "d/dir2/foo=deep"]),
        ("/sub/dir1", "/d/", ["d/", "d/dir2/", "d/dir2/foo=deep"]), ("../../foo.go", "/", ["foo.go=foo"]),
        ("foo.go", "/x/y/", ["x/", "x/y/", "x/y/foo.go=foo"]), ("foo.go", "/x/y", ["x/", "x/y=foo"]),
        ("foo.go", "/x/.", ["x/", "x/foo.go=foo"]), ("./sub/./x.txt", "/", ["x.txt=x"]),
        ("nomatch*", "/x/", []), ("sub/nomatch*", "/x", []), ("sub/d*/d*/f?o", "/", ["foo=deep"]),
    ])
    func destinations(file: String, destination: String, expected: [String]) throws {
        try copy(file, to: destination, from: context.source(), into: image)
        #expect(try image.listing() == expected)
    }

    @Test func theWholeContext() throws {
        try copy(".", to: "/all/", from: context.source(), into: image)
        #expect(try image.listing("all").map { $0.dropFirst(4) } == context.listing().map { $0[...] })
    }

    @Test func foldersThatAreMadeBelongToRootOrChown() throws {
        try context.folder("sub", mode: 0o700).own("sub", 7, 8)
        try copy("sub", to: "/a/b", from: context.source(keepsOwners: true), into: image)
        #expect(try image.attributes("a") == "755 0:0" && image.attributes("a/b") == "755 0:0")
        try copy("sub", to: "/c/d", from: context.source(), into: image) { $0.owner = (3, 4) }
        #expect(try image.attributes("c") == "755 3:4" && image.attributes("c/d") == "755 3:4")
        #expect(try image.attributes("c/d/x.txt") == "644 3:4")
    }

    /// testCopyChmod
    @Test func chmodHoldsForFoldersOnTheWay() throws {
        let source = try context.source()
        try copy("foo.go", to: "/parent/foo", from: source, into: image) { $0.mode = FileMode(parsing: "777") }
        try copy("foo.go", to: "/parent/sub/foo", from: source, into: image) { $0.mode = FileMode(parsing: "770") }
        try copy("foo.go", to: "/zero", from: source, into: image) { $0.mode = FileMode(parsing: "0") }
        try copy("sub", to: "/symbolic", from: source, into: image) { $0.mode = FileMode(parsing: "g+w,a+X") }
        #expect(try image.attributes("parent") == "777 0:0" && image.attributes("parent/foo") == "777 0:0")
        #expect(try image.attributes("parent/sub") == "770 0:0" && image.attributes("zero") == "0 0:0")
        #expect(try image.attributes("symbolic") == "755 0:0" && image.attributes("symbolic/x.txt") == "664 0:0")
        #expect(try image.attributes("symbolic/dir1") == "775 0:0")
    }

    /// testCopyChownExistingDir
    @Test func whatExistsKeepsItsAttributes() throws {
        try context.folder("sub/dir1", mode: 0o751).own("sub/dir1", 101, 201)
        try image.folder("there/other").folder("there/dir1", mode: 0o700).own("there", 500, 600)
        try copy("sub", to: "/there", from: context.source(keepsOwners: true), into: image)
        #expect(try image.attributes("there") == "755 500:600" && image.exists("there/other"))
        // Those within are merged and take over the source's.
        #expect(try image.attributes("there/dir1") == "751 101:201")
        try copy("sub/dir1", to: "/there", from: context.source(), into: image) { $0.owner = (1, 2) }
        #expect(try image.attributes("there") == "755 500:600" && image.attributes("there/dir2") == "755 1:2")
    }

    /// testCopySymlinks, testCopyThroughSymlinkContext, testCopyFollowAllSymlinks
    @Test func namedLinksAreFollowedOthersKept() throws {
        try context.link("sub/l0", to: "x.txt").link("sub/l1", to: "second").link("sub/second", to: "/foo.go")
        try context.link("through", to: "sub").link("up", to: "../../sub/x.txt")
        let source = try context.source()
        try copy("sub/l*", to: "/all/", from: source, into: image)
        try copy("through/x.txt", "up", to: "/named/", from: source, into: image)
        try copy("through", to: "/folder", from: source, into: image)
        #expect(
            try image.listing("all") + image.listing("named") == [
                "all/l0=x", "all/l1=foo", "named/up=x", "named/x.txt=x",
            ])
        #expect(
            try image.listing("folder").filter { $0.contains("->") } == [
                "folder/l0 -> x.txt", "folder/l1 -> second", "folder/second -> /foo.go",
            ])
    }

    @Test func theDestinationsLinksAreFollowed() throws {
        try image.folder("real/deep").link("link", to: "/real").link("up", to: "../../../../real/deep")
        try image.link("dangling", to: "/new/folder").link("file", to: "real/target").file("real/target", "old")
        let source = try context.source()
        try copy("foo.go", to: "/link/a", from: source, into: image)
        try copy("foo.go", to: "/up/", from: source, into: image)
        try copy("foo.go", to: "/dangling/", from: source, into: image)
        try copy("foo.go", to: "/file", from: source, into: image)
        #expect(try image.text("real/a") == "foo" && image.text("real/deep/foo.go") == "foo")
        #expect(try image.text("new/folder/foo.go") == "foo" && image.text("real/target") == "foo")
        #expect(try image.status("file").st_mode & S_IFMT == S_IFLNK)
    }

    @Test func filesAndFoldersDoNotTakeEachOthersPlace() throws {
        try image.folder("foo.go").file("dir1").link("usr/dir1", to: "/elsewhere").file("plain")
        let source = try context.source()
        #expect(failure { try copy("foo.go", to: "/", from: source, into: image) }.contains("cannot replace a folder"))
        #expect(failure { try copy("sub", to: "/", from: source, into: image) }.contains("cannot copy folder"))
        #expect(failure { try copy("sub", to: "/usr", from: source, into: image) }.contains("a file or a link"))
        #expect(failure { try copy("sub", to: "/plain", from: source, into: image) }.contains("cannot copy a folder"))
        #expect(failure { try copy("sub", to: "/plain/x", from: source, into: image) }.contains("is a file"))
        #expect(failure { try copy("foo.go", to: "/plain/", from: source, into: image) }.contains("/plain/"))
        try image.link("l", to: "plain")
        try copy("foo.go", to: "/plain", from: source, into: image)
        #expect(try image.text("plain") == "foo")
    }

    @Test func severalSourcesNeedAFolder() throws {
        let source = try context.source()
        let error = failure { try copy("foo.go", "bar.go", to: "/x", from: source, into: image) }
        #expect(error.contains("must be a directory and end with a \"/\""))
        #expect(failure { try copy("*.go", to: "/x", from: source, into: image) } == error)
        try image.folder("x")
        try copy("foo.go", "bar.go", to: "/x", from: source, into: image)
        #expect(try image.listing() == ["x/", "x/bar.go=bar", "x/foo.go=foo"])
    }

    @Test func heredocs() throws {
        try copy(to: "/conf/", from: context.source(), into: image) {
            $0.inline = [("a", Array("1".utf8)), ("b", Array("2".utf8))]
            $0.owner = (5, 6)
        }
        try copy(to: "/conf/only", from: context.source(), into: image) { job in
            job.inline = [("a", Array("3".utf8))]
            job.mode = FileMode(parsing: "u+x")
        }
        #expect(try image.listing("conf") == ["conf/a=1", "conf/b=2", "conf/only=3"])
        #expect(try image.attributes("conf/a") == "644 5:6" && image.attributes("conf/only") == "744 0:0")
    }

    /// Also of folders that are only on the way to what is copied, so that equal builds give equal layers.
    @Test func foldersOnTheWayKeepTheirTimes() throws {
        try context.file("way/deep/x", "x").file("way/deep/y", "y")
        try image.folder("way/deep")
        for name in ["way/deep", "way"] { try image.setModified(name, 3_000_000) }
        try copy("way/deep/x", to: "/", from: context.source(), into: image) { $0.keepsParents = true }
        try copy("way", to: "/way", from: context.source(ignoring: "way\n!way/deep/y"), into: image)
        #expect(try image.listing("way") == ["way/deep/", "way/deep/x=x", "way/deep/y=y"])
        #expect(try image.status("way").st_mtim.tv_sec == 3_000_000)
        #expect(try image.status("way/deep").st_mtim.tv_sec == 3_000_000)
    }

    @Test func timesAreKept() throws {
        try context.setModified("sub/x.txt", 1_000_000)
        try context.setModified("foo.go", 2_000_000)
        try image.folder("there").setModified("there", 3_000_000)
        try context.setModified("sub", 500_000)
        let source = try context.source()
        try copy("foo.go", to: "/there/", from: source, into: image)
        try copy("sub", to: "/there/new", from: source, into: image)
        #expect(try image.status("there/foo.go").st_mtim.tv_sec == 2_000_000)
        #expect(try image.status("there").st_mtim.tv_sec == 3_000_000)
        #expect(try image.status("there/new").st_mtim.tv_sec == 500_000)
        #expect(try image.status("there/new/x.txt").st_mtim.tv_sec == 1_000_000)
    }
}
