import Testing

@testable import Engine
@testable import EngineAPI
@testable import ImageBuild
@testable import Images

@Suite struct BuildPruneTests {
    @Test(arguments: [("", nil), ("?keep-storage=", nil), ("?keep-storage=0", nil), ("?keep-storage=10000", 10_000)])
    func whatMayStay(query: String, bytes: UInt64?) throws {
        let request = try HTTPRequest(method: "POST", target: "/build/prune" + query)
        #expect(try request.byteCount("keep-storage") == bytes)
    }

    @Test(arguments: ["10g", "-1", "1.5", "99999999999999999999", "x"])
    func whatIsNoNumberIsRefused(text: String) throws {
        let request = try HTTPRequest(method: "POST", target: "/build/prune?keep-storage=\(text)")
        #expect(throws: HTTPError.self) { try request.byteCount("keep-storage") }
    }

    private func share(
        _ limit: UInt64?, usedBefore: Int64? = nil, takesEither: Bool = false, takesFolders: Bool = true
    ) -> BuildCacheShare {
        func step(_ number: UInt8, _ byteCount: UInt64, isShared: Bool = false, _ usedAt: Int64)
            -> ImageStore.RememberedStep
        {
            ImageStore.RememberedStep(
                key: Digest.sha256(of: [number]), byteCount: byteCount, isShared: isShared, usedAt: usedAt)
        }
        func folder(_ name: String, _ byteCount: UInt64, _ usedAt: Int64, isInUse: Bool = false) -> CacheMounts.Folder {
            CacheMounts.Folder(name: name, byteCount: byteCount, isInUse: isInUse, usedAt: usedAt)
        }
        var pruning = ImageStore.BuildPruning()
        (pruning.byteCountMax, pruning.usedBefore, pruning.takesEither) = (limit, usedBefore, takesEither)
        return BuildCacheShare(
            pruning, steps: [step(1, 100, 50), step(2, 100, 20), step(3, 1000, isShared: true, 60)],
            folders: [folder("new", 100, 40), folder("old", 100, 10), folder("busy", 50, 30, isInUse: true)],
            takesFolders: takesFolders)
    }

    @Test func foldersCountToo() {
        // Newest first: step 100, new 100, busy 50, step 100, old 100.
        #expect((share(1000).stepByteCountMax, share(1000).foldersUsedBefore) == (750, nil))
        #expect((share(400).stepByteCountMax, share(400).foldersUsedBefore) == (250, 11))
        #expect((share(150).stepByteCountMax, share(150).foldersUsedBefore) == (100, 41))
        #expect((share(10).stepByteCountMax, share(10).foldersUsedBefore) == (0, 41))
        #expect((share(300, takesFolders: false).stepByteCountMax) == 50)
        #expect(share(300, takesFolders: false).foldersUsedBefore == nil)
    }

    @Test func foldersHaveAnAge() {
        #expect(share(nil).foldersUsedBefore == .max)
        #expect(share(nil, usedBefore: 20).foldersUsedBefore == 20)
        #expect(share(150, usedBefore: 20).foldersUsedBefore == 20)
        #expect(share(1000, usedBefore: 20).foldersUsedBefore == .min)
        #expect(share(1000, usedBefore: 20, takesEither: true).foldersUsedBefore == 20)
        #expect(share(150, usedBefore: 20, takesEither: true).foldersUsedBefore == 41)
    }
}
