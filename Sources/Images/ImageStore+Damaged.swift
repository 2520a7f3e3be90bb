import Synchronization

/// Images that are not whole any more must be seen and can be removed, or nothing else of the store could be used.
extension ImageStore {
    /// The image of a name, an id or a unique beginning of one, also when it is damaged: then what its files do not say
    /// any more is empty. For looking at it and removing it, not for running it.
    public func listed(_ name: String) throws(ImageError) -> Image {
        try openAnyway(find(name, state.withLock { $0.index }))
    }

    func openAnyway(_ entry: ImageIndex.Entry) throws(ImageError) -> Image {
        do {
            return try open(entry)
        } catch {
            guard case .damaged = error else { throw error }
            let diffIDs = (entry.layers ?? []).map(\.diffID)
            return Image(
                id: entry.id, manifestDigest: entry.manifest, references: entry.references,
                namedSeconds: entry.namedSeconds, createdSeconds: 0, byteCount: entry.byteCount,
                config: ImageConfig(architecture: "", os: "", rootfs: ImageConfig.RootFS(diffIDs: diffIDs)),
                layers: diffIDs.map { LayerPath(diffID: $0, path: layerPath($0)) })
        }
    }
}
