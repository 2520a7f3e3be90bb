import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// What builds need of the store.
extension ImageStore {
    public func makeDraft() throws(ImageError) -> LayerDraft { try LayerDraft(store: self) }

    public func makeLease() -> BuildLease { BuildLease(store: self) }

    /// The digests of all that the image is made of.
    func content(of image: Image) -> Set<Digest> {
        let entry = state.withLock { $0.index.images.first { $0.id == image.id } }
        return Set([image.id, image.manifestDigest] + image.layers.map(\.diffID) + (entry?.layers ?? []).map(\.blob))
    }

    /// Gives a sealed and measured draft its final name. What the name's folder is called afterwards: another build may
    /// have made the same layer before. Nothing may be mounting the draft meanwhile.
    public func keep(_ draft: LayerDraft, _ layer: BuiltLayer, _ lease: BuildLease) throws(ImageError) -> LayerPath {
        lease.hold([layer.diffID])
        return try writer.withLock { _ throws(ImageError) in
            if options.keepsLayerBlobs { try place(draft.blob, at: blobPath(layer.diffID)) }
            if try layerSize(layer.diffID) == nil { try placeLayer(draft.tree, layer.diffID) }
            return LayerPath(diffID: layer.diffID, path: layerPath(layer.diffID))
        }
    }

    /// The layer's folder, when its tree and its blob are there.
    public func present(_ layer: BuiltLayer) -> LayerPath? {
        let path = LayerPath(diffID: layer.diffID, path: layerPath(layer.diffID))
        guard FileSystem.exists(path.path), !options.keepsLayerBlobs || FileSystem.exists(blobPath(layer.diffID)) else {
            return nil
        }
        return path
    }

    /// A layer that is here, with the sizes that the store knows; nil when it is not, or cannot be pushed.
    public func builtLayer(_ diffID: Digest) throws(ImageError) -> BuiltLayer? {
        guard let size = try layerSize(diffID) else { return nil }
        let layer = BuiltLayer(diffID: diffID, tarByteCount: size.tarByteCount, byteCount: size.byteCount)
        return present(layer) == nil ? nil : layer
    }

    /// Waits for the disk: everything that was kept so far survives the loss of power.
    public func flush() throws(ImageError) { try syncFileSystem() }

    /// Makes an image of a base, of layers on top of it and of a configuration, whose `rootfs` is set here. An image
    /// that is there already gets the names.
    public func addBuilt(
        _ config: ImageConfig, on base: Image?, layers: [BuiltLayer], references: [ImageReference]
    ) throws(ImageError) -> Image {
        let baseEntry = try base.map { base throws(ImageError) in try completeEntry(base.id) }
        var config = config
        config.rootfs = ImageConfig.RootFS(
            diffIDs: (base?.config.rootfs.diffIDs ?? []) + layers.map(\.diffID))
        let configBytes = try encodeJSON(config)
        let id = Digest.sha256(of: configBytes)
        if let known = state.withLock({ $0.index.images.first { $0.id == id } }) {
            for reference in references where !known.references.contains(reference) { try tag(id, as: reference) }
            return try image(id.description)
        }
        guard config.rootfs.diffIDs.count <= options.limits.layerCountMax else {
            throw .unsupported(
                "an image of \(config.rootfs.diffIDs.count) layers: \(options.limits.layerCountMax) can be mounted")
        }
        var descriptors: [Descriptor] = []
        if let baseEntry {
            descriptors =
                try decodeJSON(
                    ManifestDocument.self, readBlob(baseEntry.manifest, what: "manifest"), what: "manifest"
                ).layers ?? []
        }
        descriptors += layers.map {
            Descriptor(
                mediaType: MediaType.layer(.none), digest: $0.diffID, size: Int64(clamping: $0.tarByteCount))
        }
        let manifest = try encodeJSON(
            ManifestDocument(
                schemaVersion: 2, mediaType: MediaType.manifest, artifactType: nil,
                config: Descriptor(mediaType: MediaType.config, digest: id, size: Int64(configBytes.count)),
                layers: descriptors, manifests: nil))
        let records = (baseEntry?.layers ?? []) + layers.map(\.record)
        let entry = ImageIndex.Entry(
            id: id, manifest: Digest.sha256(of: manifest), references: references,
            byteCount: records.reduce(0) { $0 &+ $1.byteCount }, layers: records)
        try add(entry, documents: [(entry.id, configBytes), (entry.manifest, manifest)])
        return try open(entry)
    }
}
