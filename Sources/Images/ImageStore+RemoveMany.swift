import Glibc
import LinuxSystem
import Synchronization

/// What a removal of images took away.
public struct RemovedImages: Equatable, Sendable {
    /// Those that were there.
    public var ids: [Digest] = []
    /// Layers that no other image has, by diff id.
    public var layers: [Digest] = []
    /// Bytes on disk that were theirs alone.
    public var byteCount: UInt64 = 0
}

extension ImageStore {
    /// Takes images away with all their names, and the layers and blobs that no other image has. Whether a container is
    /// made from one is for the caller to know.
    ///
    /// - Parameters:
    ///   - ids: those that are not there are passed over.
    ///   - keepingInterrupted: as in `collectGarbage`.
    public func remove(_ ids: Set<Digest>, keepingInterrupted: Bool = true) throws(ImageError) -> RemovedImages {
        let (before, after): (ImageIndex, ImageIndex) = try writer.withLock { _ throws(ImageError) in
            let before = state.withLock { $0.index }
            var after = before
            after.images.removeAll { ids.contains($0.id) }
            if after != before { try replaceIndex(after) }
            return (before, after)
        }
        _ = try collectGarbage(keepingInterrupted: keepingInterrupted)
        let kept = Set(after.images.flatMap { ($0.layers ?? []).map(\.diffID) })
        var removed = RemovedImages()
        for entry in before.images where ids.contains(entry.id) {
            removed.ids.append(entry.id)
            for layer in entry.layers ?? [] where !kept.contains(layer.diffID) && !removed.layers.contains(layer.diffID)
            {
                removed.layers.append(layer.diffID)
            }
        }
        let (bytesBefore, bytesAfter) = (usage(of: before.images).byteCount, usage(of: after.images).byteCount)
        removed.byteCount = bytesBefore > bytesAfter ? bytesBefore - bytesAfter : 0
        return removed
    }

    /// Bytes that would be free without the images that are not `used`: what only those have.
    public func reclaimableByteCount(used: Set<Digest>) -> UInt64 {
        let entries = state.withLock { $0.index.images }
        let (all, kept) = (usage(of: entries), usage(of: entries.filter { used.contains($0.id) }))
        return all.byteCount > kept.byteCount ? all.byteCount - kept.byteCount : 0
    }
}
