import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Images on disk, content-addressed:
///
///     index.json                  which images there are, and their names
///     blobs/sha256/<hex>          configs, manifests, and layers as they came
///     layers/<diff id>/fs         layers unpacked, read-only lower directories for overlayfs
///     tmp/                        what is being made; swept when the store is opened
///
/// A thing gets its final name by a rename once it is whole, and the index is written last, so a crash at any moment
/// leaves a store that is as it was. One process at a time, any number of its threads.
public final class ImageStore: Sendable {
    private struct State: Sendable {
        var index: ImageIndex
        var images: [Digest: Image] = [:]
        /// By what users wrote; emptied when the index changes.
        var lookups: [String: Digest] = [:]
    }

    public let root: String
    private let options: ImageStoreOptions
    private let lock: SharedDescriptor
    private let state: Mutex<State>
    private let nextTemporary = Atomic<Int>(0)

    private var indexPath: String { "\(root)/index.json" }

    public init(root: String, options: ImageStoreOptions = ImageStoreOptions()) throws(ImageError) {
        self.root = root
        self.options = options
        lock = try converting { () throws(SystemError) in
            for folder in ["blobs/sha256", "layers"] { try FileSystem.makeDirectories("\(root)/\(folder)") }
            return SharedDescriptor(try FileDescriptor.open("\(root)/lock", O_RDWR | O_CREAT, mode: 0o600))
        }
        guard flock(lock.raw, LOCK_EX | LOCK_NB) == 0 else { throw .locked(path: root) }
        try converting { () throws(SystemError) in
            try FileSystem.removeTree("\(root)/tmp")
            try FileSystem.makeDirectories("\(root)/tmp")
        }
        state = Mutex(State(index: try ImageIndex.read("\(root)/index.json")))
    }

    // MARK: - Looking up

    /// The image of a name, an id or a unique beginning of one.
    public func image(_ name: String) throws(ImageError) -> Image {
        try state.withLock { state throws(ImageError) in
            if let id = state.lookups[name] { return try open(id, &state) }
            let id = try find(name, state.index)
            state.lookups[name] = id
            return try open(id, &state)
        }
    }

    /// All images, newest first.
    public func images() throws(ImageError) -> [Image] {
        try state.withLock { state throws(ImageError) in
            var images: [Image] = []
            for entry in state.index.images { images.append(try open(entry.id, &state)) }
            return images.sorted { ($1.createdSeconds, $0.id) < ($0.createdSeconds, $1.id) }
        }
    }

    private func find(_ name: String, _ index: ImageIndex) throws(ImageError) -> Digest {
        if let digest = Digest(name), index.images.contains(where: { $0.id == digest }) { return digest }
        let reference = try ImageReference(parsing: name)
        for entry in index.images {
            if entry.names.contains(reference.canonical) { return entry.id }
            if let digest = reference.digest, entry.manifest == digest { return entry.id }
        }
        let prefix = name.hasPrefix("sha256:") ? String(name.dropFirst("sha256:".count)) : name
        let matches = prefix.count >= 2 ? index.images.map(\.id).filter { $0.hex.hasPrefix(prefix) } : []
        if matches.count > 1 { throw .ambiguous(prefix: name, ids: matches) }
        if let match = matches.first { return match }
        throw .notFound(name: name, similar: similar(reference, index))
    }

    /// Other tags of the same repository, or repositories of the same last part.
    private func similar(_ wanted: ImageReference, _ index: ImageIndex) -> [String] {
        func last(_ reference: ImageReference) -> Substring {
            reference.repository.split(separator: "/").last ?? ""
        }
        return index.images.flatMap(\.names).compactMap { name in
            // What is in the index was parsed before it got there.
            (try? ImageReference(parsing: name)).flatMap { last($0) == last(wanted) ? $0.familiar : nil }
        }.sorted()
    }

    private func open(_ id: Digest, _ state: inout State) throws(ImageError) -> Image {
        guard let entry = state.index.images.first(where: { $0.id == id }) else {
            throw .notFound(name: id.description, similar: [])
        }
        if let image = state.images[id] { return image }
        let path = blobPath(id)
        let bytes = try converting { () throws(SystemError) in try FileSystem.readFile(path) }
        guard Digest.sha256(of: bytes) == id else { throw .damaged("config \(id) was changed on disk") }
        let config = try decodeJSON(ImageConfig.self, bytes, what: "config \(id)")
        var references: [ImageReference] = []
        for name in entry.names { references.append(try ImageReference(parsing: name)) }
        let image = Image(
            id: id, manifestDigest: entry.manifest, references: references, createdSeconds: config.createdSeconds,
            byteCount: entry.byteCount, config: config,
            layers: config.rootfs.diffIDs.map { LayerPath(diffID: $0, path: layerPath($0)) })
        state.images[id] = image
        return image
    }

    private func blobPath(_ digest: Digest) -> String { "\(root)/blobs/sha256/\(digest.hex)" }
    private func layerPath(_ diffID: Digest) -> String { "\(root)/layers/\(diffID.hex)/fs" }

    // MARK: - Loading

    /// Takes in every image of an archive (docker-archive, OCI archive, or an OCI layout as tar; plain, gzip or zstd).
    /// All of them or, when anything is wrong, none.
    public func load(
        from descriptor: Int32, progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
    ) throws(ImageError) -> [LoadedImage] {
        let folder = try makeTemporaryFolder()
        defer { removeTemporary(folder) }
        let intake = ArchiveIntake(folder: folder, limits: options.limits)
        try intake.read(
            DescriptorSource(descriptor: descriptor, onRead: { progress(.read(byteCount: $0)) }))
        let images = try ArchiveImages(intake: intake, limits: options.limits).all()
        guard !images.isEmpty else { throw .archive(why: "there is no image in it") }
        var entries: [ImageIndex.Entry] = []
        for image in images { entries.append(try store(image, folder: folder, progress: progress)) }
        try commit(entries)
        return zip(images, entries).flatMap { image, entry in
            image.references.isEmpty
                ? [LoadedImage(reference: nil, id: entry.id)]
                : image.references.map { LoadedImage(reference: $0, id: entry.id) }
        }
    }

    private func store(
        _ image: ArchivedImage, folder: String, progress: @Sendable (LoadProgress) -> Void
    ) throws(ImageError) -> ImageIndex.Entry {
        var byteCount: UInt64 = 0
        for (layer, diffID) in zip(image.layers, image.config.rootfs.diffIDs) {
            byteCount += try unpack(layer, diffID, folder: folder, progress: progress)
        }
        let id = Digest.sha256(of: image.configBytes)
        let manifest = Digest.sha256(of: image.manifestBytes)
        for (digest, bytes) in [(id, image.configBytes), (manifest, image.manifestBytes)] {
            try converting { () throws(SystemError) in
                try FileSystem.replaceFile(blobPath(digest), with: bytes, durable: options.durable)
            }
        }
        return ImageIndex.Entry(
            id: id, manifest: manifest, names: image.references.map(\.canonical).sorted(), byteCount: byteCount)
    }

    /// Unpacks a layer unless it is there. Answers the bytes of its files.
    private func unpack(
        _ layer: ArchiveIntake.Member, _ diffID: Digest, folder: String, progress: @Sendable (LoadProgress) -> Void
    ) throws(ImageError) -> UInt64 {
        let final = "\(root)/layers/\(diffID.hex)"
        if let known = try layerSize(final) {
            progress(.present(layer: diffID))
            return known
        }
        let making = try makeTemporaryFolder()
        defer { removeTemporary(making) }
        let byteCount = try writeLayer(layer, diffID, into: making)
        progress(.unpacking(layer: diffID, byteCount: byteCount, byteCountTotal: byteCount))
        try converting { () throws(SystemError) in
            try FileSystem.replaceFile("\(making)/size", with: "\(byteCount)\n".utf8)
            // One flush of the file system instead of one for each of a layer's many files.
            if options.durable {
                let folder = try FileDescriptor.open(making, O_RDONLY | O_DIRECTORY)
                let raw = folder.raw
                try check("syncfs", path: making) { syncfs(raw) }
            }
        }
        if rename(making, final) != 0 {
            // Another thread was first: its layer is the same, byte for byte.
            let code = errno
            guard code == EEXIST || code == ENOTEMPTY else {
                throw ImageError(SystemError("rename", path: final, code: code))
            }
        }
        if options.keepsLayerBlobs { try keepBlob(layer) }
        progress(.unpacked(layer: diffID))
        return byteCount
    }

    private func layerSize(_ folder: String) throws(ImageError) -> UInt64? {
        guard FileSystem.exists("\(folder)/fs") else { return nil }
        let bytes = try converting { () throws(SystemError) in try FileSystem.readFile("\(folder)/size") }
        return UInt64(String(decoding: bytes.filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)) ?? 0
    }

    private func writeLayer(
        _ layer: ArchiveIntake.Member, _ diffID: Digest, into folder: String
    ) throws(ImageError) -> UInt64 {
        let file = try converting { () throws(SystemError) in
            try FileSystem.makeDirectories("\(folder)/fs", mode: 0o755)
            // The root's mode when the layer does not say: the umask must not decide it.
            try check("chmod", path: folder) { chmod("\(folder)/fs", 0o755) }
            return SharedDescriptor(try FileDescriptor.open(layer.path, O_RDONLY))
        }
        let source = MeasuringSource(
            try DecompressedSource(DescriptorSource(descriptor: file.raw)), hashing: true,
            byteCountMax: options.limits.layerByteCountMax, what: "a layer")
        let unpacker = try LayerUnpacker(folder: "\(folder)/fs", options: options)
        try unpacker.unpack(source)
        guard let actual = try source.finish(), actual == diffID else {
            throw .digestMismatch(expected: diffID, actual: layer.digest, what: "a layer's content")
        }
        return unpacker.byteCount
    }

    private func keepBlob(_ layer: ArchiveIntake.Member) throws(ImageError) {
        let path = blobPath(layer.digest)
        guard !FileSystem.exists(path) else { return }
        // A link, not a rename: another image of the archive may need the same file.
        if link(layer.path, path) != 0, errno != EEXIST {
            throw ImageError(SystemError("link", path: path, code: errno))
        }
    }

    private func commit(_ entries: [ImageIndex.Entry]) throws(ImageError) {
        try state.withLock { state throws(ImageError) in
            var index = state.index
            for entry in entries { index.add(entry) }
            try replaceIndex(index, &state)
        }
    }

    private func replaceIndex(_ index: ImageIndex, _ state: inout State) throws(ImageError) {
        try index.write(indexPath, durable: options.durable)
        state.index = index
        state.images = [:]
        state.lookups = [:]
    }

    private func makeTemporaryFolder() throws(ImageError) -> String {
        let number = nextTemporary.wrappingAdd(1, ordering: .relaxed).newValue
        let path = "\(root)/tmp/\(number)"
        try converting { () throws(SystemError) in try FileSystem.makeDirectories(path) }
        return path
    }

    /// What cannot be removed now is swept when the store is opened next.
    private func removeTemporary(_ path: String) {
        do throws(SystemError) { try FileSystem.removeTree(path) } catch { return }
    }

    // MARK: - Names and removal

    /// Gives an image a name; the image that had it loses it.
    public func tag(_ id: Digest, as reference: ImageReference) throws(ImageError) {
        try state.withLock { state throws(ImageError) in
            guard var entry = state.index.images.first(where: { $0.id == id }) else {
                throw .notFound(name: id.description, similar: [])
            }
            entry.names = [reference.canonical]
            var index = state.index
            index.add(entry)
            try replaceIndex(index, &state)
        }
    }

    /// Takes an image away, with the layers and blobs that no other image has.
    ///
    /// - Parameter inUse: whether a container is made from the image.
    public func remove(_ id: Digest, inUse: (Digest) -> Bool) throws(ImageError) {
        guard !inUse(id) else { throw .inUse("image \(id.short) is used by a container") }
        try state.withLock { state throws(ImageError) in
            let image = try open(id, &state)
            var index = state.index
            index.images.removeAll { $0.id == id }
            try replaceIndex(index, &state)
            var kept: Set<Digest> = []
            for entry in index.images { kept.formUnion(try open(entry.id, &state).config.rootfs.diffIDs) }
            try converting { () throws(SystemError) in
                for layer in image.layers where !kept.contains(layer.diffID) {
                    try FileSystem.removeTree(FileSystem.parent(of: layer.path))
                }
                for digest in [image.id, image.manifestDigest] { try FileSystem.removeTree(blobPath(digest)) }
            }
        }
    }
}
