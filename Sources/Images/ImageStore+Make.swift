import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// What an image made here says of itself.
public struct ImageMaking: Sendable {
    /// RFC 3339; nil for none, which makes equal content equal images.
    public var created: String?
    public var author: String?
    public var comment: String?
    /// How, as the history shows it.
    public var createdBy: String?
    /// Replaces the base image's.
    public var config: ContainerDefaults?
    /// Id of the container that it is made from, and the name of that one's image.
    public var container: String?
    public var containerImage: String?

    public init(
        created: String? = nil, author: String? = nil, comment: String? = nil, createdBy: String? = nil,
        config: ContainerDefaults? = nil, container: String? = nil, containerImage: String? = nil
    ) {
        self.created = created
        self.author = author
        self.comment = comment
        self.createdBy = createdBy
        self.config = config
        self.container = container
        self.containerImage = containerImage
    }
}

extension ImageStore {
    /// Makes an image of one layer from a tar of a root file system, as `docker import`: plain, or packed with gzip,
    /// zstd, xz or bzip2. Of the last two the layer is stored plain.
    public func importTree(
        from descriptor: Int32, references: [ImageReference], _ making: ImageMaking = ImageMaking()
    ) throws(ImageError) -> Image {
        let limits = options.limits
        let source = try withoutOtherPacking(
            DescriptorSource(descriptor: descriptor), byteCountMax: limits.layerByteCountMax,
            ratioMax: limits.compressionRatioMax)
        return try append(source, to: nil, references: references, making)
    }

    /// Makes an image of another and a container's upper directory, as `docker commit`. The container should be paused
    /// or stopped: a file that changes while it is read fails the commit.
    public func commit(
        _ upper: UpperDirectory, on base: Image, references: [ImageReference], _ making: ImageMaking = ImageMaking()
    ) throws(ImageError) -> Image {
        try inTemporaryFolder { folder throws(ImageError) in
            let file = try converting { () throws(SystemError) in
                try FileDescriptor.open("\(folder)/layer.tar", O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
            }
            let raw = file.raw
            try upper.writeLayer(to: raw)
            try converting { () throws(SystemError) in _ = try check("lseek") { lseek(raw, 0, SEEK_SET) } }
            return try append(
                DescriptorSource(descriptor: raw), to: base, references: references, making)
        }
    }

    /// The layer from `source` on top of `base`.
    private func append(
        _ source: any ByteSource, to base: Image?, references: [ImageReference], _ making: ImageMaking
    ) throws(ImageError) -> Image {
        let baseEntry = try base.map { base throws(ImageError) in try completeEntry(base.id) }
        let leased = Set(baseEntry.map(Self.digests(of:)) ?? [])
        lease(leased)
        defer { release(leased) }
        return try inTemporaryFolder { folder throws(ImageError) in
            let (record, unpacking, isPlain) = try take(source, folder)
            defer { withExtendedLifetime(unpacking) {} }
            let new: Set = [record.diffID, record.blob]
            lease(new)
            defer { release(new) }
            let made = try unpacking.result()
            try syncFileSystem()
            try writer.withLock { _ throws(ImageError) in
                if options.keepsLayerBlobs { try place("\(folder)/blob", at: blobPath(record.blob)) }
                if try layerSize(record.diffID) == nil { try placeLayer(made.folder, record.diffID) }
            }
            return try addMade(record, isPlain, on: baseEntry, base, references, making)
        }
    }

    private func take(
        _ source: any ByteSource, _ folder: String
    ) throws(ImageError) -> (ImageIndex.Layer, LayerUnpacking, Compression) {
        let file = try GrowingFile(path: "\(folder)/blob")
        let unpacking = try LayerUnpacking(store: self, file: file, isNeeded: true)
        // Its folder goes with it: nothing may be unpacked into that any more.
        defer {
            file.end(.abandoned)
            unpacking.stop()
        }
        let hasher = Hasher256()
        var magic: [UInt8] = []
        while true {
            let piece = try source.next()
            if piece.isEmpty { break }
            magic += piece.prefix(Compression.magicByteCount - magic.count)
            try file.append(piece)
            hasher.update(piece)
        }
        file.end(.complete)
        let blob = hasher.finish()
        let made = try unpacking.result()
        let record = ImageIndex.Layer(
            diffID: made.diffID ?? blob, blob: blob, blobByteCount: UInt64(clamping: file.byteCount),
            tarByteCount: made.size.tarByteCount, byteCount: made.size.byteCount)
        return (record, unpacking, try Compression(magic: magic))
    }

    private func addMade(
        _ record: ImageIndex.Layer, _ compression: Compression, on baseEntry: ImageIndex.Entry?, _ base: Image?,
        _ references: [ImageReference], _ making: ImageMaking
    ) throws(ImageError) -> Image {
        let host = Descriptor.Platform.host
        var config =
            base?.config
            ?? ImageConfig(
                architecture: host.architecture, os: host.os, rootfs: ImageConfig.RootFS(diffIDs: []))
        config.rootfs = ImageConfig.RootFS(diffIDs: config.rootfs.diffIDs + [record.diffID])
        config.created = making.created
        config.author = making.author ?? config.author
        config.container = making.container
        config.containerConfig = making.containerImage.map { ImageConfig.ContainerOrigin(image: $0) }
        config.parent = making.container == nil ? nil : base?.id.description
        if let changed = making.config { config.config = changed }
        var step = ImageConfig.History()
        (step.created, step.createdBy) = (making.created, making.createdBy)
        (step.author, step.comment) = (making.author, making.comment)
        config.history.append(step)
        let configBytes = try encodeJSON(config)

        let own = Descriptor(
            mediaType: MediaType.layer(compression), digest: record.blob, size: Int64(clamping: record.blobByteCount))
        var layers: [Descriptor] = []
        if let baseEntry {
            layers =
                try decodeJSON(
                    ManifestDocument.self, readBlob(baseEntry.manifest, what: "manifest"), what: "manifest"
                ).layers ?? []
        }
        let manifest = try encodeJSON(
            ManifestDocument(
                schemaVersion: 2, mediaType: MediaType.manifest, artifactType: nil,
                config: Descriptor(
                    mediaType: MediaType.config, digest: Digest.sha256(of: configBytes),
                    size: Int64(configBytes.count)),
                layers: layers + [own], manifests: nil))
        let records = (baseEntry?.layers ?? []) + [record]
        let entry = ImageIndex.Entry(
            id: Digest.sha256(of: configBytes), manifest: Digest.sha256(of: manifest), references: references,
            byteCount: records.reduce(0) { $0 + $1.byteCount }, layers: records)
        try add(entry, documents: [(entry.id, configBytes), (entry.manifest, manifest)])
        return try open(entry)
    }
}
