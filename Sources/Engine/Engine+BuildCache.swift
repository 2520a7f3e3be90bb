import EngineWire
import ImageBuild
import Images
import LinuxSystem
import Reconciler
import StackModel

/// What builds keep between them.
extension Engine {
    /// Of `GET /system/df`.
    func buildCacheItems() async throws(EngineError) -> [BuildCacheItem] {
        let steps = try await onImages { images throws(ImageError) in try images.rememberedSteps() }
        let items = steps.map { step in
            BuildCacheItem(
                ID: step.key.short, type: "regular", InUse: false, Shared: step.isShared,
                Size: Int64(clamping: step.byteCount), LastUsedAt: rfc3339Seconds(step.usedAt))
        }
        return items + (try await cacheFolders()).map(BuildCacheItem.init)
    }

    private func cacheFolders() async throws(EngineError) -> [CacheMounts.Folder] {
        try await onCaches { caches throws(SystemError) in try caches.folders() }
    }

    private func onCaches<Value: Sendable>(
        _ body: @escaping @Sendable (CacheMounts) throws(SystemError) -> Value
    ) async throws(EngineError) -> Value {
        let caches = buildCaches
        return try await onPool { () throws(SystemError) in try body(caches) }
    }

    /// `POST /build/prune`. Without `all`, steps whose layers images have stay, and so do folders of cache mounts.
    ///
    /// - Parameters:
    ///   - values: `until`; `label` and `label!` too, which `docker system prune` hands on: no step has one.
    ///   - keepStorage: bytes that may stay.
    public func pruneBuilds(
        all: Bool, keepStorage: UInt64?, _ values: [String: [String]]
    ) async throws(EngineError) -> BuildPruneReply {
        let filters = try ObjectFilters(values, known: ["until", "label", "label!"])
        guard filters.values["label"]?.isEmpty ?? true else {
            return BuildPruneReply(CachesDeleted: [], SpaceReclaimed: 0)
        }
        let moment = filters.earliest.map { $0 / 1_000_000_000 }
        let before = try await ownStepByteCount()
        var pruning = ImageStore.BuildPruning()
        (pruning.usedBefore, pruning.byteCountMax, pruning.takesShared) = (moment, keepStorage, all)
        let removed = try await pruneBuilds(pruning, withFolders: all)
        try await onImages { images throws(ImageError) in _ = try images.collectGarbage() }
        let after = try await ownStepByteCount()
        let reclaimed = removed.folders.reduce(before > after ? before - after : 0) { $0 &+ $1.byteCount }
        return BuildPruneReply(CachesDeleted: removed.ids, SpaceReclaimed: Int64(clamping: reclaimed))
    }

    /// Of layers that no image has.
    private func ownStepByteCount() async throws(EngineError) -> UInt64 {
        let steps = try await onImages { images throws(ImageError) in try images.rememberedSteps() }
        return steps.reduce(0) { $1.isShared ? $0 : $0 &+ $1.byteCount }
    }

    struct PrunedBuilds: Sendable {
        var steps: [Digest]
        var folders: [CacheMounts.Folder] = []

        /// As `system df` has them.
        var ids: [String] { steps.map(\.short) + folders.map { String($0.name.prefix(12)) } }
    }

    /// Forgets steps, and removes folders of cache mounts `withFolders`; a limit of bytes is for both together.
    func pruneBuilds(
        _ asked: ImageStore.BuildPruning, withFolders: Bool
    ) async throws(EngineError) -> PrunedBuilds {
        let folders = try await cacheFolders()
        let steps = try await onImages { images throws(ImageError) in try images.rememberedSteps() }
        let share = BuildCacheShare(asked, steps: steps, folders: folders, takesFolders: withFolders)
        var pruning = asked
        pruning.byteCountMax = share.stepByteCountMax
        let wanted = pruning
        var removed = PrunedBuilds(
            steps: try await onImages { images throws(ImageError) in try images.pruneBuildRecords(wanted) })
        // To look for them is to look at every file in them.
        guard withFolders, let moment = share.foldersUsedBefore,
            folders.contains(where: { !$0.isInUse && $0.usedAt < moment })
        else { return removed }
        removed.folders = try await onCaches { caches throws(SystemError) in try caches.prune(usedBefore: moment) }
        return removed
    }
}

/// How steps and folders of cache mounts share a limit: of both together, what was used last stays.
struct BuildCacheShare: Equatable {
    /// What the folders that stay leave for steps.
    private(set) var stepByteCountMax: UInt64?
    /// Folders that were used before go (seconds since 1970); nil: none goes.
    private(set) var foldersUsedBefore: Int64?

    init(
        _ pruning: ImageStore.BuildPruning, steps: [ImageStore.RememberedStep], folders: [CacheMounts.Folder],
        takesFolders: Bool
    ) {
        guard let limit = pruning.byteCountMax else {
            foldersUsedBefore = takesFolders ? pruning.usedBefore ?? .max : nil
            return
        }
        if takesFolders {
            let stepSizes = steps.filter { !$0.isShared }.map { ($0.usedAt, $0.byteCount, false) }
            let sizes = stepSizes + folders.map { ($0.usedAt, $0.byteCount, true) }
            var total: UInt64 = 0
            for (usedAt, byteCount, isFolder) in sizes.sorted(by: { $0.0 > $1.0 }) {
                let sum = total.addingReportingOverflow(byteCount)
                total = sum.overflow ? .max : sum.partialValue
                guard isFolder, total > limit else { continue }
                // All that come now were used before it, or with it.
                foldersUsedBefore = usedAt &+ 1
                break
            }
            if let age = pruning.usedBefore {
                let over = foldersUsedBefore ?? .min
                foldersUsedBefore = pruning.takesEither ? max(over, age) : min(over, age)
            }
        }
        let kept = folders.filter { folder in folder.isInUse || folder.usedAt >= foldersUsedBefore ?? .min }
        stepByteCountMax = kept.reduce(limit) { left, folder in left > folder.byteCount ? left - folder.byteCount : 0 }
    }
}

extension BuildCacheItem {
    fileprivate init(_ folder: CacheMounts.Folder) {
        self.init(
            ID: String(folder.name.prefix(12)), type: "exec.cachemount", InUse: folder.isInUse, Shared: false,
            Size: Int64(clamping: folder.byteCount), LastUsedAt: rfc3339Seconds(folder.usedAt))
    }
}
