/// The unpacked folder of one layer.
public struct LayerPath: Hashable, Sendable {
    /// Digest of the layer's uncompressed tar.
    public let diffID: Digest
    /// Absolute path of the read-only folder, a lower directory for overlayfs.
    public let path: String
}

/// An image that is ready to run.
public struct Image: Equatable, Sendable {
    /// Digest of the configuration, as Docker's image id.
    public let id: Digest
    /// Digest of the manifest, what `name@sha256:…` means.
    public let manifestDigest: Digest
    /// Sorted; empty when the last name was taken away.
    public var references: [ImageReference]
    /// Seconds since 1970 when it was given a name last; nil when that is not known.
    public var namedSeconds: Int64?
    /// Seconds since 1970; 0 when the image does not say.
    public let createdSeconds: Int64
    /// Bytes of file content in all layers, unpacked.
    public let byteCount: UInt64
    public let config: ImageConfig
    /// Bottom first.
    public let layers: [LayerPath]

    /// The layers top first, as overlayfs wants `lowerdir` (kernel documentation, `filesystems/overlayfs.rst`).
    /// A layer that occurs twice appears once, at its upper place: overlayfs refuses the same folder twice.
    public var lowerDirectories: [String] {
        var seen: Set<LayerPath> = []
        return layers.reversed().filter { seen.insert($0).inserted }.map(\.path)
    }
}

/// One image of a loaded archive.
public struct LoadedImage: Equatable, Sendable {
    /// nil when the archive gives it no name.
    public let reference: ImageReference?
    public let id: Digest
}

/// How far a load is; sent from more than one thread.
public enum LoadProgress: Equatable, Sendable {
    /// Bytes of the archive, as it arrives.
    case read(byteCount: UInt64)
    /// The layer is there already.
    case present(layer: Digest)
    case unpacked(layer: Digest)
    case loaded(LoadedImage)
}

/// Bounds on what an archive may hold; beyond them loading fails with a clear error.
public struct ImageLimits: Sendable {
    /// Entries of the archive itself.
    public var archiveEntryCountMax = 100_000
    /// Uncompressed bytes of the archive.
    public var archiveByteCountMax: UInt64 = 256 << 30
    /// Bytes of a manifest, index or configuration; registries allow 4 MiB.
    public var documentByteCountMax = 8 << 20
    public var imageCountMax = 1_000
    /// `OVL_MAX_STACK` of the kernel (fs/overlayfs/params.h).
    public var layerCountMax = 500
    public var layerEntryCountMax = 4_000_000
    /// Uncompressed bytes of one layer, and the sizes of its files together: holes cost an archive nothing.
    public var layerByteCountMax: UInt64 = 128 << 30
    /// Bytes of the names of a layer's folders, which are kept in memory until the layer is unpacked. An entry of a
    /// deep folder implies every folder above it.
    public var folderNameByteCountMax = 128 << 20
    /// How many times as large as its stored bytes a layer's content may be, above 1 GiB: deflate packs zeros 1,032
    /// times, zstd without bound.
    public var compressionRatioMax: UInt64 = 1_100
    /// Nested indexes and links inside an archive.
    public var depthMax = 8

    public init() {}
}

/// Where overlayfs keeps its marks; mounts with `userxattr` read `user.overlay.*`.
public enum OverlayAttributes: String, Sendable {
    case trusted = "trusted.overlay."
    case user = "user.overlay."
}

public struct ImageStoreOptions: Sendable {
    public var limits = ImageLimits()
    public var overlayAttributes = OverlayAttributes.trusted
    /// Device nodes of layers are left out: an unprivileged engine cannot make them.
    public var skipsDevices = false
    /// Every file belongs to root, whatever the archive says: an engine that has one id only can do no other.
    public var ownsEverything = false
    /// Keeps the layers' tars as they came, so that an image can be saved or pushed byte for byte.
    public var keepsLayerBlobs = true
    /// Waits for the disk before an image gets its name.
    public var durable = true
    public var unpackThreadCount = 2

    public init() {}
}
