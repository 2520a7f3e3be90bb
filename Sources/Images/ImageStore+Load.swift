import CLinux
import Glibc
import LinuxSystem
import Synchronization

extension ImageStore {
    /// Takes in every image of an archive (docker-archive, OCI archive, or an OCI layout as tar; plain, gzip or zstd).
    /// All of them or, when anything is wrong, none. Blocks; reads `descriptor` to its end without seeking.
    public func load(
        from descriptor: Int32, progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
    ) throws(ImageError) -> [LoadedImage] {
        try inTemporaryFolder { folder throws(ImageError) in
            let workers = try LayerWorkers(folder: folder, options: options)
            // Before the folder goes, in which they write.
            defer { workers.stop() }
            return try load(from: descriptor, folder: folder, workers, progress)
        }
    }

    private func load(
        from descriptor: Int32, folder: String, _ workers: LayerWorkers,
        _ progress: @escaping @Sendable (LoadProgress) -> Void
    ) throws(ImageError) -> [LoadedImage] {
        let known = knownLayers()
        let intake = ArchiveIntake(
            folder: folder, limits: options.limits, workers: workers, isKnownLayer: { known.contains($0) })
        try intake.read(DescriptorSource(descriptor: descriptor, onRead: { progress(.read(byteCount: $0)) }))
        let images = try ArchiveImages(intake: intake, limits: options.limits).all()
        guard !images.isEmpty else { throw .archive(why: "there is no image in it") }

        let leased = Set(images.flatMap(\.digests))
        lease(leased)
        defer { release(leased) }
        let layers = try takeLayers(images, workers, progress)
        try commit(images, layers, folder: folder)

        let loaded = images.flatMap { image in
            image.references.isEmpty
                ? [LoadedImage(reference: nil, id: image.id)]
                : image.references.map { LoadedImage(reference: $0, id: image.id) }
        }
        for image in loaded { progress(.loaded(image)) }
        return loaded
    }

    /// Diff ids of the layers that are there, and digests of their blobs. Only a hint.
    private func knownLayers() -> Set<Digest> {
        let index = state.withLock { $0.index }
        return Set(index.images.flatMap { ($0.layers ?? []).flatMap { [$0.diffID, $0.blob] } })
    }

    // MARK: - Layers

    /// Every layer once, in the order of need; those that are there already have no folder.
    private func takeLayers(
        _ images: [ArchivedImage], _ workers: LayerWorkers, _ progress: (LoadProgress) -> Void
    ) throws(ImageError) -> [Digest: ReadyLayer] {
        var wanted: [(diffID: Digest, member: ArchiveIntake.Member)] = []
        var ready: [Digest: ReadyLayer] = [:]
        for image in images {
            for (member, diffID) in zip(image.layers, image.config.rootfs.diffIDs)
            where ready[diffID] == nil && !wanted.contains(where: { $0.diffID == diffID }) {
                if let size = try layerSize(diffID) {
                    ready[diffID] = ReadyLayer(size: size, folder: nil)
                    progress(.present(layer: diffID))
                } else {
                    wanted.append((diffID, member))
                }
            }
        }
        try submit(wanted.map(\.member), workers)
        for (diffID, member) in wanted {
            let made = try workers.result(member.number)
            // A plain tar's digest is the diff id, and was computed when the archive came in.
            let actual = made.diffID ?? member.digest
            guard actual == diffID else {
                throw .digestMismatch(expected: diffID, actual: actual, what: "a layer's content")
            }
            ready[diffID] = ReadyLayer(size: made.size, folder: made.folder)
            progress(.unpacked(layer: diffID))
        }
        return ready
    }

    /// Those that did not look like layers when they came, or were too many.
    private func submit(_ members: [ArchiveIntake.Member], _ workers: LayerWorkers) throws(ImageError) {
        var submitted: Set<Int> = []
        for member in members where !member.isSubmitted && submitted.insert(member.number).inserted {
            let file = try GrowingFile(path: member.path, continuing: member.byteCount)
            file.end(.complete)
            workers.submitWaiting(member.number, file)
        }
    }

    // MARK: - Commit

    private func commit(
        _ images: [ArchivedImage], _ layers: [Digest: ReadyLayer], folder: String
    ) throws(ImageError) {
        for image in images {
            for (digest, bytes) in [(image.id, image.configBytes), (image.manifestDigest, image.manifestBytes)] {
                try converting { () throws(SystemError) in
                    try FileSystem.replaceFile("\(folder)/\(digest.hex)", with: bytes)
                }
            }
        }
        try syncFileSystem()
        try writer.withLock { _ throws(ImageError) in
            for image in images {
                for digest in [image.id, image.manifestDigest] {
                    try place("\(folder)/\(digest.hex)", at: blobPath(digest))
                }
                if options.keepsLayerBlobs {
                    for layer in image.layers { try place(layer.path, at: blobPath(layer.digest)) }
                }
            }
            for (diffID, layer) in layers {
                if let folder = layer.folder { try placeLayer(folder, diffID) }
            }
            var index = state.withLock { $0.index }
            for image in images { index.add(try entry(for: image, layers)) }
            try replaceIndex(index)
        }
    }

    private func entry(
        for image: ArchivedImage, _ layers: [Digest: ReadyLayer]
    ) throws(ImageError) -> ImageIndex.Entry {
        var records: [ImageIndex.Layer] = []
        for (member, diffID) in zip(image.layers, image.config.rootfs.diffIDs) {
            guard let layer = layers[diffID] else { throw .damaged("layer \(diffID) was not unpacked") }
            records.append(
                ImageIndex.Layer(
                    diffID: diffID, blob: member.digest, blobByteCount: UInt64(clamping: member.byteCount),
                    tarByteCount: layer.size.tarByteCount, byteCount: layer.size.byteCount))
        }
        return ImageIndex.Entry(
            id: image.id, manifest: image.manifestDigest, references: image.references,
            byteCount: records.reduce(0) { $0 + $1.byteCount }, layers: records)
    }
}
