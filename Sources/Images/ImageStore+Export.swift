import Glibc
import LinuxSystem
import Synchronization

/// The forms in which images leave the store.
public enum ArchiveForm: Sendable {
    /// As `docker save`: `manifest.json`, layers unpacked. Any Docker and Podman reads it.
    case docker
    /// A tar of an OCI layout, blobs byte for byte as they came.
    case oci
}

extension ImageStore {
    /// Writes images as one archive. The same images in the same order give the same bytes. They are leased meanwhile.
    ///
    /// - Parameter images: each with the names it shall have in the archive.
    public func export(
        _ images: [(image: Image, references: [ImageReference])], as form: ArchiveForm, to descriptor: Int32
    ) throws(ImageError) {
        var entries: [(ImageIndex.Entry, [ImageReference])] = []
        for (image, references) in images { entries.append((try completeEntry(image.id), references)) }
        let leased = Set(entries.flatMap { Self.digests(of: $0.0) })
        lease(leased)
        defer { release(leased) }
        let writer = TarWriter(descriptor: descriptor)
        switch form {
        case .docker: try exportDocker(entries, writer)
        case .oci: try exportOCI(entries, writer)
        }
        try writer.finish()
    }

    static func digests(of entry: ImageIndex.Entry) -> [Digest] {
        [entry.id, entry.manifest] + (entry.layers ?? []).flatMap { [$0.diffID, $0.blob] }
    }

    func completeEntry(_ id: Digest) throws(ImageError) -> ImageIndex.Entry {
        guard let entry = state.withLock({ $0.index.images.first { $0.id == id } }) else {
            throw .notFound(name: id.description, similar: [])
        }
        guard entry.layers != nil else {
            throw .damaged("image \(id.short) is from an older Gantry; load the image again")
        }
        return entry
    }

    private func exportDocker(
        _ entries: [(ImageIndex.Entry, [ImageReference])], _ writer: TarWriter
    ) throws(ImageError) {
        var manifests: [DockerManifest] = []
        var written: Set<Digest> = []
        for (entry, references) in entries {
            for layer in entry.layers ?? [] where written.insert(layer.diffID).inserted {
                let (file, _) = try openBlob(layer.blob)
                let content = try decoded(DescriptorSource(descriptor: file.raw))
                let hashed = MeasuringSource(
                    content, hashing: true, byteCountMax: options.limits.layerByteCountMax, what: "a layer")
                let byteCount = try tarByteCount(layer)
                try writer.file("\(layer.diffID.hex).tar", byteCount: byteCount, hashed)
                guard try hashed.finish() == layer.diffID else {
                    throw .damaged("layer \(layer.diffID.short) was changed on disk; load the image again")
                }
            }
            if written.insert(entry.id).inserted {
                try writer.file("\(entry.id.hex).json", try readBlob(entry.id, what: "config"))
            }
            manifests.append(
                DockerManifest(
                    config: "\(entry.id.hex).json", repoTags: references.map(\.familiar),
                    layers: (entry.layers ?? []).map { "\($0.diffID.hex).tar" }))
        }
        try writer.file("manifest.json", try encodeJSON(manifests))
    }

    /// Known since the layer was unpacked; a tar's header needs it before the content.
    private func tarByteCount(_ layer: ImageIndex.Layer) throws(ImageError) -> Int64 {
        if layer.tarByteCount > 0 { return Int64(clamping: layer.tarByteCount) }
        let (file, _) = try openBlob(layer.blob)
        let content = MeasuringSource(
            try decoded(DescriptorSource(descriptor: file.raw)), hashing: false,
            byteCountMax: options.limits.layerByteCountMax, what: "a layer")
        _ = try content.finish()
        return Int64(clamping: content.byteCount)
    }

    private func exportOCI(
        _ entries: [(ImageIndex.Entry, [ImageReference])], _ writer: TarWriter
    ) throws(ImageError) {
        try writer.file("oci-layout", Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8))
        var descriptors: [Descriptor] = []
        var written: Set<Digest> = []
        for (entry, references) in entries {
            let manifest = try readBlob(entry.manifest, what: "manifest")
            let type = try decodeJSON(ManifestDocument.self, manifest, what: "manifest").mediaType
            let plain = Descriptor(
                mediaType: type ?? MediaType.manifest, digest: entry.manifest, size: Int64(manifest.count))
            descriptors += references.map { reference in
                var named = plain
                named.annotations = [
                    "io.containerd.image.name": reference.canonical,
                    "org.opencontainers.image.ref.name": reference.tag ?? ImageReference.defaultTag,
                ]
                return named
            }
            if references.isEmpty { descriptors.append(plain) }
            for digest in [entry.manifest, entry.id] + (entry.layers ?? []).map(\.blob)
            where written.insert(digest).inserted {
                let (file, byteCount) = try openBlob(digest)
                try writer.file(
                    "blobs/sha256/\(digest.hex)", byteCount: Int64(clamping: byteCount),
                    DescriptorSource(descriptor: file.raw))
            }
        }
        let index = ManifestDocument(
            schemaVersion: 2, mediaType: MediaType.index, artifactType: nil, config: nil, layers: nil,
            manifests: descriptors)
        try writer.file("index.json", try encodeJSON(index))
    }
}
