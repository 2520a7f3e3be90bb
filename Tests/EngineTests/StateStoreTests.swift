import CLinux
import LinuxSystem
import StackModel
import Testing

@testable import Engine

@Suite struct StateStoreTests {
    private func temporaryFolder() throws -> String {
        var template = Array("/tmp/gantry-store-XXXXXX".utf8CString)
        let path = template.withUnsafeMutableBufferPointer { buffer -> String? in
            guard let base = buffer.baseAddress, mkdtemp(base) != nil else { return nil }
            return String(cString: base)
        }
        return try #require(path)
    }

    private func record(_ name: String) -> StackRecord {
        StackRecord(
            stack: Stack(name: name), scale: ["web": 2], stopped: ["db"], selection: [], active: true, updatedAt: 7)
    }

    @Test func recordsSurviveReopening() throws {
        let folder = try temporaryFolder()
        defer { try? FileSystem.removeTree(folder) }  // Cleaning up after the test.
        do {
            let store = try StateStore(path: "\(folder)/state.db")
            try store.save(record("shop"))
            try store.save([record("blog"), record("wiki")])
            try store.delete(record("wiki"))
        }
        let found = try StateStore(path: "\(folder)/state.db").all(StackRecord.self)
        #expect(found.map(\.stackName) == ["blog", "shop"])
        #expect(found[1].scale == ["web": 2])
        #expect(found[1].stopped == ["db"])
    }

    @Test func savingAgainReplaces() throws {
        let folder = try temporaryFolder()
        defer { try? FileSystem.removeTree(folder) }  // Cleaning up after the test.
        let store = try StateStore(path: "\(folder)/state.db")
        try store.save(record("shop"))
        var changed = record("shop")
        changed.active = false
        try store.save(changed)
        #expect(try store.all(StackRecord.self).map(\.active) == [false])
    }

    @Test func aDatabaseOfANewerVersionIsRefused() throws {
        let folder = try temporaryFolder()
        defer { try? FileSystem.removeTree(folder) }  // Cleaning up after the test.
        let database = try Database(path: "\(folder)/state.db")
        try database.run("PRAGMA user_version=99")
        #expect(throws: DatabaseError.self) { try StateStore(path: "\(folder)/state.db") }
    }

    @Test func aFailedTransactionChangesNothing() throws {
        let folder = try temporaryFolder()
        defer { try? FileSystem.removeTree(folder) }  // Cleaning up after the test.
        let database = try Database(path: "\(folder)/state.db")
        try database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        #expect(throws: DatabaseError.self) {
            try database.transaction([("INSERT INTO t VALUES (1)", []), ("INSERT INTO t VALUES (1)", [])])
        }
        #expect(try database.run("SELECT * FROM t").isEmpty)
    }

    @Test func aFullFileSystemIsTold() throws {
        let error = DatabaseError(code: 13, message: "database or disk is full")
        #expect(error.isDiskFull)
        #expect(EngineError.database(error).diagnostics.map(\.code) == ["disk.full"])
    }
}

@Suite struct AsyncLockTests {
    @Test func onlyOneHoldsIt() async {
        let lock = AsyncLock()
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    await lock.acquire()
                    await counter.enter()
                    await Task.yield()
                    await counter.leave()
                    lock.release()
                }
            }
        }
        #expect(await counter.most == 1)
        #expect(await counter.total == 50)
    }

    private actor Counter {
        private var inside = 0
        private(set) var most = 0
        private(set) var total = 0

        func enter() {
            inside += 1
            most = max(most, inside)
        }

        func leave() {
            inside -= 1
            total += 1
        }
    }
}
