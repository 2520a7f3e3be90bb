import Dockerfile
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import ImageBuild

@Suite struct CacheMountsTests {
    private func caches() throws -> (CacheMounts, String) {
        let folder = "/tmp/gantry-cache-mounts-\(UInt64.random(in: 0 ... .max))"
        return (CacheMounts(folder: folder), folder)
    }

    private func take(
        _ caches: CacheMounts, _ id: String, _ sharing: Mount.Sharing
    ) async throws -> (path: String, held: CacheMounts.Held) {
        let taken = try await caches.take([CacheMounts.Request(id: id, sharing: sharing)]) { _, _ in }
        return (try #require(taken.paths.first), try #require(taken.held.first))
    }

    @Test func anIDIsNoPath() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        for id in ["../../etc", "/etc/passwd", "a/b", "..", "\u{0}", ""] {
            let held = try await take(caches, id, .shared)
            #expect(FileSystem.parent(of: FileSystem.parent(of: held.path)) == folder)
            caches.release(held.held)
        }
    }

    @Test func sharedIsTheSameFolderAndPrivateIsNot() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let first = try await take(caches, "go", .shared)
        let second = try await take(caches, "go", .shared)
        let own = try await take(caches, "go", .private)
        #expect(first.path == second.path)
        #expect(own.path != first.path)
        for taken in [first, second, own] { caches.release(taken.held) }
        let again = try await take(caches, "go", .private)
        #expect(again.path == first.path)
        caches.release(again.held)
    }

    @Test func lockedWaitsForItsTurn() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let order = Mutex<[String]>([])
        let first = try await take(caches, "npm", .locked)
        async let second: Void = {
            let second = try await take(caches, "npm", .locked)
            order.withLock { $0.append("second") }
            caches.release(second.held)
        }()
        try await Task.sleep(for: .milliseconds(50))
        order.withLock { $0.append("first") }
        caches.release(first.held)
        try await second
        #expect(order.withLock { $0 } == ["first", "second"])
    }

    /// A build that is given up does not wait for another's command.
    @Test func waitingEndsWithTheBuild() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let first = try await take(caches, "npm", .locked)
        let waiting = Task { try await take(caches, "npm", .locked) }
        try await Task.sleep(for: .milliseconds(20))
        waiting.cancel()
        await #expect(throws: BuildFailure.self) { try await waiting.value }
        caches.release(first.held)
        caches.release(try await take(caches, "npm", .locked).held)
    }

    /// Two steps that name the same folders in another order, and one that names a folder twice.
    @Test func nobodyWaitsForEver() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let names = ["a", "b", "a"]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    let requests = (number % 2 == 0 ? names : names.reversed() + ["b"]).map {
                        CacheMounts.Request(id: $0, sharing: number % 3 == 0 ? .shared : .locked)
                    }
                    let taken = try await caches.take(requests) { _, _ in }
                    await Task.yield()
                    for held in taken.held { caches.release(held) }
                }
            }
            try await group.waitForAll()
        }
        #expect(try caches.folders().allSatisfy { !$0.isInUse })
    }

    /// Who comes while another makes the folder shares it afterwards, and does not wait for the other's end.
    @Test(.timeLimit(.minutes(1))) func whatAnotherMakesIsShared() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let request = CacheMounts.Request(id: "new")
        async let second = {
            for await _ in started { break }
            return try await caches.take([request]) { _, _ in }
        }()
        let first = try await caches.take([request]) { _, _ in
            start.yield()
            // The other has come by then, most of the time.
            usleep(100_000)
        }
        let both = try await second
        #expect(both.paths == first.paths)
        for held in first.held + both.held { caches.release(held) }
    }

    /// What a folder starts with is there before anybody sees it, or the folder is not.
    @Test func contentThatFailsLeavesNothing() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let request = CacheMounts.Request(id: "seeded")
        await #expect(throws: BuildFailure.self) {
            _ = try await caches.take([request]) { _, path throws(BuildFailure) in
                try calling { () throws(SystemError) in try FileSystem.replaceFile("\(path)/half", with: []) }
                throw .cancelled
            }
        }
        let taken = try await caches.take([request]) { _, path throws(BuildFailure) in
            try calling { () throws(SystemError) in try FileSystem.replaceFile("\(path)/whole", with: []) }
        }
        #expect(try FileSystem.list(taken.paths[0]) == ["whole"])
    }

    @Test func whatIsUsedIsNotPruned() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let used = try await take(caches, "used", .shared)
        let idle = try await take(caches, "idle", .shared)
        try FileSystem.replaceFile("\(idle.path)/x", with: [UInt8](repeating: 7, count: 100))
        caches.release(idle.held)
        #expect(try caches.prune(usedBefore: nil).map(\.byteCount) == [100])
        #expect(FileSystem.exists(used.path) && !FileSystem.exists(idle.path))
    }
}
