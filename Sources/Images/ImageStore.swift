import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Images on disk, content-addressed:
///
///     index.json                  which images there are, and their names
///     blobs/sha256/<hex>          configs, manifests, and layers as they came
///     layers/<diff id>/fs         layers unpacked, read-only lower directories for overlayfs
///     layers/<diff id>/size       bytes of file content in the layer, and of its tar, in decimal
///     partial/<hex>               layers being pulled, and those of pulls that broke off
///     pulls/<hex>                 what each such pull needs, by the digest of the name pulled
///     builds/steps/<key>          what steps of builds made: `BuildRecords.swift`
///     tmp/                        what is being made or removed; swept when the store is opened
///
/// A thing gets its final name by a rename once it is whole, and the index is written last, so a crash at any moment
/// leaves a store that is as it was. One process at a time, any number of its threads.
public final class ImageStore: Sendable {
    struct State: Sendable {
        var index: ImageIndex
        /// Parsed configurations, so that starting a container reads no file.
        var images: [Digest: Image] = [:]
        /// How many running loads count on a blob or layer of this digest; collecting garbage spares it.
        var leases: [Digest: Int] = [:]
        /// Layers whose file in `partial` is being written.
        var partials: Set<Digest> = []
    }

    public let root: String
    let options: ImageStoreOptions
    let state: Mutex<State>
    /// Held while files get or lose their final names, `state` only for moments within: look-ups never wait for the
    /// disk.
    let writer = Mutex<Void>(())
    /// Held while a file of `pulls` is written.
    let pullFiles = Mutex<Void>(())
    let flushing = SharedFlush()
    let trash = Trash()
    private let lock: SharedDescriptor
    private let nextTemporary = Atomic<Int>(0)
    private let temporaryPrefix: String

    var indexPath: String { "\(root)/index.json" }
    func blobPath(_ digest: Digest) -> String { "\(root)/blobs/sha256/\(digest.hex)" }
    func layerFolder(_ diffID: Digest) -> String { "\(root)/layers/\(diffID.hex)" }
    func layerPath(_ diffID: Digest) -> String { "\(layerFolder(diffID))/fs" }

    /// Opens the store, making its folders with mode 0700 and removing what a crash left behind.
    public init(root: String, options: ImageStoreOptions = ImageStoreOptions()) throws(ImageError) {
        self.root = root
        self.options = options
        var opened = timespec()
        clock_gettime(CLOCK_REALTIME, &opened)
        temporaryPrefix = "\(opened.tv_sec).\(opened.tv_nsec)"
        let file = try converting { () throws(SystemError) in
            for folder in ["blobs/sha256", "layers", "partial", "pulls", "tmp"] {
                try FileSystem.makeDirectories("\(root)/\(folder)")
            }
            return try FileDescriptor.open("\(root)/lock", O_RDWR | O_CREAT, mode: 0o600)
        }
        guard try converting({ () throws(SystemError) in try ExclusiveLock.take(file) }) else {
            throw .locked(path: root)
        }
        lock = SharedDescriptor(file)
        state = Mutex(State(index: try ImageIndex.read("\(root)/index.json")))
        try sweep()
    }

    /// What a crash left is removed while the store is in use.
    private func sweep() throws(ImageError) {
        for name in try converting({ () throws(SystemError) in try FileSystem.list("\(root)/tmp") }) {
            trash.discard("\(root)/tmp/\(name)")
        }
    }

    /// Its name was never used before: an older folder may be on its way out.
    func makeTemporaryFolder() throws(ImageError) -> String {
        let number = nextTemporary.wrappingAdd(1, ordering: .relaxed).newValue
        let path = "\(root)/tmp/\(temporaryPrefix)-\(number)"
        try converting { () throws(SystemError) in try FileSystem.makeDirectories(path) }
        return path
    }

    // MARK: - Looking up

    /// The image of a name, an id or a unique beginning of one.
    public func image(_ name: String) throws(ImageError) -> Image {
        try open(find(name, state.withLock { $0.index }))
    }

    /// All images, newest first, damaged ones among them: see `listed`.
    public func images() throws(ImageError) -> [Image] {
        var images: [Image] = []
        for entry in state.withLock({ $0.index.images }) { images.append(try openAnyway(entry)) }
        return images.sorted { ($1.createdSeconds, $0.id) < ($0.createdSeconds, $1.id) }
    }

    /// Of all images, in no order.
    public var imageIDs: [Digest] { state.withLock { $0.index.images.map(\.id) } }

    /// The image's folders, top first, as overlayfs's `lowerdir` wants them.
    public func lowerDirectories(for image: Image) -> [String] { image.lowerDirectories }

    /// Names win over ids, as in Docker: an image called `cafe` is found although an id begins so.
    func find(_ name: String, _ index: ImageIndex) throws(ImageError) -> ImageIndex.Entry {
        let hex = name.hasPrefix("sha256:") ? String(name.dropFirst("sha256:".count)) : name
        if let id = Digest(hex: hex), let entry = index.images.first(where: { $0.id == id }) { return entry }
        let reference: ImageReference?
        do {
            reference = try ImageReference(parsing: name)
        } catch {
            // Ids are no names, but must not be refused as such.
            guard hex.utf8.count == 64, hex.utf8.allSatisfy(Digest.isLowerHex) else { throw error }
            reference = nil
        }
        if let reference, let entry = index.entry(of: reference) { return entry }
        let idDigitCountMin = 2
        let isPrefix = hex.utf8.count >= idDigitCountMin && hex.utf8.allSatisfy(Digest.isLowerHex)
        let matches = isPrefix ? index.images.filter { $0.id.hex.hasPrefix(hex) } : []
        if matches.count > 1 { throw .ambiguous(prefix: name, ids: matches.map(\.id)) }
        if let match = matches.first { return match }
        throw .notFound(name: name, similar: reference.map { similarNames(to: $0, in: index.references) } ?? [])
    }

    func open(_ entry: ImageIndex.Entry) throws(ImageError) -> Image {
        if let known = state.withLock({ $0.images[entry.id] }) {
            var image = known
            image.references = entry.references
            image.namedSeconds = entry.namedSeconds
            return image
        }
        let config = try decodeJSON(
            ImageConfig.self, readBlob(entry.id, what: "config"), what: "config of image \(entry.id)")
        for diffID in config.rootfs.diffIDs where !FileSystem.exists(layerPath(diffID)) {
            throw .damaged("image \(entry.id.short): layer \(diffID) is gone; load the image again")
        }
        let image = Image(
            id: entry.id, manifestDigest: entry.manifest, references: entry.references,
            namedSeconds: entry.namedSeconds, createdSeconds: config.createdSeconds, byteCount: entry.byteCount,
            config: config,
            layers: config.rootfs.diffIDs.map { LayerPath(diffID: $0, path: layerPath($0)) })
        // Only images that are in the index: a removal may have come in between.
        state.withLock { state in
            if state.index.images.contains(where: { $0.id == entry.id }) { state.images[entry.id] = image }
        }
        return image
    }

    func readBlob(_ digest: Digest, what: String) throws(ImageError) -> [UInt8] {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileSystem.readFile(blobPath(digest), byteCountMax: options.limits.documentByteCountMax)
        } catch {
            guard error.code == ENOENT else { throw ImageError(error) }
            throw .damaged("\(what) \(digest) is gone; load the image again")
        }
        guard Digest.sha256(of: bytes) == digest else {
            throw .damaged("\(what) \(digest) was changed on disk; load the image again")
        }
        return bytes
    }

    // MARK: - Names

    /// Gives an image one more name; the image that had it loses it.
    public func tag(_ id: Digest, as reference: ImageReference) throws(ImageError) {
        try changeIndex { index throws(ImageError) in
            guard var entry = index.images.first(where: { $0.id == id }) else {
                throw .notFound(name: id.description, similar: [])
            }
            entry.references = [reference]
            index.add(entry)
        }
    }

    /// Takes a name away. The image stays, without name when it was its last.
    public func untag(_ reference: ImageReference) throws(ImageError) {
        try changeIndex { index throws(ImageError) in
            guard index.removeName(reference) else {
                throw .notFound(name: reference.familiar, similar: similarNames(to: reference, in: index.references))
            }
        }
    }

    private func changeIndex(_ change: (inout ImageIndex) throws(ImageError) -> Void) throws(ImageError) {
        try writer.withLock { _ throws(ImageError) in
            var index = state.withLock { $0.index }
            try change(&index)
            try replaceIndex(index)
        }
    }

    /// For holders of `writer`.
    func replaceIndex(_ index: ImageIndex) throws(ImageError) {
        try index.write(indexPath, durable: options.durable)
        state.withLock { state in
            state.index = index
            let ids = Set(index.images.map(\.id))
            state.images = state.images.filter { ids.contains($0.key) }
        }
    }
}

/// Names near a wanted one: other tags of it, the same last part elsewhere, or a small slip of the fingers.
func similarNames(to wanted: ImageReference, in references: [ImageReference]) -> [String] {
    let nameCountMax = 3
    let editCountMax = 2
    func last(_ reference: ImageReference) -> Substring {
        reference.repository.split(separator: "/").last ?? ""
    }
    let ranked: [(rank: Int, name: String)] = references.compactMap { reference in
        if reference.canonicalName == wanted.canonicalName { return (0, reference.familiar) }
        if last(reference) == last(wanted) { return (1, reference.familiar) }
        let distance = editDistance(Array(last(reference).utf8), Array(last(wanted).utf8))
        // Short names are all near each other: two slips for every five letters.
        return distance <= min(editCountMax, last(wanted).utf8.count * 2 / 5) ? (1 + distance, reference.familiar) : nil
    }
    return ranked.sorted { $0 < $1 }.prefix(nameCountMax).map(\.name)
}

/// Insertions, removals and replacements between two texts (Wagner and Fischer).
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (line, byte) in left.enumerated() {
        var diagonal = row[0]
        row[0] = line + 1
        for column in right.indices {
            let above = row[column + 1]
            row[column + 1] = min(above + 1, row[column] + 1, diagonal + (byte == right[column] ? 0 : 1))
            diagonal = above
        }
    }
    return row[right.count]
}
