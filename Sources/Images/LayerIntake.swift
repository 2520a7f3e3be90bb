import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// One layer of a pull: its bytes go to a file that stays when the pull breaks off, through a hash, and to a thread
/// that unpacks them meanwhile. For one thread at a time; ends by `finish` or `abandon`.
public final class LayerIntake: Sendable {
    private struct State {
        var hasher = Hasher256()
        var byteCount: Int64 = 0
        var isEnded = false
    }

    public let digest: Digest
    public let byteCountTotal: Int64
    private let diffID: Digest
    private let intake: ImageIntake
    private let path: String
    private let isPartial: Bool
    private let folder: String?
    private let file: GrowingFile
    private let unpacking: LayerUnpacking
    private let state: Monitor<State>

    private var store: ImageStore { intake.store }

    init(intake: ImageIntake, digest: Digest, byteCountTotal: Int64, diffID: Digest) throws(ImageError) {
        self.intake = intake
        self.digest = digest
        self.byteCountTotal = byteCountTotal
        self.diffID = diffID
        let store = intake.store
        // Two pulls of a layer at a time fetch it twice; the file with the memory is the first one's.
        isPartial = store.state.withLock { $0.partials.insert(digest).inserted }
        folder = isPartial ? nil : try store.makeTemporaryFolder()
        path = folder.map { "\($0)/blob" } ?? "\(store.root)/partial/\(digest.hex)"
        do throws(ImageError) {
            var status = stat()
            let present = stat(path, &status) == 0 && status.st_size <= byteCountTotal ? Int64(status.st_size) : 0
            file = try GrowingFile(path: path, continuing: present)
            var state = State()
            try LayerIntake.hash(path, present, state.hasher)
            state.byteCount = present
            self.state = Monitor(state)
            unpacking = try LayerUnpacking(
                store: store, file: file, isNeeded: try store.layerSize(diffID) == nil)
        } catch {
            LayerIntake.release(digest, isPartial: isPartial, folder: folder, store)
            throw error
        }
    }

    deinit { abandon() }

    private static func release(_ digest: Digest, isPartial: Bool, folder: String?, _ store: ImageStore) {
        if isPartial { store.state.withLock { _ = $0.partials.remove(digest) } }
        if let folder { store.trash.discard(folder) }
    }

    private static func hash(_ path: String, _ byteCount: Int64, _ hasher: Hasher256) throws(ImageError) {
        guard byteCount > 0 else { return }
        let file = try converting { () throws(SystemError) in try FileDescriptor.open(path, O_RDONLY) }
        let source = DescriptorSource(descriptor: file.raw)
        while true {
            let piece = try source.next()
            if piece.isEmpty { return }
            hasher.update(piece)
        }
    }

    /// Bytes that are there: ask the registry for those from here on.
    public var byteCount: Int64 { state.read { $0.byteCount } }

    /// The next bytes. Fails when there are more than the manifest said, and when they cannot be unpacked; then nothing
    /// of the layer is kept, for the next attempt would fail on the same bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        if let failure = unpacking.failure {
            // A full disk says nothing about the bytes.
            if case .system = failure {} else { unlink(path) }
            throw failure
        }
        try state.change { state throws(ImageError) in
            guard !state.isEnded else { throw .archive(why: "the pull was given up") }
            guard Int64(bytes.count) <= byteCountTotal - state.byteCount else {
                throw .archive(why: "layer \(digest) has more than the \(byteCountTotal) bytes that were announced")
            }
            try file.append(bytes)
            state.hasher.update(bytes)
            state.byteCount += Int64(bytes.count)
        }
    }

    public func write(_ bytes: [UInt8]) throws(ImageError) {
        // `withUnsafeBytes` cannot carry a typed error out.
        let result = bytes.withUnsafeBytes { buffer -> Result<Void, ImageError> in
            do throws(ImageError) {
                return .success(try write(buffer))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// All bytes are there: verifies size and digest, waits until they are unpacked, verifies the content's digest, and
    /// gives both their names in the store. Bytes that are not what they should be are thrown away; an incomplete layer
    /// stays for the next attempt.
    public func finish() throws(ImageError) {
        let (byteCount, actual) = state.read { state in (state.byteCount, state.isEnded ? nil : state.hasher) }
        guard let actual else { throw .archive(why: "the pull was given up") }
        guard byteCount == byteCountTotal else {
            abandon()
            throw .archive(why: "layer \(digest) ended after \(byteCount) of \(byteCountTotal) bytes")
        }
        do throws(ImageError) {
            let digest = actual.finish()
            guard digest == self.digest else {
                throw .digestMismatch(expected: self.digest, actual: digest, what: "a layer")
            }
            file.end(.complete)
            let made = try unpacking.result()
            guard (made.diffID ?? digest) == diffID else {
                throw .digestMismatch(expected: diffID, actual: made.diffID ?? digest, what: "a layer's content")
            }
            try place(made)
        } catch {
            if case .system = error {} else { unlink(path) }
            abandon()
            throw error
        }
        abandon()
    }

    private func place(_ made: MadeLayer) throws(ImageError) {
        // The blob and the tree are on the disk before anything has their names.
        try store.syncFileSystem()
        try store.writer.withLock { _ throws(ImageError) in
            try store.place(path, at: store.blobPath(digest))
            if try store.layerSize(diffID) == nil { try store.placeLayer(made.folder, diffID) }
        }
        unlink(path)
        intake.finish(digest, diffID, UInt64(clamping: byteCountTotal), made.size)
    }

    /// Gives the layer up for now; what arrived stays for the next attempt. May be called again, and after `finish`.
    public func abandon() {
        let isFirst = state.change { state in
            defer { state.isEnded = true }
            return !state.isEnded
        }
        guard isFirst else { return }
        file.end(.abandoned)
        unpacking.stop()
        intake.close(digest)
        LayerIntake.release(digest, isPartial: isPartial, folder: folder, store)
    }
}

/// A layer that is unpacked by a thread of its own while its file grows.
final class LayerUnpacking: Sendable {
    private struct State {
        var result: Result<MadeLayer, ImageError>?
        var isStopped = false
    }

    private let state: Monitor<State>
    private let store: ImageStore
    private let folder: String

    /// - Parameter isNeeded: the tree is not there yet; otherwise the content is hashed only.
    init(store: ImageStore, file: GrowingFile, isNeeded: Bool) throws(ImageError) {
        self.store = store
        let state = Monitor(State())
        self.state = state
        let folder = try store.makeTemporaryFolder()
        self.folder = folder
        let options = store.options
        do throws(ImageError) {
            let thread = try UnpackThread.start { hasOwnUmask in
                let making = LayerMaking(options: options, hasOwnUmask: hasOwnUmask)
                let source = FollowingSource(file)
                let result: Result<MadeLayer, ImageError>
                do throws(ImageError) {
                    result = .success(
                        isNeeded
                            ? try making.make(source, folder: folder) { state.read { $0.isStopped } }
                            : MadeLayer(
                                diffID: try making.digest(of: source), size: LayerSize(byteCount: 0, tarByteCount: 0),
                                folder: folder))
                } catch {
                    result = .failure(error)
                }
                state.change { $0.result = result }
            }
            thread.detach()
        } catch {
            store.trash.discard(folder)
            throw error
        }
    }

    deinit { store.trash.discard(folder) }

    /// Why it failed, as soon as it did.
    var failure: ImageError? {
        state.read { state in
            if case .failure(let error) = state.result { return error }
            return nil
        }
    }

    /// Waits for the layer. Its folder goes with this object.
    func result() throws(ImageError) -> MadeLayer { try state.wait { $0.result }.get() }

    /// Ends it; the file must have been ended.
    func stop() {
        state.change { $0.isStopped = true }
        _ = state.wait { $0.result == nil ? nil : true }
    }
}
