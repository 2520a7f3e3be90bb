import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// An image on its way into the store from a registry. What it needs is leased, so that no collection of garbage takes
/// it, and written down, so that the next pull of the name goes on where this one broke off, also after a crash.
///
///     let intake = try store.beginIntake(reference)
///     for layer in manifest.layers {                                       // any number at a time
///         if let blob = try intake.startLayer(layer.digest, byteCount: layer.size, diffID: diffID) {
///             fetch(from: blob.byteCount) { try blob.write($0) }           // unpacks while it arrives
///             try blob.finish()
///         }
///     }
///     let image = try intake.commit(manifest: bytes, config: bytes, references: [reference])
///
/// All methods block and may be called from any thread.
public final class ImageIntake: Sendable {
    struct State {
        var leased: Set<Digest> = []
        /// Layers that are in the store, by the digest of their blob.
        var layers: [Digest: FinishedLayer] = [:]
        var open: [Digest: WeakBlob] = [:]
        var isEnded = false
    }

    struct FinishedLayer: Sendable {
        var diffID: Digest
        var byteCount: UInt64
        var size: LayerSize
    }

    struct WeakBlob { weak var blob: LayerIntake? }

    public let reference: ImageReference
    let store: ImageStore
    let state = Mutex(State())

    init(store: ImageStore, reference: ImageReference) throws(ImageError) {
        self.store = store
        self.reference = reference
        let path = store.pullPath(reference)
        // What the last attempt had is needed by this one, too.
        let digests = try ImageStore.readPull(path)
        state.withLock { $0.leased = digests }
        store.lease(digests)
    }

    deinit { end() }

    /// Ends the pull, whether or not it was committed; may be called again. What arrived of layers stays for a day.
    public func end() {
        let (leased, open) = state.withLock { state in
            defer {
                state.leased = []
                state.isEnded = true
            }
            return (state.leased, state.open.values.compactMap(\.blob))
        }
        for blob in open { blob.abandon() }
        store.release(leased)
    }

    /// Begins a layer; nil when the store has it already, and then there is nothing to fetch. A layer whose blob is
    /// there and whose tree is not gets unpacked before this returns.
    ///
    /// - Parameters:
    ///   - digest: of the blob, `byteCount` its bytes: both as the manifest says.
    ///   - diffID: of its content, as the configuration says.
    public func startLayer(_ digest: Digest, byteCount: Int64, diffID: Digest) throws(ImageError) -> LayerIntake? {
        guard byteCount >= 0 else { throw .archive(why: "layer \(digest) has a negative size") }
        try lease([digest, diffID])
        if let known = state.withLock({ $0.layers[digest] }) {
            guard known.diffID == diffID else {
                throw .digestMismatch(expected: diffID, actual: known.diffID, what: "a layer's content")
            }
            return nil
        }
        if FileSystem.exists(store.blobPath(digest)) {
            try takePresent(digest, diffID)
            return nil
        }
        let blob = try LayerIntake(intake: self, digest: digest, byteCountTotal: byteCount, diffID: diffID)
        state.withLock { $0.open[digest] = WeakBlob(blob: blob) }
        return blob
    }

    private func lease(_ digests: Set<Digest>) throws(ImageError) {
        let added = try state.withLock { state throws(ImageError) in
            guard !state.isEnded else { throw .archive(why: "the pull was given up") }
            let added = digests.subtracting(state.leased)
            state.leased.formUnion(added)
            return added
        }
        guard !added.isEmpty else { return }
        store.lease(added)
        // Layers begin at the same time: one writes at a time, and what it writes has what the others added.
        try store.pullFiles.withLock { _ throws(ImageError) in
            let all = state.withLock { $0.leased }
            try ImageStore.writePull(store.pullPath(reference), all)
        }
    }

    /// The blob is there. The layer need not be its content, unless an image of the store says so.
    private func takePresent(_ digest: Digest, _ diffID: Digest) throws(ImageError) {
        let records = store.state.withLock { $0.index.images }.lazy.flatMap { $0.layers ?? [] }
        let isKnownPair = records.contains { $0.diffID == diffID && $0.blob == digest }
        let size = try store.layerSize(diffID)
        let byteCount = try store.blobByteCount(digest)
        if isKnownPair, let size { return finish(digest, diffID, byteCount, size) }

        let file = try GrowingFile(path: store.blobPath(digest), continuing: Int64(clamping: byteCount))
        file.end(.complete)
        let unpacking = try LayerUnpacking(store: store, file: file, isNeeded: size == nil)
        let made = try unpacking.result()
        let actual = made.diffID ?? digest
        guard actual == diffID else {
            throw .digestMismatch(expected: diffID, actual: actual, what: "a layer's content")
        }
        try store.syncFileSystem()
        try store.writer.withLock { _ throws(ImageError) in
            if size == nil { try store.placeLayer(made.folder, diffID) }
        }
        finish(digest, diffID, byteCount, size ?? made.size)
    }

    func finish(_ digest: Digest, _ diffID: Digest, _ byteCount: UInt64, _ size: LayerSize) {
        state.withLock { state in
            state.layers[digest] = FinishedLayer(diffID: diffID, byteCount: byteCount, size: size)
            state.open[digest] = nil
        }
    }

    func close(_ digest: Digest) { state.withLock { $0.open[digest] = nil } }
}

extension ImageStore {
    /// Begins to take in an image that is fetched piece by piece. `reference` is what is being pulled: a later intake
    /// of the same name finds what this one left.
    public func beginIntake(_ reference: ImageReference) throws(ImageError) -> ImageIntake {
        try ImageIntake(store: self, reference: reference)
    }

    /// A manifest or configuration of the store, checked against its digest; nil when it is not there.
    public func document(_ digest: Digest) throws(ImageError) -> [UInt8]? {
        guard FileSystem.exists(blobPath(digest)) else { return nil }
        return try readBlob(digest, what: "document")
    }

    /// Opens a blob for reading, e.g. to push it; its content is as it was when it was verified.
    public func openBlob(_ digest: Digest) throws(ImageError) -> (file: SharedDescriptor, byteCount: UInt64) {
        let byteCount = try blobByteCount(digest)
        let path = blobPath(digest)
        let file = try converting { () throws(SystemError) in
            SharedDescriptor(try FileDescriptor.open(path, O_RDONLY))
        }
        return (file, byteCount)
    }

    func blobByteCount(_ digest: Digest) throws(ImageError) -> UInt64 {
        var status = stat()
        guard stat(blobPath(digest), &status) == 0 else {
            throw .damaged("blob \(digest) is gone; load the image again")
        }
        return UInt64(clamping: status.st_size)
    }

    // MARK: - Interrupted pulls

    func pullPath(_ reference: ImageReference) -> String {
        "\(root)/pulls/\(Digest.sha256(of: Array(reference.canonical.utf8)).hex)"
    }

    /// One digest a line; empty when there is no such pull.
    static func readPull(_ path: String) throws(ImageError) -> Set<Digest> {
        guard FileSystem.exists(path) else { return [] }
        let bytes = try converting { () throws(SystemError) in try FileSystem.readFile(path) }
        // Lines that are no digests protect nothing.
        return Set(bytes.split(separator: 10).compactMap { Digest(hex: String(decoding: $0, as: UTF8.self)) })
    }

    static func writePull(_ path: String, _ digests: Set<Digest>) throws(ImageError) {
        let text = digests.sorted().map { "\($0.hex)\n" }.joined()
        try converting { () throws(SystemError) in try FileSystem.replaceFile(path, with: text.utf8) }
    }

    /// What pulls that broke off have, those of running pulls among them. Older ones are forgotten.
    func interruptedPulls(keeping: Bool) throws(ImageError) -> Set<Digest> {
        let ageSecondsMax = 24 * 60 * 60
        var needed: Set<Digest> = []
        for name in try converting({ () throws(SystemError) in try FileSystem.list("\(root)/pulls") }) {
            let path = "\(root)/pulls/\(name)"
            var status = stat()
            guard stat(path, &status) == 0 else { continue }
            if keeping, time(nil) - status.st_mtim.tv_sec < ageSecondsMax {
                needed.formUnion(try Self.readPull(path))
            } else {
                // A running pull's pieces are leased in memory as well.
                unlink(path)
            }
        }
        return needed
    }
}
