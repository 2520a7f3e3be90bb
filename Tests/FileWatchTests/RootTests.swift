import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import FileWatch

/// Roots that are files, are missing, go and come back.
@Suite struct RootTests {
    private let playground: Playground

    init() throws { playground = try Playground() }

    private func tree(_ roots: String...) throws -> WatchedTree {
        try WatchedTree(roots.map { WatchScope(root: playground.at($0), filters: [.ofEditors]) })
    }

    @Test func aFileIsWatchedAndItsNeighboursAreNot() throws {
        for name in ["conf/app.yaml", "conf/other"] { try playground.write(name) }
        var tree = try tree("conf/app.yaml")
        #expect(tree.knownFiles == [playground.at("conf/app.yaml")])
        try playground.write("conf/other", "more")
        #expect(try tree.changes().isEmpty)
        try playground.write("conf/app.yaml", "more")
        #expect(try tree.changes().short(playground) == ["+conf/app.yaml"])
        try playground.write("conf/new", "renamed over")
        try playground.move("conf/new", "conf/app.yaml")
        #expect(try tree.changes().short(playground) == ["+conf/app.yaml"])
        try playground.remove("conf/app.yaml")
        #expect(try tree.changes().short(playground) == ["-conf/app.yaml"])
        try playground.write("conf/app.yaml")
        #expect(try tree.changes().short(playground) == ["+conf/app.yaml"])
    }

    @Test func aFileWhoseFolderIsReplaced() throws {
        try playground.write("conf/app.yaml")
        var tree = try tree("conf/app.yaml")
        try playground.move("conf", "conf.old")
        #expect(try tree.changes().short(playground) == ["-conf/app.yaml"])
        try playground.write("conf.old/app.yaml", "nobody looks at it here")
        try playground.write("conf/app.yaml", "new")
        #expect(try tree.changes().short(playground) == ["+conf/app.yaml"])
        try playground.write("conf/app.yaml", "newer")
        #expect(try tree.changes().short(playground) == ["+conf/app.yaml"])
    }

    @Test func aRootThatGoesAndComesBack() throws {
        for name in ["src/a", "src/sub/b"] { try playground.write(name) }
        var tree = try tree("src")
        try playground.remove("src")
        // Its entries, not itself: what else is where they were copied to stays.
        #expect(try tree.changes().short(playground) == ["-src/a", "-src/sub"])
        try playground.write("src/sub/b")
        #expect(try tree.changes().short(playground).contains("+src/sub/b"))
        try playground.write("src/sub/b", "more")
        #expect(try tree.changes().short(playground) == ["+src/sub/b"])
    }

    @Test func aRootThatIsReplacedAtOnce() throws {
        try playground.write("src/a", "1")
        try playground.write("src/gone")
        try playground.write("other/a", "2")
        var tree = try tree("src")
        try playground.move("src", "src.old")
        try playground.move("other", "src")
        #expect(try tree.changes().short(playground) == ["+src/a", "-src/gone"])
        try playground.write("src.old/a", "3")
        #expect(try tree.changes().isEmpty)
        try playground.write("src/a", "4")
        #expect(try tree.changes().short(playground) == ["+src/a"])
    }

    @Test func aRootThatIsMissingWithFoldersAboveIt() throws {
        var tree = try tree("one/two/src")
        try playground.folder("one")
        #expect(try tree.changes().isEmpty)
        try playground.write("one/two/src/file")
        #expect(try tree.changes().short(playground) == ["+one/two/src/file"])
        try playground.remove("one")
        #expect(try tree.changes().short(playground) == ["-one/two/src/file"])
        try playground.write("one/two/src/file")
        #expect(try tree.changes().short(playground) == ["+one/two/src/file"])
    }

    @Test func aFolderAboveIsMovedAway() throws {
        try playground.write("home/project/src/a")
        var tree = try tree("home/project/src")
        try playground.move("home", "elsewhere")
        #expect(try tree.changes().short(playground) == ["-home/project/src/a"])
        try playground.write("elsewhere/project/src/a", "more")
        #expect(try tree.changes().isEmpty)
        try playground.move("elsewhere", "home")
        #expect(try tree.changes().short(playground) == ["+home/project/src/a"])
    }

    @Test func aRootInARoot() throws {
        try playground.write("all/in/file")
        var tree = try tree("all", "all/in")
        try playground.write("all/in/file", "more")
        #expect(try tree.changes().short(playground) == ["+all/in/file"])
        try playground.remove("all/in")
        try playground.write("all/in/other")
        // The folder itself may have its old number again: then it is the same.
        let changes = try tree.changes().short(playground).filter { $0 != "+all/in" }
        #expect(changes == ["+all/in/other", "-all/in/file"])
        try playground.write("all/in/other", "more")
        #expect(try tree.changes().short(playground) == ["+all/in/other"])
    }

    /// Saves of one file do not look at all the others each time.
    @Test func rootsAreLookedAtOnceForManyEvents() throws {
        for name in ["one", "other"] { try playground.write(name) }
        var tree = try tree("one", "other")
        // No two events in a row are alike, so that the kernel does not join them.
        for number in 0..<20 { try playground.write(number.isMultiple(of: 2) ? "one" : "other", "\(number)") }
        let events = try tree.inotify.read()
        #expect(events.count >= 20)
        let noteCount = tree.noteCount
        try tree.handle(events)
        #expect(tree.noteCount - noteCount == 2)
        #expect(try tree.changes().short(playground) == ["+one", "+other"])
    }

    @Test func aFileBecomesAFolder() throws {
        try playground.write("thing")
        var tree = try tree("thing")
        try playground.remove("thing")
        try playground.write("thing/file")
        // The file's copy is in the folder's way.
        #expect(try tree.changes().short(playground) == ["+thing", "+thing/file", "-thing"])
        #expect(tree.knownFiles == [playground.at("thing/file")])
        try playground.write("thing/file", "more")
        #expect(try tree.changes().short(playground) == ["+thing/file"])
        try playground.remove("thing")
        try playground.write("thing")
        #expect(try tree.changes().short(playground) == ["+thing", "-thing"])
        #expect(tree.knownFiles == [playground.at("thing")])
    }
}

@Suite struct InotifyEventTests {
    @Test func cutRecordsAreNotRead() {
        var record: [UInt8] = [7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0] + Array("file".utf8) + [0, 0, 0, 0]
        let event = InotifyEvent(watch: 7, mask: 2, name: "file")
        #expect(Inotify.events(record[...]) == [event])
        #expect(Inotify.events((record + record)[...]) == [event, event])
        for count in 0..<record.count { #expect(Inotify.events(record[..<count]).isEmpty) }
        record[12...15] = [0xff, 0xff, 0xff, 0xff]
        #expect(Inotify.events(record[...]).isEmpty)
    }
}

@Suite struct FileWatcherTests {
    private func next(_ watcher: FileWatcher, seconds: Int32 = 10) throws -> FileChanges? {
        let end = monotonicMilliseconds() + UInt64(seconds) * 1_000
        while monotonicMilliseconds() < end {
            var entry = pollfd(fd: watcher.descriptor, events: Int16(POLLIN), revents: 0)
            try check("poll") { poll(&entry, 1, 100) }
            if let changes = try watcher.take() { return changes }
        }
        return nil
    }

    @Test func tellsBatchesFromItsThread() throws {
        let playground = try Playground()
        try playground.write("known")
        let watcher = try FileWatcher([WatchScope(root: playground.path, filters: [.ofEditors])])
        #expect(watcher.knownFiles(in: playground.path) == [playground.at("known")])
        for count in 0..<100 { try playground.write("folder/\(count)") }
        // One batch, or a few where this thread had to wait for a processor; then it is quiet.
        var (told, batchCount) = (Set<String>(), 0)
        while let changes = try next(watcher, seconds: told.count < 101 ? 10 : 1) {
            told.formUnion(changes.changed)
            batchCount += 1
        }
        #expect(told.count == 101 && batchCount <= 20)
        // Nothing has happened: not even a folder that is read.
        _ = try FileSystem.list(playground.at("folder"))
        #expect(try next(watcher, seconds: 1) == nil)
        try playground.remove("folder")
        #expect(try next(watcher)?.short(playground) == ["-folder"])
    }

    @Test func writesWithoutPauseAreToldAllTheSame() throws {
        let playground = try Playground()
        let timer = ChangeTimer(quietMilliseconds: 300, longestMilliseconds: 600)
        let watcher = try FileWatcher([WatchScope(root: playground.path, filters: [])], timer: timer)
        /// Milliseconds until something was told.
        func writeUntilTold() throws -> UInt64? {
            let began = monotonicMilliseconds()
            while monotonicMilliseconds() - began < 5_000 {
                try playground.write("busy", "\(monotonicMilliseconds())")
                usleep(20_000)
                if try watcher.take() != nil { return monotonicMilliseconds() - began }
            }
            return nil
        }
        // Sooner, rightly, where this thread had to wait for a processor as long as the quiet time.
        var told = try #require(try writeUntilTold())
        for _ in 0..<5 where told < 500 {
            while try next(watcher, seconds: 1) != nil {}
            told = try #require(try writeUntilTold())
        }
        #expect(told >= 500)
    }

    @Test func threadsEndWithTheirWatcher() throws {
        let playground = try Playground()
        func count() throws -> Int {
            try FileSystem.list("/proc/self/task").count { name in
                // A thread that has ended meanwhile has no name.
                let bytes = (try? FileSystem.readFile("/proc/self/task/\(name)/comm")) ?? []
                return String(decoding: bytes, as: UTF8.self) == "file-watch\n"
            }
        }
        do {
            let watchers = try (0..<20).map { _ in
                try FileWatcher([WatchScope(root: playground.path, filters: [])])
            }
            // A thread has its name a moment after its start.
            for _ in 0..<100 where try count() < 20 { usleep(20_000) }
            #expect(try count() >= 20 && watchers.count == 20)
        }
        for _ in 0..<100 where try count() >= 20 { usleep(20_000) }
        #expect(try count() < 20)
    }
}
