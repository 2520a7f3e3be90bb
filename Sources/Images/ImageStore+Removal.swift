import Glibc
import LinuxSystem
import Synchronization

/// What a collection of garbage gave back.
public struct CollectedGarbage: Equatable, Sendable {
    public var blobCount = 0
    public var layerCount = 0
}

extension ImageStore {
    /// Takes an image away with all its names, and the layers and blobs that no other image has.
    ///
    /// - Parameter inUse: whether a container is made from the image.
    public func remove(_ id: Digest, inUse: (Digest) -> Bool) throws(ImageError) {
        guard !inUse(id) else { throw .inUse("image \(id.short) is used by a container") }
        try writer.withLock { _ throws(ImageError) in
            var index = state.withLock { $0.index }
            guard index.images.contains(where: { $0.id == id }) else {
                throw .notFound(name: id.description, similar: [])
            }
            index.images.removeAll { $0.id == id }
            try replaceIndex(index)
        }
        _ = try collectGarbage()
    }

    /// Removes the images without a name that no container uses; answers their ids.
    public func removeUnnamed(inUse: (Digest) -> Bool) throws(ImageError) -> [Digest] {
        let removed: [Digest] = try writer.withLock { _ throws(ImageError) in
            var index = state.withLock { $0.index }
            let unnamed = index.images.filter { $0.references.isEmpty && !inUse($0.id) }.map(\.id)
            if unnamed.isEmpty { return [] }
            index.images.removeAll { unnamed.contains($0.id) }
            try replaceIndex(index)
            return unnamed
        }
        _ = try collectGarbage()
        return removed
    }

    /// Removes blobs and layers that neither an image nor a running load needs, e.g. those of a load that a crash ended
    /// just before its last step.
    @discardableResult
    public func collectGarbage() throws(ImageError) -> CollectedGarbage {
        let folder = try makeTemporaryFolder()
        let collected = try writer.withLock { _ throws(ImageError) in try moveGarbage(to: folder) }
        // Layers have many files: they vanish by a rename above, and are removed while nobody waits.
        try converting { () throws(SystemError) in try TreeRemoval.remove(folder) }
        return collected
    }

    private func moveGarbage(to folder: String) throws(ImageError) -> CollectedGarbage {
        let (index, leases) = state.withLock { ($0.index, Set($0.leases.keys)) }
        var needed = leases
        for entry in index.images {
            needed.formUnion([entry.id, entry.manifest])
            needed.formUnion(try open(entry).config.rootfs.diffIDs)
            let manifest = try decodeJSON(
                ManifestDocument.self, readBlob(entry.manifest, what: "manifest"), what: "manifest \(entry.manifest)")
            needed.formUnion((manifest.layers ?? []).map(\.digest))
        }
        var collected = CollectedGarbage()
        for hex in try names("\(root)/blobs/sha256") where isGarbage(hex, needed) {
            try move("\(root)/blobs/sha256/\(hex)", to: "\(folder)/blob-\(hex)")
            collected.blobCount += 1
        }
        for hex in try names("\(root)/layers") where isGarbage(hex, needed) {
            try move("\(root)/layers/\(hex)", to: "\(folder)/layer-\(hex)")
            collected.layerCount += 1
        }
        return collected
    }

    private func names(_ folder: String) throws(ImageError) -> [String] {
        try converting { () throws(SystemError) in try FileSystem.list(folder) }
    }

    /// Files of other names are not ours to remove.
    private func isGarbage(_ hex: String, _ needed: Set<Digest>) -> Bool {
        Digest(hex: hex).map { !needed.contains($0) } ?? false
    }

    private func move(_ path: String, to target: String) throws(ImageError) {
        try converting { () throws(SystemError) in _ = try check("rename", path: path) { rename(path, target) } }
    }
}
