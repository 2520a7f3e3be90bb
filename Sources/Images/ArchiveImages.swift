/// One image of an archive: parsed and checked, its layers still packed.
struct ArchivedImage {
    var configBytes: [UInt8]
    var config: ImageConfig
    /// Bottom first, one for each of the config's diff ids.
    var layers: [ArchiveIntake.Member]
    var references: [ImageReference]
    /// As in the archive; for Docker's form one is made.
    var manifestBytes: [UInt8]
}

/// Reads what images an archive holds: Docker's `manifest.json`, or an OCI layout's `index.json` (image-spec
/// `image-layout.md`). Archives that are both are read as OCI, whose every part is named by digest.
struct ArchiveImages {
    let intake: ArchiveIntake
    let limits: ImageLimits

    func all() throws(ImageError) -> [ArchivedImage] {
        let isLayout = try intake.member("oci-layout") != nil
        if isLayout, let index = try intake.document("index.json") {
            let images = try layoutImages(index)
            if !images.isEmpty { return images }
        }
        if let manifest = try intake.document("manifest.json") { return try dockerImages(manifest) }
        throw .archive(why: "neither manifest.json (docker save) nor index.json (OCI layout) is in it")
    }

    // MARK: - Docker's form

    private func dockerImages(_ bytes: [UInt8]) throws(ImageError) -> [ArchivedImage] {
        let manifests = try decodeJSON([DockerManifest].self, bytes, what: "manifest.json")
        guard manifests.count <= limits.imageCountMax else {
            throw .archive(why: "more than \(limits.imageCountMax) images")
        }
        var images: [ArchivedImage] = []
        for manifest in manifests {
            guard let config = try intake.member(manifest.config) else {
                throw .archive(why: "\(manifest.config.debugDescription) is missing")
            }
            let configBytes = try intake.document(config, what: manifest.config)
            var layers: [ArchiveIntake.Member] = []
            for name in manifest.layers ?? [] {
                guard let layer = try intake.member(name) else {
                    throw .archive(why: "layer \(name.debugDescription) is missing")
                }
                layers.append(layer)
            }
            var references: [ImageReference] = []
            for tag in manifest.repoTags ?? [] { references.append(try ImageReference(parsing: tag)) }
            images.append(
                try image(configBytes, layers, references, manifest: try madeManifest(config, layers)))
        }
        return images
    }

    private func madeManifest(
        _ config: ArchiveIntake.Member, _ layers: [ArchiveIntake.Member]
    ) throws(ImageError) -> [UInt8] {
        try encodeJSON(
            ManifestDocument(
                schemaVersion: 2, mediaType: MediaType.manifest, artifactType: nil,
                config: Descriptor(mediaType: MediaType.config, digest: config.digest, size: config.byteCount),
                layers: layers.map {
                    Descriptor(mediaType: MediaType.layer(.none), digest: $0.digest, size: $0.byteCount)
                }, manifests: nil))
    }

    // MARK: - OCI layout

    private func layoutImages(_ bytes: [UInt8]) throws(ImageError) -> [ArchivedImage] {
        let index = try decodeJSON(ManifestDocument.self, bytes, what: "index.json")
        var images: [ArchivedImage] = []
        for entry in index.manifests ?? [] where !entry.isAttestation {
            if let image = try layoutImage(entry, names: names(entry), depth: 0) { images.append(image) }
            guard images.count <= limits.imageCountMax else {
                throw .archive(why: "more than \(limits.imageCountMax) images")
            }
        }
        return images
    }

    private func names(_ entry: Descriptor) throws(ImageError) -> [ImageReference] {
        // containerd writes the whole name; the specification's own is often only a tag.
        if let full = entry.annotations?["io.containerd.image.name"] { return [try ImageReference(parsing: full)] }
        guard let name = entry.annotations?["org.opencontainers.image.ref.name"] else { return [] }
        return [try ImageReference(parsing: name)]
    }

    private func layoutImage(
        _ entry: Descriptor, names: [ImageReference], depth: Int
    ) throws(ImageError) -> ArchivedImage? {
        guard depth < limits.depthMax else { throw .archive(why: "indexes are nested too deep") }
        let bytes = try intake.document(try intake.blob(entry, what: "manifest"), what: "manifest \(entry.digest)")
        let document = try decodeJSON(ManifestDocument.self, bytes, what: "manifest \(entry.digest)")
        if document.config != nil, document.manifests != nil {
            throw .archive(why: "manifest \(entry.digest) is an index and an image at once")
        }
        if let choices = document.manifests {
            let usable = choices.filter { !$0.isAttestation }
            let host = Descriptor.Platform.host
            guard let choice = usable.first(where: { $0.platform?.runs(on: host) ?? true }) else {
                throw .unsupported(
                    "the image has no variant for \(host.name), only "
                        + usable.compactMap(\.platform?.name).joined(separator: ", "))
            }
            return try layoutImage(choice, names: names, depth: depth + 1)
        }
        guard let config = document.config else { throw .archive(why: "manifest \(entry.digest) has no config") }
        let configBytes = try intake.document(try intake.blob(config, what: "config"), what: "config \(config.digest)")
        var layers: [ArchiveIntake.Member] = []
        for layer in document.layers ?? [] { layers.append(try intake.blob(layer, what: "layer")) }
        return try image(configBytes, layers, names, manifest: bytes)
    }

    // MARK: - Both

    private func image(
        _ configBytes: [UInt8], _ layers: [ArchiveIntake.Member], _ references: [ImageReference], manifest: [UInt8]
    ) throws(ImageError) -> ArchivedImage {
        let config = try decodeJSON(ImageConfig.self, configBytes, what: "image config")
        guard config.rootfs.diffIDs.count == layers.count else {
            throw .archive(why: "the config names \(config.rootfs.diffIDs.count) layers, the manifest \(layers.count)")
        }
        guard layers.count <= limits.layerCountMax else {
            throw .archive(why: "more than \(limits.layerCountMax) layers")
        }
        return ArchivedImage(
            configBytes: configBytes, config: config, layers: layers, references: references, manifestBytes: manifest)
    }
}
