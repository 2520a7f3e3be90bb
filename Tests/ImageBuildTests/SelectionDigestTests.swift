import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem
import Testing

@testable import ImageBuild

@Suite struct SelectionDigestTests {
    let context: Tree

    init() throws {
        context = try Tree()
        try context.file("d/a", "1").file("d/b/c", "2").link("d/l", to: "a").folder("d/empty")
    }

    /// Everything that decides about the result changes the digest, and back again.
    @Test func whatCounts() throws {
        let source = try context.source(keepsOwners: true)
        let first = try digest("d", from: source)
        let changes: [(String, () throws -> Void, () throws -> Void)] = [
            ("content", { try context.file("d/a", "3") }, { try context.file("d/a", "1") }),
            ("mode", { chmod(context.at("d/a"), 0o600) }, { chmod(context.at("d/a"), 0o644) }),
            ("owner", { try context.own("d/a", 1, 0) }, { try context.own("d/a", 0, 0) }),
            ("group of a link", { try context.own("d/l", 0, 1) }, { try context.own("d/l", 0, 0) }),
            ("folder's mode", { chmod(context.at("d/b"), 0o700) }, { chmod(context.at("d/b"), 0o755) }),
            ("a new folder", { try context.folder("d/n") }, { rmdir(context.at("d/n")) }),
            (
                "a name", { rename(context.at("d/a"), context.at("d/z")) },
                { rename(context.at("d/z"), context.at("d/a")) }
            ),
            (
                "a link's target",
                {
                    unlink(context.at("d/l")); try context.link("d/l", to: "b")
                },
                {
                    unlink(context.at("d/l")); try context.link("d/l", to: "a")
                }
            ),
            (
                "a link instead of a file",
                {
                    unlink(context.at("d/a")); try context.link("d/a", to: "1")
                },
                {
                    unlink(context.at("d/a")); try context.file("d/a", "1")
                }
            ),
            (
                "an attribute", { setxattr(context.at("d/a"), "user.x", "1", 1, 0) },
                { removexattr(context.at("d/a"), "user.x") }
            ),
            (
                "a folder's attribute", { setxattr(context.at("d/b"), "user.x", "1", 1, 0) },
                { removexattr(context.at("d/b"), "user.x") }
            ),
        ]
        for (what, change, undo) in changes {
            try change()
            #expect(try digest("d", from: source) != first, "\(what)")
            try undo()
            #expect(try digest("d", from: source) == first, "\(what)")
        }
    }

    @Test func whatDoesNotCount() throws {
        let source = try context.source()
        let first = try digest("d", from: source)
        try context.setModified("d/a", 1000)
        try context.own("d/a", 5, 6)
        // The folder itself gives nothing to the destination.
        try check("chmod") { chmod(context.at("d"), 0o700) }
        try check("setxattr") { setxattr(context.at("d/a"), "trusted.overlay.x", "1", 1, 0) }
        #expect(try digest("d", from: source) == first)
        // Another folder with the same content, made in another order.
        let other = try Tree()
        try other.folder("d/empty").link("d/l", to: "a").file("d/b/c", "2").file("d/a", "1")
        #expect(try digest("d", from: other.source()) == first)
        #expect(try digest("d/", "d", from: source) != first)
    }

    @Test func theJobCounts() throws {
        let source = try context.source()
        let plain = try digest("d", from: source)
        #expect(try digest("d", from: source) { $0.owner = (0, 0) } == plain)
        let others = [
            try digest("d", from: source) { $0.owner = (1, 0) },
            try digest("d", from: source) { $0.mode = FileMode(parsing: "a+x") },
            try digest("d", from: source) { $0.excludes = ["a"] },
            try digest("d", from: source) { $0.keepsParents = true },
            try digest("d/a", from: source), try digest("d/b/c", from: source), try digest("d/*", from: source),
            try digest("d", from: source) { $0.inline = [("x", [1])] },
            try digest("d", from: source) { $0.inline = [("x", [2])] },
        ]
        #expect(Set(others + [plain]).count == others.count + 1)
        // Why something is not copied does not count.
        #expect(try digest("d", from: context.source(ignoring: "d/a")) == others[2])
    }

    // MARK: - The index

    @Test func theIndexSpares() throws {
        let folder = try Tree()
        let clock = ContextClock()
        let source = try context.source()
        let plain = try digest("d", from: source)
        let first = DigestIndex(path: folder.at("index"), now: clock.later)
        #expect(try digest("d", from: source, index: first) == plain && first.count == 2)
        try first.save()
        #expect(try folder.status("index").st_mode & 0o777 == 0o600)
        let second = DigestIndex(path: folder.at("index"), now: clock.later)
        #expect(second.count == 2)
        // What the index knows is not read: content that changed behind the clock's back shows it.
        let stamp = FileStamp(try context.status("d/a"))
        second.record(Fingerprint(bytes: [UInt8](repeating: 7, count: 32)), of: stamp)
        #expect(try digest("d", from: source, index: second) != plain)
        try context.file("d/a", "changed")
        let changed = try digest("d", from: source)
        #expect(try digest("d", from: source, index: second) == changed)
        try second.save()
        // The stamps before are gone.
        #expect(DigestIndex(path: folder.at("index"), now: clock.later).count == 2)
    }

    @Test func racyFilesAreNotRemembered() throws {
        let folder = try Tree()
        let index = DigestIndex(path: folder.at("index"))
        _ = try digest("d", from: context.source(), index: index)
        #expect(index.count == 0)
        let past = DigestIndex(path: folder.at("index")) { 1_000_000_000 }
        _ = try digest("d", from: context.source(), index: past)
        #expect(past.count == 0)
    }

    @Test func aDamagedOrForeignIndexIsEmpty() throws {
        let folder = try Tree()
        let clock = ContextClock()
        let index = DigestIndex(path: folder.at("index"), now: clock.later)
        _ = try digest("d", from: context.source(), index: index)
        try index.save()
        func count(_ name: String = "index") -> Int { DigestIndex(path: folder.at(name), now: clock.later).count }
        let bytes = try FileSystem.readFile(folder.at("index"))
        #expect(count() == 2 && count("none") == 0)
        for place in stride(from: 0, to: bytes.count, by: 7) {
            var damaged = bytes
            damaged[place] ^= 1
            try folder.file("damaged", damaged, mode: 0o600)
            #expect(count("damaged") == 0, "\(place)")
            try folder.file("damaged", Array(bytes[..<place]), mode: 0o600)
            #expect(count("damaged") == 0, "\(place)")
        }
        try folder.file("writable", bytes, mode: 0o622).file("other", bytes, mode: 0o600).own("other", 1, 1)
        try folder.link("link", to: "index").folder("folder")
        try check("mkfifo") { mkfifo(folder.at("pipe"), 0o600) }
        #expect(count("writable") + count("other") + count("link") + count("folder") + count("pipe") == 0)
        try folder.file("good", bytes, mode: 0o600)
        #expect(count("good") == 2)
    }

    @Test func whatNobodyAsksForIsForgotten() throws {
        let folder = try Tree()
        let clock = ContextClock()
        let index = DigestIndex(path: folder.at("index"), now: clock.later)
        _ = try digest("d", from: context.source(), index: index)
        try index.save()
        let month = DigestIndex(path: folder.at("index")) { clock.later() + 40 * 86_400_000_000_000 }
        _ = try digest("d/a", from: context.source(), index: month)
        try context.file("d/new", "n")
        _ = try digest("d/new", from: context.source(), index: month)
        try month.save()
        #expect(DigestIndex(path: folder.at("index"), now: clock.later).count == 2)
    }

    @Test func aFullIndexForgetsToo() throws {
        let folder = try Tree()
        let clock = ContextClock()
        func index(_ days: Int64) -> DigestIndex {
            DigestIndex(path: folder.at("index"), recordCountMax: 2) { clock.later() + days * 86_400_000_000_000 }
        }
        let first = index(0)
        _ = try digest("d", from: context.source(), index: first)
        try first.save()
        try context.file("new", "n")
        for _ in 1...2 {
            let later = index(40)
            _ = try digest("new", from: context.source(), index: later)
            try later.save()
        }
        #expect(first.count == 2 && index(40).count == 1)
    }

    /// 300 files, nothing of them read. The limit is generous: the machine may be busy.
    @Test func aWarmDigestIsFast() throws {
        let big = try Tree()
        for number in 0..<300 { try big.file("src/\(number % 20)/f\(number)", "\(number)") }
        let folder = try Tree()
        let source = try big.source(ignoring: "node_modules\n*.log\n.git\n!keep.log")
        let index = DigestIndex(path: folder.at("index"), now: ContextClock().later)
        let first = try digest(".", from: source, index: index)
        let clock = ContinuousClock()
        var best = Duration.seconds(60)
        for _ in 0..<5 {
            let start = clock.now
            #expect(try digest(".", from: source, index: index) == first)
            best = min(best, clock.now - start)
        }
        print("a warm digest of 300 files: \(best)")
        #expect(index.count == 300 && best < .seconds(1))
    }
}

/// A minute from now.
struct ContextClock: Sendable {
    @Sendable func later() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return FileStamp.nanoseconds(time) + 60_000_000_000
    }
}
