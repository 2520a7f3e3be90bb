import CLinux
import Glibc
import LinuxSystem

/// A layer that is unpacked under a temporary name: `<folder>/fs` and `<folder>/size`.
struct MadeLayer: Sendable {
    /// nil for a plain tar: the digest of the stored bytes.
    var diffID: Digest?
    var size: LayerSize
    var folder: String
}

/// What a layer holds, kept beside its tree.
struct LayerSize: Equatable, Sendable {
    /// Bytes of file content.
    var byteCount: UInt64
    /// Bytes of the uncompressed tar.
    var tarByteCount: UInt64

    var text: String { "\(byteCount) \(tarByteCount)\n" }

    init(byteCount: UInt64, tarByteCount: UInt64) {
        self.byteCount = byteCount
        self.tarByteCount = tarByteCount
    }

    init?(text: String) {
        let numbers = text.split(whereSeparator: { $0 == " " || $0 == "\n" }).map { UInt64($0) }
        guard let first = numbers.first, let content = first, numbers.count <= 2 else { return nil }
        // An older Gantry did not write down the tar's.
        guard let tar = numbers.count == 2 ? numbers[1] : 0 else { return nil }
        (byteCount, tarByteCount) = (content, tar)
    }
}

/// The one pass over a layer: compressed bytes in, digest of the content and a tree of files out.
struct LayerMaking {
    let options: ImageStoreOptions
    /// The calling thread has an umask of 0 of its own.
    var hasOwnUmask = false

    /// Unpacks into `folder`, which is made. The answer's diff id is nil for a plain tar: its content's digest is that
    /// of the stored bytes, which who delivers them hashes already.
    func make(
        _ stored: any ByteSource, folder: String, isCancelled: () -> Bool
    ) throws(ImageError) -> MadeLayer {
        let tree = "\(folder)/layer"
        let discards = "\(folder)/discards"
        try converting { () throws(SystemError) in
            for path in ["\(tree)/fs", discards] { try FileSystem.makeDirectories(path) }
            // The root's mode when the layer does not say; the folders above keep everyone else out.
            try check("chmod", path: tree) { chmod("\(tree)/fs", 0o755) }
        }
        let source = try content(of: stored)
        let unpacker = try LayerUnpacker(
            folder: "\(tree)/fs", discards: discards, options: options, hasOwnUmask: hasOwnUmask)
        try unpacker.unpack(source, isCancelled: isCancelled)
        let diffID = try source.finish()
        let size = LayerSize(byteCount: unpacker.byteCount, tarByteCount: source.byteCount)
        try converting { () throws(SystemError) in
            try FileSystem.replaceFile("\(tree)/size", with: size.text.utf8)
        }
        return MadeLayer(diffID: diffID, size: size, folder: tree)
    }

    /// Reads a layer without unpacking it: its diff id, nil for a plain tar.
    func digest(of stored: any ByteSource) throws(ImageError) -> Digest? { try content(of: stored).finish() }

    private func content(of stored: any ByteSource) throws(ImageError) -> MeasuringSource {
        let packed = MeasuringSource(stored, hashing: false, byteCountMax: .max, what: "a stored layer")
        let peeked = try PeekedSource(packed)
        let isPlain = try peeked.compression == .none
        return MeasuringSource(
            try decoded(peeked), hashing: !isPlain, byteCountMax: options.limits.layerByteCountMax, what: "a layer",
            packed: packed, ratioMax: options.limits.compressionRatioMax)
    }
}

/// A thread that unpacks: with an umask of its own, so that files get their modes when they are made.
enum UnpackThread {
    static func start(_ run: @escaping @Sendable (_ hasOwnUmask: Bool) -> Void) throws(ImageError) -> WorkerThread {
        let thread = WorkerThread(name: "gantry-unpack") {
            // From here on the umask, the working folder and the root are this thread's alone (unshare(2)).
            let isOwn = unshare(CLONE_FS) == 0
            if isOwn { umask(0) }
            run(isOwn)
        }
        guard let thread else { throw .system(SystemError("pthread_create", code: EAGAIN)) }
        return thread
    }
}
