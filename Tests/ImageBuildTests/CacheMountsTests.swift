import LinuxSystem
import Synchronization
import Testing

@testable import ImageBuild

@Suite struct CacheMountsTests {
    private func caches() throws -> (CacheMounts, String) {
        let folder = "/tmp/gantry-cache-mounts-\(UInt64.random(in: 0 ... .max))"
        return (CacheMounts(folder: folder), folder)
    }

    @Test func anIDIsNoPath() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        for id in ["../../etc", "/etc/passwd", "a/b", "..", "\u{0}", ""] {
            let held = try await caches.take(id, .shared, mode: 0o755, uid: 0, gid: 0)
            #expect(FileSystem.parent(of: FileSystem.parent(of: held.path)) == folder)
            await caches.release(held)
        }
    }

    @Test func sharedIsTheSameFolderAndPrivateIsNot() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let first = try await caches.take("go", .shared, mode: 0o700, uid: 0, gid: 0)
        let second = try await caches.take("go", .shared, mode: 0o755, uid: 0, gid: 0)
        let own = try await caches.take("go", .private, mode: 0o755, uid: 0, gid: 0)
        #expect(first.path == second.path && first.isNew && !second.isNew)
        #expect(own.path != first.path)
        for held in [first, second, own] { await caches.release(held) }
        let again = try await caches.take("go", .private, mode: 0o755, uid: 0, gid: 0)
        #expect(again.path == first.path)
        await caches.release(again)
    }

    @Test func lockedWaitsForItsTurn() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let order = Mutex<[String]>([])
        let first = try await caches.take("npm", .locked, mode: 0o755, uid: 0, gid: 0)
        async let second: Void = {
            let held = try await caches.take("npm", .locked, mode: 0o755, uid: 0, gid: 0)
            order.withLock { $0.append("second") }
            await caches.release(held)
        }()
        try await Task.sleep(for: .milliseconds(50))
        order.withLock { $0.append("first") }
        await caches.release(first)
        try await second
        #expect(order.withLock { $0 } == ["first", "second"])
    }

    @Test func whatIsUsedIsNotPruned() async throws {
        let (caches, folder) = try caches()
        // A folder that is left in /tmp fails nothing.
        defer { try? FileSystem.removeTree(folder) }
        let used = try await caches.take("used", .shared, mode: 0o755, uid: 0, gid: 0)
        let idle = try await caches.take("idle", .shared, mode: 0o755, uid: 0, gid: 0)
        try FileSystem.replaceFile("\(idle.path)/x", with: [UInt8](repeating: 7, count: 100))
        await caches.release(idle)
        #expect(try await caches.prune(usedBefore: nil).map(\.byteCount) == [100])
        #expect(FileSystem.exists(used.path) && !FileSystem.exists(idle.path))
    }
}
