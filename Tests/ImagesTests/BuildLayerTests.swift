import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Layers that builds write, and the records of their steps.
@Suite struct BuildLayerTests {
    private func layer(
        _ store: ImageStore, _ lease: BuildLease, _ text: String = "hello"
    ) throws -> (BuiltLayer, LayerPath) {
        let draft = try store.makeDraft()
        try FileSystem.makeDirectories("\(draft.upper)/app", mode: 0o755)
        try FileSystem.replaceFile("\(draft.upper)/app/file", with: text.utf8)
        #expect(try draft.seal(timestampMax: 1000))
        let built = try draft.measure()
        return (built, try store.keep(draft, built, lease))
    }

    @Test func equalTreesGiveEqualLayers() throws {
        let fixture = try StoreFixture()
        let lease = fixture.store.makeLease()
        let (first, path) = try layer(fixture.store, lease)
        let (second, _) = try layer(fixture.store, lease)
        #expect(first == second && first.byteCount == 5)
        #expect(try FileSystem.readFile("\(path.path)/app/file") == Array("hello".utf8))
        var status = stat()
        #expect(lstat("\(path.path)/app/file", &status) == 0 && status.st_mtim.tv_sec == 1000)
    }

    @Test func whatIsEmptyIsSaidToBe() throws {
        let fixture = try StoreFixture()
        let draft = try fixture.store.makeDraft()
        #expect(try !draft.seal())
    }

    @Test func aSealedTreeHasWholeSecondsAndNoSockets() throws {
        let fixture = try StoreFixture()
        let draft = try fixture.store.makeDraft()
        let path = "\(draft.upper)/run"
        try FileSystem.makeDirectories(path, mode: 0o755)
        #expect(mknod("\(path)/socket", S_IFSOCK | 0o644, 0) == 0)
        let time = timespec(tv_sec: 77, tv_nsec: 5)
        #expect(utimensat(AT_FDCWD, path, [time, time], 0) == 0)
        #expect(try draft.seal())
        var status = stat()
        #expect(lstat("\(path)/socket", &status) != 0 && errno == ENOENT)
        #expect(lstat(path, &status) == 0 && status.st_mtim.tv_sec == 77 && status.st_mtim.tv_nsec == 0)
    }

    /// In another store it would take a file away.
    @Test func aFileCannotPassForAWhiteout() throws {
        let fixture = try StoreFixture()
        let draft = try fixture.store.makeDraft()
        try FileSystem.replaceFile("\(draft.upper)/.wh.passwd", with: [])
        #expect(throws: ImageError.self) { try draft.seal() }
    }

    @Test func anImageOfBuiltLayersCanBeExportedAndVerified() throws {
        let fixture = try StoreFixture()
        let lease = fixture.store.makeLease()
        let (built, _) = try layer(fixture.store, lease)
        var config = ImageConfig(architecture: "amd64", os: "linux", rootfs: ImageConfig.RootFS(diffIDs: []))
        config.config.cmd = ["/app/file"]
        let name = try ImageReference(parsing: "built:1")
        let image = try fixture.store.addBuilt(config, on: nil, layers: [built], references: [name])
        #expect(image.config.rootfs.diffIDs == [built.diffID])
        let again = try fixture.store.addBuilt(
            config, on: nil, layers: [built], references: [try ImageReference(parsing: "built:2")])
        #expect(again.id == image.id)
        #expect(try fixture.store.image("built:1").references.count == 2)
        #expect(try fixture.store.verify(image).isEmpty)
    }

    // MARK: - Records

    private func record(_ layer: BuiltLayer?) -> BuildRecord {
        BuildRecord(key: Digest.sha256(of: [1]), layer: layer, created: "2026-01-01T00:00:00Z")
    }

    @Test func aRecordIsFoundByEachOfItsKeys() throws {
        let fixture = try StoreFixture()
        let store = fixture.store
        let (built, _) = try layer(store, store.makeLease())
        let alias = Digest.sha256(of: [2])
        for key in [Digest.sha256(of: [1]), alias] {
            try store.keepBuildRecord(record(built), for: key, isFlushed: true)
            #expect(store.buildRecord(key, store.makeLease()) == record(built))
        }
        #expect(store.buildRecord(Digest.sha256(of: [3]), store.makeLease()) == nil)
    }

    /// Whatever is done to the file: it is as if it were not there.
    @Test func aDamagedRecordIsNone() throws {
        let fixture = try StoreFixture()
        let store = fixture.store
        let (built, _) = try layer(store, store.makeLease())
        let key = Digest.sha256(of: [1])
        try store.keepBuildRecord(record(built), for: key, isFlushed: true)
        let path = store.recordPath(key)
        let whole = try FileSystem.readFile(path)
        for index in whole.indices {
            var bytes = whole
            bytes[index] ^= 1
            try FileSystem.replaceFile(path, with: bytes)
            #expect(store.buildRecord(key, store.makeLease()) == nil, "byte \(index)")
        }
        for count in [0, 1, whole.count / 2, whole.count - 1] {
            try FileSystem.replaceFile(path, with: Array(whole.prefix(count)))
            #expect(store.buildRecord(key, store.makeLease()) == nil)
        }
        try FileSystem.replaceFile(path, with: [UInt8](repeating: 65, count: 1 << 20))
        #expect(store.buildRecord(key, store.makeLease()) == nil)
        try FileSystem.replaceFile(path, with: whole)
        #expect(store.buildRecord(key, store.makeLease()) != nil)
    }

    @Test func aRecordWithoutItsLayerIsNone() throws {
        let fixture = try StoreFixture()
        let store = fixture.store
        let gone = BuiltLayer(diffID: Digest.sha256(of: [9]), tarByteCount: 10, byteCount: 1)
        try store.keepBuildRecord(record(gone), for: Digest.sha256(of: [1]), isFlushed: true)
        #expect(store.buildRecord(Digest.sha256(of: [1]), store.makeLease()) == nil)
    }

    @Test func layersOfRecordsAreNoGarbageUntilTheyArePruned() throws {
        let fixture = try StoreFixture()
        let store = fixture.store
        let key = Digest.sha256(of: [1])
        do {
            let lease = store.makeLease()
            let (built, _) = try layer(store, lease)
            try store.keepBuildRecord(record(built), for: key, isFlushed: false)
        }
        #expect(try store.collectGarbage() == CollectedGarbage())
        #expect(store.buildRecord(key, store.makeLease()) != nil)
        #expect(try store.rememberedSteps().map(\.key) == [key])
        var pruning = ImageStore.BuildPruning()
        pruning.usedBefore = 5
        #expect(try store.pruneBuildRecords(pruning).isEmpty)
        // What is too much, but not old: only where nobody asked for both.
        pruning.byteCountMax = 0
        #expect(try store.pruneBuildRecords(pruning).isEmpty)
        (pruning.usedBefore, pruning.byteCountMax) = (.max, 1 << 40)
        #expect(try store.pruneBuildRecords(pruning).isEmpty)
        (pruning.usedBefore, pruning.byteCountMax, pruning.takesEither) = (5, 0, true)
        #expect(try store.pruneBuildRecords(pruning) == [key])
        #expect(try store.collectGarbage() == CollectedGarbage(blobCount: 1, layerCount: 1))
    }

    @Test func aLeaseKeepsWhatNoRecordNamesYet() throws {
        let fixture = try StoreFixture()
        let store = fixture.store
        var lease: BuildLease? = store.makeLease()
        if let lease { _ = try layer(store, lease) }
        #expect(try store.collectGarbage() == CollectedGarbage())
        lease = nil
        #expect(try store.collectGarbage() == CollectedGarbage(blobCount: 1, layerCount: 1))
    }
}
