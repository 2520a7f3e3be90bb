import CLinux
import Glibc
import LinuxSystem

/// A layer that a build writes: an overlay's upper directory, which becomes the layer's tree as it is.
///
///     let draft = try store.makeDraft()
///     …mount an overlay with draft.upper and draft.work, change files in it, unmount…
///     if try draft.seal() {                        // nothing below `upper` changes from here on
///         let layer = try draft.measure()          // while the next step already runs on top
///         try store.keep(draft, layer)
///     }
public final class LayerDraft: Sendable {
    /// Absolute.
    public let folder: String
    let store: ImageStore

    var tree: String { "\(folder)/layer" }
    var blob: String { "\(folder)/blob" }
    /// For `upperdir`.
    public var upper: String { "\(tree)/fs" }
    /// For `workdir`: on the same file system.
    public var work: String { "\(folder)/work" }

    init(store: ImageStore) throws(ImageError) {
        self.store = store
        folder = try store.makeTemporaryFolder()
        do throws(SystemError) {
            try FileSystem.makeDirectories(upper, mode: 0o755)
            try FileSystem.makeDirectories(work)
        } catch {
            store.trash.discard(folder)
            throw ImageError(error)
        }
    }

    deinit { store.trash.discard(folder) }

    /// Makes the tree what its tar will say: times in whole seconds, at most `timestampMax`; no sockets, which are
    /// nothing without who listens; no marks of the overlay but those of whiteouts. Its root stays as layers have it.
    ///
    /// - Parameter timestampMax: seconds since 1970, `SOURCE_DATE_EPOCH`.
    /// - Returns: whether there is anything in it.
    public func seal(timestampMax: Int64? = nil) throws(ImageError) -> Bool {
        var isEmpty = true
        let prefix = store.options.overlayAttributes.rawValue
        let marks = ["origin", "impure", "nlink", "upper", "uuid"].map { prefix + $0 }
        try TreeWalk.visit(upper) { object, parent, name throws(ImageError) in
            if object.path.isEmpty { return try Self.remove(marks, of: object, at: upper) }
            if object.type == S_IFSOCK { return try Self.removeSocket(parent, name) }
            isEmpty = false
            try Self.checkName(of: object)
            if marks.contains(where: { object.attribute($0) != nil }) {
                try Self.remove(marks, of: object, at: "\(upper)/\(String(decoding: object.path, as: UTF8.self))")
            }
            try Self.settleTimes(of: object, in: parent, name, atMost: timestampMax)
        }
        return !isEmpty
    }

    /// In a tar such a name takes another file away.
    private static func checkName(of object: TreeObject) throws(ImageError) {
        let name = object.path.split(separator: UInt8(ascii: "/")).last ?? []
        guard name.starts(with: Whiteout.prefix) else { return }
        throw .unsupported("\(quoted(object.path)): a layer cannot hold a file whose name begins with .wh.")
    }

    /// A path that cannot be named keeps its marks: they mean nothing in a lower layer.
    private static func remove(_ marks: [String], of object: TreeObject, at path: String) throws(ImageError) {
        for mark in marks where object.attribute(mark) != nil {
            guard lremovexattr(path, mark) != 0 else { continue }
            let code = errno
            guard code == ENODATA || code == ENOENT else {
                throw ImageError(SystemError("lremovexattr", path: path, code: code))
            }
        }
    }

    private static func removeSocket(_ parent: Int32, _ name: CPath) throws(ImageError) {
        var status = stat()
        try converting { () throws(SystemError) in
            try check("fstat") { fstat(parent, &status) }
            try check("unlinkat") { name.withPointer { unlinkat(parent, $0, 0) } }
            let time = timespec(tv_sec: status.st_mtim.tv_sec, tv_nsec: 0)
            try check("futimens") { futimens(parent, [time, time]) }
        }
    }

    private static func settleTimes(
        of object: TreeObject, in parent: Int32, _ name: CPath, atMost timestampMax: Int64?
    ) throws(ImageError) {
        let modified = object.status.st_mtim
        let wanted = min(Int64(modified.tv_sec), timestampMax ?? .max)
        guard modified.tv_nsec != 0 || wanted != Int64(modified.tv_sec), !object.isWhiteout else { return }
        let time = timespec(tv_sec: Int(wanted), tv_nsec: 0)
        try converting { () throws(SystemError) in
            _ = try check("utimensat") {
                name.withPointer { utimensat(parent, $0, [time, time], AT_SYMLINK_NOFOLLOW) }
            }
        }
    }

    /// Writes the layer's blob beside the tree and names both by their digest. Reads every file; the tree must not
    /// change.
    public func measure() throws(ImageError) -> BuiltLayer {
        let file = try converting { () throws(SystemError) in
            try FileDescriptor.open(blob, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        }
        let raw = file.raw
        let hasher = Hasher256()
        var tarByteCount: UInt64 = 0
        let writer = TarWriter { bytes throws(ImageError) in
            hasher.update(bytes)
            tarByteCount += UInt64(bytes.count)
            try TarWriter.write(bytes, to: raw)
        }
        let directory = UpperDirectory(path: upper, lowerDirectories: [], overlay: store.options.overlayAttributes)
        let byteCount = try directory.writeLayer(with: writer)
        let diffID = hasher.finish()
        let size = LayerSize(byteCount: byteCount, tarByteCount: tarByteCount)
        try converting { () throws(SystemError) in
            try FileSystem.replaceFile("\(tree)/size", with: size.text.utf8)
        }
        return BuiltLayer(diffID: diffID, tarByteCount: tarByteCount, byteCount: byteCount)
    }
}

/// A layer that a build made: its blob is its plain tar.
public struct BuiltLayer: Hashable, Sendable {
    public let diffID: Digest
    public let tarByteCount: UInt64
    /// Of file content.
    public let byteCount: UInt64

    public init(diffID: Digest, tarByteCount: UInt64, byteCount: UInt64) {
        self.diffID = diffID
        self.tarByteCount = tarByteCount
        self.byteCount = byteCount
    }

    var record: ImageIndex.Layer {
        ImageIndex.Layer(
            diffID: diffID, blob: diffID, blobByteCount: tarByteCount, tarByteCount: tarByteCount,
            byteCount: byteCount)
    }
}

/// What a build counts on: no collection of garbage takes it as long as this object lives.
public final class BuildLease: Sendable {
    private let store: ImageStore
    private let held = Monitor<Set<Digest>>([])

    init(store: ImageStore) { self.store = store }

    deinit { store.release(held.read { $0 }) }

    public func hold(_ digests: Set<Digest>) {
        let new = held.change { held in
            let new = digests.subtracting(held)
            held.formUnion(new)
            return new
        }
        if !new.isEmpty { store.lease(new) }
    }

    public func hold(_ image: Image) {
        hold(store.content(of: image))
    }
}
