import CLinux
import Glibc
import LinuxSystem
import Synchronization

extension ImageStore {
    /// A layer that is unpacked under a temporary name, or was there before.
    struct UnpackedLayer: Sendable {
        var diffID: Digest
        var byteCount: UInt64
        /// nil when it has its final name already.
        var folder: String?
    }

    /// Takes in every image of an archive (docker-archive, OCI archive, or an OCI layout as tar; plain, gzip or zstd).
    /// All of them or, when anything is wrong, none. Blocks; reads `descriptor` to its end without seeking.
    public func load(
        from descriptor: Int32, progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
    ) throws(ImageError) -> [LoadedImage] {
        let folder = try makeTemporaryFolder()
        let result: Result<[LoadedImage], ImageError>
        do throws(ImageError) {
            result = .success(try load(from: descriptor, folder: folder, progress))
        } catch {
            result = .failure(error)
        }
        do throws(SystemError) {
            try TreeRemoval.remove(folder)
        } catch {
            // The load's own outcome is what counts; the folder is swept when the store is opened next.
            return try result.get()
        }
        return try result.get()
    }

    private func load(
        from descriptor: Int32, folder: String, _ progress: @escaping @Sendable (LoadProgress) -> Void
    ) throws(ImageError) -> [LoadedImage] {
        let intake = ArchiveIntake(folder: folder, limits: options.limits)
        try intake.read(DescriptorSource(descriptor: descriptor, onRead: { progress(.read(byteCount: $0)) }))
        let images = try ArchiveImages(intake: intake, limits: options.limits).all()
        guard !images.isEmpty else { throw .archive(why: "there is no image in it") }

        let leased = Set(images.flatMap(\.digests))
        lease(leased)
        defer { release(leased) }
        let layers = try unpackAll(images, folder: folder, progress)
        try writeDocuments(images, folder: folder)
        try syncFileSystem()
        try commit(images, layers, folder: folder)

        let loaded = images.flatMap { image in
            image.references.isEmpty
                ? [LoadedImage(reference: nil, id: image.id)]
                : image.references.map { LoadedImage(reference: $0, id: image.id) }
        }
        for image in loaded { progress(.loaded(image)) }
        return loaded
    }

    // MARK: - Leases

    /// From now on these are not garbage. Waits for a running collection, so that what exists afterwards stays.
    private func lease(_ digests: Set<Digest>) {
        writer.withLock { _ in
            state.withLock { state in
                for digest in digests { state.leases[digest, default: 0] += 1 }
            }
        }
    }

    private func release(_ digests: Set<Digest>) {
        state.withLock { state in
            for digest in digests {
                let count = (state.leases[digest] ?? 1) - 1
                state.leases[digest] = count > 0 ? count : nil
            }
        }
    }

    // MARK: - Layers

    /// Every layer once, several at a time.
    private func unpackAll(
        _ images: [ArchivedImage], folder: String, _ progress: @escaping @Sendable (LoadProgress) -> Void
    ) throws(ImageError) -> [Digest: UnpackedLayer] {
        var wanted: [(diffID: Digest, layer: ArchiveIntake.Member)] = []
        var seen: Set<Digest> = []
        for image in images {
            for (layer, diffID) in zip(image.layers, image.config.rootfs.diffIDs) where seen.insert(diffID).inserted {
                wanted.append((diffID, layer))
            }
        }
        let work = wanted
        let unpacked = try inParallel(count: work.count, threadCountMax: options.unpackThreadCount) {
            (index, isCancelled) throws(ImageError) in
            try self.unpack(
                work[index].layer, work[index].diffID, folder: "\(folder)/layer-\(index)", progress, isCancelled)
        }
        return Dictionary(unpacked.map { ($0.diffID, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private func unpack(
        _ layer: ArchiveIntake.Member, _ diffID: Digest, folder: String,
        _ progress: @escaping @Sendable (LoadProgress) -> Void, _ isCancelled: () -> Bool
    ) throws(ImageError) -> UnpackedLayer {
        if let known = try layerSize(diffID) {
            progress(.present(layer: diffID))
            return UnpackedLayer(diffID: diffID, byteCount: known, folder: nil)
        }
        let isPlain = try layer.compression == .none
        // A plain tar's digest is the diff id, and was computed when the archive came in.
        guard !isPlain || layer.digest == diffID else {
            throw .digestMismatch(expected: diffID, actual: layer.digest, what: "a layer's content")
        }
        let making = "\(folder)/layer"
        let discards = "\(folder)/discards"
        let file = try converting { () throws(SystemError) in
            for path in ["\(making)/fs", discards] { try FileSystem.makeDirectories(path) }
            // The root's mode when the layer does not say; the folders above keep everyone else out.
            try check("chmod", path: making) { chmod("\(making)/fs", 0o755) }
            return SharedDescriptor(try FileDescriptor.open(layer.path, O_RDONLY))
        }
        let stored = DescriptorSource(descriptor: file.raw) {
            progress(.unpacking(layer: diffID, byteCount: $0, byteCountTotal: UInt64(layer.byteCount)))
        }
        let source = MeasuringSource(
            try DecompressedSource.opening(stored), hashing: !isPlain,
            byteCountMax: options.limits.layerByteCountMax, what: "a layer")
        let unpacker = try LayerUnpacker(folder: "\(making)/fs", discards: discards, options: options)
        try unpacker.unpack(source, isCancelled: isCancelled)
        if let actual = try source.finish(), actual != diffID {
            throw .digestMismatch(expected: diffID, actual: actual, what: "a layer's content")
        }
        try converting { () throws(SystemError) in
            try FileSystem.replaceFile("\(making)/size", with: "\(unpacker.byteCount)\n".utf8)
        }
        progress(.unpacked(layer: diffID))
        return UnpackedLayer(diffID: diffID, byteCount: unpacker.byteCount, folder: making)
    }

    /// Bytes of a layer's files; nil when the layer is not there.
    private func layerSize(_ diffID: Digest) throws(ImageError) -> UInt64? {
        let folder = layerFolder(diffID)
        guard FileSystem.exists("\(folder)/fs") else { return nil }
        let bytes = try converting { () throws(SystemError) in
            try FileSystem.readFile("\(folder)/size", byteCountMax: 64)
        }
        guard let byteCount = UInt64(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)) else {
            throw .damaged("\(folder)/size")
        }
        return byteCount
    }

    // MARK: - Commit

    private func writeDocuments(_ images: [ArchivedImage], folder: String) throws(ImageError) {
        for image in images {
            for (digest, bytes) in [(image.id, image.configBytes), (image.manifestDigest, image.manifestBytes)] {
                try converting { () throws(SystemError) in
                    try FileSystem.replaceFile("\(folder)/\(digest.hex)", with: bytes)
                }
            }
        }
    }

    /// One flush of the file system instead of one for each of many thousand files.
    private func syncFileSystem() throws(ImageError) {
        guard options.durable else { return }
        let root = root
        try converting { () throws(SystemError) in
            let folder = try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY)
            let raw = folder.raw
            try check("syncfs", path: root) { syncfs(raw) }
        }
    }

    /// Final names for everything, and then for the images.
    private func commit(
        _ images: [ArchivedImage], _ layers: [Digest: UnpackedLayer], folder: String
    ) throws(ImageError) {
        try writer.withLock { _ throws(ImageError) in
            for image in images {
                for digest in [image.id, image.manifestDigest] {
                    try place("\(folder)/\(digest.hex)", at: blobPath(digest))
                }
                if options.keepsLayerBlobs {
                    for layer in image.layers { try place(layer.path, at: blobPath(layer.digest)) }
                }
            }
            for layer in layers.values { try place(layer) }
            var index = state.withLock { $0.index }
            for image in images {
                index.add(
                    ImageIndex.Entry(
                        id: image.id, manifest: image.manifestDigest, references: image.references,
                        byteCount: image.config.rootfs.diffIDs.reduce(0) { $0 + (layers[$1]?.byteCount ?? 0) }))
            }
            try replaceIndex(index)
        }
    }

    /// A link, not a rename: another image of the archive may need the same file.
    private func place(_ source: String, at path: String) throws(ImageError) {
        if link(source, path) == 0 { return }
        let code = errno
        guard code != EEXIST else { return }
        throw ImageError(SystemError("link", path: path, code: code))
    }

    private func place(_ layer: UnpackedLayer) throws(ImageError) {
        guard let folder = layer.folder else { return }
        let final = layerFolder(layer.diffID)
        if rename(folder, final) == 0 { return }
        let code = errno
        // Another load was first: its layer is the same, byte for byte.
        guard code != EEXIST, code != ENOTEMPTY else { return }
        throw ImageError(SystemError("rename", path: final, code: code))
    }
}
