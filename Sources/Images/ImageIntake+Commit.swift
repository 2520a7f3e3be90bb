import Glibc
import LinuxSystem
import Synchronization

extension ImageIntake {
    /// Makes the image of the layers that have arrived, and ends the intake. The manifest must be an image's, and every
    /// layer in it must have been begun here and finished.
    ///
    /// - Parameter references: the names it gets; none for a pull by digest.
    public func commit(
        manifest: [UInt8], config: [UInt8], references: [ImageReference]
    ) throws(ImageError) -> Image {
        let (document, parsed) = try check(manifest, config)
        let id = Digest.sha256(of: config)
        let manifestDigest = Digest.sha256(of: manifest)
        let finished = state.withLock { $0.layers }
        var records: [ImageIndex.Layer] = []
        for (layer, diffID) in zip(document.layers ?? [], parsed.rootfs.diffIDs) {
            guard let made = finished[layer.digest] else {
                throw .archive(why: "layer \(layer.digest) was not fetched")
            }
            guard made.diffID == diffID else {
                throw .digestMismatch(expected: diffID, actual: made.diffID, what: "a layer's content")
            }
            guard let size = try store.layerSize(diffID) else { throw .damaged("layer \(diffID) is gone") }
            records.append(
                ImageIndex.Layer(
                    diffID: diffID, blob: layer.digest, blobByteCount: made.byteCount,
                    tarByteCount: size.tarByteCount, byteCount: size.byteCount))
        }
        let entry = ImageIndex.Entry(
            id: id, manifest: manifestDigest, references: references,
            byteCount: records.reduce(0) { $0 + $1.byteCount }, layers: records)
        try store.add(entry, documents: [(id, config), (manifestDigest, manifest)])
        // The image itself keeps everything from now on.
        unlink(store.pullPath(reference))
        end()
        return try store.open(entry)
    }

    private func check(
        _ manifest: [UInt8], _ config: [UInt8]
    ) throws(ImageError) -> (ManifestDocument, ImageConfig) {
        let limits = store.options.limits
        guard max(manifest.count, config.count) <= limits.documentByteCountMax else {
            throw .archive(why: "a manifest or config is larger than \(limits.documentByteCountMax) bytes")
        }
        let document = try decodeJSON(ManifestDocument.self, manifest, what: "manifest")
        // The same bytes must not be an image to one reader and an index to another (CVE-2021-41190).
        guard document.manifests == nil, !MediaType.indexes.contains(document.mediaType ?? "") else {
            throw .archive(why: "the manifest is an index")
        }
        guard let descriptor = document.config else { throw .archive(why: "manifest: \"config\" is missing") }
        guard descriptor.digest == Digest.sha256(of: config) else {
            throw .digestMismatch(expected: descriptor.digest, actual: Digest.sha256(of: config), what: "config")
        }
        let parsed = try decodeJSON(ImageConfig.self, config, what: "image config")
        let host = Descriptor.Platform.host
        guard parsed.os.isEmpty || parsed.os == host.os else {
            throw .unsupported("an image for \(quoted(Array(parsed.os.utf8)))")
        }
        let layerCount = document.layers?.count ?? 0
        guard parsed.rootfs.diffIDs.count == layerCount else {
            throw .archive(why: "the config names \(parsed.rootfs.diffIDs.count) layers, the manifest \(layerCount)")
        }
        guard layerCount <= limits.layerCountMax else {
            throw .archive(why: "more than \(limits.layerCountMax) layers")
        }
        return (document, parsed)
    }
}

extension ImageStore {
    /// Adds an image whose layers and layer blobs have their names already, and are leased.
    func add(_ entry: ImageIndex.Entry, documents: [(digest: Digest, bytes: [UInt8])]) throws(ImageError) {
        let digests = Set(documents.map(\.digest))
        lease(digests)
        defer { release(digests) }
        try inTemporaryFolder { folder throws(ImageError) in
            for document in documents {
                try converting { () throws(SystemError) in
                    try FileSystem.replaceFile(
                        "\(folder)/\(document.digest.hex)", with: document.bytes, durable: options.durable)
                }
            }
            try writer.withLock { _ throws(ImageError) in
                for digest in digests { try place("\(folder)/\(digest.hex)", at: blobPath(digest)) }
                var index = state.withLock { $0.index }
                index.add(entry)
                try replaceIndex(index)
            }
        }
    }
}
