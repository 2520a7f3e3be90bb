/// One image of an archive: parsed and checked, its layers still packed.
struct ArchivedImage {
    let configBytes: [UInt8]
    let config: ImageConfig
    /// Bottom first, one for each of the config's diff ids.
    let layers: [ArchiveIntake.Member]
    let references: [ImageReference]
    /// As in the archive; for Docker's form one is made.
    let manifestBytes: [UInt8]
    /// Digest of the config.
    let id: Digest
    let manifestDigest: Digest

    /// Everything the image is made of.
    var digests: [Digest] { [id, manifestDigest] + layers.map(\.digest) + config.rootfs.diffIDs }
}

/// Reads what images an archive holds: an OCI layout's `index.json` (image-spec `image-layout.md`), Docker's
/// `manifest.json`, or the `repositories` of Docker before 1.10. Archives of several forms are read as OCI, whose every
/// part is named by digest.
struct ArchiveImages {
    let intake: ArchiveIntake
    let limits: ImageLimits
    var host = Descriptor.Platform.host

    func all() throws(ImageError) -> [ArchivedImage] {
        if let layout = try intake.document("oci-layout"), let index = try intake.document("index.json") {
            let version = try decodeJSON(LayoutDocument.self, layout, what: "oci-layout").imageLayoutVersion
            guard version.hasPrefix("1.") else { throw .unsupported("OCI layout version \(version.debugDescription)") }
            return try layoutImages(index)
        }
        if let manifest = try intake.document("manifest.json") { return try dockerImages(manifest) }
        if let repositories = try intake.document("repositories") {
            return try LegacyImages(intake: intake, limits: limits).all(repositories).map { legacy throws(ImageError) in
                try image(legacy.configBytes, legacy.layers, legacy.references, manifest: nil)
            }
        }
        if try intake.member("index.json") != nil { throw .archive(why: "index.json without oci-layout") }
        throw .archive(why: "neither manifest.json (docker save) nor oci-layout and index.json (OCI) are in it")
    }

    private func checkImageCount(_ count: Int) throws(ImageError) {
        guard count <= limits.imageCountMax else { throw .archive(why: "more than \(limits.imageCountMax) images") }
    }

    // MARK: - Docker's form

    private func dockerImages(_ bytes: [UInt8]) throws(ImageError) -> [ArchivedImage] {
        let manifests = try decodeJSON([DockerManifest].self, bytes, what: "manifest.json")
        try checkImageCount(manifests.count)
        var images: [ArchivedImage] = []
        for manifest in manifests {
            let config = try intake.requiredMember(manifest.config, what: "config")
            try checkName(manifest.config, config)
            var layers: [ArchiveIntake.Member] = []
            for name in manifest.layers ?? [] {
                layers.append(try intake.requiredMember(name, what: "layer"))
            }
            var references: [ImageReference] = []
            for tag in manifest.repoTags ?? [] { references.append(try reference(tag, what: "RepoTags")) }
            let configBytes = try intake.document(config, what: "config \(quoted(Array(manifest.config.utf8)))")
            images.append(try image(configBytes, layers, references, manifest: nil))
        }
        return images
    }

    /// `docker save` names a config by its digest; where it does, the content must be that.
    private func checkName(_ name: String, _ member: ArchiveIntake.Member) throws(ImageError) {
        let last = name.split(separator: "/").last ?? ""
        let stem = last.hasSuffix(".json") ? last.dropLast(5) : last
        guard let expected = Digest(hex: String(stem)), expected != member.digest else { return }
        throw .digestMismatch(expected: expected, actual: member.digest, what: "config")
    }

    /// Docker's form has no manifest; this is what a registry would hold.
    private func madeManifest(
        _ configBytes: [UInt8], _ layers: [ArchiveIntake.Member]
    ) throws(ImageError) -> [UInt8] {
        var descriptors: [Descriptor] = []
        for layer in layers {
            descriptors.append(
                Descriptor(
                    mediaType: MediaType.layer(try layer.compression), digest: layer.digest, size: layer.byteCount))
        }
        let config = Descriptor(
            mediaType: MediaType.config, digest: Digest.sha256(of: configBytes), size: Int64(configBytes.count))
        return try encodeJSON(
            ManifestDocument(
                schemaVersion: 2, mediaType: MediaType.manifest, artifactType: nil, config: config,
                layers: descriptors, manifests: nil))
    }

    // MARK: - OCI layout

    private func layoutImages(_ bytes: [UInt8]) throws(ImageError) -> [ArchivedImage] {
        let index = try decodeJSON(ManifestDocument.self, bytes, what: "index.json")
        guard let entries = index.manifests else { throw .archive(why: "index.json: \"manifests\" is missing") }
        let images = entries.filter { !$0.isAttestation }
        try checkImageCount(images.count)
        var found: [ArchivedImage] = []
        // Entries for other machines are passed over, unless there is nothing else.
        for entry in images where entry.platform?.runs(on: host) ?? true {
            found.append(try layoutImage(entry, names: names(entry), depth: 0))
        }
        if found.isEmpty, !images.isEmpty { throw noVariant(images) }
        return found
    }

    private func noVariant(_ choices: [Descriptor]) -> ImageError {
        let names = choices.compactMap { $0.platform.map { quoted(Array($0.name.utf8)) } }.joined(separator: ", ")
        return .unsupported("the image has no variant for \(host.name), only for \(names.isEmpty ? "none" : names)")
    }

    /// containerd writes the whole name. The specification's own annotation may hold a whole name (skopeo), or only a
    /// tag, which names no image.
    private func names(_ entry: Descriptor) throws(ImageError) -> [ImageReference] {
        if let full = entry.annotations?["io.containerd.image.name"] {
            return [try reference(full, what: "io.containerd.image.name")]
        }
        guard let name = entry.annotations?["org.opencontainers.image.ref.name"], !isOnlyTag(name) else { return [] }
        return [try reference(name, what: "org.opencontainers.image.ref.name")]
    }

    /// A version number or `latest`; any other single word is taken for a repository.
    private func isOnlyTag(_ name: String) -> Bool {
        guard !name.contains("/"), !name.contains(":"), !name.contains("@") else { return false }
        let digits = name.hasPrefix("v") ? name.dropFirst() : name[...]
        return name == ImageReference.defaultTag || digits.utf8.first.map { (0x30...0x39).contains($0) } ?? true
    }

    private func reference(_ text: String, what: String) throws(ImageError) -> ImageReference {
        do {
            return try ImageReference(parsing: text)
        } catch {
            throw .archive(why: "\(what): \(error)")
        }
    }

    private func layoutImage(
        _ entry: Descriptor, names: [ImageReference], depth: Int
    ) throws(ImageError) -> ArchivedImage {
        guard depth < limits.depthMax else { throw .archive(why: "indexes are nested too deep") }
        let what = "manifest \(entry.digest)"
        let bytes = try intake.document(try intake.blob(entry, what: "manifest"), what: what)
        let document = try decodeJSON(ManifestDocument.self, bytes, what: what)
        // The same bytes must not be an image to one reader and an index to another (CVE-2021-41190).
        let isIndex = document.manifests != nil
        let types = [document.mediaType, entry.mediaType].compactMap { $0 }
        let wrong = isIndex ? MediaType.manifests : MediaType.indexes
        guard !isIndex || (document.config == nil && document.layers == nil), !types.contains(where: wrong.contains)
        else { throw .archive(why: "\(what) is an index and an image at once") }
        if let choices = document.manifests?.filter({ !$0.isAttestation }) {
            guard let choice = choices.first(where: { $0.platform?.runs(on: host) ?? true }) else {
                throw noVariant(choices)
            }
            return try layoutImage(choice, names: names, depth: depth + 1)
        }
        guard let config = document.config else { throw .archive(why: "\(what): \"config\" is missing") }
        if let type = config.mediaType, !MediaType.configs.contains(type) {
            throw .unsupported("\(what) is no container image but \(quoted(Array(type.utf8)))")
        }
        let configBytes = try intake.document(try intake.blob(config, what: "config"), what: "config \(config.digest)")
        var layers: [ArchiveIntake.Member] = []
        for layer in document.layers ?? [] { layers.append(try intake.blob(layer, what: "layer")) }
        return try image(configBytes, layers, names, manifest: bytes)
    }

    // MARK: - Every form

    private func image(
        _ configBytes: [UInt8], _ layers: [ArchiveIntake.Member], _ references: [ImageReference], manifest: [UInt8]?
    ) throws(ImageError) -> ArchivedImage {
        let config = try decodeJSON(ImageConfig.self, configBytes, what: "image config")
        guard config.os.isEmpty || config.os == host.os else {
            throw .unsupported("an image for \(quoted(Array(config.os.utf8)))")
        }
        guard config.rootfs.diffIDs.count == layers.count else {
            throw .archive(why: "the config names \(config.rootfs.diffIDs.count) layers, the manifest \(layers.count)")
        }
        guard layers.count <= limits.layerCountMax else {
            throw .archive(why: "more than \(limits.layerCountMax) layers")
        }
        let manifestBytes: [UInt8]
        if let manifest { manifestBytes = manifest } else { manifestBytes = try madeManifest(configBytes, layers) }
        return ArchivedImage(
            configBytes: configBytes, config: config, layers: layers, references: references,
            manifestBytes: manifestBytes, id: Digest.sha256(of: configBytes),
            manifestDigest: Digest.sha256(of: manifestBytes))
    }
}
