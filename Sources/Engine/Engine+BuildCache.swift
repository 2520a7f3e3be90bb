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
        do throws(SystemError) { return try buildCaches.folders() } catch { throw .system(error) }
    }

    /// `POST /build/prune`. Without `all`, steps whose layers images have stay, and so do folders of cache mounts.
    ///
    /// - Parameters:
    ///   - values: `until`.
    ///   - keepStorage: bytes that may stay.
    public func pruneBuilds(
        all: Bool, keepStorage: UInt64?, _ values: [String: [String]]
    ) async throws(EngineError) -> BuildPruneReply {
        let filters = try ObjectFilters(values, known: ["until"])
        let moment = filters.earliest.map { $0 / 1_000_000_000 }
        let before = try await buildCacheItems().filter { !$0.Shared }.reduce(Int64(0)) { $0 &+ $1.Size }
        var pruning = ImageStore.BuildPruning()
        (pruning.usedBefore, pruning.byteCountMax, pruning.takesShared) = (moment, keepStorage, all)
        let wanted = pruning
        var removed = try await onImages { images throws(ImageError) in
            let removed = try images.pruneBuildRecords(wanted).map(\.short)
            try images.collectGarbage()
            return removed
        }
        if all {
            do throws(SystemError) {
                removed += try buildCaches.prune(usedBefore: moment).map { String($0.name.prefix(12)) }
            } catch {
                throw .system(error)
            }
        }
        let after = try await buildCacheItems().filter { !$0.Shared }.reduce(Int64(0)) { $0 &+ $1.Size }
        return BuildPruneReply(CachesDeleted: removed, SpaceReclaimed: max(0, before - after))
    }
}

extension BuildCacheItem {
    fileprivate init(_ folder: CacheMounts.Folder) {
        self.init(
            ID: String(folder.name.prefix(12)), type: "exec.cachemount", InUse: folder.isInUse, Shared: false,
            Size: Int64(clamping: folder.byteCount), LastUsedAt: rfc3339Seconds(folder.usedAt))
    }
}
