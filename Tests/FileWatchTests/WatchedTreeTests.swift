import CLinux
import Dockerfile
import Glibc
import LinuxSystem
import Testing

@testable import FileWatch

/// With the kernel, without a thread: each test says when events are read.
@Suite struct WatchedTreeTests {
    private let playground: Playground

    init() throws { playground = try Playground() }

    private func tree(_ root: String = "", ignore: [String] = [], include: [String] = []) throws -> WatchedTree {
        let path = playground.at(root)
        var filters = [PathFilter.ofEditors, try .ignoring(ignore, base: path)]
        if !include.isEmpty { filters.append(try .including(include, base: path)) }
        return try WatchedTree([WatchScope(root: path, filters: filters)])
    }

    @Test func filesThatAreNewChangedAndGone() throws {
        for name in ["a", "b", "sub/c"] { try playground.write(name) }
        var tree = try tree()
        #expect(try tree.changes().isEmpty)
        try playground.write("a", "other")
        try playground.write("sub/new")
        try playground.remove("b")
        #expect(try tree.changes().short(playground) == ["+a", "+sub/new", "-b"])
        #expect(try tree.changes().isEmpty)
        let path = playground.at("a")
        try check("chmod") { chmod(path, 0o600) }
        #expect(try tree.changes().short(playground) == ["+a"])
    }

    @Test func whatCameAndWentIsNotTold() throws {
        var tree = try tree()
        try playground.write("gone")
        try playground.folder("folder/below")
        try playground.remove("gone")
        try playground.remove("folder")
        #expect(try tree.changes().isEmpty)
        #expect(tree.folders.count == 1)
    }

    @Test func newFoldersAreWatchedAndNothingInThemIsMissed() throws {
        var tree = try tree()
        // All before the first event is read: only the outermost folder has one.
        try playground.write("one/two/three/file")
        #expect(try tree.changes().short(playground) == ["+one", "+one/two", "+one/two/three", "+one/two/three/file"])
        try playground.write("one/two/three/later")
        #expect(try tree.changes().short(playground) == ["+one/two/three/later"])
    }

    @Test func movedFoldersHaveTheirNewName() throws {
        try playground.write("old/sub/file")
        var tree = try tree()
        try playground.move("old", "new")
        #expect(try tree.changes().short(playground) == ["+new", "+new/sub", "+new/sub/file", "-old"])
        try playground.write("new/sub/file", "more")
        #expect(try tree.changes().short(playground) == ["+new/sub/file"])
        #expect(!tree.isWatching(playground.at("old/sub")))
    }

    @Test func aFolderMovedOutIsNotWatchedAnyMore() throws {
        try playground.write("in/side/file")
        try playground.folder("elsewhere")
        var tree = try tree("in")
        try playground.move("in/side", "elsewhere/side")
        #expect(try tree.changes().short(playground) == ["-in/side"])
        try playground.write("elsewhere/side/file", "more")
        #expect(try tree.changes().isEmpty)
        try playground.move("elsewhere/side", "in/back")
        #expect(try tree.changes().short(playground) == ["+in/back", "+in/back/file"])
    }

    @Test func aFolderMadeAnewWithLessInIt() throws {
        for name in ["d/kept", "d/lost", "d/sub/lost"] { try playground.write(name) }
        var tree = try tree()
        try playground.remove("d")
        try playground.write("d/kept", "other")
        // The folder itself may have its old number again: then it is the same.
        #expect(try tree.changes().short(playground).filter { $0 != "+d" } == ["+d/kept", "-d/lost", "-d/sub"])
    }

    @Test func whatChangesItsKindIsRemovedFirst() throws {
        try playground.write("x/file")
        try playground.write("y")
        var tree = try tree()
        try playground.remove("x")
        try playground.write("x", "a file now")
        try playground.remove("y")
        try playground.write("y/file")
        #expect(try tree.changes().short(playground) == ["+x", "+y", "+y/file", "-x", "-y"])
        try playground.write("y/file", "more")
        #expect(try tree.changes().short(playground) == ["+y/file"])
    }

    @Test func editorsThatSaveByRenaming() throws {
        try playground.write("main.c")
        var tree = try tree()
        // Vim: 4913 to try the folder, a backup, the new file, and no backup any more.
        try playground.write("4913")
        try playground.remove("4913")
        try playground.move("main.c", "main.c~")
        try playground.write("main.c", "new")
        try playground.remove("main.c~")
        #expect(try tree.changes().short(playground) == ["+main.c"])
        // Others write beside and rename over.
        try playground.write(".main.c.tmp1", "newer")
        try playground.move(".main.c.tmp1", "main.c")
        #expect(try tree.changes().short(playground) == ["+main.c"])
    }

    @Test func ignoredTreesAreNotWatchedAtAll() throws {
        for name in ["node_modules/a/b", ".git/objects/x", "src/main"] { try playground.write(name) }
        var tree = try tree(ignore: ["node_modules", "**/build"])
        #expect(Set(tree.folders.keys) == [playground.path, playground.at("src")])
        try playground.write("node_modules/a/b", "more")
        try playground.write("src/build/deep/out")
        try playground.write(".git/objects/y")
        #expect(try tree.changes().isEmpty)
        #expect(!tree.isWatching(playground.at("src/build")))
    }

    @Test func aChosenFileInAFolderThatIsNot() throws {
        try playground.write("a/b/x.conf")
        try playground.write("a/b/x.txt")
        var tree = try tree(include: ["**/*.conf"])
        try playground.write("a/b/x.txt", "more")
        try playground.write("a/b/x.conf", "more")
        #expect(try tree.changes().short(playground) == ["+a/b/x.conf"])
        try playground.remove("a")
        #expect(try tree.changes().short(playground) == ["-a/b/x.conf"])
        try playground.write("a/c/y.conf")
        #expect(try tree.changes().short(playground) == ["+a/c/y.conf"])
    }

    @Test func linksAreNotFollowed() throws {
        let outside = try Playground()
        try outside.write("secret")
        try playground.link("link", to: outside.path)
        var tree = try tree()
        try outside.write("secret", "more")
        #expect(try tree.changes().isEmpty)
        try playground.remove("link")
        try playground.link("link", to: outside.at("secret"))
        #expect(try tree.changes().short(playground) == ["+link"])
        #expect(tree.folders.count == 1)
    }

    @Test func aFolderThatALinkReplacesHasNothingInIt() throws {
        let outside = try Playground()
        for name in ["file", "sub/deep"] {
            try outside.write(name, "outside")
            try playground.write("folder/\(name)")
        }
        var tree = try tree()
        try playground.remove("folder")
        try playground.link("folder", to: outside.path)
        #expect(try tree.changes().short(playground) == ["+folder", "-folder"])
        try outside.write("file", "more")
        #expect(try tree.changes().isEmpty)
    }

    @Test func aRootThatIsALinkIsFollowed() throws {
        try playground.write("real/file")
        try playground.write("next/file", "2")
        try playground.link("current", to: "real")
        var tree = try tree("current")
        try playground.write("real/file", "more")
        #expect(try tree.changes().short(playground) == ["+current/file"])
        // As tools that deploy do it: a new link over the old one.
        try playground.link("tmp", to: "next")
        try playground.move("tmp", "current")
        #expect(try tree.changes().short(playground) == ["+current/file"])
        try playground.write("next/other")
        #expect(try tree.changes().short(playground) == ["+current/other"])
    }

    @Test func twoScopesShareWhatTheyWatch() throws {
        for name in ["all/web/x", "all/web/gen/y"] { try playground.write(name) }
        let outer = WatchScope(
            root: playground.at("all"), filters: [try .ignoring(["web"], base: playground.at("all"))])
        let inner = WatchScope(root: playground.at("all/web/gen"), filters: [])
        var tree = try WatchedTree([outer, inner])
        #expect(!tree.isWatching(playground.at("all/web")))
        try playground.write("all/web/x", "more")
        try playground.write("all/web/gen/y", "more")
        try playground.write("all/z")
        #expect(try tree.changes().short(playground) == ["+all/web/gen/y", "+all/z"])
    }

    /// One scope counts a folder, another only files in it: both must learn of theirs.
    @Test func allThatIsGoneIsTold() throws {
        for name in ["lib/x.js", "lib/y.txt", "lib/sub/z.js"] { try playground.write(name) }
        var tree = try tree()
        try playground.remove("lib")
        let removed = try tree.changes().removed
        #expect(removed == ["lib", "lib/sub", "lib/sub/z.js", "lib/x.js", "lib/y.txt"].map(playground.at))
        #expect(topmost(of: removed) == [playground.at("lib")])
        #expect(topmost(of: ["/a/b", "/a/bc", "/a/b/c", "/d", "/a/b"]) == ["/a/b", "/a/bc", "/d"])
        #expect(topmost(of: ["/a", "/"]) == ["/"])
    }

    /// Nothing that is copied somewhere may be removed there because of it.
    @Test func whatCannotBeLookedAtIsNotGone() throws {
        for name in ["closed/file", "open"] { try playground.write(name) }
        var tree = try tree()
        // Without root's rights for all files, which a plain user does not have anyway.
        let (top, closed) = (playground.path, playground.at("closed"))
        try check("chmod") { chmod(top, 0o755) }
        func unprivileged() throws -> FileChanges {
            if geteuid() == 0 { gantry_set_file_ids(65_534, 65_534) }
            defer { if geteuid() == 0 { gantry_set_file_ids(0, 0) } }
            return try tree.changes()
        }
        try playground.write("closed/file", "more")
        try playground.write("open", "more")
        try check("chmod") { chmod(closed, 0o600) }
        let changes = try unprivileged()
        #expect(changes.short(playground).contains("+open") && changes.removed.isEmpty)
        #expect(changes.problems == [.system(SystemError("openat2", path: "closed/file", code: EACCES))])
        #expect(tree.knownFiles.contains(playground.at("closed/file")))
        // It is said once.
        #expect(try unprivileged().isEmpty)
        try check("chmod") { chmod(closed, 0o755) }
        #expect(try tree.changes().short(playground) == ["+closed", "+closed/file"])
    }

    @Test func namesThatAreNoTextAreTold() throws {
        var tree = try tree()
        let path = CPath(Array(playground.path.utf8) + Array("/folder".utf8))
        try check("mkdir") { path.withPointer { mkdir($0, 0o755) } }
        let name = CPath(path.bytes + [0x2f, 0xff])
        try check("mkdir") { name.withPointer { mkdir($0, 0o755) } }
        let changes = try tree.changes()
        #expect(changes.short(playground) == ["+folder"])
        #expect(changes.problems.count == 1)
    }

    @Test func whatWasLostInAnOverflowIsFound() throws {
        for name in ["kept", "lost", "old/file"] { try playground.write(name) }
        var tree = try tree()
        try playground.remove("lost")
        try playground.move("old", "new")
        // More than /proc/sys/fs/inotify/max_queued_events, and no two in a row alike.
        let queue = try FileSystem.readFile("/proc/sys/fs/inotify/max_queued_events")
        let limit = try #require(Int(String(decoding: queue.prefix { $0 != 0x0a }, as: UTF8.self)))
        let (first, second) = (playground.at("ping"), playground.at("pong"))
        try playground.write("ping")
        for count in 0..<(limit / 2 + 10) {
            let isEven = count.isMultiple(of: 2)
            try check("rename") { isEven ? rename(first, second) : rename(second, first) }
        }
        try playground.write("late")
        let name = (limit / 2 + 10).isMultiple(of: 2) ? "ping" : "pong"
        #expect(
            try tree.changes().short(playground)
                == ["+\(name)", "+late", "+new", "+new/file", "-lost", "-old"].sorted())
        try playground.write("new/file", "more")
        #expect(try tree.changes().short(playground) == ["+new/file"])
    }
}
